"""What the fault tests share: a small main job, kills at chosen moments, and how it must end."""

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.daemon.intake import zip_folder
from secdaemon.daemon.views import FullRunView, StatusView, view_run
from secdaemon.pipeline.interface import TrainingSummary
from secdaemon.state.leases import leases
from secdaemon.state.machine import RULES, State, Step, rule_of
from secdaemon.state.model import Run
from secdaemon.state.runs import newest_runs, outputs
from secdaemon.state.store import open_store

SETTINGS = """\
inbox: {stable_seconds: 0.2, broken_seconds: 1}
models: {base: "embedded:tiny"}
training: {max_seq_length: 640, checkpoint_every: 2}
stage1: {sources: [embedded], iterations: 14, learning_rate: 2.0e-4, max_examples: 40}
stage2: {iterations: 10, learning_rate: 4.0e-5}
evaluation: {max_examples: 8, generate_examples: 2, max_tokens: 16, bootstrap_samples: 200}
retention: {threshold: 0.0, bound: point, when_undefined: pass, heal: false}
gates: {improvement: false}
publish: {target: folder}
schedule: {backoff_seconds: 0.2, nice: 0}
"""
DEADLINE_SECONDS = 300.0
"""How long a process may take before a test gives up on it; a machine may be busy."""
LOOK_SECONDS = 0.001
"""The shortest step lives for a twentieth of a second."""
DATED = frozenset(
    {
        "run-manifest.json",
        "training-recipe.yaml",
        "report.html",
        "README.md",
        "corpus.jsonl",
        "stage1.json",
        "summary.json",
    }
)
"""Files that hold the run's id, a time or a duration, so that two runs differ in them."""
OWN = ("logs", "locks", "state.db", "config.yaml")
"""What a home holds besides the work's results."""
PATH_OF_STATES = [(None, State.RECEIVED), *((rule.source, rule.target) for rule in RULES)]
EVIDENCE = {
    Step.UNPACK: "models/fine-tuned/*/work/artifact/*",
    Step.STAGE1: "stage1/.*.training/checkpoints/*4/manifest.json",
    Step.STAGE2: "models/fine-tuned/*/stage2/checkpoints/*4/manifest.json",
    Step.RETENTION: "models/fine-tuned/*/stage1/evaluation/stage2/scores.jsonl",
}
"""What a step has made when it is well under way; the other steps are too short to tell."""


class _Trained(msgspec.Struct):
    """The part that the outputs of both training steps share."""

    training: TrainingSummary


