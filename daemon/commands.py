"""The commands that only read or write state.db, and those that ask one short-lived worker."""

import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from secdaemon.config.init import init_home
from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.config.settings import ConfigError, load_settings
from secdaemon.daemon.cli import FAILED, INTERRUPTED, WELL, WRONG_USE, WrongUseError
from secdaemon.state.machine import Cause, State, rule_from
from secdaemon.state.model import Run
from secdaemon.state.store import Store, open_store

WATCH_SECONDS = 2.0
FOLLOW_SECONDS = 0.5
LOG_LINES = 200
TABLE_RUNS = 20
NOT_STARTED = "the daemon did not start"
"""How the problem begins that a daemon with wrong settings leaves, where launchd started it."""


def say(text: str) -> None:
    """Print a line for the user."""
    print(text, flush=True)  # noqa: T201 - this is a command line


def say_json(value: object) -> None:
    """Print one JSON document."""
    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def settings_of(args: Namespace, home: Home) -> Settings:
    """Return the settings that the arguments name.

    Raises:
        ConfigError: they are wrong.
    """
    return load_settings(home, Path(args.config).absolute() if args.config else None)


@contextmanager
def existing_store(home: Home) -> Iterator[Store | None]:
    """Yield the home's store, None where there is none yet: reading makes no home."""
    if not home.database.exists():
        yield None
        return
    with _opened(home) as store:
        yield store


@contextmanager
def writing_store(home: Home) -> Iterator[Store]:
    """Yield the home's store, making home and store first where needed."""
    home.make()
    with _opened(home) as store:
        yield store


@contextmanager
def _opened(home: Home) -> Iterator[Store]:
    store = open_store(home)
    try:
        yield store
    finally:
        store.close()


def init(args: Namespace, home: Home) -> int:
    """`secdaemon init`."""
    made = init_home(home)
    settings = settings_of(args, home)
    Path(settings.inbox.dir).mkdir(parents=True, exist_ok=True)
    what = "made" if made else "kept as it is"
    say(f"{home.config_file} {what}")
    say(f"inbox: {settings.inbox.dir}")
    return WELL


def status(args: Namespace, home: Home) -> int:
    """`secdaemon status`."""
    from secdaemon.daemon.tables import run_lines, status_lines
    from secdaemon.daemon.views import training_waits, view_polls, view_run, view_status

    settings = settings_to_show(args, home)
    while True:
        with existing_store(home) as store:
            if args.run:
                one = view_run(need(store, home, args.run), args.run)
                lines = run_lines(one, training_waits(store))
                document: object = one
            else:
                limit = args.limit if args.limit is not None else -1 if args.json else TABLE_RUNS
                overview = view_status(store, home, settings, limit)
                polls = view_polls(store, settings)
                lines = status_lines(overview, training_waits(store), polls)
                document = overview
            if args.json:
                say_json(document)
            else:
                say(("\x1b[H\x1b[2J" if args.watch else "") + "\n".join(lines))
        if not args.watch:
            return WELL
        time.sleep(WATCH_SECONDS)


def settings_to_show(args: Namespace, home: Home) -> Settings:
    """Return the settings, the defaults where the wrong ones stand among the daemon's problems.

    Raises:
        ConfigError: they are wrong and nothing else says so.
    """
    from secdaemon.state.daemon_row import problems

    try:
        return settings_of(args, home)
    except ConfigError:
        with existing_store(home) as store:
            if not store or not any(text.startswith(NOT_STARTED) for text in problems(store)):
                raise
        return load_settings(home, Path(os.devnull), {})


def need(store: Store | None, home: Home, run_id: str) -> Store:
    """Return the store.

    Raises:
        WrongUseError: there is none yet, and so no such run.
    """
    if store is None:
        msg = f"no run {run_id}: {home.root} has no state.db yet"
        raise WrongUseError(msg)
    return store


def submit(args: Namespace, home: Home) -> int:
    """`secdaemon submit`."""
    from secdaemon.daemon.intake import Offer, accept

    settings = settings_of(args, home)
    paths = [Path(os.path.abspath(path)) for path in args.paths]  # noqa: PTH100 - links stay
    for path in paths:
        if not path.exists():
            msg = f"{path}: not there"
            raise WrongUseError(msg)
    runs = []
    with writing_store(home) as store:
        for path in paths:
            offer = Offer(path=path, kind="manual", remove=False)
            runs.append(accept(store, home, settings, offer, time.time()).run)
            if not args.json:
                say(runs[-1])
    if args.json:
        say_json({"runs": runs})
    return WELL


def retry(args: Namespace, home: Home) -> int:
    """`secdaemon retry`."""
    from secdaemon.state.leases import state_of_retry

    with existing_store(home) as found:
        store = need(found, home, args.run)
        run = run_of(store, args.run)
        target = state_of_retry(run)
        if target is None:
            msg = f"run {run.id} is {run.state}; only a failed or held run can be tried again"
            raise WrongUseError(msg)
        rule = rule_from(target)
        detail = f"a person asked for another {rule.step if rule else 'step'}"
        return _move(store, run, target, Cause.RETRY, detail)


