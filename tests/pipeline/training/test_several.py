"""Training on several computers, here two processes on loopback: as one, and exact across ends."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import psutil
import pytest

from secdaemon.pipeline.interface import PermanentError, Progress, TransientError
from secdaemon.pipeline.training.train import TrainSpec, train

Make = Callable[..., TrainSpec]
Interrupt = Callable[[TrainSpec, int], None]
Made = Callable[[Path], tuple[bytes, str, bytes]]

TWO = [{"ssh": "127.0.0.1", "ips": ["127.0.0.1"]}] * 2
MODULE = "secdaemon.pipeline.training.ranks"
SECONDS = 60.0


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


def processes(rank: int) -> list[psutil.Process]:
    """Return this process's own descendants of a rank."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if MODULE in child.cmdline() and child.environ().get("MLX_RANK") == str(rank)
    ]


def curve(folder: Path) -> list[dict[str, Any]]:
    """Return the loss history."""
    return [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def hostfile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a hostfile of two processes on this computer."""
    path = tmp_path_factory.mktemp("hosts") / "hosts.json"
    path.write_text(json.dumps(TWO))
    return path


@pytest.fixture(scope="session")
def make_shared(make_spec: Make, hostfile: Path) -> Make:
    """Return a maker of specs that two processes share, with dropout and all that has a position."""

    def make(folder: Path, **changes: Any) -> TrainSpec:
        asked = {"batch_size": 4, "schedule": "cosine", "iterations": 16}
        return make_spec(folder, **(asked | changes), hostfile=str(hostfile))

    return make


@pytest.fixture(scope="session")
def alone(
    make_shared: Make, made: Made, tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, str, bytes]:
    """Return what two processes make that nothing interrupts."""
    folder = tmp_path_factory.mktemp("alone")
    train(make_shared(folder), unheard)
    return made(folder)


@pytest.fixture
def as_alone(alone: tuple[bytes, str, bytes], made: Made) -> Callable[[Path], bool]:
    """Return what tells whether a training ended as the uninterrupted one of two processes."""
    return lambda folder: made(folder) == alone


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{}, {"grad_accumulation_steps": 2, "mask_prompt": False}],
    ids=["batches", "accumulation, prompt learned"],
)
def test_two_computers_train_as_one(
    make_spec: Make, make_shared: Make, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Without dropout, two processes follow the loss curve of one, and make the same adapter."""
    asked = {"batch_size": 4, "schedule": "cosine", "iterations": 16, "dropout": 0.0, **changes}
    one, two = make_spec(tmp_path / "one", **asked), make_shared(tmp_path / "two", **asked)
    summary, shared = train(one, unheard), train(two, unheard)
    assert (summary.tokens, summary.iterations) == (shared.tokens, shared.iterations)
    for own, other in zip(curve(one.folder), curve(two.folder), strict=True):
        assert {**own, "train_loss": 0, "valid_loss": 0} == {
            **other,
            "train_loss": 0,
            "valid_loss": 0,
        }
        for name in ("train_loss", "valid_loss"):
            assert other.get(name, 0.0) == pytest.approx(own.get(name, 0.0), abs=1e-4)
    file = "adapters/adapters.safetensors"
    left: Any = mx.load(str(one.folder / file))
    right: Any = mx.load(str(two.folder / file))
    assert left.keys() == right.keys()
    assert all(mx.abs(left[name] - right[name]).max().item() < 1e-4 for name in left)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_costs_what_came_after_the_checkpoint(
    make_shared: Make,
    as_alone: Callable[[Path], bool],
    checkpoints: Callable[[Path], list[str]],
    tmp_path: Path,
    rank: int,
) -> None:
    """SIGKILL of either ends all with a reason that names it, and it goes on to the same bytes."""
    spec = make_shared(tmp_path / "run")

    def kill(progress: Progress) -> None:
        if progress.iteration == 7 and progress.loss is not None:
            for process in processes(rank):
                process.kill()

    with pytest.raises(TransientError, match=rf"127\.0\.0\.1 \(rank {rank}\) ended with status -9"):
        train(spec, kill)
    assert processes(0) == processes(1) == []
    assert checkpoints(spec.folder) == ["0000005"]
    assert train(spec, unheard).resumed_at == 5
    assert as_alone(spec.folder)


@pytest.mark.slow
def test_a_pause_is_exact(
    make_shared: Make,
    stopped_at: Interrupt,
    as_alone: Callable[[Path], bool],
    checkpoints: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    """A request to stop is heard by the first process, which leaves a checkpoint of that moment."""
    spec = make_shared(tmp_path / "run")
    for iteration in (3, 11):
        stopped_at(spec, iteration)
        assert checkpoints(spec.folder)[-1] == f"{iteration:07d}"
        assert processes(0) == processes(1) == []
    assert train(spec, unheard).resumed_at == 11
    assert as_alone(spec.folder)


@pytest.mark.slow
def test_a_killed_worker_leaves_nobody_behind(
    make_shared: Make,
    killed_at: Callable[..., None],
    as_alone: Callable[[Path], bool],
    tmp_path: Path,
) -> None:
    """When the worker is killed, the processes end by themselves, and the next one goes on."""
    spec = make_shared(tmp_path / "run")
    killed_at(spec, 8, STARTED_BY=str(tmp_path))
    left = [process for process in psutil.process_iter() if _was_started_by(process, tmp_path)]
    _, alive = psutil.wait_procs(left, SECONDS)
    assert alive == []
    train(spec, unheard)
    assert as_alone(spec.folder)


def _was_started_by(process: psutil.Process, name: Path) -> bool:
    try:
        return process.environ().get("STARTED_BY") == str(name)
    except psutil.Error:
        return False


@pytest.mark.slow
def test_everything_that_a_stage_uses_is_shared(
    make_shared: Make,
    stopped_at: Interrupt,
    made: Made,
    trained: Path,
    tmp_path: Path,
) -> None:
    """An adapter to start from, DoRA or not, early stopping and accumulation resume exactly too."""
    asked = {
        "resume_adapter": trained / "adapters",
        "grad_accumulation_steps": 2,
        "early_stopping": 2,
    }
    one, two = make_shared(tmp_path / "one", **asked), make_shared(tmp_path / "two", **asked)
    train(one, unheard)
    stopped_at(two, 5)
    train(two, unheard)
    assert made(one.folder) == made(two.folder)


@pytest.mark.slow
def test_what_processes_say_to_each_other_arrives(hostfile: Path) -> None:
    """Data, what fits into the memory of both, and the trouble of one with its name."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("mlx.launch")),
            *("--backend", "ring", "--hostfile", str(hostfile), "--starting-port", "33555", "--"),
            *(sys.executable, "-c", WORDS),
        ],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert sorted(done.stdout.splitlines()) == [
        "agreed 64 True 7",
        "agreed 64 True 7",
        "shared True",
        "shared True",
        "the second of them (rank 1 of training.hostfile): no room",
    ]


WORDS = """
import mlx.core as mx
from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training.memory import Preflight
from secdaemon.pipeline.training.feed import Share
from secdaemon.pipeline.training.team import Hello, Ready, Team

group = mx.distributed.init(strict=True)
team = Team(Share(group.rank(), group.size()))
text = bytes(range(256)) * 999
print("shared", team.from_first(text if group.rank() == 0 else b"") == text)
own = Preflight(
    peak_bytes=5,
    budget_bytes=(9, 7)[group.rank()],
    tokens=3,
    max_seq_length=(64, 128)[group.rank()],
    grad_checkpoint=bool(group.rank()),
)
both = team.agree(own)
print("agreed", both.max_seq_length, both.grad_checkpoint, both.budget_bytes)
team.exchange(Hello(("first", "the second of them")[group.rank()], {}))
if group.rank():
    team.complain(PermanentError("no room"))
else:
    try:
        team.exchange(Ready())
    except PermanentError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("batch_size", "says"), [(1, "multiple of the 2 computers"), (3, "training.batch_size")]
)
def test_a_batch_has_to_divide(
    make_shared: Make, tmp_path: Path, batch_size: int, says: str
) -> None:
    """A batch that the computers cannot share evenly is refused, by the key to change."""
    with pytest.raises(PermanentError, match=says):
        train(make_shared(tmp_path, batch_size=batch_size), unheard)
