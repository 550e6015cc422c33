"""One poll of one watched workflow: look, take in, and say how it went."""

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from secdaemon.config.paths import Home
from secdaemon.config.schema import Github, Repository
from secdaemon.daemon.github.client import Client
from secdaemon.daemon.github.download import DamagedError, StoppedError
from secdaemon.daemon.github.look import look
from secdaemon.daemon.github.manners import (
    Kind,
    TroubleError,
    back_off,
    ended_badly,
    ended_well,
    must_wait,
)
from secdaemon.daemon.github.session import Session, Surroundings, short_name
from secdaemon.daemon.github.taking import sweep_downloads, take_run
from secdaemon.daemon.github.tokens import Token, Tokens
from secdaemon.daemon.github.trust import watch_of
from secdaemon.state.daemon_row import set_problem
from secdaemon.state.polls import (
    Decision,
    Entry,
    Watch,
    begin_watch,
    end_poll,
    entries,
    get_watch,
    ignore,
    newest_entries,
    put_off,
)
from secdaemon.state.store import Store, iso

log = logging.getLogger(__name__)

GIVE_UP = 10
"""After so many damaged downloads a workflow run is given up."""
STEP_ASIDE = 3
"""After so many failures a workflow run no longer holds up those that come after it."""
SHOWN = 1000
"""How many ignored runs a poll shows, newest first."""
LOCK_SECONDS = 0.1
TOKEN_PROBLEM = "github.token"  # noqa: S105 - the key of a problem
_ITS_OWN = frozenset({Kind.NETWORK, Kind.SERVER, Kind.FORM, Kind.MISSING})
"""Trouble in a download that may be this one workflow run's alone."""


class TakenRun(msgspec.Struct, frozen=True):
    """A workflow run that was taken in."""

    workflow_run_id: int
    run_attempt: int
    run: str


class IgnoredRun(msgspec.Struct, frozen=True):
    """A workflow run that was not taken in."""

    workflow_run_id: int
    reason: str


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """How one repository's poll went, as `poll --json` shows it."""

    name: str
    ok: bool
    taken: tuple[TakenRun, ...] = ()
    ignored: tuple[IgnoredRun, ...] = ()
    problem: str | None = None
    next_try_at: str | None = None


def poll_watch(
    store: Store, around: Surroundings, tokens: Tokens, watched: Repository, *, asked: bool
) -> Polled:
    """Poll one watched workflow; whatever goes wrong with GitHub ends in words and in state.db.

    Args:
        store: this thread's own.
        around: everything that is not GitHub.
        tokens: those of this process.
        watched: what is polled.
        asked: whether a person asks: then its own back-off is passed over, GitHub's word is not.

    Raises:
        StoppedError: the daemon is being stopped.
        sqlite3.Error: state.db cannot be written.
    """
    github = around.settings.github
    name = watch_of(github, watched)
    watch = begin_watch(store, name, watched.name, _config(github, watched))
    now = around.now()
    if must_wait(watch, now, github.max_wait_seconds):
        return _polled(store, watched, watch, [])
    sweep_downloads(around.home, name)
    taken: list[TakenRun] = []
    try:
        watch = _with_tokens(store, around, tokens, watched, watch, taken, asked=asked)
    except TroubleError as error:
        if around.stopping():
            raise StoppedError from error
        watch = get_watch(store, name, watched.name)
        if error.remaining is not None:
            watch = msgspec.structs.replace(watch, remaining=error.remaining)
        trouble = error.trouble
        if trouble.kind is Kind.TOKEN and (text := tokens.trouble()):
            # The same sentence for every repository, which `status` says once.
            trouble = msgspec.structs.replace(trouble, text=text)
        if watch.trouble != trouble.text:
            log.warning("%s: %s", watched.name, trouble.text)
        watch = ended_badly(watch, trouble, around.now(), github.poll_seconds)
    end_poll(store, watch, around.now())
    set_problem(store, TOKEN_PROBLEM, tokens.trouble(), around.now())
    return _polled(store, watched, watch, taken)


def _with_tokens(  # noqa: PLR0917 - all that a poll has
    store: Store,
    around: Surroundings,
    tokens: Tokens,
    watched: Repository,
    watch: Watch,
    taken: list[TakenRun],
    *,
    asked: bool,
) -> Watch:
    """Poll with the best token that GitHub does not refuse, in the end with none.

    Returns:
        The watch as the poll leaves it.

    Raises:
        TroubleError: it could not be polled.
    """
    token: Token | None = tokens.current()
    while True:
        client = Client(around.settings.github, watched.name, token, around.now)
        at = Session(around=around, store=store, client=client, watched=watched, watch=watch)
        try:
            return _poll(at, taken, asked=asked)
        except TroubleError as error:
            error.remaining = client.remaining
            if token is None or error.trouble.kind is not Kind.TOKEN:
                raise
            token = tokens.refused(token)
        finally:
            client.close()


