"""What the computer runs on, and what keeps it awake."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from secdaemon.daemon.power import CAFFEINATE, Wakefulness, read_power


def test_power_is_read_from_this_computer() -> None:
    """Whatever it is, it is on mains or has a charge."""
    found = read_power()
    assert found.plugged or found.percent is not None
    assert found.percent is None or 0 <= found.percent <= 100


def test_psutil_is_not_imported_before_somebody_asks() -> None:
    """The resident part pays for it only where the settings ask."""
    code = (
        "import sys, secdaemon.daemon.loop, secdaemon.daemon.serve; print('psutil' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_caffeinate_is_told_which_process_it_waits_for(tmp_path: Path) -> None:
    """By its absolute path, never with -d, and with -w, so that nobody has to end it."""
    program = tmp_path / "caffeinate"
    program.touch()
    told: list[list[str]] = []

    def record(command: list[str]) -> "subprocess.Popen[bytes]":
        told.append(command)
        return subprocess.Popen([sys.executable, "-c", ""])

    awake = Wakefulness(program, record)
    awake.keep(41)
    awake.keep(42)
    assert told == [[str(program), "-i", "-s", "-w", pid] for pid in ("41", "42")]
    for process in awake._running:
        process.wait()


def test_the_program_is_really_started(tmp_path: Path, wait_until: Callable[..., None]) -> None:
    """A program in caffeinate's place is run with the arguments, and its end is noticed."""
    program = tmp_path / "caffeinate"
    program.write_text('#!/bin/sh\necho "$@" > "$0.told.new" && mv "$0.told.new" "$0.told"\n')
    program.chmod(0o755)
    awake = Wakefulness(program)
    awake.keep(41)
    wait_until((tmp_path / "caffeinate.told").exists)
    assert (tmp_path / "caffeinate.told").read_text() == "-i -s -w 41\n"
    (process,) = awake._running
    wait_until(lambda: process.poll() is not None)
    program.unlink()
    awake.keep(42)
    assert awake._running == []


def test_a_program_that_cannot_run_stops_no_training(tmp_path: Path) -> None:
    """It is logged; the computer may fall asleep, and training goes on after it."""
    program = tmp_path / "caffeinate"
    program.write_text("no program")
    awake = Wakefulness(program)
    awake.keep(41)
    assert awake._running == []


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has one")
def test_elsewhere_than_on_a_mac_nothing_is_started() -> None:
    """There is no caffeinate, and nothing of that name is looked for."""
    assert CAFFEINATE.is_absolute()
    awake = Wakefulness()
    awake.keep(41)
    assert awake._running == []
