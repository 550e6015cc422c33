"""Processes as the benchmarks start and watch them: /proc where there is one, else `ps`."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from secdaemon.config.paths import Home
from secdaemon.daemon.lock import holder

SECDAEMON = (sys.executable, "-m", "secdaemon.daemon")
DEADLINE_SECONDS = 300.0


class Usage(msgspec.Struct, frozen=True):
    """What a process has used so far, and what it occupies now."""

    cpu_seconds: float
    resident_bytes: int


def usage(pid: int) -> Usage:
    """Return a process's own usage, its children's not included."""
    if Path("/proc/self/stat").exists():
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        pages = int(fields[21])
        return Usage(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))
    words = subprocess.run(
        ["ps", "-o", "time=,rss=", "-p", str(pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    seconds = 0.0
    for part in words[0].split(":"):
        seconds = seconds * 60 + float(part)
    return Usage(seconds, int(words[1]) * 1024)


def clean_environment() -> dict[str, str]:
    """Return this environment without settings of a home of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SECDAEMON_")}


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look every 2 ms until something holds.

    Raises:
        TimeoutError: it did not in five minutes.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        pause.wait(0.002)


@contextmanager
def daemon(home: Home) -> Iterator[int]:
    """Run `secdaemon run` in a home for the length of the block; yield its process id."""
    command = [*SECDAEMON, "--home", str(home.root), "run"]
    with subprocess.Popen(
        command, env=clean_environment(), stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: holder(home) is not None, "the daemon did not start")
            yield process.pid
        finally:
            process.terminate()


def run_to_its_end(*command: str) -> float:
    """Return the seconds that a whole process takes, from its start to its end.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    began = time.perf_counter()
    subprocess.run(command, env=clean_environment(), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
