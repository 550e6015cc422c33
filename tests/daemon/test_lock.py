"""One process at a time works in a home, and everybody can see which."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from secdaemon.config.paths import Home
from secdaemon.daemon.lock import Holder, HomeTakenError, hold, holder

HOLD = """
import sys
from pathlib import Path
from secdaemon.config.paths import Home
from secdaemon.daemon.lock import hold
with hold(Home(root=Path(sys.argv[1]), chosen=True), "run"):
    print("held", flush=True)
    sys.stdin.read()
"""


def other_process(home: Home) -> subprocess.Popen[str]:
    """Start a process that holds the home until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_a_home_is_held_and_let_go(home: Home) -> None:
    """Inside the block the holder is named, after it nobody is."""
    with hold(home, "process"):
        assert holder(home) == Holder(os.getpid(), "process")
    assert holder(home) is None


def test_a_second_process_is_told_who_has_it(home: Home) -> None:
    """The sentence names the command and the process; after its end the home is free."""
    with other_process(home) as process:
        assert holder(home) == Holder(process.pid, "run")
        taken = pytest.raises(HomeTakenError, match=rf"`secdaemon run`, process {process.pid}")
        with taken, hold(home, "run"):
            pass
        process.communicate("")
    with hold(home, "run"):
        pass


def test_a_killed_holder_holds_nothing(home: Home) -> None:
    """The lock goes with the process; what it wrote is no claim."""
    with other_process(home) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert holder(home) is None
        with hold(home, "run"):
            assert holder(home) == Holder(os.getpid(), "run")


def test_those_who_look_keep_nobody_out(home: Home) -> None:
    """A hundred looks at a time do not make a free home seem taken."""
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            holder(home)

    lookers = [threading.Thread(target=look) for _ in range(4)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(20):
            with hold(home, "run"):
                pass
    finally:
        over.set()
        for looker in lookers:
            looker.join()


def test_a_home_that_is_not_there_is_held_by_nobody(tmp_path: Path) -> None:
    """Looking makes nothing."""
    home = Home(root=tmp_path / "absent", chosen=True)
    assert holder(home) is None
    assert not home.root.exists()


def test_a_home_that_cannot_be_made_is_an_error() -> None:
    """Below a file there is no folder."""
    with (
        pytest.raises(OSError, match="/dev/null"),
        hold(Home(root=Path("/dev/null/x"), chosen=True), "run"),
    ):
        pass
