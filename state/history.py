"""What state.db knows of findings: which stood in which run, so that runs can be compared."""

import sqlite3
from collections.abc import Sequence

import msgspec

from secdaemon.state.model import Run
from secdaemon.state.store import Store


class IndexedFinding(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a kept finding by which it is looked up; all of it is in findings.jsonl."""

    id: str
    tool: str
    rule: str
    severity: str
    place: str
    """The package, else the path, URL or image."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """A run's findings against those of the project's run before it."""

    previous: str
    """The run that it is compared with."""
    new: int
    fixed: int
    """Findings of the run before that this one has no more."""
    unchanged: int
    oldest: str | None = None
    """The project's first run that had a finding of this one; None where it was the first."""


def index_findings(db: sqlite3.Connection, run: str, found: Sequence[IndexedFinding]) -> None:
    """Replace a run's index inside a transaction that the caller has opened."""
    db.execute("DELETE FROM findings WHERE run = ?", (run,))
    db.executemany(
        "INSERT OR IGNORE INTO findings (run, id, tool, rule, severity, place) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        [(run, row.id, row.tool, row.rule, row.severity, row.place) for row in found],
    )


def changes(store: Store, run: Run) -> Changes | None:
    """Return what changed since the project's last parsed run; None where there is none before."""
    rows = store.read(
        "SELECT runs.id FROM runs JOIN outputs ON outputs.run = runs.id AND outputs.step = 'parse' "
        "WHERE project = ? AND seq < ? ORDER BY seq DESC LIMIT 1",
        (run.project, run.seq),
    )
    if not rows:
        return None
    previous = str(rows[0]["id"])
    new = _missing(store, run.id, previous)
    return Changes(
        previous=previous,
        new=new,
        fixed=_missing(store, previous, run.id),
        unchanged=_count(store, run.id) - new,
        oldest=_oldest(store, run),
    )


def _oldest(store: Store, run: Run) -> str | None:
    """Return the project's first run that had any of a run's findings, None where none before had.

    Ids of runs sort by time, so that for each finding the index is read from its beginning up to
    the first run of the project, however many runs had it.
    """
    rows = store.read(
        "SELECT min((SELECT one.run FROM findings AS one JOIN runs ON runs.id = one.run "
        "WHERE one.id = f.id AND project = ? ORDER BY one.run LIMIT 1)) AS first "
        "FROM findings AS f WHERE f.run = ?",
        (run.project, run.id),
    )
    first: str | None = rows[0]["first"]
    return None if first is None or first >= run.id else first


def _missing(store: Store, one: str, other: str) -> int:
    """Return how many findings of one run the other has not."""
    rows = store.read(
        "SELECT count(*) AS n FROM findings AS f WHERE run = ? AND NOT EXISTS "
        "(SELECT 1 FROM findings WHERE run = ? AND id = f.id)",
        (one, other),
    )
    return int(rows[0]["n"])


def _count(store: Store, run: str) -> int:
    return int(store.read("SELECT count(*) AS n FROM findings WHERE run = ?", (run,))[0]["n"])
