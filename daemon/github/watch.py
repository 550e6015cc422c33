"""Which watched workflows are due, each polled in a thread of its own; and `secdaemon poll`.

Nothing here waits for GitHub. When to poll follows from the times in state.db, so that neither a
sleep nor a clock that jumps loses a poll; timers only make the loop look.
"""

import logging
import os
import queue
import sqlite3
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from contextlib import closing

import msgspec

from secdaemon.config.paths import Home
from secdaemon.config.programs import Runner, run_program
from secdaemon.config.schema import Repository, Settings
from secdaemon.daemon.cli import FAILED, WELL
from secdaemon.daemon.commands import say, say_json, settings_of
from secdaemon.daemon.github.connection import cut_off
from secdaemon.daemon.github.download import StoppedError
from secdaemon.daemon.github.manners import is_due
from secdaemon.daemon.github.poll import Polled, alone, poll_watch
from secdaemon.daemon.github.session import Surroundings
from secdaemon.daemon.github.tokens import Tokens
from secdaemon.daemon.github.trust import watch_of
from secdaemon.state.model import StoreError
from secdaemon.state.polls import get_watch, more_is_coming
from secdaemon.state.store import Store, open_store

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 600.0
"""How long `secdaemon poll` waits for the daemon's own poll of the same workflow."""
END_SECONDS = 3.0
"""How long the end of the process waits for its polls."""
SOON_SECONDS = 1.0
AT_ONCE = 8
"""Polls at the same time, so that a hundred repositories are no storm."""


class Polls:
    """The polls of one process. All but what its threads do is called from the loop's own."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        *,
        hint: Callable[[], None] = lambda: None,
        once: bool = False,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        run: Runner = run_program,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Poll nothing yet.

        Args:
            home: where everything lies.
            settings: what is watched.
            hint: called from a poll's thread when it has ended.
            once: whether each is polled one time, at once, whatever its own times say.
            now: Unix seconds.
            clock: monotonic seconds.
            run: what runs other programs.
            environ: where $GITHUB_TOKEN is looked for.
        """
        self._settings = settings
        self._watched = {watch_of(settings.github, item): item for item in _all(settings)}
        self._hint = hint
        self._once = once
        self._clock = clock
        self._stopping = threading.Event()
        environ = os.environ if environ is None else environ
        self._tokens = Tokens(settings.github.api_url, environ, run, clock)
        self._around = Surroundings(
            home=home,
            settings=settings,
            run=run,
            environ=environ,
            now=now,
            stopping=self._stopping.is_set,
        )
        self._threads: dict[str, threading.Thread] = {}
        self._done: queue.SimpleQueue[tuple[str, Polled | None]] = queue.SimpleQueue()
        self._ended: set[str] = set()
        self._again_at: dict[str, float] = {}
        self._looked_at = 0.0
        self._due_at = 0.0
        self.taken: set[str] = set()
        """Runs that were taken in; the loop empties it."""

    def tick(self, store: Store, now: float) -> float:
        """Start what is due; return when more will be (Unix seconds)."""
        self._collect()
        if self._looked_at <= now < self._due_at:
            return self._due_at
        self._looked_at = now
        due = [now + self._settings.github.poll_seconds]
        for watch, watched in self._watched.items():
            if watch in self._threads or (self._once and watch in self._ended):
                continue
            row = get_watch(store, watch, watched.name)
            github = self._settings.github
            ready = self._once or is_due(row, now, github.poll_seconds, github.max_wait_seconds)
            # A poll that could not be recorded (a full disk) left no time to go by.
            ready = ready and self._clock() >= self._again_at.get(watch, 0.0)
            if ready and len(self._threads) < AT_ONCE:
                self._start(watch, watched)
            else:
                due.append(max(row.next_at or 0.0, now + SOON_SECONDS))
        self._due_at = min(due)
        return self._due_at

    def _start(self, watch: str, watched: Repository) -> None:
        thread = threading.Thread(
            target=self._work, args=(watch, watched), name=f"poll {watched.name}", daemon=True
        )
        self._threads[watch] = thread
        thread.start()

    def _work(self, watch: str, watched: Repository) -> None:
        """One poll, in its thread."""
        found = None
        try:
            with closing(open_store(self._around.home)) as store:
                found = poll_once(store, self._around, self._tokens, watched, asked=self._once)
        except StoppedError:
            pass
        except (sqlite3.Error, StoreError, OSError) as error:
            log.warning("%s: the poll could not be recorded: %s", watched.name, error)
        finally:
            self._done.put((watch, found))
            self._hint()

    def _collect(self) -> None:
        """Take note of the polls that have ended."""
        while not self._done.empty():
            watch, found = self._done.get()
            self._threads.pop(watch).join()
            self._ended.add(watch)
            self._due_at = 0.0
            if found is None:
                self._again_at[watch] = self._clock() + self._settings.github.poll_seconds
            else:
                self.taken.update(item.run for item in found.taken)

    @property
    def busy(self) -> bool:
        """Whether a poll runs, or the one that was asked for has not been made yet."""
        self._collect()
        missing = self._once and set(self._watched) - self._ended
        return bool(self._threads or missing)

    def expects(self, store: Store, repository: str | None) -> bool:
        """Return whether more of a repository's artifacts are being taken in right now."""
        mine = [watch for watch in self._threads if self._watched[watch].name == repository]
        return bool(mine) and more_is_coming(store, mine)

    def stop(self) -> None:
        """End every poll; what one was in the middle of is begun again by the next."""
        self._stopping.set()
        for thread in self._threads.values():
            if thread.ident is not None:
                cut_off(thread.ident)
        deadline = time.monotonic() + END_SECONDS
        for thread in self._threads.values():
            thread.join(max(deadline - time.monotonic(), 0.0))
        self._collect()


