"""Workers that die, hang, are stopped or talk nonsense, under a loop that is driven by hand."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.worker import Worker
from secdaemon.pipeline.interface import Advanced, Done, Progress
from secdaemon.state.daemon_row import set_paused
from secdaemon.state.leases import leases, progress_of
from secdaemon.state.machine import Cause, State, Step
from secdaemon.state.model import Run
from secdaemon.state.runs import Move, events, get_run, move, newest_runs
from secdaemon.state.store import Store, open_store

Make = Callable[..., Path]
MakeLoop = Callable[..., Any]


def only(store: Store) -> Run:
    """Return the one run there is."""
    (run,) = newest_runs(store, -1)
    return run


def state(store: Store, run: str) -> State:
    """Return where a run stands."""
    return get_run(store, run).state


def worker_of(driven: Any) -> Worker:
    """Return the one worker that lives."""
    (worker,) = driven.loop.crew.workers.values()
    return worker


def frozen(driven: Any) -> Worker:
    """Start the next step's worker and freeze its process, so that it neither ends nor speaks."""
    driven.until(lambda: driven.loop.crew.workers)
    worker = worker_of(driven)
    os.kill(worker.pid, signal.SIGSTOP)
    return worker


def changed(settings: Settings, section: str, **values: object) -> Settings:
    """Return settings with other values in one section."""
    part = msgspec.structs.replace(getattr(settings, section), **values)
    return msgspec.structs.replace(settings, **{section: part})


@pytest.fixture
def other(home: Home, store: Store) -> Store:
    """Return a second connection: what a command of another process writes through."""
    opened = open_store(home)
    yield opened
    opened.close()


