"""Stage 1 is trained once for all who want it: at once, after a kill, and until it is set aside."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secdaemon.daemon.views import view_run
from secdaemon.pipeline.interface import Stage1Output
from secdaemon.state.machine import Cause, Slot, State, Step
from secdaemon.state.runs import Move, get_run, move, outputs_of

pytestmark = pytest.mark.slow

Scene = Any
Make = Callable[..., Path]


@pytest.fixture
def two(make_scene: Callable[..., Scene], make_zip: Make, make_sarif: Callable[..., str]) -> Scene:
    """Return a home with an artifact of each of two projects in its inbox."""
    scene = make_scene()
    for name in ("one", "two"):
        members = {
            "scan.sarif": make_sarif(name, 12),
            "secdaemon.json": json.dumps({"project": name}),
        }
        make_zip(scene.inbox / f"{name}.zip", members)
    return scene


def trainings(scene: Scene) -> dict[str, Stage1Output]:
    """Return what Stage 1 came to, by project."""
    return {
        get_run(scene.store, run).project: msgspec.json.decode(text, type=Stage1Output)
        for run, text in outputs_of(scene.store, Step.STAGE1).items()
    }


def trained_once(scene: Scene) -> None:
    """Check that both runs built on one result, and that one of them alone trained it."""
    first, second = trainings(scene).values()
    assert first.fingerprint == second.fingerprint
    assert sorted((first.reused, second.reused)) == [False, True]
    assert first.training == second.training
    assert [path.name for path in scene.home.stage1.iterdir()] == [first.fingerprint]
    assert [run.state for run in scene.runs()] == [State.PUBLISHED] * 2


def secdaemon(scene: Scene, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in the home."""
    command = [sys.executable, "-m", "secdaemon.daemon", "--home", str(scene.home.root), *words]
    kept = {key: text for key, text in os.environ.items() if not key.startswith("SECDAEMON_")}
    return subprocess.run(command, capture_output=True, text=True, env=kept, check=False)


def test_two_projects_that_want_it_at_once_train_it_once(two: Scene) -> None:
    """The second waits for its turn and takes what the first has made."""
    assert two.finish() == 0
    trained_once(two)


def test_a_kill_between_the_result_and_the_runs_move_trains_nothing_again(two: Scene) -> None:
    """The result is there, nobody knows it yet; both runs find it."""
    daemon = two.begin()
    two.until(lambda: two.is_working(Slot.HEAVY), "Stage 1 is trained")
    two.until(lambda: any(two.home.stage1.glob(".*.training/checkpoints/*")), "it has begun")
    daemon.send_signal(signal.SIGSTOP)
    two.until(lambda: not two.is_working(Slot.HEAVY), "the worker is done")
    two.kill(daemon)
    (result,) = two.home.stage1.iterdir()
    made = (result / "stage1.json").stat()
    assert trainings(two) == {}
    assert two.finish() == 0
    trained_once(two)
    kept = (result / "stage1.json").stat()
    assert (kept.st_ino, kept.st_mtime_ns) == (made.st_ino, made.st_mtime_ns)


def test_a_cancelled_runs_training_is_gone_on_with_by_the_other(two: Scene) -> None:
    """Its iterations are not wasted; the result is the same as if nobody had been cancelled."""
    daemon = two.begin()
    evidence = ".*.training/checkpoints/*4/manifest.json"
    two.until(lambda: any(two.home.stage1.glob(evidence)), "Stage 1 is trained")
    two.kill(daemon)
    (first,) = (run for run in two.runs() if run.step is Step.STAGE1)
    left = secdaemon(two, "stage1", "prune")
    assert "kept" in left.stdout
    gone = Move(target=State.CANCELLED, cause=Cause.CANCEL, detail="no", reason="no")
    assert move(two.store, get_run(two.store, first.id), gone, 1_800_000_000.0)
    assert two.finish() == 0
    ((project, output),) = trainings(two).items()
    assert project != first.project
    assert not output.reused
    assert output.training.resumed_at >= 4


def test_no_second_process_trains_in_the_home(two: Scene) -> None:
    """`process` beside `run` is refused with status 3, and so touches no training of it."""
    daemon = two.begin()
    two.until(lambda: two.is_working(Slot.HEAVY), "Stage 1 is trained")
    done = secdaemon(two, "process", "--artifacts-dir", str(two.home.archive))
    assert (done.returncode, done.stdout) == (3, "")
    assert "is in use by `secdaemon run`" in done.stderr
    daemon.terminate()
    assert daemon.wait(60) == 0
    assert two.finish() == 0
    trained_once(two)


def test_rebuild_has_the_next_run_train_anew(scene: Scene, make_zip: Make) -> None:
    """The same bytes come out, the runs before keep theirs, and prune takes nothing of it away."""
    assert scene.finish() == 0
    first = view_run(scene.store, scene.runs()[0].id)
    (result,) = scene.home.stage1.iterdir()
    kept = Path(str(first.run_dir)) / "stage1" / "adapters" / "adapters.safetensors"
    weights = kept.read_bytes()
    assert secdaemon(scene, "stage1", "rebuild", result.name[:8]).returncode == 0
    make_zip(scene.inbox / "next.zip", name="next", count=12)
    assert scene.finish() == 0
    second = scene.view()
    assert (second.state, second.stage1.reused) == (State.PUBLISHED, False)
    listed = json.loads(secdaemon(scene, "stage1", "list", "--json").stdout)
    (one,) = listed["results"]
    assert (one["condition"], one["run"]) == ("reusable", second.id)
    assert one["used_by"] == [first.id, second.id]
    assert listed["unfinished"] == []
    assert secdaemon(scene, "stage1", "prune").stdout == "nothing to remove\n"
    assert (result / "adapters" / "adapters.safetensors").read_bytes() == weights
    assert secdaemon(scene, "stage1", "rebuild").returncode == 0
    assert secdaemon(scene, "stage1", "prune").returncode == 0
    assert list(scene.home.stage1.iterdir()) == []
    assert kept.read_bytes() == weights
