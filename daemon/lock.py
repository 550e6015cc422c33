"""The lock on a home: one process at a time works in it, and everybody can see which."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from secdaemon.config.paths import Home

PROBE_SECONDS = 0.5
"""How long an acquirer outwaits those who only look (they hold the lock for microseconds)."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds a home."""

    pid: int
    command: str


class HomeTakenError(Exception):
    """Another process works in this home."""


@contextmanager
def hold(home: Home, command: str) -> Iterator[None]:
    """Hold the home for the length of the block.

    Raises:
        HomeTakenError: another process has it; the message names that process.
        OSError: the home cannot be written.
    """
    home.make()
    descriptor = os.open(home.locks / "home.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + PROBE_SECONDS
        while not _try_lock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                other = _holder(descriptor)
                who = f"`secdaemon {other.command}`, process {other.pid}" if other else "a process"
                msg = f"{home.root} is in use by {who}; stop that one, or use another --home"
                raise HomeTakenError(msg)
            time.sleep(PROBE_SECONDS / 100)
        content = msgspec.json.encode(Holder(os.getpid(), command))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, content, 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder(home: Home) -> Holder | None:
    """Return who holds the home now, None where nobody does."""
    try:
        descriptor = os.open(home.locks / "home.lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _try_lock(descriptor, fcntl.LOCK_SH) else _holder(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _holder(descriptor: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except msgspec.DecodeError:
        return None