def _poll(at: Session, taken: list[TakenRun], *, asked: bool) -> Watch:
    """Look, then take in what is wanted, oldest first."""
    found = look(at, deep=asked)
    watch = get_watch(at.store, at.watch.watch, at.watched.name)
    watch = msgspec.structs.replace(watch, full_name=found.full_name or watch.full_name)
    at = msgspec.structs.replace(at, watch=watch)
    beside = _take_all(at, taken, asked=asked)
    around = at.around
    ended = ended_well(watch, around.now(), around.settings.github.poll_seconds)
    remaining = at.client.remaining
    number = found.number if found.number not in {None, at.number} else None
    left = entries(at.store, watch.watch, Decision.WANTED)
    return msgspec.structs.replace(
        ended,
        remaining=watch.remaining if remaining is None else remaining,
        trouble=_another(at, number) or _still_wanted(left) or beside or _renamed(at),
    )


def _another(at: Session, number: int | None) -> str | None:
    if number is None:
        return None
    return (
        f"{at.watched.name} is another repository now (number {number}, it was {at.number}), so "
        "nothing of it is taken in; if that is right, set github.repositories[].id to the new one"
    )


def _renamed(at: Session) -> str | None:
    name = at.watch.full_name
    if name is None or name.lower() == at.watched.name.lower():
        return None
    return f"{at.watched.name} is called {name} now; set github.repositories[].name to that"


def _still_wanted(left: list[Entry]) -> str | None:
    failed = [entry for entry in left if entry.reason]
    if not failed:
        return None
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"workflow run {failed[0].id}: {failed[0].reason}; it is tried again{more}"


def _take_all(at: Session, taken: list[TakenRun], *, asked: bool) -> str | None:
    """Take in every wanted run that is due; return what went wrong beside it.

    Raises:
        TroubleError: GitHub does not play along; the rest waits for the next poll.
    """
    beside = None
    wanted = entries(at.store, at.watch.watch, Decision.WANTED)
    for entry in sorted(wanted, key=lambda entry: entry.failures >= STEP_ASIDE):
        if at.around.stopping():
            raise StoppedError
        now = at.around.now()
        if not asked and _waits(entry, now, at.around.settings.github):
            continue
        try:
            done, trouble = take_run(at, entry)
        except DamagedError as error:
            _failed(at, entry, str(error), damaged=True)
            continue
        except TroubleError as error:
            if error.trouble.kind in _ITS_OWN and not at.around.stopping():
                _failed(at, entry, str(error), damaged=False)
                if entry.failures >= STEP_ASIDE:
                    continue
            raise
        beside = beside or trouble
        if done is not None and done.new:
            taken.append(TakenRun(entry.id, entry.attempt, done.run))
            log.info("%s: taken in %s#%d.%d", done.run, at.watched.name, entry.id, entry.attempt)
    return beside


def _waits(entry: Entry, now: float, github: Github) -> bool:
    """Return whether a run that failed waits; a time no wait reaches is a clock that went back."""
    longest = now + back_off(GIVE_UP, github.poll_seconds)
    return entry.retry_at is not None and now < entry.retry_at <= longest


def _failed(at: Session, entry: Entry, reason: str, *, damaged: bool) -> None:
    """Note a failure of one workflow run, and give it up where it will never be right."""
    if damaged and entry.failures + 1 >= GIVE_UP:
        ignore(at.store, at.watch.watch, entry, f"{reason}; given up after {GIVE_UP} tries")
        return
    wait = back_off(entry.failures + 1, at.around.settings.github.poll_seconds)
    put_off(at.store, at.watch.watch, entry, reason, at.around.now() + wait)


def _config(github: Github, watched: Repository) -> str:
    """Return a hash of what decides which runs are trusted and taken."""
    decisive = (
        *(watched.workflow, watched.branch, watched.events, watched.artifacts, watched.id),
        *(github.max_download_bytes, github.require_attestation),
    )
    return short_name(msgspec.json.encode(decisive).decode())


def _polled(store: Store, watched: Repository, watch: Watch, taken: list[TakenRun]) -> Polled:
    left = entries(store, watch.watch, Decision.WANTED)
    return Polled(
        name=watched.name,
        ok=watch.failures == 0 and not _still_wanted(left),
        taken=tuple(taken),
        ignored=tuple(
            IgnoredRun(entry.id, entry.reason or "")
            for entry in newest_entries(store, watch.watch, SHOWN)
        ),
        problem=watch.trouble,
        next_try_at=iso(watch.next_at) if watch.next_at is not None else None,
    )


@contextmanager
def alone(home: Home, watch: str, seconds: float) -> Iterator[bool]:
    """Hold a watch's lock for the block; False where another process kept it for so long."""
    home.locks.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + seconds
    with (home.locks / f"poll-{short_name(watch)}.lock").open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    yield False
                    return
                time.sleep(LOCK_SECONDS)
        yield True
