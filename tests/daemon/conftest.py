"""What the daemon's tests share: a death at any point, and a loop whose worker processes end."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.loop import Loop
from secdaemon.state.store import Store, open_store

TOUCHING = frozenset(
    {
        "open",
        "os.link",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.utime",
        "shutil.copyfile",
        "shutil.rmtree",
        "tempfile.mkdtemp",
        "tempfile.mkstemp",
    }
)
"""Audit events of Python that come right before something on the disk changes."""


class Death:
    """Kills its process right before the change to disk or database of the given number."""

    def __init__(self, point: int) -> None:
        """Count from 0."""
        self.left = point

    def __call__(self, *_: object) -> None:
        """Count one change."""
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def audit(self, event: str, _: object) -> None:
        """Count those audit events that touch the disk."""
        if event in TOUCHING:
            self()


@pytest.fixture
def die_at() -> Callable[..., bool]:
    """Return a maker of kills: (point, home, work(store)); False where the work ended before it.

    The work is done by a real process, forked off, that is killed by a real SIGKILL.
    """

    def run(point: int, home: Home, work: Callable[[Store], object]) -> bool:
        child = os.fork()
        if child == 0:
            try:
                store = open_store(home)
                death = Death(point)
                store._db.set_trace_callback(death)
                sys.addaudithook(death.audit)
                work(store)
                os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        assert killed or os.WEXITSTATUS(status) == 0
        return killed

    return run


class Driven:
    """A loop that a test drives: its clock of Unix seconds moves only when told."""

    def __init__(self, loop: Loop) -> None:
        """Start at a fixed moment, with a monotonic clock of its own."""
        self.loop = loop
        self.now = 1_800_000_000.0

    def tick(self, passed: float = 0.0) -> float:
        """Let time pass and do what is due."""
        self.now += passed
        return self.loop.tick(self.now)

    def until(self, condition: Callable[[], object], passed: float = 0.01) -> None:
        """Tick, waiting for the real worker processes in between, until something holds."""
        deadline = time.monotonic() + 60.0
        while True:
            self.tick(passed)
            if condition():
                return
            assert time.monotonic() < deadline, "the loop did not get there"
            self.rest()

    def rest(self) -> None:
        """Wait a moment for the workers, taking nothing from the queue."""
        threading.Event().wait(0.02)

    def settled(self) -> None:
        """Tick until no worker lives and none is due."""
        self.until(lambda: not self.loop.crew.workers and self.loop.queue.empty())


@pytest.fixture
def make_loop(home: Home, settings: Settings, store: Store) -> Iterator[Callable[..., Driven]]:
    """Yield a maker of driven loops; their workers are ended with the test."""
    made: list[Loop] = []
    (home.root / "inbox").mkdir(exist_ok=True)

    def make(chosen: Settings = settings, **more: object) -> Driven:
        loop = Loop(home, chosen, store, **more)
        made.append(loop)
        return Driven(loop)

    yield make
    for loop in made:
        for worker in loop.crew.workers.values():
            worker.kill()
            worker.join(10)
