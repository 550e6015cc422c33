"""`run` and `process`: the loop, wired to what wakes it, for as long as it is wanted."""

import logging
import logging.handlers
import os
import shutil
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from secdaemon.config.files import write_file
from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.config.settings import ConfigError
from secdaemon.daemon.cli import FAILED, INTERRUPTED, WELL, WrongUseError
from secdaemon.daemon.commands import NOT_STARTED, say, say_json, settings_of, writing_store
from secdaemon.daemon.intake import Offer, accept
from secdaemon.daemon.lock import hold
from secdaemon.daemon.loop import Loop, Scope
from secdaemon.daemon.tables import plain, progress_text, run_lines
from secdaemon.daemon.views import RunView, view_run
from secdaemon.daemon.wake import Waker
from secdaemon.launchd.plist import LAUNCHD_VARIABLE
from secdaemon.state.daemon_row import daemon_started, read_daemon, set_problem
from secdaemon.state.machine import State
from secdaemon.state.model import ForeignStoreError, StoreError
from secdaemon.state.runs import get_run
from secdaemon.state.store import open_store

if TYPE_CHECKING:
    from secdaemon.daemon.github.watch import Polls

log = logging.getLogger(__name__)

LOG_BYTES = 5_000_000
LOG_FILES = 3
TELL_SECONDS = 2.0
BAD_ENDS = frozenset({State.HELD, State.FAILED})


def run(args: Namespace, home: Home) -> int:
    """`secdaemon run`.

    A wrong setting ends it with 2, but with 0 where launchd started it: launchd starts anything
    again that ends otherwise, for ever. The sentence then stands in `status`.
    """
    under_launchd = os.environ.get(LAUNCHD_VARIABLE) == "1"
    try:
        home.make()
        settings = settings_of(args, home)
    except (ConfigError, OSError) as error:
        if not under_launchd:
            raise
        print(f"secdaemon: {NOT_STARTED}: {error}", file=sys.stderr)  # noqa: T201
        with suppress(OSError, StoreError), writing_store(home) as store:
            set_problem(store, "settings", f"{NOT_STARTED}: {error}", time.time())
        return WELL
    try:
        open_store(home).close()
    except ForeignStoreError as error:
        if not under_launchd:
            raise
        print(f"secdaemon: {NOT_STARTED}: {error}", file=sys.stderr)  # noqa: T201
        return WELL
    with (
        _signals() as caught,
        hold(home, "run"),
        writing_store(home) as store,
        _logging(home, quiet=under_launchd),
    ):
        now = time.time()
        daemon_started(store, os.getpid(), now)
        loop = Loop(home, settings, store)
        caught.stop_for_good(loop)
        loop.recover(now)
        if settings.github.repositories and not args.no_poll:
            loop.polls = _polls(home, settings, loop, once=args.until_idle)
        log.info("started, home %s, inbox %s", home.root, settings.inbox.dir)
        with Waker(settings, loop.hint, polls=loop.polls is not None):
            loop.run(until_idle=args.until_idle)
        log.info("stopped")
        if caught.numbers:
            return INTERRUPTED if signal.SIGINT in caught.numbers else WELL
        ended = {get_run(store, run_id).state for run_id in loop.taken}
    return FAILED if args.until_idle and ended & BAD_ENDS else WELL


def _polls(home: Home, settings: Settings, loop: Loop, *, once: bool) -> "Polls":
    """Return who asks GitHub; imported here because it costs 40 MB."""
    from secdaemon.daemon.github.watch import Polls

    return Polls(home, settings, hint=loop.hint, once=once)


class _Caught:
    """The signals that came; they stop the loop, also where they came before there was one."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._loop: Loop | None = None

    def __call__(self, number: int, _frame: object) -> None:
        self.numbers.append(number)
        if self._loop is not None:
            self._loop.stop()

    def stop_for_good(self, loop: Loop) -> None:
        """Have every signal, those that came already included, stop this loop."""
        self._loop = loop
        if self.numbers:
            loop.stop()


@contextmanager
def _signals() -> Iterator[_Caught]:
    """Take SIGTERM, SIGINT and SIGHUP as requests; yield what catches them."""
    caught = _Caught()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, caught) for number in numbers]
    try:
        yield caught
    finally:
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)


@contextmanager
def _logging(home: Home, *, quiet: bool) -> Iterator[None]:
    """Log to logs/daemon.log, rotated here because launchd never does, and to the terminal."""
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(
            home.logs / "daemon.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8"
        )
    ]
    if not quiet:
        handlers.append(logging.StreamHandler())
    root = logging.getLogger()
    layout = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    for handler in handlers:
        handler.setFormatter(layout)
        handler.addFilter(_harmless)
        root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


def _harmless(record: logging.LogRecord) -> bool:
    """Make a record's text safe for a terminal: file names in it come from strangers."""
    record.msg, record.args = plain(record.getMessage()), None
    return True


def process(args: Namespace, home: Home) -> int:
    """`secdaemon process`."""
    settings = settings_of(args, home)
    artifacts = Path(args.artifacts_dir).absolute()
    source = Path(args.source).absolute() if args.source else None
    for path in (artifacts, source):
        if path is not None and not path.is_dir():
            msg = f"{path}: no such folder"
            raise WrongUseError(msg)
    offer = Offer(
        path=artifacts,
        kind="manual",
        remove=False,
        again=True,
        source_dir=str(source) if source else None,
        train=not args.skip_fine_tuning,
        publish=not args.skip_model_upload,
    )
    with hold(home, "process"), writing_store(home) as store, _logging(home, quiet=True):
        if read_daemon(store).paused:
            msg = "this home is paused, so that nothing would start; `secdaemon resume` goes on"
            raise WrongUseError(msg)
        taken = accept(store, home, settings, offer, time.time())
        loop = Loop(home, settings, store, Scope(inbox=False, only=taken.run))
        loop.recover(time.time())
        with _signals() as caught:
            caught.stop_for_good(loop)
            _follow(loop, taken.run)
        done = view_run(store, taken.run)
    if args.output_dir:
        _copy_results(done, Path(args.output_dir))
    if args.json:
        say_json(done)
    else:
        say("\n".join(run_lines(done)))
    if caught.numbers:
        return INTERRUPTED
    good = (State.PUBLISHED, State.RETAINED, State.SKIPPED)
    return WELL if done.state in good else FAILED


def _follow(loop: Loop, run_id: str) -> None:
    """Drive the loop until the run has ended, telling its steps on standard error."""
    told: str | None = None
    told_at = 0.0
    while not loop.stopping and not loop.idle():
        loop.wait(min(loop.tick(time.time()), 1.0))
        view = view_run(loop.store, run_id)
        line = f"{view.state}: {view.step or 'waiting'}"
        if view.progress:
            line += f" {progress_text(view.progress)}"
        if line != told and time.monotonic() > told_at + TELL_SECONDS:
            told, told_at = line, time.monotonic()
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - stdout is the answer's
    loop.stop_workers()


def _copy_results(view: RunView, target: Path) -> None:
    """Copy a run's findings and data, and its view, where the user wants them."""
    from secdaemon.pipeline.layout import RunFolder

    target.mkdir(parents=True, exist_ok=True)
    if view.run_dir:
        folder = RunFolder(Path(view.run_dir))
        data = folder.project_data
        for path in (folder.findings, *(data / f"{n}.jsonl" for n in ("train", "valid", "test"))):
            if path.exists():
                shutil.copyfile(path, target / path.name)
    write_file(target / "run.json", msgspec.json.format(msgspec.json.encode(view), indent=2))
