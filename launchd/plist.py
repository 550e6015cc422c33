"""The property list of the agent, as launchd.plist(5) defines its keys; pure."""

import plistlib
from pathlib import Path

from secdaemon.config.paths import Home

LABEL = "com.secdaemon.agent"

LAUNCHD_VARIABLE = "SECDAEMON_LAUNCHD"
"""Set to 1 for the agent: `run` then ends with 0 on a permanent error, or KeepAlive would start it
again for ever."""

EXIT_TIMEOUT = 60
"""Seconds between SIGTERM and SIGKILL: one long iteration and its checkpoint fit well inside;
launchd's own default is 20."""

THROTTLE_INTERVAL = 30
"""Seconds at least between two starts."""

UMASK = 0o077
"""Files of the agent are its user's alone. A property list holds it as a plain integer, 63."""

_SYSTEM_PATH = ("/usr/bin", "/bin", "/usr/sbin", "/sbin")


def agent_plist(home: Home, interpreter: Path, path_variable: str) -> dict[str, object]:
    """Return the property list of the agent that runs the daemon of `home`.

    Args:
        home: a default home is not named in the command: `--home` moves the model folders into it.
        interpreter: the virtual environment's own Python, absolute and not resolved: the link's
            target would not see the environment's packages.
        path_variable: $PATH as it is now; launchd's own lacks Homebrew, and with it gh, git, hf.
            It is all that is taken from the environment, so that no secret ends up in the file.
    """
    log = str(home.logs / "launchd.log")
    named = ["--home", str(home.root)] if home.chosen else []
    return {
        "Label": LABEL,
        "ProgramArguments": [str(interpreter), "-m", "secdaemon.daemon", *named, "run"],
        "WorkingDirectory": str(home.root),
        "EnvironmentVariables": {"PATH": absolute_path(path_variable), LAUNCHD_VARIABLE: "1"},
        "RunAtLoad": True,
        # Crashed alone did not respawn on a recent macOS.
        "KeepAlive": {"SuccessfulExit": False, "Crashed": True},
        "ThrottleInterval": THROTTLE_INTERVAL,
        "ExitTimeOut": EXIT_TIMEOUT,
        # Without a type, launchd throttles a job's CPU (a CI runner reported 37 minutes instead of
        # 6), and Background throttles Metal too. There is no Nice: workers would inherit it and
        # could not shed it, so that training would be made less urgent; the daemon makes the light
        # ones so itself. LowPriorityIO keeps the Mac usable; training hardly touches the disk.
        "ProcessType": "Interactive",
        "LowPriorityIO": True,
        "Umask": UMASK,
        "StandardOutPath": log,
        "StandardErrorPath": log,
    }


def absolute_path(path_variable: str) -> str:
    """Return a $PATH with its absolute folders, each once, and the system's own at the end.

    A relative or empty entry would mean the working directory, where scans are dropped.
    """
    given = [entry for entry in path_variable.split(":") if entry.startswith("/")]
    return ":".join(dict.fromkeys([*given, *_SYSTEM_PATH]))


def to_bytes(plist: dict[str, object]) -> bytes:
    """Return the list as an XML property list; the same list gives the same bytes.

    Raises:
        ValueError: a path or $PATH holds a character that XML cannot.
    """
    return plistlib.dumps(plist, fmt=plistlib.FMT_XML, sort_keys=False)
