"""The computer's power: what it runs on now, and what keeps it awake while a model trains.

psutil is imported at the first look (about 13 ms and 3 MB, measured), and nobody looks unless the
settings ask for it.
"""

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

CAFFEINATE = Path("/usr/bin/caffeinate")
"""macOS's own: absolute, because launchd's PATH is short and nobody else's is to be run."""


class Power(msgspec.Struct, frozen=True, kw_only=True):
    """What the computer runs on."""

    plugged: bool
    """On mains; a computer without a battery, and one that cannot say, count as that."""
    percent: float | None
    """What is left in the battery, 0 to 100; None where there is none."""


PowerSource = Callable[[], Power]
MAINS = Power(plugged=True, percent=None)


def read_power() -> Power:
    """Return what the computer runs on now; what cannot be read counts as mains.

    A training that waited for a battery nobody can read would wait for ever.
    """
    import psutil

    try:
        # The function itself is missing where psutil knows no way to ask.
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, RuntimeError) as error:
        log.warning("the battery cannot be read, so this counts as mains power: %s", error)
        return MAINS
    if battery is None:
        return MAINS
    return Power(plugged=battery.power_plugged is not False, percent=float(battery.percent))


Runner = Callable[[list[str]], "subprocess.Popen[bytes]"]


def start_program(command: list[str]) -> "subprocess.Popen[bytes]":
    """Start a program that nobody listens to, in a session of its own.

    Raises:
        OSError: it cannot be started.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


class Wakefulness:
    """Keeps a Mac from falling asleep for as long as a process lives; elsewhere it does nothing."""

    def __init__(self, program: Path | None = None, runner: Runner = start_program) -> None:
        """`program` is caffeinate; None stands for macOS's own, on macOS."""
        self._program = program or (CAFFEINATE if sys.platform == "darwin" else None)
        self._runner = runner
        self._running: list[subprocess.Popen[bytes]] = []

    def keep(self, pid: int) -> None:
        """Start `caffeinate -i -s -w PID`: it ends with that process, whoever dies first here.

        `-i` is against idle sleep and `-s` against sleep on mains. Never `-d`: with the display
        kept on, long trainings came before GPU watchdog panics (shared facts, macOS).
        """
        self._running = [process for process in self._running if process.poll() is None]
        if self._program is None or not self._program.exists():
            return
        try:
            self._running.append(self._runner([str(self._program), "-i", "-s", "-w", str(pid)]))
        except OSError as error:
            log.warning("%s: %s; the computer may fall asleep", self._program, error)