def _all(settings: Settings) -> tuple[Repository, ...]:
    return settings.github.repositories


def poll_once(
    store: Store,
    around: Surroundings,
    tokens: Tokens,
    watched: Repository,
    *,
    asked: bool,
    patience: float = 0.0,
) -> Polled | None:
    """Poll one watched workflow unless another process does; then None, after `patience` seconds.

    Raises:
        StoppedError: the process is being stopped.
        sqlite3.Error: state.db cannot be written.
    """
    name = watch_of(around.settings.github, watched)
    with alone(around.home, name, patience) as mine:
        if not mine:
            return None
        return poll_watch(store, around, tokens, watched, asked=asked)


class Answer(msgspec.Struct, frozen=True):
    """What `poll --json` prints."""

    repositories: list[Polled]


def poll(args: Namespace, home: Home) -> int:
    """`secdaemon poll`."""
    # What the daemon logs is printed below; nothing else is to come out.
    logging.getLogger("secdaemon").addHandler(logging.NullHandler())
    settings = settings_of(args, home)
    home.make()
    open_store(home).close()
    found = poll_all(home, settings)
    if args.json:
        say_json(Answer(found))
    elif not found:
        say("no repository is watched; github.repositories in config.yaml names them")
    else:
        for item in found:
            for line in _lines(item):
                say(line)
    return WELL if all(item.ok for item in found) else FAILED


def poll_all(
    home: Home,
    settings: Settings,
    *,
    run: Runner = run_program,
    now: Callable[[], float] = time.time,
    environ: Mapping[str, str] | None = None,
) -> list[Polled]:
    """Poll every watched workflow now, side by side, and return how each went."""
    environ = os.environ if environ is None else environ
    around = Surroundings(
        home=home, settings=settings, run=run, environ=environ, now=now, stopping=lambda: False
    )
    tokens = Tokens(settings.github.api_url, environ, run)
    watched = _all(settings)
    found: list[Polled | None] = [None] * len(watched)
    places = threading.Semaphore(AT_ONCE)

    def work(number: int) -> None:
        try:
            with places, closing(open_store(home)) as store:
                found[number] = poll_once(
                    store, around, tokens, watched[number], asked=True, patience=PATIENCE_SECONDS
                )
        except (sqlite3.Error, StoreError, OSError) as error:
            text = f"the poll could not be recorded: {error}"
            found[number] = Polled(name=watched[number].name, ok=False, problem=text)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(len(watched))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken_by_another = "another process polls it; ask again"
    return [
        done or Polled(name=item.name, ok=False, problem=taken_by_another)
        for item, done in zip(watched, found, strict=True)
    ]


def _lines(item: Polled) -> list[str]:
    from secdaemon.daemon.tables import plain

    state = "ok" if item.ok else "failed"
    head = f"{item.name}: {state}, {len(item.taken)} taken, {len(item.ignored)} ignored"
    lines = [f"{head}; next {item.next_try_at}" if item.next_try_at else head]
    if item.problem:
        lines.append(f"  problem  {item.problem}")
    lines += [
        f"  taken    {run.workflow_run_id} (attempt {run.run_attempt}) as run {run.run}"
        for run in item.taken
    ]
    lines += [f"  ignored  {run.workflow_run_id}: {run.reason}" for run in item.ignored]
    return [plain(line) for line in lines]
