"""Runs: taking artifacts in, reading them back, and the guarded moves between states."""

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from secdaemon.state.history import IndexedFinding, index_findings
from secdaemon.state.machine import BEFORE_TRAINING, TRAINED, Cause, State, Step, check
from secdaemon.state.model import Event, NewRun, Run, UnknownRunError, is_finished
from secdaemon.state.store import Store, iso

_SELECT = (
    "SELECT runs.*, artifacts.size, artifacts.archive FROM runs "
    "JOIN artifacts ON artifacts.sha256 = runs.sha256 "
)


def _newer_than(run: Run) -> tuple[str, tuple[object, ...]]:
    """Return what SQL tells the runs that are newer than this one by.

    Runs of one repository are ordered by when GitHub ran them: one whose download took several
    attempts is no newer for it. All others are ordered by when they came.
    """
    if run.ran_at is None:
        return "seq > ?", (run.seq,)
    sql = "id <> ? AND CASE WHEN repository = ? AND ran_at <> ? THEN ran_at > ? ELSE seq > ? END"
    return sql, (run.id, run.repository, run.ran_at, run.ran_at, run.seq)


class Taken(msgspec.Struct, frozen=True):
    """The run of an artifact, and whether this call made it."""

    run: str
    new: bool


def take_in(store: Store, new: NewRun, now: float) -> Taken:
    """Record an artifact and its run once; the same bytes again become an event of that run."""
    with store.transaction() as db:
        known = db.execute(
            "SELECT id, state FROM runs WHERE sha256 = ? ORDER BY seq LIMIT 1", (new.sha256,)
        ).fetchone()
        if known:
            detail = f"the same bytes were dropped again ({new.kind}: {new.name})"
            _event(db, known["id"], known["state"], known["state"], None, detail, now)
            return Taken(known["id"], new=False)
        return Taken(insert_within(db, new, now), new=True)


def add_run(store: Store, new: NewRun, now: float) -> Taken:
    """Record a further run of an artifact, whether or not it is known already."""
    with store.transaction() as db:
        return Taken(insert_within(db, new, now), new=True)


def insert_within(db: sqlite3.Connection, new: NewRun, now: float) -> str:
    """Record an artifact's run inside a transaction that the caller has opened; return its id."""
    at = iso(now)
    db.execute(
        "INSERT OR IGNORE INTO artifacts (sha256, size, archive, taken_at) VALUES (?, ?, ?, ?)",
        (new.sha256, new.size, new.archive, at),
    )
    run_id = _free_id(db, now)
    values = msgspec.structs.asdict(new) | {
        "id": run_id,
        "state": State.RECEIVED,
        "created_at": at,
        "updated_at": at,
    }
    del values["size"], values["archive"]
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    db.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", values)  # noqa: S608
    _event(db, run_id, None, State.RECEIVED, None, f"{new.kind}: {new.name}", now)
    return run_id


def _free_id(db: sqlite3.Connection, now: float) -> str:
    stem = f"{datetime.fromtimestamp(now, UTC):%Y%m%d_%H%M%S}"
    candidate, number = stem, 1
    while db.execute("SELECT 1 FROM runs WHERE id = ?", (candidate,)).fetchone():
        number += 1
        candidate = f"{stem}_{number}"
    return candidate


def _event(  # noqa: PLR0917 - one argument a column
    db: sqlite3.Connection,
    run: str,
    source: str | None,
    target: str,
    step: str | None,
    detail: str,
    now: float,
) -> None:
    db.execute(
        "INSERT INTO events (run, at, source, target, step, detail) VALUES (?, ?, ?, ?, ?, ?)",
        (run, iso(now), source, target, step, detail),
    )


def note(store: Store, run: Run, detail: str, now: float, step: str | None = None) -> None:
    """Add an event that changes no state."""
    with store.transaction() as db:
        _event(db, run.id, run.state, run.state, step, detail, now)


def _run(row: sqlite3.Row) -> Run:
    return msgspec.convert(dict(row), Run, strict=False)


def get_run(store: Store, run_id: str) -> Run:
    """Return one run.

    Raises:
        UnknownRunError: there is none of this id.
    """
    rows = store.read(_SELECT + "WHERE runs.id = ?", (run_id,))
    if not rows:
        raise UnknownRunError(run_id, store.path)
    return _run(rows[0])


