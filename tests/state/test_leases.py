"""A worker's claim: one a slot, and worth nothing once it is gone."""

from collections.abc import Callable

import pytest

from secdaemon.state.leases import (
    StageOne,
    acquire,
    back_off,
    finish,
    forget_stage1,
    give_back,
    heartbeat,
    leases,
    progress_of,
    record_stage1,
    stage1_results,
    state_of_retry,
)
from secdaemon.state.machine import Cause, Rule, State, Step, TransitionError, rule_from, rule_of
from secdaemon.state.model import Lease, Run
from secdaemon.state.runs import Move, events, get_run, move, open_runs, outputs
from secdaemon.state.store import Store

NOW = 1_700_000_100.0


def next_rule(run: Run) -> Rule:
    """Return the rule of a run's next step."""
    rule = rule_from(run.state)
    assert rule is not None
    return rule


def claim(store: Store, run: Run) -> Lease:
    """Claim a run's next step as it stands."""
    run = get_run(store, run.id)
    lease = acquire(store, run, next_rule(run), NOW)
    assert lease is not None
    return lease


def done(step: Step) -> Move:
    """Return the move of a step that succeeded."""
    return Move(target=rule_of(step).target, cause=step, detail="done", output='{"a": 1}')


def test_a_slot_has_one_lease(
    store: Store, make_run: Callable[..., Run], step_on: Callable[..., Run]
) -> None:
    """A second run waits for the same slot, and gets the other one if its step takes that."""
    one, other = make_run(), make_run()
    lease = claim(store, one)
    assert acquire(store, other, next_rule(other), NOW) is None
    heavy = step_on(make_run(), times=3)
    assert claim(store, heavy).slot == "heavy"
    assert [held.slot for held in leases(store)] == ["heavy", "light"]
    assert finish(store, lease, done(Step.UNPACK), NOW)
    assert claim(store, other).run == other.id


def test_a_finished_step_leaves_its_output(store: Store, make_run: Callable[..., Run]) -> None:
    """The move, its event, the output and the end of the claim come together."""
    run = make_run()
    lease = claim(store, run)
    assert heartbeat(store, lease, '{"iteration": 3}', NOW)
    assert progress_of(store, run.id) == '{"iteration": 3}'
    assert finish(store, lease, done(Step.UNPACK), NOW)
    after = get_run(store, run.id)
    assert (after.state, after.lease, after.step, after.attempts) == (State.UNPACKED, None, None, 0)
    assert outputs(store, [run.id]) == {run.id: {"unpack": '{"a": 1}'}}
    assert progress_of(store, run.id) is None
    assert events(store, run.id)[-1].step == "unpack"


def test_a_claim_of_before_cannot_end_the_claim_of_now(
    store: Store, make_run: Callable[..., Run]
) -> None:
    """A worker that was given up and comes back changes nothing of its successor's."""
    run = make_run()
    stale = claim(store, run)
    back_off(store, stale, "silent", NOW + 5, NOW)
    current = claim(store, run)
    before = get_run(store, run.id)
    assert not finish(store, stale, done(Step.UNPACK), NOW)
    assert not heartbeat(store, stale, "{}", NOW)
    back_off(store, stale, "late", NOW + 50, NOW)
    give_back(store, stale, "later", NOW)
    assert get_run(store, run.id) == before
    assert leases(store) == [current]
    rows = store.read("SELECT outcome FROM attempts WHERE token = ?", (stale.token,))
    assert [row["outcome"] for row in rows] == ["failed for now: silent"]


def test_a_run_without_a_next_step_is_not_claimed(
    store: Store, make_run: Callable[..., Run], step_on: Callable[..., Run]
) -> None:
    """Retained with publishing switched off is the end; with it, publishing is next."""
    ended = step_on(make_run(publish=False), times=6)
    assert ended.finished
    assert acquire(store, ended, rule_of(Step.PUBLISH), NOW) is None
    going = step_on(make_run(), times=6)
    assert claim(store, going).step is Step.PUBLISH


