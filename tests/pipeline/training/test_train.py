"""Training: exact resume, checkpoints, where Stage 2 starts, what is refused."""

import json
import pickle
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlx_lm
import pytest

from secdaemon.pipeline.interface import EndRun, PermanentError, Progress, StopRequested
from secdaemon.pipeline.training.train import TrainSpec, train

Make = Callable[..., TrainSpec]

CHILD = """
import os, pickle, signal, sys
from secdaemon.pipeline.training.train import train

spec, last = pickle.load(sys.stdin.buffer)

def report(progress):
    if progress.iteration == last and progress.loss is not None:
        os.kill(os.getpid(), signal.SIGKILL)

train(spec, report)
"""


def killed_at(spec: TrainSpec, iteration: int) -> None:
    """Train in a process that SIGKILL ends behind an iteration."""
    ended = subprocess.run(
        [sys.executable, "-c", CHILD], input=pickle.dumps((spec, iteration)), check=False
    )
    assert ended.returncode == -signal.SIGKILL


def stopped_at(spec: TrainSpec, iteration: int) -> None:
    """Train until a stop is requested behind an iteration."""

    def report(progress: Progress) -> None:
        if progress.iteration == iteration and progress.loss is not None:
            msg = "asked to stop"
            raise StopRequested(msg)

    with pytest.raises(StopRequested):
        train(spec, report)


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


def made(folder: Path) -> tuple[bytes, str, bytes]:
    """Return everything a training leaves that has to be the same after a resume."""
    adapters = folder / "adapters"
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapters",
        "losses.jsonl",
        "summary.json",
    ]
    return (
        (adapters / "adapters.safetensors").read_bytes(),
        (adapters / "adapter_config.json").read_text(),
        (folder / "losses.jsonl").read_bytes(),
    )


def losses(folder: Path, name: str) -> dict[int, float]:
    """Return a loss curve by iteration."""
    rows = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
    return {row["iteration"]: row[name] for row in rows if name in row}


def checkpoints(folder: Path) -> list[str]:
    """Return the names of the checkpoints."""
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_sigkill_and_resume_give_the_same_bytes(
    make_spec: Make, trained: Path, tmp_path: Path
) -> None:
    """A training killed in the middle ends, with dropout and warm-up, as one left alone."""
    spec = make_spec(tmp_path / "run")
    killed_at(spec, 8)
    assert checkpoints(spec.folder) == ["0000005"]
    assert train(spec, unheard).resumed_at == 5
    assert made(spec.folder) == made(trained)


def test_stops_checkpoint_where_they_come(make_spec: Make, trained: Path, tmp_path: Path) -> None:
    """Stops, one of them behind the last iteration, leave exactly that point and change nothing."""
    spec = make_spec(tmp_path / "run")
    for iteration in (3, 4, 7, 12):
        stopped_at(spec, iteration)
        assert checkpoints(spec.folder)[-1] == f"{iteration:07d}"
        assert len(checkpoints(spec.folder)) <= 2
        assert not (spec.folder / "adapters").exists()
    assert train(spec, unheard).resumed_at == 12
    assert made(spec.folder) == made(trained)


def test_a_stop_within_validation_loses_no_validation(
    make_spec: Make, trained: Path, tmp_path: Path
) -> None:
    """A stop before the validation loss is known leaves it to be measured after the resume."""
    spec = make_spec(tmp_path / "run")

    def report(progress: Progress) -> None:
        if progress.iteration == 4 and progress.loss is None:
            msg = "asked to stop"
            raise StopRequested(msg)

    with pytest.raises(StopRequested):
        train(spec, report)
    assert checkpoints(spec.folder) == ["0000004"]
    train(spec, unheard)
    assert made(spec.folder) == made(trained)


@pytest.mark.parametrize("name", ["adapters.safetensors", "optimizer.safetensors", "manifest.json"])
def test_a_damaged_checkpoint_is_passed_over(
    make_spec: Make, trained: Path, tmp_path: Path, name: str
) -> None:
    """Training goes on from the checkpoint before the damaged one."""
    spec = make_spec(tmp_path / "run")
    stopped_at(spec, 11)
    assert checkpoints(spec.folder) == ["0000010", "0000011"]
    path = spec.folder / "checkpoints" / "0000011" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert train(spec, unheard).resumed_at == 10
    assert made(spec.folder) == made(trained)


def test_a_checkpoint_that_does_not_fit_on_the_disk_is_no_checkpoint(
    make_spec: Make, trained: Path, tmp_path: Path
) -> None:
    """Training ends with an error, the checkpoint before stands, and there it goes on."""
    spec = make_spec(tmp_path / "run")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def report(progress: Progress) -> None:
        if progress.iteration == 7:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))

    try:
        with pytest.raises(OSError, match="checkpoint cannot be written"):
            train(spec, report)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoints(spec.folder) == ["0000005"]
    assert train(spec, unheard).resumed_at == 5
    assert made(spec.folder) == made(trained)


def test_checkpoints_of_another_training_are_ignored(
    make_spec: Make, trained: Path, tmp_path: Path
) -> None:
    """Nothing of a training with other settings enters this one."""
    stopped_at(make_spec(tmp_path / "run", learning_rate=2e-3), 6)
    spec = make_spec(tmp_path / "run")
    stopped_at(spec, 5)
    assert checkpoints(spec.folder) == ["0000005"]
    assert train(spec, unheard).resumed_at == 5
    assert made(spec.folder) == made(trained)