def newest_runs(store: Store, limit: int, skip: int = 0) -> list[Run]:
    """Return the newest runs first, some skipped; a negative limit gives all."""
    rows = store.read(_SELECT + "ORDER BY seq DESC LIMIT ? OFFSET ?", (limit, skip))
    return [_run(row) for row in rows]


def count_runs(store: Store) -> int:
    """Return how many runs there are."""
    return int(store.read("SELECT count(*) FROM runs")[0][0])


def open_runs(store: Store) -> list[Run]:
    """Return the runs with a step left, oldest first."""
    return [_run(row) for row in store.read(_SELECT + "WHERE finished = 0 ORDER BY seq")]


def newer_trained_run(store: Store, run: Run) -> str | None:
    """Return a newer run of the same project that was parsed and is meant to train, or None."""
    beyond = sorted(BEFORE_TRAINING | TRAINED | {State.HELD})
    marks = ", ".join("?" * len(beyond))
    newer, order = _newer_than(run)
    rows = store.read(
        f"SELECT id FROM runs WHERE project = ? AND {newer} AND train = 1 "  # noqa: S608
        f"AND state IN ({marks}) ORDER BY seq DESC LIMIT 1",
        (run.project, *order, *beyond),
    )
    return rows[0]["id"] if rows else None


def newer_unread_run(store: Store, run: Run, now: float) -> bool:
    """Return whether a newer artifact of the project is about to be read (not backing off)."""
    newer, order = _newer_than(run)
    return bool(
        store.read(
            f"SELECT 1 FROM runs WHERE project = ? AND {newer} AND train = 1 "  # noqa: S608
            "AND state IN (?, ?) AND coalesce(retry_at, 0) <= ? LIMIT 1",
            (run.project, *order, State.RECEIVED, State.UNPACKED, now),
        )
    )


def parsed_before(store: Store, run: Run, limit: int) -> list[Run]:
    """Return runs of the project that were parsed before this one was, the last parsed first.

    The moment of parsing decides, not that of arrival: an artifact whose download took several
    attempts is read after newer ones. Only the newest `limit` runs by arrival are looked at.
    """
    found = store.read(
        _SELECT + "WHERE project = ? AND EXISTS "  # noqa: S608 - constants
        "(SELECT 1 FROM outputs WHERE run = runs.id AND step = ?) ORDER BY runs.seq DESC LIMIT ?",
        (run.project, Step.PARSE, limit),
    )
    moments = {row["id"]: _parsed_at(store, row["id"]) for row in found}
    own = moments.pop(run.id, None)
    before = [
        row for row in found if row["id"] in moments and (own is None or moments[row["id"]] < own)
    ]
    return [_run(row) for row in sorted(before, key=lambda row: moments[row["id"]], reverse=True)]


def _parsed_at(store: Store, run_id: str) -> int:
    """Return the number of the event that said what a run's artifact holds."""
    rows = store.read(
        "SELECT max(seq) AS seq FROM events WHERE run = ? AND step = ? AND source <> target",
        (run_id, Step.PARSE),
    )
    return rows[0]["seq"] or 0


def last_finished(store: Store, run: Run) -> tuple[str, str] | None:
    """Return (run id, training data fingerprint) of the project's last run that got through."""
    rows = store.read(
        "SELECT id, fingerprint FROM runs WHERE project = ? AND seq < ? AND train = 1 "
        "AND finished = 1 AND state IN (?, ?) AND fingerprint IS NOT NULL "
        "ORDER BY seq DESC LIMIT 1",
        (run.project, run.seq, State.PUBLISHED, State.RETAINED),
    )
    return (rows[0]["id"], rows[0]["fingerprint"]) if rows else None


def last_published(store: Store, run: Run) -> tuple[str, str] | None:
    """Return (run id, run directory) of the project's newest published run before this one.

    A run that a person released past a gate is passed over: its model is no measure for others.
    """
    rows = store.read(
        "SELECT id, run_dir FROM runs WHERE project = ? AND seq < ? AND state = ? "
        "AND run_dir IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM events WHERE run = runs.id AND source = ? AND target = ?) "
        "ORDER BY seq DESC LIMIT 1",
        (run.project, run.seq, State.PUBLISHED, State.HELD, State.RETAINED),
    )
    return (rows[0]["id"], rows[0]["run_dir"]) if rows else None