def test_a_claim_needs_the_state_that_was_read(
    store: Store, make_run: Callable[..., Run], step_on: Callable[..., Run]
) -> None:
    """Whoever read an older state gets nothing."""
    run = make_run()
    step_on(run)
    assert acquire(store, run, next_rule(run), NOW) is None


def test_attempts_count_failures_and_not_interruptions(
    store: Store, make_run: Callable[..., Run]
) -> None:
    """A back-off costs an attempt and names a time, a give-back costs none, success starts anew."""
    run = make_run()
    back_off(store, claim(store, run), "busy", NOW + 5, NOW)
    after = get_run(store, run.id)
    assert (after.attempts, after.retry_at, after.reason) == (1, NOW + 5, "failed for now: busy")
    assert [one.retry_at for one in open_runs(store)] == [NOW + 5]
    lease = claim(store, run)
    assert get_run(store, run.id).attempts == 2
    assert [one.retry_at for one in open_runs(store)] == [None]
    give_back(store, lease, "the daemon stops", NOW)
    after = get_run(store, run.id)
    assert (after.attempts, after.retry_at, after.reason) == (1, None, None)
    finish(store, claim(store, run), done(Step.UNPACK), NOW)
    assert get_run(store, run.id).attempts == 0
    numbers = store.read("SELECT number FROM attempts ORDER BY rowid")
    assert [row["number"] for row in numbers] == [1, 2, 2]


def test_cancelling_ends_the_claim_and_its_attempt(
    store: Store, make_run: Callable[..., Run]
) -> None:
    """The worker of a cancelled run finds its claim gone; its attempt has an end."""
    run = make_run()
    lease = claim(store, run)
    how = Move(target=State.CANCELLED, cause=Cause.CANCEL, detail="no more")
    assert not move(store, run, how, NOW)
    assert move(store, get_run(store, run.id), how, NOW)
    assert leases(store) == []
    assert not finish(store, lease, done(Step.UNPACK), NOW)
    assert get_run(store, run.id).state is State.CANCELLED
    rows = store.read("SELECT outcome FROM attempts WHERE ended_at IS NOT NULL")
    assert [row["outcome"] for row in rows] == ["cancelled"]


def test_a_move_that_the_table_lacks_changes_nothing(
    store: Store, make_run: Callable[..., Run]
) -> None:
    """A worker that claims an impossible end is refused, and keeps its lease."""
    run = make_run()
    lease = claim(store, run)
    how = Move(target=State.PUBLISHED, cause=Step.UNPACK, detail="")
    with pytest.raises(TransitionError, match="received to published by unpack"):
        finish(store, lease, how, NOW)
    assert leases(store) == [lease]
    assert len(events(store, run.id)) == 1


def test_where_a_retry_leads(
    store: Store, make_run: Callable[..., Run], step_on: Callable[..., Run]
) -> None:
    """A held or failed run goes back to the state before its last step; no other goes anywhere."""
    for times, target in ((2, State.FAILED), (5, State.HELD)):
        run = step_on(make_run(), times=times)
        before, step = run.state, next_rule(run).step
        assert state_of_retry(run) is None
        assert move(store, run, Move(target=target, cause=step, detail="", reason="why"), NOW)
        run = get_run(store, run.id)
        assert (run.ended_in, run.reason, state_of_retry(run)) == (step, "why", before)
        assert move(store, run, Move(target=before, cause=Cause.RETRY, detail=""), NOW)
        assert get_run(store, run.id).reason is None


def test_stage1_results_newest_first(store: Store) -> None:
    """A result is found by its age, and made again it replaces itself."""
    old = StageOne(fingerprint="a", folder="/a", created_at="2026-01-01T00:00:00.000Z", run="1")
    new = StageOne(fingerprint="b", folder="/b", created_at="2026-02-01T00:00:00.000Z", run="2")
    again = StageOne(fingerprint="a", folder="/c", created_at="2026-03-01T00:00:00.000Z", run="3")
    for result in (new, old):
        record_stage1(store, result)
    assert stage1_results(store) == [new, old]
    record_stage1(store, again)
    assert stage1_results(store) == [again, new]
    for _ in range(2):
        forget_stage1(store, "a")
        assert stage1_results(store) == [new]