def test_a_finished_training_returns_at_once(make_spec: Make, trained: Path) -> None:
    """The same spec again trains nothing and gives the same summary."""
    seen: list[Progress] = []
    again = train(make_spec(trained), seen.append)
    assert seen == []
    assert again == train(make_spec(trained), seen.append)
    assert again.iterations == 12
    assert again.tokens == sum(
        row["tokens"]
        for row in map(json.loads, (trained / "losses.jsonl").read_text().splitlines())
        if "train_loss" in row
    )
    curve = losses(trained, "train_loss")
    assert (again.first_loss, again.last_loss) == (curve[1], curve[12])


def test_every_iteration_is_reported(make_spec: Make, tmp_path: Path) -> None:
    """Progress counts up to the end, with loss, pace and time left."""
    seen: list[Progress] = []
    train(make_spec(tmp_path / "run", iterations=3, valid=()), seen.append)
    assert [(progress.iteration, progress.iterations) for progress in seen] == [
        (1, 3),
        (2, 3),
        (3, 3),
    ]
    assert all(progress.loss and progress.tokens_per_second for progress in seen)
    assert seen[-1].eta_seconds == 0


def test_the_adapter_is_in_the_form_of_mlx_lm(base: Path, trained: Path) -> None:
    """mlx-lm loads the adapter on the base, and generates with it."""
    model, tokenizer = mlx_lm.load(str(base), adapter_path=str(trained / "adapters"))
    assert isinstance(mlx_lm.generate(model, tokenizer, [5, 6, 7], max_tokens=3), str)


def test_stage2_starts_from_the_stage1_adapter(
    make_spec: Make, trained: Path, tmp_path: Path
) -> None:
    """Its first losses on Stage 1 data are the Stage 1 adapter's, not the base model's."""
    stage1 = make_spec(trained)
    base_loss, stage1_loss = (losses(trained, "valid_loss")[n] for n in (0, 12))
    spec = make_spec(
        tmp_path / "stage2",
        resume_adapter=trained / "adapters",
        train=stage1.valid,
        iterations=1,
        dropout=0.0,
        batch_size=2,
    )
    train(spec, unheard)
    assert losses(spec.folder, "valid_loss")[0] == pytest.approx(stage1_loss, abs=1e-5)
    # Both validation examples in one batch, so that the training loss is over the same tokens.
    assert losses(spec.folder, "train_loss")[1] == pytest.approx(stage1_loss, abs=1e-4)
    assert base_loss - stage1_loss > 0.1


def test_an_adapter_that_does_not_fit_is_refused(
    make_spec: Make, trained: Path, tmp_path: Path
) -> None:
    """Neither another rank nor another scale is taken for a start."""
    for change in ({"rank": 2}, {"scale": 10.0}):
        spec = make_spec(tmp_path / "run", resume_adapter=trained / "adapters", **change)
        with pytest.raises(PermanentError, match="does not fit"):
            train(spec, unheard)


def test_an_unknown_target_module_is_named(make_spec: Make, tmp_path: Path) -> None:
    """The message names the wrong module and the right ones."""
    spec = make_spec(tmp_path / "run", target_modules=("q_proj", "query"))
    with pytest.raises(PermanentError, match=r"'query'.*q_proj"):
        train(spec, unheard)


def test_nothing_that_fits_is_refused(make_spec: Make, tmp_path: Path) -> None:
    """Without an example that fits there is nothing to train on."""
    with pytest.raises(PermanentError, match=r"max_seq_length.*too long"):
        train(make_spec(tmp_path / "run", max_seq_length=16), unheard)


def test_numbers_that_are_not_finite_hold_the_run(make_spec: Make, tmp_path: Path) -> None:
    """A training that diverges ends held, with no adapter."""
    spec = make_spec(tmp_path / "run", learning_rate=1e30, valid=())
    with pytest.raises(EndRun, match="diverged") as caught:
        train(spec, unheard)
    assert caught.value.state == "held"
    assert not (spec.folder / "adapters").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 2},
        {"batch_size": 3, "mask_prompt": False, "dropout": 0.0, "grad_checkpoint": True},
        {"target_modules": ("q_proj", "o_proj", "down_proj"), "layers": 2},
    ],
    ids=["batches", "gradient checkpointing", "other modules"],
)
def test_random_kills_give_the_same_bytes(
    make_spec: Make, tmp_path: Path, changes: dict[str, object]
) -> None:
    """However often and wherever a training is killed, it ends as one left alone."""
    alone = make_spec(tmp_path / "alone", iterations=30, **changes)
    train(alone, unheard)
    spec = make_spec(tmp_path / "run", iterations=30, **changes)
    draw = random.Random(7)
    for start in (0, 5, 15, 25):
        killed_at(spec, draw.randint(start + 1, start + 5))
    train(spec, unheard)
    assert made(spec.folder) == made(alone.folder)


@pytest.mark.slow
def test_a_quantised_base_resumes_exactly(make_spec: Make, base: Path, tmp_path: Path) -> None:
    """On a 4-bit base a killed training ends as one left alone."""
    mlx_lm.convert(
        str(base), str(tmp_path / "q4"), quantize=True, q_group_size=32, q_bits=4, dtype="float32"
    )
    alone = make_spec(tmp_path / "alone", model_dir=tmp_path / "q4")
    train(alone, unheard)
    spec = make_spec(tmp_path / "run", model_dir=tmp_path / "q4")
    killed_at(spec, 9)
    train(spec, unheard)
    assert made(spec.folder) == made(alone.folder)
