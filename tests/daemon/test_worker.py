"""A worker is a real process: it hears its job, speaks in messages, and ends when told."""

import fcntl
import os
import queue
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.intake import Offer, accept
from secdaemon.daemon.jobs import make_job
from secdaemon.daemon.worker import Exited, Worker, environment
from secdaemon.pipeline.interface import Beat, Done, Failed, Job, Stopped, UnpackOutput
from secdaemon.state.machine import Step
from secdaemon.state.model import Lease
from secdaemon.state.runs import get_run
from secdaemon.state.store import Store

SECONDS = 30.0
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


class Spoken:
    """A worker and what it has said."""

    def __init__(self, log: Path, lease: Lease, job: Job) -> None:
        """Start it."""
        self._said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.log = log
        self.worker = Worker(lease, job, log, 0, lambda _, message: self._said.put(message))

    def next(self, kind: type) -> Any:
        """Return its next message of a kind; beats are passed over, anything else is an error."""
        while True:
            message = self._said.get(timeout=SECONDS)
            if isinstance(message, kind):
                return message
            assert isinstance(message, Beat), message

    @property
    def silent(self) -> bool:
        """Whether nothing but beats was heard so far."""
        return self._said.empty()


@pytest.fixture
def job(home: Home, settings: Settings, store: Store, make_zip: Callable[..., Path]) -> Job:
    """Return the job of unpacking a small artifact."""
    offer = Offer(path=make_zip(home.root / "scan.zip"), kind="manual", remove=False)
    run = get_run(store, accept(store, home, settings, offer, 1_000.0).run)
    return make_job(store, home, settings, run, "light", 1_000.0)


@pytest.fixture
def begin(home: Home) -> Iterator[Callable[..., Spoken]]:
    """Yield a starter of workers; what still runs at the end is killed."""
    begun: list[Spoken] = []

    def start(job: Job, step: Step = Step.UNPACK) -> Spoken:
        lease = Lease(slot="light", token="token", run=job.run_id, step=step)
        begun.append(Spoken(home.logs / f"{job.run_id}.log", lease, job))
        return begun[-1]

    yield start
    for spoken in begun:
        spoken.worker.kill()
        spoken.worker.join(SECONDS)


@pytest.fixture
def locked(job: Job) -> Iterator[Any]:
    """Yield the slot's lock, held as by a worker that an older daemon left."""
    Path(job.lock_file).parent.mkdir(parents=True, exist_ok=True)
    with Path(job.lock_file).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def test_a_worker_does_its_step_and_says_so(begin: Callable[..., Spoken], job: Job) -> None:
    """Its messages decode, the last word comes before its end, and the files are there."""
    spoken = begin(job)
    done = spoken.next(Done)
    assert msgspec.json.decode(done.output, type=UnpackOutput).files == 1
    assert spoken.next(Exited) == Exited(0)
    assert (Path(job.run_dir) / "work" / "artifact" / "scan.sarif").exists()
    assert spoken.log.exists()


def test_a_failure_is_told_and_its_trace_is_in_the_log(
    begin: Callable[..., Spoken], job: Job
) -> None:
    """The message has one sentence; the log has where it came from."""
    Path(job.archive).unlink()
    spoken = begin(job)
    failed = spoken.next(Failed)
    assert failed.transient
    assert failed.reason == f"{job.archive}: No such file or directory"
    assert spoken.next(Exited) == Exited(0)
    assert "Traceback" in spoken.log.read_text()


def test_a_worker_waits_for_the_one_an_older_daemon_left(
    begin: Callable[..., Spoken], job: Job, locked: Any
) -> None:
    """It lives and says so, but touches nothing before it has the slot's lock."""
    spoken = begin(job)
    spoken.next(Beat)
    assert not (Path(job.run_dir) / "work").exists()
    assert spoken.silent
    fcntl.flock(locked, fcntl.LOCK_UN)
    spoken.next(Done)


@pytest.mark.usefixtures("locked")
def test_sigterm_ends_a_worker(begin: Callable[..., Spoken], job: Job) -> None:
    """Told to stop while it waits, it says that it stopped, and is gone."""
    spoken = begin(job)
    spoken.next(Beat)
    spoken.worker.stop(0.0)
    spoken.next(Stopped)
    assert spoken.next(Exited) == Exited(0)
    assert not (Path(job.run_dir) / "work").exists()


@pytest.mark.usefixtures("locked")
def test_the_daemons_death_ends_a_worker(begin: Callable[..., Spoken], job: Job) -> None:
    """The end of its standard input is the request to stop."""
    spoken = begin(job)
    spoken.next(Beat)
    assert spoken.worker._process.stdin
    spoken.worker._process.stdin.close()
    spoken.next(Stopped)
    assert spoken.next(Exited) == Exited(0)


@pytest.mark.usefixtures("locked")
def test_a_killed_worker_is_told_by_its_signal(begin: Callable[..., Spoken], job: Job) -> None:
    """A worker that says no last word is known by its exit status."""
    spoken = begin(job)
    spoken.next(Beat)
    os.kill(spoken.worker.pid, signal.SIGKILL)
    assert spoken.next(Exited) == Exited(-signal.SIGKILL)


@pytest.mark.usefixtures("locked")
def test_ctrl_c_at_the_terminal_does_not_reach_a_worker(
    begin: Callable[..., Spoken], job: Job
) -> None:
    """It has a process group of its own: only the daemon decides."""
    spoken = begin(job)
    spoken.next(Beat)
    assert os.getpgid(spoken.worker.pid) == spoken.worker.pid != os.getpgid(0)


def test_a_worker_that_cannot_start_a_step_leaves_a_trace(
    begin: Callable[..., Spoken], job: Job
) -> None:
    """A step that does not exist is a bug: status not 0, the trace in the log."""
    spoken = begin(job, "no_such_step")
    assert spoken.next(Exited).code == 1
    assert "no_such_step" in spoken.log.read_text()


@pytest.mark.parametrize("step", [*Step, "report", "validate", "doctor"])
def test_no_step_sees_a_token_that_is_not_its_own(step: str) -> None:
    """Only publishing sees the Hub's token, under one name."""
    inherited = dict.fromkeys(TOKENS, "secret") | {"PATH": "/bin", "LD_PRELOAD": "mine"}
    given = environment(step, inherited)
    seen = {key for key, value in given.items() if value == "secret"}
    assert seen == ({"HF_TOKEN"} if step in {"publish", "doctor"} else set())
    assert (given["PATH"], given["LD_PRELOAD"]) == ("/bin", "mine")
    assert given["OPENBLAS_NUM_THREADS"] == "1"
    assert set(inherited) == {*TOKENS, "PATH", "LD_PRELOAD"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.usefixtures("locked")
def test_the_process_itself_has_no_token(
    begin: Callable[..., Spoken], job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the operating system shows of the worker holds no token of the daemon's."""
    for name in TOKENS:
        monkeypatch.setenv(name, "very-secret")
    spoken = begin(job)
    spoken.next(Beat)
    assert b"very-secret" not in Path(f"/proc/{spoken.worker.pid}/environ").read_bytes()