class Scene:
    """A home, the daemons that were started in it, and what its state.db and files say."""

    def __init__(self, root: Path, settings: str) -> None:
        """Make the home."""
        self.home = Home(root=root, chosen=True)
        self.inbox = root / "inbox"
        self.home.make()
        self.inbox.mkdir(parents=True)
        self.home.config_file.write_text(settings, encoding="utf-8")
        self.store = open_store(self.home)
        self._running: list[subprocess.Popen[str]] = []

    def close(self) -> None:
        """End what still runs."""
        for process in self._running:
            if process.poll() is None:
                self.kill(process)
            process.communicate()
        self.store.close()

    # -- processes --------------------------------------------------------------------------

    def begin(
        self, *arguments: str, env: dict[str, str] | None = None, largest_file: int = 0
    ) -> subprocess.Popen[str]:
        """Start a daemon, for which no file grows beyond `largest_file` half-kilobytes."""
        kept = {key: text for key, text in os.environ.items() if not key.startswith("SECDAEMON_")}
        where = ["--home", str(self.home.root)]
        limit = ["sh", "-c", 'ulimit -f "$0" && exec "$@"', str(largest_file)]
        process = subprocess.Popen(
            [
                *(limit if largest_file else ()),
                *(sys.executable, "-m", "secdaemon.daemon", *where, "run", *arguments),
            ],
            env=kept | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        return process

    def finish(self, env: dict[str, str] | None = None) -> int:
        """Run until idle; return the exit status, which comes with no traceback."""
        process = self.begin("--until-idle", env=env)
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
        assert "Traceback" not in err
        return process.returncode

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Kill a daemon and its workers as one.

        The daemon is stopped first, so that it sees none of its workers die.
        """
        process.send_signal(signal.SIGSTOP)
        workers = self.workers(process)
        process.kill()
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        self.until(
            lambda: not self.is_working("heavy") and not self.is_working("light"),
            "the killed workers are gone",
        )

    def workers(self, process: subprocess.Popen[str]) -> list[int]:
        """Return the process ids of a daemon's workers."""
        command = ["ps", "-A", "-o", "pid=,ppid="]
        table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows = (line.split() for line in table.splitlines())
        return [int(child) for child, parent in rows if int(parent) == process.pid]

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Look very often until something holds; fail after a deadline."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        pause = threading.Event()
        while not condition():
            assert time.monotonic() < deadline, f"this did not happen: {what}"
            pause.wait(LOOK_SECONDS)

    # -- what can be seen -------------------------------------------------------------------

    def is_working(self, slot: str) -> bool:
        """Return whether a worker is inside a step of this slot."""
        try:
            with (self.home.locks / f"{slot}.lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def in_step(self, step: Step) -> bool:
        """Return whether a worker is well inside this step of the newest run."""
        runs = newest_runs(self.store, 1)
        if not runs or runs[0].step is not step or not self.is_working(rule_of(step).slot):
            return False
        return step not in EVIDENCE or any(self.home.root.glob(EVIDENCE[step]))

    def until_in(self, step: Step) -> None:
        """Wait until a worker is well inside a step."""
        self.until(lambda: self.in_step(step), f"{step} is worked on")

    def runs(self) -> list[Run]:
        """Return the runs, newest first."""
        return newest_runs(self.store, -1)

    def view(self) -> FullRunView:
        """Return the newest run as `status RUN --json` shows it."""
        return view_run(self.store, self.runs()[0].id)

    def status(self) -> StatusView:
        """Return what `status --json` prints."""
        where = ["--home", str(self.home.root)]
        command = [sys.executable, "-m", "secdaemon.daemon", *where, "status", "--json"]
        text = subprocess.run(command, capture_output=True, check=True).stdout
        return msgspec.json.decode(text, type=StatusView)

    def training(self, step: Step) -> TrainingSummary:
        """Return the summary of the newest run's training step."""
        run = self.runs()[0].id
        return msgspec.json.decode(outputs(self.store, [run])[run][step], type=_Trained).training

    def attempts(self, step: Step) -> list[tuple[int, str]]:
        """Return all runs' attempts at a step, as (number, outcome)."""
        rows = self.store.read(
            "SELECT number, outcome FROM attempts WHERE step = ? ORDER BY rowid", (step,)
        )
        return [(row["number"], row["outcome"]) for row in rows]

    def results(self) -> dict[str, str]:
        """Return every file and folder of the home by path, with a file's SHA-256.

        The run's id is left out of the paths; files that two runs differ in have no hash.
        """
        run = self.runs()[0].id
        found = {}
        for path in sorted(self.home.root.rglob("*")):
            name = path.relative_to(self.home.root).as_posix()
            if name.startswith(OWN):
                continue
            plain = path.is_file() and path.name not in DATED
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if plain else ""
            found[name.replace(run, "RUN")] = digest
        return found


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a zip of the sample scans."""
    target = tmp_path_factory.mktemp("scans") / "scans.zip"
    sample = resources.files("secdaemon.pipeline.embedded") / "sample_scans"
    with resources.as_file(sample) as folder:
        zip_folder(folder, target)
    return target


@pytest.fixture(scope="session")
def scene_in() -> Callable[..., Scene]:
    """Return a maker of homes that the caller closes: (folder, changed settings by their text)."""

    def make(root: Path, **changes: str) -> Scene:
        lines = SETTINGS.splitlines()
        lines = [changes.pop(line.partition(":")[0], line) for line in lines]
        return Scene(root, "\n".join([*lines, *changes.values(), ""]))

    return make


@pytest.fixture
def make_scene(tmp_path: Path, scene_in: Callable[..., Scene]) -> Iterator[Callable[..., Scene]]:
    """Yield a maker of homes with an empty inbox: (folder, changed settings by their text)."""
    made: list[Scene] = []

    def make(root: Path = tmp_path / "home", **changes: str) -> Scene:
        made.append(scene_in(root, **changes))
        return made[-1]

    yield make
    for scene in made:
        scene.close()


@pytest.fixture
def scene(make_scene: Callable[..., Scene], scans: Path) -> Scene:
    """Return a home with the sample scans in its inbox."""
    made = make_scene()
    (made.inbox / scans.name).write_bytes(scans.read_bytes())
    return made


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, scans: Path
) -> tuple[FullRunView, dict[str, str]]:
    """Return how the small main job ends when nothing happens to it: its view and its files."""
    with closing(Scene(tmp_path_factory.mktemp("undisturbed") / "home", SETTINGS)) as scene:
        (scene.inbox / scans.name).write_bytes(scans.read_bytes())
        assert scene.finish() == 0
        run, found = scene.view(), scene.results()
    assert run.state is State.PUBLISHED
    for end in ("adapters.safetensors", "adapter_model.safetensors", "findings.jsonl"):
        assert any(found[name] for name in found if name.endswith(end))
    return run, found


@pytest.fixture
def ends_the_same(
    undisturbed: tuple[FullRunView, dict[str, str]],
) -> Callable[[Any], FullRunView]:
    """Return the comparison of a scene's end with the undisturbed one; it returns the run.

    The same files with the same bytes and no others, each state reached once, no claim left.
    """
    expected, files = undisturbed

    def compare(scene: Scene) -> FullRunView:
        run = scene.view()
        moves = [(event.source, event.target) for event in run.events]
        assert [move for move in moves if move[0] is not move[1]] == PATH_OF_STATES, run.reason
        found = scene.results()
        assert sorted(found) == sorted(files)
        assert {name for name in files if found[name] != files[name]} == set()
        for name in ("findings", "examples", "stage1", "stage2", "retention"):
            assert getattr(run, name) == getattr(expected, name), name
        assert run.attempts == 0
        assert len(scene.runs()) == 1
        assert leases(scene.store) == []
        assert not scene.is_working("heavy")
        assert not scene.is_working("light")
        return run

    return compare
