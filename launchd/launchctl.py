"""Calling /bin/launchctl, and reading what its `print` says."""

import re
import subprocess
from collections.abc import Sequence
from typing import Protocol

import msgspec

from secdaemon.launchd.plist import EXIT_TIMEOUT

LAUNCHCTL = "/bin/launchctl"

NO_SUCH_PROCESS = 3
INPUT_OUTPUT_ERROR = 5
IN_PROGRESS = 36
ALREADY = 37
NO_DOMAIN = 112
NOT_FOUND = 113
WRONG_DOMAIN = 125

_COMMAND_SECONDS = EXIT_TIMEOUT + 30.0
"""`bootout` may wait until the job has ended."""


class AgentError(Exception):
    """The agent could not be installed, removed or asked; the message says what to do."""


class Completed(msgspec.Struct, frozen=True):
    """What a command ended with."""

    returncode: int
    stdout: str
    stderr: str


class Runner(Protocol):
    """Runs one command to its end."""

    def __call__(self, argv: Sequence[str]) -> Completed:
        """Return what the command ended with, whatever its exit status.

        Raises:
            AgentError: it could not be started, or did not end.
        """


def run_command(argv: Sequence[str], seconds: float = _COMMAND_SECONDS) -> Completed:
    """Run a command for at most `seconds`, without a shell and without standard input.

    Raises:
        AgentError: it could not be started, or did not end in time and was killed.
    """
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"`{' '.join(argv)}` did not end within {seconds:.0f} s: log out and in, try again"
        raise AgentError(msg) from error
    except OSError as error:
        msg = f"`{' '.join(argv)}` could not be started: {error.strerror or error}"
        raise AgentError(msg) from error
    return Completed(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


class Printed(msgspec.Struct, frozen=True, kw_only=True):
    """What `launchctl print` says of a loaded job; None where it says nothing."""

    state: str | None
    pid: int | None
    exit_code: int | None
    """Of the last process that ended by itself."""
    signal: str | None
    """What killed the last process, such as `Killed: 9`; the exit code is missing then."""


_FIELD = re.compile(r"\t(state|pid|last exit code|last terminating signal) = ([^\r\n]*)")


def parse_print(text: str) -> Printed:
    """Read the output of `launchctl print gui/UID/LABEL`; it is meant for people, so be lenient.

    A job's own fields stand behind one tab, those of its nested parts (which have a `state` too)
    behind two. `last exit code` is a number, a number with its name (`78: EX_CONFIG`), or
    `(never exited)`.
    """
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        if match := _FIELD.fullmatch(line.removesuffix("\r")):
            fields.setdefault(match[1], match[2].strip())
    return Printed(
        state=fields.get("state"),
        pid=_number(fields.get("pid")),
        exit_code=_number(fields.get("last exit code")),
        signal=fields.get("last terminating signal"),
    )


def _number(value: str | None) -> int | None:
    match = re.match(r"-?[0-9]{1,10}\b", value or "")
    return int(match[0]) if match else None
