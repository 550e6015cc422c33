"""The arguments of every command, and how each is described."""

import argparse
import math
from collections.abc import Callable
from typing import NoReturn

from secdaemon import config as config_package
from secdaemon.daemon.cli import WrongUseError

_LAST_PORT = 65_535

Add = Callable[[str, str], argparse.ArgumentParser]
"""(name, what it does) -> the parser of one more command."""


class _Parser(argparse.ArgumentParser):
    """argparse, with its complaint on one line."""

    def error(self, message: str) -> NoReturn:
        raise WrongUseError(message)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; what is wrong raises WrongUseError."""
    whole = _Parser(
        prog="secdaemon",
        description="Retrains a security model from CI scan artifacts, hands-off.",
    )
    whole.add_argument("--version", action="version", version=config_package.__version__)
    whole.add_argument(
        "--home", metavar="DIR", help="the home (default: $SECDAEMON_HOME, else ~/secdaemon)"
    )
    whole.add_argument(
        "--config", metavar="FILE", help="settings (default: config.yaml in the home)"
    )
    commands = whole.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Parser
    )

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")

    _daily(add)
    _runs(add)
    _models(add)
    _house(add)
    return whole


def _daily(add: Add) -> None:
    """Add what a user needs from day to day."""
    add("init", "make the home with a commented config.yaml")
    run = add("run", "run the daemon in the foreground")
    run.add_argument(
        "--until-idle",
        action="store_true",
        help="end when no run can advance; training that waits for schedule.hours or for power "
        "cannot",
    )
    run.add_argument("--no-poll", action="store_true", help="do not ask GitHub")
    status = add("status", "show the daemon and its runs")
    status.add_argument("run", nargs="?", metavar="RUN")
    status.add_argument("--watch", action="store_true", help="show it again every two seconds")
    _json(status)
    status.add_argument("--limit", type=_count, metavar="N", help="show the newest N runs")
    submit = add("submit", "hand zips or folders over and print their run ids")
    submit.add_argument("paths", nargs="+", metavar="PATH")
    _json(submit)
    _json(add("poll", "ask GitHub once, now, and take in what is new"))


def _runs(add: Add) -> None:
    """Add the commands about one run."""
    for name, text in (
        ("retry", "start a failed or held run's last step again"),
        ("cancel", "stop a run"),
        ("release", "publish a held run after all"),
    ):
        add(name, text).add_argument("run", metavar="RUN")
    add("pause", "stop starting steps; a training step checkpoints and stops")
    add("resume", "go on after a pause")
    process = add("process", "the whole pipeline once, in the foreground, at any hour")
    process.add_argument("--artifacts-dir", required=True, metavar="DIR")
    process.add_argument("--output-dir", metavar="DIR", help="also copy the data sets there")
    process.add_argument("--source", metavar="DIR", help="the project's checkout")
    process.add_argument("--skip-fine-tuning", action="store_true", help="build the data only")
    process.add_argument("--skip-model-upload", action="store_true", help="publish nothing")
    _json(process)
    add("report", "make a run's HTML report and print where it is").add_argument(
        "run", metavar="RUN"
    )


def _house(add: Add) -> None:
    """Add the commands about the home and the daemon in it."""
    logs = add("logs", "show the daemon's log, or a run's")
    logs.add_argument("run", nargs="?", metavar="RUN")
    logs.add_argument("-f", "--follow", action="store_true", help="go on showing what is added")
    _json(add("doctor", "say what is ready, what is missing, and how to cure it"))
    _stage1(add("stage1", "list, prune or rebuild the shared Stage 1 results"))
    add("demo", "the main job on the embedded tiny model, offline, in a throw-away home")
    from secdaemon.launchd.arguments import add_arguments

    add_arguments(add("agent", "the launchd agent"), None)


def _dashboard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="default: any that is free"
    )
    parser.add_argument("--no-open", action="store_true", help="open no browser")


def _models(add: Add) -> None:
    """Add the commands about models outside any run."""
    tune = add("finetune", "training alone, on a file of conversations")
    tune.add_argument("--dataset", required=True, metavar="FILE", help="JSONL, one row a line")
    tune.add_argument("--output-name", required=True, metavar="NAME", help="under fine_tuned_dir")
    tune.add_argument("--resume-adapter", metavar="DIR", help="start from this MLX adapter")
    tune.add_argument("--iterations", type=_positive, metavar="N", help="default: stage1's")
    tune.add_argument("--learning-rate", type=_rate, metavar="R", help="default: stage1's")
    tune.add_argument("--upload", action="store_true", help="publish the adapter afterwards")
    search = add("tune", "search for better Stage 2 settings on a run's own data; proposes only")
    search.add_argument("run", nargs="?", metavar="RUN", help="default: the newest with a Stage 1")
    search.add_argument("--trials", type=_positive, default=8, metavar="N", help="default: 8")
    _json(search)
    add(
        "validate", "check that a model or adapter folder is complete, loads and generates"
    ).add_argument("path", metavar="PATH")
    export = add("export", "write an MLX adapter as a PEFT adapter")
    export.add_argument("path", metavar="PATH")
    export.add_argument("--format", required=True, choices=("peft",))
    export.add_argument("--output", required=True, metavar="DIR", help="a folder that is empty yet")
    add("publish", "upload a validated model folder to the publish target").add_argument(
        "path", metavar="PATH"
    )
    similar = add("similar", "show findings of this home like that one, with scores and fixes")
    similar.add_argument("finding", metavar="FINDING", help="its id, or how the id begins")
    similar.add_argument(
        "--limit", type=_positive, default=10, metavar="N", help="how many; default: 10"
    )
    _json(similar)
    explain = add("explain", "show where a training example is from, and which adapters learned it")
    explain.add_argument("example", metavar="EXAMPLE_ID", help="its id, or how the id begins")
    _json(explain)
    _dashboard(add("dashboard", "show all runs as a local web page, on loopback only"))


def _stage1(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    text = "show the results in the home: age, size, users, and whether they are reused"
    _json(actions.add_parser("list", help=text, description=f"{text.capitalize()}."))
    text = "remove what is expired, damaged, set aside or abandoned, and nothing that a run needs"
    prune = actions.add_parser("prune", help=text, description=f"{text.capitalize()}.")
    prune.add_argument("--dry-run", action="store_true", help="only say what would go")
    prune.add_argument(
        "--unused", action="store_true", help="also what could be reused and no run was built on"
    )
    _json(prune)
    text = "have the next run train Stage 1 anew; what runs have built on it stays"
    rebuild = actions.add_parser("rebuild", help=text, description=f"{text.capitalize()}.")
    rebuild.add_argument(
        "fingerprint", nargs="?", metavar="FINGERPRINT", help="that one only, or how it begins"
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _count(text: str) -> int:
    if not text.isdecimal():
        msg = f"expected a whole number, found {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_PORT:
        msg = f"expected a port from 0 to {_LAST_PORT}, found {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"expected a whole number above 0, found {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < math.inf:
        msg = f"expected a number above 0, found {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return rate