def events(store: Store, run_id: str) -> list[Event]:
    """Return a run's history, oldest first."""
    rows = store.read("SELECT * FROM events WHERE run = ? ORDER BY seq", (run_id,))
    return [
        Event(
            at=row["at"],
            source=State(row["source"]) if row["source"] else None,
            target=State(row["target"]),
            step=row["step"],
            detail=row["detail"],
        )
        for row in rows
    ]


def outputs(store: Store, run_ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the JSON outputs of the runs: run id -> step -> text."""
    wanted = list(run_ids)
    found: dict[str, dict[str, str]] = {run_id: {} for run_id in wanted}
    for run_id in wanted:
        for row in store.read("SELECT step, output FROM outputs WHERE run = ?", (run_id,)):
            found[run_id][row["step"]] = row["output"]
    return found


def outputs_of(store: Store, step: Step) -> dict[str, str]:
    """Return the JSON output of one step by run, oldest run first."""
    rows = store.read(
        "SELECT run, output FROM outputs JOIN runs ON runs.id = outputs.run "
        "WHERE outputs.step = ? ORDER BY runs.seq",
        (step,),
    )
    return {row["run"]: row["output"] for row in rows}


def set_run_dir(store: Store, run_id: str, run_dir: str | None) -> None:
    """Remember where the run's files lie."""
    with store.transaction() as db:
        db.execute("UPDATE runs SET run_dir = ? WHERE id = ?", (run_dir, run_id))


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A move of one run: where to, why, and what it leaves behind."""

    target: State
    cause: Step | Cause
    detail: str
    reason: str | None = None
    output: str | None = None
    """The step's output as JSON."""
    fingerprint: str | None = None
    project: str | None = None
    """The project that the artifact itself names."""
    findings: tuple[IndexedFinding, ...] | None = None
    """The kept findings of a run that was parsed just now."""


def move(store: Store, run: Run, how: Move, now: float) -> bool:
    """Move a run if it still stands where `run` says and nobody else has its lease.

    Returns:
        False where somebody else moved on: then nothing was changed, and the work is void.

    Raises:
        TransitionError: the table has no such move.
    """
    with store.transaction() as db:
        return move_within(db, run, how, now)


def move_within(db: sqlite3.Connection, run: Run, how: Move, now: float) -> bool:
    """Do `move` inside a transaction that the caller has opened."""
    check(run.state, how.target, how.cause)
    step = how.cause if isinstance(how.cause, Step) else None
    ended_in = step if how.target in (State.HELD, State.FAILED) else None
    changed = db.execute(
        "UPDATE runs SET state = ?, reason = ?, lease = NULL, step = NULL, retry_at = NULL, "
        "attempts = CASE WHEN ? THEN attempts ELSE 0 END, ended_in = coalesce(?, ended_in), "
        "fingerprint = coalesce(?, fingerprint), project = coalesce(?, project), "
        "finished = ?, updated_at = ? WHERE id = ? AND state = ? AND lease IS ?",
        (
            how.target,
            how.reason,
            how.target is State.FAILED,
            ended_in,
            how.fingerprint,
            how.project,
            is_finished(how.target, run.publish),
            iso(now),
            run.id,
            run.state,
            run.lease,
        ),
    ).rowcount
    if not changed:
        return False
    if run.lease:
        db.execute("DELETE FROM leases WHERE token = ?", (run.lease,))
        db.execute(
            "UPDATE attempts SET ended_at = ?, outcome = ? WHERE token = ?",
            (iso(now), how.target, run.lease),
        )
    db.execute("DELETE FROM progress WHERE run = ?", (run.id,))
    if step is not None and how.output is not None:
        db.execute(
            "INSERT OR REPLACE INTO outputs (run, step, output) VALUES (?, ?, ?)",
            (run.id, step, how.output),
        )
    if how.findings is not None:
        index_findings(db, run.id, how.findings)
    _event(db, run.id, run.state, how.target, step or how.cause, how.detail, now)
    return True
