"""The command line: words in, exit status out. 0 well, 1 failed or held, 2 wrong use, 3 taken.

Each command is imported when it is named, so that `status` pays for nothing else.
"""

import argparse
import sqlite3
import sys
from collections.abc import Callable, Sequence

from secdaemon.config.paths import Home, find_home

WELL, FAILED, WRONG_USE, TAKEN, INTERRUPTED = 0, 1, 2, 3, 130

Command = Callable[[argparse.Namespace, Home], int]


class WrongUseError(Exception):
    """An argument is wrong; the message names it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit status."""
    try:
        return _main(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has gone; Python must not complain about it at exit.
        sys.stdout = None
        return WELL


def _main(arguments: Sequence[str]) -> int:
    from secdaemon.config.settings import ConfigError
    from secdaemon.daemon.arguments import parser
    from secdaemon.daemon.lock import HomeTakenError
    from secdaemon.state.model import StoreError
    from secdaemon.state.store import store_error

    try:
        args = parser().parse_args(arguments)
        home = find_home(args.home)
    except (WrongUseError, OSError) as error:
        _complain(str(error))
        return WRONG_USE
    try:
        command: Command = _COMMANDS[args.command]
        return command(args, home)
    except (WrongUseError, ConfigError, StoreError) as error:
        _complain(str(error))
        return WRONG_USE
    except HomeTakenError as error:
        _complain(str(error))
        return TAKEN
    except BrokenPipeError:
        raise
    except sqlite3.Error as error:
        _complain(str(store_error(home.database, error)))
        return WRONG_USE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}")
        return WRONG_USE


def _complain(text: str) -> None:
    print(f"secdaemon: {' '.join(text.split())}", file=sys.stderr)  # noqa: T201


def _lazy(module: str, name: str) -> Command:
    """Return a command that imports its module when it is called."""

    def command(args: argparse.Namespace, home: Home) -> int:
        import importlib

        found: Command = getattr(importlib.import_module(f"secdaemon.daemon.{module}"), name)
        return found(args, home)

    return command


def _agent(args: argparse.Namespace, home: Home) -> int:
    from secdaemon.launchd.cli import run

    if args.config:
        msg = "--config does not go with agent: launchd's daemon reads the home's config.yaml"
        raise WrongUseError(msg)
    return run(args, home)


_COMMANDS: dict[str, Command] = {
    "init": _lazy("commands", "init"),
    "run": _lazy("serve", "run"),
    "status": _lazy("commands", "status"),
    "submit": _lazy("commands", "submit"),
    "poll": _lazy("github.watch", "poll"),
    "retry": _lazy("commands", "retry"),
    "cancel": _lazy("commands", "cancel"),
    "release": _lazy("commands", "release"),
    "pause": _lazy("commands", "pause"),
    "resume": _lazy("commands", "resume"),
    "process": _lazy("serve", "process"),
    "report": _lazy("commands", "report"),
    "validate": _lazy("models", "validate"),
    "export": _lazy("models", "export"),
    "publish": _lazy("models", "publish"),
    "finetune": _lazy("models", "finetune"),
    "tune": _lazy("models", "tune"),
    "similar": _lazy("similar", "similar"),
    "explain": _lazy("explain", "explain"),
    "dashboard": _lazy("dashboard", "dashboard"),
    "logs": _lazy("commands", "logs"),
    "doctor": _lazy("doctor", "doctor"),
    "stage1": _lazy("stage1_command", "stage1"),
    "demo": _lazy("demo", "demo"),
    "agent": _agent,
}
