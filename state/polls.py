"""What state.db knows of GitHub: each watched workflow, its pages, and every run's decision.

A watch is one workflow of one repository on one branch. A workflow run is remembered by
(watch, run id, attempt), so that what was decided once is decided for good.
"""

import sqlite3
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from secdaemon.state.model import NewRun
from secdaemon.state.runs import Taken, insert_within
from secdaemon.state.store import Store, iso

KEPT_RUNS = 20_000
"""Workflow runs remembered of one watch; the oldest ignored ones beyond that are forgotten."""


class Decision(StrEnum):
    """What is to become of a workflow run."""

    PENDING = "pending"
    WANTED = "wanted"
    TAKEN = "taken"
    IGNORED = "ignored"


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """One watched workflow as state.db has it; times are Unix seconds."""

    watch: str
    repository: str
    config: str = ""
    """A hash of the settings that decide what is trusted."""
    repository_id: int | None = None
    horizon: str | None = None
    """Runs that started before it were there before the first poll; None before that poll."""
    deep_at: float | None = None
    """When more than the newest pages were last read."""
    tried_at: float | None = None
    success_at: float | None = None
    next_at: float | None = None
    wait_until: float | None = None
    """GitHub's own word on when to ask again."""
    failures: int = 0
    remaining: int | None = None
    """Requests that GitHub still allows in this hour."""
    trouble: str | None = None
    full_name: str | None = None
    """The repository's name as GitHub last wrote it."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that was read whole, for the next conditional request."""

    url: str
    etag: str
    following: str | None = None
    """Where its Link header leads."""
    ids: tuple[int, ...] = ()


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a workflow run, and what was decided."""

    id: int
    attempt: int
    state: Decision
    reason: str | None = None
    run: str | None = None
    """The run it became."""
    ran_at: str = ""
    """When the attempt started, as GitHub says (UTC, ISO 8601)."""
    about: str = "{}"
    """What GitHub said of it, as JSON."""
    failures: int = 0
    retry_at: float | None = None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at the list of runs found; it is stored whole or not at all."""

    entries: tuple[Entry, ...]
    pages: tuple[Page, ...]
    horizon: str | None
    repository_id: int | None
    deep_at: float | None


def get_watch(store: Store, watch: str, repository: str) -> Watch:
    """Return a watch; one that state.db does not know yet is empty."""
    rows = store.read("SELECT * FROM watches WHERE watch = ?", (watch,))
    if not rows:
        return Watch(watch=watch, repository=repository)
    return msgspec.convert(dict(rows[0]), Watch)


def begin_watch(store: Store, watch: str, repository: str, config: str) -> Watch:
    """Return a watch that is about to be polled.

    Where its settings changed, what was ignored under the old ones is forgotten and the next look
    at the list is a first one. What was taken stays taken.
    """
    known = get_watch(store, watch, repository)
    if known.config == config and known.repository == repository:
        return known
    with store.transaction() as db:
        db.execute(
            "INSERT INTO watches (watch, repository, config) VALUES (?, ?, ?) ON CONFLICT (watch) "
            "DO UPDATE SET config = excluded.config, repository = excluded.repository, "
            "horizon = NULL, deep_at = NULL, repository_id = NULL",
            (watch, repository, config),
        )
        db.execute("DELETE FROM pages WHERE watch = ?", (watch,))
        db.execute(
            "DELETE FROM workflow_runs WHERE watch = ? AND state IN (?, ?)",
            (watch, Decision.PENDING, Decision.IGNORED),
        )
    return get_watch(store, watch, repository)


def pages(store: Store, watch: str) -> dict[str, Page]:
    """Return the answers that may be asked for conditionally, by URL."""
    rows = store.read("SELECT * FROM pages WHERE watch = ?", (watch,))
    return {
        row["url"]: Page(
            url=row["url"],
            etag=row["etag"],
            following=row["following"],
            ids=tuple(msgspec.json.decode(row["ids"], type=list[int])),
        )
        for row in rows
    }


def decided(store: Store, watch: str, ids: Iterable[int]) -> dict[tuple[int, int], Decision]:
    """Return what was decided of these runs' attempts."""
    found = {}
    for number in ids:
        for row in store.read(
            "SELECT attempt, state FROM workflow_runs WHERE watch = ? AND id = ?", (watch, number)
        ):
            found[number, int(row["attempt"])] = Decision(row["state"])
    return found


def entries(store: Store, watch: str, state: Decision) -> list[Entry]:
    """Return the attempts in one state, in the order in which they started."""
    rows = store.read(
        "SELECT * FROM workflow_runs WHERE watch = ? AND state = ? ORDER BY ran_at, id, attempt",
        (watch, state),
    )
    return [msgspec.convert(dict(row), Entry) for row in rows]


def newest_entries(store: Store, watch: str, limit: int) -> list[Entry]:
    """Return the attempts that are ignored or not completed yet, newest first."""
    rows = store.read(
        "SELECT * FROM workflow_runs WHERE watch = ? AND state IN (?, ?) "
        "ORDER BY ran_at DESC, id DESC, attempt DESC LIMIT ?",
        (watch, Decision.IGNORED, Decision.PENDING, limit),
    )
    return [msgspec.convert(dict(row), Entry) for row in rows]


def later_attempt(store: Store, watch: str, entry: Entry) -> str | None:
    """Return when the next attempt of the same run started, None where none is known."""
    rows = store.read(
        "SELECT ran_at FROM workflow_runs WHERE watch = ? AND id = ? AND attempt > ? "
        "ORDER BY attempt LIMIT 1",
        (watch, entry.id, entry.attempt),
    )
    return rows[0]["ran_at"] if rows else None


