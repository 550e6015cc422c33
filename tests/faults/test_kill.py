"""Killed at any moment, the work ends as it would have, once."""

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secdaemon.daemon.views import FullRunView
from secdaemon.state.machine import Slot, State, Step, rule_of

pytestmark = pytest.mark.slow

Scene = Any
Compare = Callable[[Scene], FullRunView]


@pytest.mark.parametrize("step", list(Step))
def test_a_step_killed_in_the_middle_and_again_when_done(
    step: Step, scene: Scene, ends_the_same: Compare
) -> None:
    """The second kill finds the worker done and the daemon not knowing it yet."""
    daemon = scene.begin()
    scene.until_in(step)
    scene.kill(daemon)
    assert scene.runs()[0].step is step

    daemon = scene.begin()
    scene.until_in(step)
    daemon.send_signal(signal.SIGSTOP)
    scene.until(lambda: not scene.is_working(rule_of(step).slot), f"{step} is done")
    scene.kill(daemon)
    assert scene.runs()[0].step is step
    assert scene.runs()[0].state is rule_of(step).source

    assert scene.finish() == 0
    run = ends_the_same(scene)
    assert not run.stage1.reused
    assert [number for number, _ in scene.attempts(step)] == [1, 1, 1]
    if step in {Step.STAGE1, Step.STAGE2}:
        assert scene.training(step).resumed_at >= 4


def test_an_orphaned_worker_ends_by_itself(scene: Scene, ends_the_same: Compare) -> None:
    """A worker whose daemon was killed leaves a checkpoint and goes, nobody telling it to."""
    daemon = scene.begin()
    scene.until_in(Step.STAGE1)
    assert len(scene.workers(daemon)) == 1
    daemon.kill()
    scene.until(lambda: not scene.is_working(Slot.HEAVY), "the orphan has ended")
    assert scene.runs()[0].state is State.DATASET_BUILT
    assert scene.finish() == 0
    ends_the_same(scene)
    assert scene.training(Step.STAGE1).resumed_at >= 4


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has open is read from /proc")
def test_an_orphan_never_works_beside_the_new_daemons_worker(
    scene: Scene, ends_the_same: Compare
) -> None:
    """The new worker waits until the old one, stopped here in the middle, has let go."""
    daemon = scene.begin()
    scene.until_in(Step.STAGE1)
    (orphan,) = scene.workers(daemon)
    os.kill(orphan, signal.SIGSTOP)
    try:
        daemon.kill()
        daemon.wait()
        work = sorted(scene.home.stage1.rglob("*"))
        following = scene.begin("--until-idle")
        lock = scene.home.locks / "heavy.lock"
        scene.until(
            lambda: any(has_open(pid, lock) for pid in scene.workers(following)),
            "the new worker asks for the lock",
        )
        assert scene.runs()[0].step is Step.STAGE1
        assert sorted(scene.home.stage1.rglob("*")) == work
    finally:
        os.kill(orphan, signal.SIGCONT)
    assert following.wait(300) == 0
    ends_the_same(scene)


def has_open(pid: int, path: Path) -> bool:
    """Return whether a process has a file open."""
    try:
        found = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]
    except FileNotFoundError:
        return False
    return path in found


def test_a_killed_worker_costs_an_attempt_and_no_more(scene: Scene, ends_the_same: Compare) -> None:
    """The daemon says how it died, waits its back-off, and the training goes on."""
    daemon = scene.begin("--until-idle")
    scene.until_in(Step.STAGE2)
    (worker,) = scene.workers(daemon)
    os.kill(worker, signal.SIGKILL)
    assert daemon.wait(300) == 0
    run = ends_the_same(scene)
    (first, died), (second, ended) = scene.attempts(Step.STAGE2)
    assert (first, second) == (1, 2)
    assert "its worker was killed by signal 9" in died
    assert ended == State.STAGE2_TRAINED
    assert any("killed by signal 9" in event.detail for event in run.events)
    assert scene.training(Step.STAGE2).resumed_at >= 4


def test_sigterm_in_training_leaves_a_checkpoint(scene: Scene, ends_the_same: Compare) -> None:
    """The daemon ends with 0 and takes its worker along; the next one resumes, at no cost."""
    daemon = scene.begin()
    scene.until_in(Step.STAGE1)
    daemon.terminate()
    assert daemon.wait(60) == 0
    assert not scene.is_working(Slot.HEAVY)
    run = scene.runs()[0]
    assert (run.state, run.step, run.attempts) == (State.DATASET_BUILT, None, 0)
    assert scene.finish() == 0
    ends_the_same(scene)
    assert scene.training(Step.STAGE1).resumed_at >= 4
    assert [number for number, _ in scene.attempts(Step.STAGE1)] == [1, 1]


def test_a_run_bears_kills_at_random_moments(scene: Scene, ends_the_same: Compare) -> None:
    """Daemon and worker or the daemon alone killed twenty times, and four requests to stop."""
    chance = random.Random(20261122)
    ways = [*["both"] * 12, *["daemon"] * 8, *["term"] * 4]
    chance.shuffle(ways)
    for way in ways:
        daemon = scene.begin()
        threading.Event().wait(chance.uniform(0.05, 3.0))
        match way:
            case "both":
                scene.kill(daemon)
            case "daemon":
                daemon.kill()
            case _:
                daemon.terminate()
        daemon.wait(60)
    assert scene.finish() == 0
    ends_the_same(scene)


def test_zips_are_taken_in_once_however_often_the_daemon_is_killed(
    make_scene: Callable[..., Scene], make_zip: Callable[..., Path]
) -> None:
    """Each kill comes right when a file has left the inbox; half a copy goes when it is old."""
    scene = make_scene()
    for number in range(12):
        content = f'{{"version": "2.1.0", "runs": [], "number": {number}}}'
        make_zip(scene.inbox / f"{number:02d}.zip", {"scan.sarif": content})
    for left in (11, 9, 8, 4, 2):
        daemon = scene.begin()
        scene.until(
            lambda left=left: len(list(scene.inbox.iterdir())) <= left, f"{left} files are left"
        )
        scene.kill(daemon)
    assert scene.finish() == 0
    runs = scene.runs()
    assert sorted(run.name for run in runs) == [f"{number:02d}.zip" for number in range(12)]
    assert {run.state for run in runs} == {State.SKIPPED}
    assert list(scene.inbox.iterdir()) == []

    archives = {f"{run.sha256}.zip" for run in runs}
    left = {path for path in scene.home.archive.iterdir() if path.name not in archives}
    assert len(left) == len(list(scene.home.archive.glob(".taking.*"))) <= 5
    for path in left:
        os.utime(path, (0, 0))
    assert scene.finish() == 0
    assert {path.name for path in scene.home.archive.iterdir()} == archives