def cancel(args: Namespace, home: Home) -> int:
    """`secdaemon cancel`."""
    from secdaemon.daemon.jobs import settle
    from secdaemon.state.runs import get_run

    with existing_store(home) as found:
        store = need(found, home, args.run)
        run = run_of(store, args.run)
        if run.finished:
            msg = f"run {run.id} is {run.state} and has nothing left to stop"
            raise WrongUseError(msg)
        done = _move(store, run, State.CANCELLED, Cause.CANCEL, "a person cancelled it")
        if run.lease is None:
            # Otherwise the daemon tidies up, once the run's worker has ended.
            settle(store, home, get_run(store, run.id))
        return done


def release(args: Namespace, home: Home) -> int:
    """`secdaemon release`: past a quality gate, and past no other."""
    from secdaemon.daemon.jobs import decode_outputs
    from secdaemon.state.runs import outputs

    with existing_store(home) as found:
        store = need(found, home, args.run)
        run = run_of(store, args.run)
        measured = decode_outputs(outputs(store, [run.id])[run.id]).retention
        if run.state is not State.HELD or measured is None:
            msg = f"run {run.id} is {run.state}; only a held run with a model can be released"
            raise WrongUseError(msg)
        firm = [gate.name for gate in measured.gates if not gate.passed and not gate.quality]
        if firm or run.ended_in != "retention":
            msg = f"run {run.id} cannot be released: {run.reason}"
            raise WrongUseError(msg)
        return _move(store, run, State.RETAINED, Cause.RELEASE, "a person released it")


def run_of(store: Store, run_id: str) -> Run:
    """Return a run.

    Raises:
        WrongUseError: there is none of that id.
    """
    from secdaemon.state.runs import get_run

    return get_run(store, run_id)


def _move(store: Store, run: Run, target: State, cause: Cause, detail: str) -> int:
    """Move a run and say so; the daemon, if one runs, notices by itself."""
    from secdaemon.state.runs import Move, get_run, move

    reason = detail if target is State.CANCELLED else None
    how = Move(target=target, cause=cause, detail=detail, reason=reason)
    while not move(store, run, how, time.time()):
        # Its worker got a step further between the reading and the move: look again.
        run = get_run(store, run.id)
    say(f"{run.id} {target}")
    return WELL


def pause(args: Namespace, home: Home) -> int:
    """`secdaemon pause`."""
    return _pause(home, paused=True)


def resume(args: Namespace, home: Home) -> int:
    """`secdaemon resume`."""
    return _pause(home, paused=False)


def _pause(home: Home, *, paused: bool) -> int:
    from secdaemon.state.daemon_row import set_paused

    with writing_store(home) as store:
        set_paused(store, paused)
    say("paused" if paused else "resumed")
    return WELL


def logs(args: Namespace, home: Home) -> int:
    """`secdaemon logs`."""
    if args.run:
        with existing_store(home) as found:
            run_of(need(found, home, args.run), args.run)
    path = home.logs / (f"{args.run}.log" if args.run else "daemon.log")
    if not path.exists() and not args.follow:
        say(f"{path}: nothing logged yet")
        return WELL
    position = _tail(path)
    while args.follow:
        time.sleep(FOLLOW_SECONDS)
        position = _more(path, position)
    return WELL


def _tail(path: Path) -> int:
    """Print the last lines of a log and return where it ends."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        for line in deque(file, LOG_LINES):
            say(_harmless(line))
        return file.tell()


def _more(path: Path, position: int) -> int:
    """Print what a log has gained; a log that was rotated is read from its start."""
    if not path.exists():
        return position
    if path.stat().st_size < position:
        position = 0
    with path.open("rb") as file:
        file.seek(position)
        for line in file:
            say(_harmless(line))
        return file.tell()


def _harmless(line: bytes) -> str:
    from secdaemon.daemon.tables import plain

    return plain(line.decode(errors="replace").rstrip("\n").replace("\t", "    "))


def report(args: Namespace, home: Home) -> int:
    """`secdaemon report`: render it anew from what is known now, and print where it is."""
    from secdaemon.daemon.jobs import make_job

    settings = settings_of(args, home)
    with existing_store(home) as found:
        store = need(found, home, args.run)
        run = run_of(store, args.run)
        if run.run_dir is None:
            msg = f"run {run.id} is {run.state} and has no folder, so there is nothing to report"
            raise WrongUseError(msg)
        job = make_job(store, home, settings, run, "report", time.time())
    return ask("report", msgspec.json.encode((job, run.state, run.reason)))


def ask(task: str, question: bytes, step: str | None = None) -> int:
    """Have a heavy task done by a process of its own, which prints its answer.

    It sees the tokens of `step`, which is its own name where that is left out. An interrupt is the
    task's to hear; it leaves a checkpoint where it has one.
    """
    from secdaemon.daemon.worker import environment

    command = [sys.executable, "-m", "secdaemon.pipeline.tasks", task]
    # The task starts deaf to Ctrl-C, which would break its imports off with a traceback.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, env=environment(step or task, dict(os.environ))
    )

    def pass_on(*_: object) -> None:
        process.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGINT, pass_on)
    term = signal.signal(signal.SIGTERM, pass_on)
    try:
        process.communicate(question)
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, term)
    if process.returncode in {INTERRUPTED, -signal.SIGINT, -signal.SIGTERM}:
        return INTERRUPTED
    return process.returncode if process.returncode in {WELL, WRONG_USE} else FAILED