def record_listing(store: Store, watch: str, found: Listing) -> None:
    """Store what a look at the list found; attempts that are decided for good stay as they are."""
    with store.transaction() as db:
        for entry in found.entries:
            db.execute(
                "INSERT INTO workflow_runs (watch, id, attempt, state, reason, ran_at, about) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (watch, id, attempt) DO UPDATE SET "
                "state = excluded.state, reason = excluded.reason, ran_at = excluded.ran_at, "
                "about = excluded.about WHERE state = ?",
                (
                    *(watch, entry.id, entry.attempt, entry.state, entry.reason),
                    *(entry.ran_at, entry.about, Decision.PENDING),
                ),
            )
        for page in found.pages:
            db.execute(
                "INSERT OR REPLACE INTO pages (watch, url, etag, following, ids) "
                "VALUES (?, ?, ?, ?, ?)",
                (watch, page.url, page.etag, page.following, str(list(page.ids))),
            )
        db.execute(
            "UPDATE watches SET horizon = coalesce(horizon, ?), deep_at = coalesce(?, deep_at), "
            "repository_id = coalesce(repository_id, ?) WHERE watch = ?",
            (found.horizon, found.deep_at, found.repository_id, watch),
        )
        _forget_old(db, watch)


def _forget_old(db: sqlite3.Connection, watch: str) -> None:
    db.execute(
        "DELETE FROM workflow_runs WHERE watch = ?1 AND state = ?2 AND rowid IN (SELECT rowid FROM "
        "workflow_runs WHERE watch = ?1 ORDER BY ran_at DESC, id DESC LIMIT -1 OFFSET ?3)",
        (watch, Decision.IGNORED, KEPT_RUNS),
    )


def keep_page(store: Store, watch: str, page: Page) -> None:
    """Remember one answer for the next conditional request."""
    with store.transaction() as db:
        db.execute(
            "INSERT OR REPLACE INTO pages (watch, url, etag, following, ids) "
            "VALUES (?, ?, ?, ?, ?)",
            (watch, page.url, page.etag, page.following, str(list(page.ids))),
        )


def forget_page(store: Store, watch: str, url: str) -> None:
    """Forget an answer that will not be asked for again."""
    with store.transaction() as db:
        db.execute("DELETE FROM pages WHERE watch = ? AND url = ?", (watch, url))


def ignore(store: Store, watch: str, entry: Entry, reason: str) -> None:
    """Decide for good that an attempt is not taken in."""
    with store.transaction() as db:
        db.execute(
            "UPDATE workflow_runs SET state = ?, reason = ?, retry_at = NULL "
            "WHERE watch = ? AND id = ? AND attempt = ? AND state <> ?",
            (Decision.IGNORED, reason, watch, entry.id, entry.attempt, Decision.TAKEN),
        )


def put_off(store: Store, watch: str, entry: Entry, reason: str, retry_at: float) -> None:
    """Note that a wanted attempt could not be had, and when to try again."""
    with store.transaction() as db:
        db.execute(
            "UPDATE workflow_runs SET failures = failures + 1, reason = ?, retry_at = ? "
            "WHERE watch = ? AND id = ? AND attempt = ? AND state = ?",
            (reason, retry_at, watch, entry.id, entry.attempt, Decision.WANTED),
        )


def take(store: Store, watch: str, key: tuple[int, int], new: NewRun, now: float) -> Taken:
    """Record a workflow run's artifact as a run: the run and the decision are one transaction.

    An attempt that somebody else took in meanwhile gives that one's run.
    """
    number, attempt = key
    with store.transaction() as db:
        row = db.execute(
            "SELECT run FROM workflow_runs WHERE watch = ? AND id = ? AND attempt = ? "
            "AND state = ?",
            (watch, number, attempt, Decision.TAKEN),
        ).fetchone()
        if row:
            return Taken(row["run"], new=False)
        run = insert_within(db, new, now)
        db.execute(
            "INSERT INTO workflow_runs (watch, id, attempt, state, run, ran_at) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (watch, id, attempt) DO UPDATE SET "
            "state = excluded.state, run = excluded.run, reason = NULL, retry_at = NULL",
            (watch, number, attempt, Decision.TAKEN, run, new.ran_at or iso(now)),
        )
        return Taken(run, new=True)


def end_poll(store: Store, end: Watch, now: float) -> None:
    """Store how a poll ended: its times, its trouble, what GitHub still allows."""
    with store.transaction() as db:
        db.execute(
            "UPDATE watches SET tried_at = ?, success_at = ?, next_at = ?, wait_until = ?, "
            "failures = ?, remaining = ?, trouble = ?, full_name = ? WHERE watch = ?",
            (
                *(end.tried_at, end.success_at, end.next_at, end.wait_until),
                *(end.failures, end.remaining, end.trouble, end.full_name, end.watch),
            ),
        )
        if end.success_at == end.tried_at:
            db.execute("UPDATE daemon SET last_poll_at = ?", (iso(now),))


def more_is_coming(store: Store, watches: Iterable[str]) -> bool:
    """Return whether a watch has wanted runs that have not failed yet."""
    keys = list(watches)
    marks = ", ".join("?" * len(keys))
    return bool(
        store.read(
            f"SELECT 1 FROM workflow_runs WHERE watch IN ({marks}) AND state = ? "  # noqa: S608
            "AND failures = 0 LIMIT 1",
            (*keys, Decision.WANTED),
        )
    )