def test_a_worker_that_dies_by_itself_costs_an_attempt(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """Killed from outside (by the system, for memory), the step is tried again, and counted."""
    driven = make_loop()
    make_zip(home.root / "inbox" / "scan.zip")
    worker = frozen(driven)
    run = worker.lease.run
    os.kill(worker.pid, signal.SIGKILL)
    driven.until(lambda: get_run(store, run).retry_at)
    waiting = get_run(store, run)
    assert (waiting.attempts, waiting.step, waiting.lease) == (1, None, None)
    assert "killed by signal 9" in str(waiting.reason)
    assert "secdaemon logs" in str(waiting.reason)
    driven.tick(1.0)
    assert get_run(store, run).attempts == 2
    driven.until(lambda: state(store, run) is State.UNPACKED)


def test_a_killed_daemon_costs_no_attempt(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """The next daemon finds the claim, gives it back and goes on, once."""
    dead = make_loop()
    make_zip(home.root / "inbox" / "scan.zip")
    worker = frozen(dead)
    run = worker.lease.run
    os.kill(worker.pid, signal.SIGKILL)
    driven = make_loop()
    driven.loop.recover(dead.now)
    back = get_run(store, run)
    assert (back.state, back.attempts, back.lease, back.reason) == (State.RECEIVED, 0, None, None)
    assert leases(store) == []
    assert driven.loop.taken == {run}
    driven.until(lambda: state(store, run) is State.UNPACKED)
    moves = [event.target for event in events(store, run)]
    assert moves == ["received", "received", "unpacked"]


def test_recovery_sets_a_refused_artifact_aside(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """A kill between the refusal and the move to rejected/ is made good at the next start."""
    driven = make_loop()
    make_zip(home.root / "inbox" / "scan.zip")
    worker = frozen(driven)
    run = worker.lease.run
    why = Move(target=State.REJECTED, cause=Step.UNPACK, detail="no", reason="no good")
    assert move(store, get_run(store, run), why, driven.now)
    make_loop().loop.recover(driven.now)
    assert (home.rejected / "scan.zip.reason.txt").read_text() == "no good\n"
    assert (home.rejected / "scan.zip").exists()
    assert get_run(store, run).run_dir is None


def test_nothing_starts_while_paused(
    home: Home, store: Store, other: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """Files are still taken in; a worker at work is told to stop, and its step costs nothing."""
    driven = make_loop()
    make_zip(home.root / "inbox" / "scan.zip")
    worker = frozen(driven)
    run = worker.lease.run
    set_paused(other, True)
    driven.tick()
    assert worker.stop_deadline is not None
    worker.kill()
    driven.settled()
    back = get_run(store, run)
    assert (back.state, back.attempts, back.reason) == (State.RECEIVED, 0, None)
    make_zip(home.root / "inbox" / "next.zip", name="next")
    driven.loop.hint()
    driven.until(lambda: len(newest_runs(store, -1)) == 2)
    assert not driven.loop.crew.workers
    assert driven.loop.idle()
    set_paused(other, False)
    assert not driven.loop.idle()
    driven.until(lambda: state(store, run) is State.UNPACKED)


def test_the_result_of_a_cancelled_run_is_void(
    home: Home, store: Store, other: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """Its worker is stopped, what it made goes, and the next run gets the slot."""
    driven = make_loop()
    make_zip(home.root / "inbox" / "scan.zip")
    worker = frozen(driven)
    run = worker.lease.run
    (Path(str(get_run(store, run).run_dir)) / "work" / "artifact").mkdir(parents=True)
    gone = Move(target=State.CANCELLED, cause=Cause.CANCEL, detail="a person", reason="a person")
    assert move(other, get_run(other, run), gone, driven.now)
    make_zip(home.root / "inbox" / "next.zip", name="next")
    driven.loop.hint()
    driven.until(lambda: worker.stop_deadline is not None)
    os.kill(worker.pid, signal.SIGCONT)
    driven.until(lambda: state(store, newest_runs(store, 1)[0].id) is State.UNPACKED)
    ended = get_run(store, run)
    assert (ended.state, ended.attempts, ended.lease) == (State.CANCELLED, 0, None)
    assert not (Path(str(ended.run_dir)) / "work").exists()


def test_a_worker_that_says_nothing_is_killed_and_tried_again(
    home: Home, store: Store, settings: Settings, make_loop: MakeLoop, make_zip: Make
) -> None:
    """Time that the machine slept through does not count, only time without a word."""
    clock = [0.0]
    driven = make_loop(changed(settings, "schedule", stalled_seconds=900.0), clock=lambda: clock[0])
    make_zip(home.root / "inbox" / "scan.zip")
    worker = frozen(driven)
    run = worker.lease.run
    driven.tick(86_400.0)
    clock[0] += 899.0
    driven.tick()
    assert get_run(store, run).lease == worker.lease.token
    clock[0] += 10_000.0
    driven.tick()
    driven.until(lambda: get_run(store, run).retry_at)
    assert get_run(store, run).attempts == 1
    driven.until(lambda: state(store, run) is State.UNPACKED, passed=1.0)


def test_a_worker_that_will_not_stop_is_killed_in_time(
    home: Home, store: Store, settings: Settings, make_loop: MakeLoop, make_zip: Make
) -> None:
    """Past its deadline a light worker that ignores the request is killed; the step costs nothing."""
    clock = [0.0]
    driven = make_loop(clock=lambda: clock[0])
    make_zip(home.root / "inbox" / "scan.zip")
    worker = frozen(driven)
    worker.stop(clock[0])
    driven.tick()
    assert driven.loop.crew.workers
    clock[0] += 3.1
    driven.tick()
    driven.until(lambda: state(store, worker.lease.run) is State.UNPACKED)
    details = [event.detail for event in events(store, worker.lease.run)]
    assert details[1].startswith("stopped; ")
    assert len(details) == 3


def test_ending_gives_the_work_back(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """After `stop` no step starts, the workers end, and their runs wait for the next daemon."""
    driven = make_loop()
    make_zip(home.root / "inbox" / "scan.zip")
    driven.until(lambda: driven.loop.crew.workers)
    run = worker_of(driven).lease.run
    driven.loop.stop()
    driven.loop.run()
    assert not driven.loop.crew.workers
    assert leases(store) == []
    driven.tick(1.0)
    assert not driven.loop.crew.workers
    assert get_run(store, run).attempts == 0
    assert state(store, run) in (State.RECEIVED, State.UNPACKED)


def test_a_worker_that_cannot_be_started_fails_in_the_end(
    home: Home, store: Store, settings: Settings, make_loop: MakeLoop, make_zip: Make
) -> None:
    """Where its log cannot be written, the attempts are counted and spent like any others."""
    driven = make_loop(changed(settings, "schedule", max_attempts=2))
    make_zip(home.root / "inbox" / "scan.zip")
    shutil.rmtree(home.logs)
    driven.until(lambda: newest_runs(store, -1))
    run = only(store).id
    driven.tick(1.0)
    driven.tick(10.0)
    driven.tick(10.0)
    failed = get_run(store, run)
    assert (failed.state, failed.attempts) == (State.FAILED, 2)
    assert "no worker could be started" in str(failed.reason)


def test_a_worker_that_talks_nonsense_stops_nothing_else(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """An output of the wrong shape costs its run an attempt, and the loop goes on."""
    driven = make_loop()
    make_zip(home.root / "inbox" / "scan.zip")
    worker = frozen(driven)
    nonsense = msgspec.Raw(b'{"files": "many"}')
    driven.loop.queue.put((worker.lease, Done(nonsense)))
    driven.until(lambda: get_run(store, worker.lease.run).retry_at)
    assert get_run(store, worker.lease.run).attempts == 1
    driven.until(lambda: state(store, worker.lease.run) is State.UNPACKED, passed=1.0)


def test_progress_that_came_too_soon_is_told_later(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """Of two iterations within a second the later one is shown, though no third follows it.

    A training that validates has no new loss and still shows the one before.
    """
    driven = make_loop()
    make_zip(home.root / "inbox" / "scan.zip")
    worker = frozen(driven)
    driven.tick(2.0)
    first = Progress(iteration=1, iterations=9, loss=2.5, tokens_per_second=10.0)
    validating = Progress(iteration=2, iterations=9, loss=None, tokens_per_second=12.0)
    for progress in (first, validating):
        driven.loop.queue.put((worker.lease, Advanced(progress)))
    driven.tick()
    told = [progress_of(store, worker.lease.run)]
    driven.tick(1.5)
    told.append(progress_of(store, worker.lease.run))
    shown = [msgspec.json.decode(str(text), type=Progress) for text in told]
    assert [(one.iteration, one.loss) for one in shown] == [(1, 2.5), (2, 2.5)]
