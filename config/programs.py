"""Other people's programs by absolute path, with a time-out and without questions.

launchd starts the daemon with a PATH of the system's own folders, where neither need be.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

MORE_FOLDERS = ("/opt/homebrew/bin", "/usr/local/bin", "/usr/bin", "/bin")
OUTPUT_BYTES = 1 << 20
QUIET = {
    "GH_PROMPT_DISABLED": "1",
    "GH_NO_UPDATE_NOTIFIER": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=20",
    "NO_COLOR": "1",
}
"""What keeps them from asking anybody anything."""


class Ran(msgspec.Struct, frozen=True):
    """How a program ended; status is None where it could not be started or took too long."""

    status: int | None
    output: str = ""
    error: str = ""


Runner = Callable[[Sequence[str], float], Ran]
"""Runs (absolute path and arguments, seconds allowed)."""


def find_program(name: str, environ: Mapping[str, str]) -> str | None:
    """Return a program's absolute path: on PATH, else where Homebrew and the system keep theirs."""
    places = os.pathsep.join([environ.get("PATH", ""), *MORE_FOLDERS])
    found = shutil.which(name, path=places)
    return str(Path(found).absolute()) if found else None


def run_program(
    command: Sequence[str], seconds: float, folder: str = "/", kept: int = OUTPUT_BYTES
) -> Ran:
    """Run a program to its end in a folder, without input.

    Past its time it is killed with what it started. At most `kept` bytes of each output are kept.
    """
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        return Ran(None, error=error.strerror or str(error))
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Ran(None, error=f"no end within {seconds:.0f} s")
    texts = (raw[:kept].decode(errors="replace") for raw in (output, errors))
    return Ran(process.returncode, *texts)


def _environment() -> dict[str, str]:
    """Return the daemon's own, without what would point git at another repository."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    return kept | QUIET
