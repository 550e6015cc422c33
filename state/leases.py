"""Leases: which worker has which run, how far it is, and how an attempt ends."""

import secrets

import msgspec

from secdaemon.state.machine import Rule, State, Step
from secdaemon.state.model import Lease, Run
from secdaemon.state.runs import Move, get_run, move_within
from secdaemon.state.store import Store, iso


def acquire(store: Store, run: Run, rule: Rule, now: float) -> Lease | None:
    """Claim a run's next step for a worker; None where the run or the slot is taken.

    A run that is retained with publishing switched off has no next step.
    """
    token = secrets.token_hex(8)
    with store.transaction() as db:
        if db.execute("SELECT 1 FROM leases WHERE slot = ?", (rule.slot,)).fetchone():
            return None
        changed = db.execute(
            "UPDATE runs SET lease = ?, step = ?, attempts = attempts + 1, retry_at = NULL, "
            "updated_at = ? WHERE id = ? AND state = ? AND lease IS NULL AND finished = 0",
            (token, rule.step, iso(now), run.id, rule.source),
        ).rowcount
        if not changed:
            return None
        db.execute(
            "INSERT INTO leases (slot, token, run, step, heartbeat_at) VALUES (?, ?, ?, ?, ?)",
            (rule.slot, token, run.id, rule.step, iso(now)),
        )
        db.execute(
            "INSERT INTO attempts (token, run, step, number, started_at) VALUES (?, ?, ?, ?, ?)",
            (token, run.id, rule.step, run.attempts + 1, iso(now)),
        )
    return Lease(slot=rule.slot, token=token, run=run.id, step=rule.step)


def leases(store: Store) -> list[Lease]:
    """Return all claims."""
    return [
        Lease(slot=row["slot"], token=row["token"], run=row["run"], step=Step(row["step"]))
        for row in store.read("SELECT * FROM leases ORDER BY slot")
    ]


def heartbeat(store: Store, lease: Lease, progress: str | None, now: float) -> bool:
    """Note that a worker lives, and how far it is (JSON); False where its claim is gone."""
    with store.transaction() as db:
        changed = db.execute(
            "UPDATE leases SET heartbeat_at = ? WHERE token = ?", (iso(now), lease.token)
        ).rowcount
        if changed and progress is not None:
            db.execute(
                "INSERT OR REPLACE INTO progress (run, at, progress) VALUES (?, ?, ?)",
                (lease.run, iso(now), progress),
            )
    return bool(changed)


def progress_of(store: Store, run_id: str) -> str | None:
    """Return how far the run's step is (JSON), None where nothing is known."""
    rows = store.read("SELECT progress FROM progress WHERE run = ?", (run_id,))
    return rows[0]["progress"] if rows else None


def finish(store: Store, lease: Lease, how: Move, now: float) -> bool:
    """End an attempt with the move it earned; False where the run has moved on without it."""
    with store.transaction() as db:
        run = get_run(store, lease.run)
        if run.lease != lease.token:
            return False
        return move_within(db, run, how, now)


def back_off(store: Store, lease: Lease, reason: str, retry_at: float, now: float) -> None:
    """End an attempt that failed for now; the step is tried again at `retry_at` (Unix seconds)."""
    _let_go(store, lease, f"failed for now: {reason}", retry_at, now, counted=True)


def give_back(store: Store, lease: Lease, why: str, now: float) -> None:
    """End an attempt that was interrupted from outside; it costs the run nothing."""
    _let_go(store, lease, why, None, now, counted=False)


def _let_go(
    store: Store, lease: Lease, why: str, retry_at: float | None, now: float, *, counted: bool
) -> None:
    with store.transaction() as db:
        db.execute("DELETE FROM leases WHERE token = ?", (lease.token,))
        db.execute(
            "UPDATE attempts SET ended_at = ?, outcome = ? WHERE token = ? AND ended_at IS NULL",
            (iso(now), why, lease.token),
        )
        changed = db.execute(
            "UPDATE runs SET lease = NULL, step = NULL, retry_at = ?, reason = ?, "
            "attempts = attempts - ?, updated_at = ? WHERE id = ? AND lease = ?",
            (
                retry_at,
                why if counted else None,
                0 if counted else 1,
                iso(now),
                lease.run,
                lease.token,
            ),
        ).rowcount
        if changed:
            state = get_run(store, lease.run).state
            db.execute(
                "INSERT INTO events (run, at, source, target, step, detail) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (lease.run, iso(now), state, state, lease.step, why),
            )


class StageOne(msgspec.Struct, frozen=True, kw_only=True):
    """A reusable Stage 1 result as state.db knows it."""

    fingerprint: str
    folder: str
    created_at: str
    run: str


def record_stage1(store: Store, result: StageOne) -> None:
    """Remember a Stage 1 result and the run that made it."""
    with store.transaction() as db:
        db.execute(
            "INSERT OR REPLACE INTO stage1_results (fingerprint, folder, created_at, run) "
            "VALUES (?, ?, ?, ?)",
            (result.fingerprint, result.folder, result.created_at, result.run),
        )


def stage1_results(store: Store) -> list[StageOne]:
    """Return the Stage 1 results, newest first."""
    rows = store.read("SELECT * FROM stage1_results ORDER BY created_at DESC")
    return [msgspec.convert(dict(row), StageOne) for row in rows]


def forget_stage1(store: Store, fingerprint: str) -> None:
    """Remember a Stage 1 result no longer; one that nobody knows is none."""
    with store.transaction() as db:
        db.execute("DELETE FROM stage1_results WHERE fingerprint = ?", (fingerprint,))


def state_of_retry(run: Run) -> State | None:
    """Return the working state that a held or failed run goes back to, None where it has none."""
    from secdaemon.state.machine import rule_of

    if run.state in (State.HELD, State.FAILED) and run.ended_in is not None:
        return rule_of(run.ended_in).source
    return None
