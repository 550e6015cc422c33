"""Runs: one an artifact, named by the second, found again without reading them all."""

import sqlite3
import threading
from collections.abc import Callable

import pytest

from secdaemon.config.paths import Home
from secdaemon.state.leases import acquire, back_off
from secdaemon.state.machine import BEFORE_TRAINING, TRAINED, Cause, State, Step, rule_of
from secdaemon.state.model import NewRun, Run, UnknownRunError
from secdaemon.state.runs import (
    Move,
    Taken,
    add_run,
    events,
    get_run,
    last_finished,
    last_published,
    move,
    move_within,
    newer_trained_run,
    newer_unread_run,
    newest_runs,
    note,
    open_runs,
    outputs,
    parsed_before,
    set_run_dir,
    take_in,
)
from secdaemon.state.store import Store, open_store

NOW = 1_700_000_000.0
STEM = "20231114_221320"
MakeRun = Callable[..., Run]
StepOn = Callable[..., Run]


def artifact(sha256: str, project: str = "project") -> NewRun:
    """Return an artifact from the inbox."""
    return NewRun(
        kind="inbox", name="scan.zip", sha256=sha256, size=7, project=project, archive="/a/scan.zip"
    )


def test_the_same_bytes_make_one_run(store: Store) -> None:
    """A second drop becomes an event of the first run, whatever it is called."""
    first = take_in(store, artifact("a"), NOW)
    again = take_in(store, artifact("a"), NOW + 60)
    assert (first, again) == (Taken(STEM, new=True), Taken(STEM, new=False))
    assert len(newest_runs(store, -1)) == 1
    assert [event.detail for event in events(store, STEM)] == [
        "inbox: scan.zip",
        "the same bytes were dropped again (inbox: scan.zip)",
    ]
    assert take_in(store, artifact("b"), NOW + 60).new


def test_the_same_bytes_from_two_sides_make_one_run(home: Home) -> None:
    """Two connections that take the same bytes in at once agree on one run."""
    open_store(home).close()
    barrier, taken = threading.Barrier(4), []

    def take() -> None:
        store = open_store(home)
        barrier.wait()
        taken.append(take_in(store, artifact("a"), NOW))
        store.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.run for each in taken} == {STEM}
    assert [each.new for each in taken].count(True) == 1


def test_add_run_makes_another_run_of_the_same_artifact(store: Store) -> None:
    """`process` may be called twice on the same folder."""
    runs = [add_run(store, artifact("a"), NOW + second).run for second in (0, 1)]
    assert len(set(runs)) == 2
    assert [run.sha256 for run in newest_runs(store, -1)] == ["a", "a"]


def test_ids_within_one_second(store: Store, make_run: MakeRun) -> None:
    """Runs of one second get _2, _3 and so on; the next second starts without."""
    ids = [make_run(NOW + offset).id for offset in (0, 0.4, 0.9, 1.0)]
    assert ids == [STEM, f"{STEM}_2", f"{STEM}_3", "20231114_221321"]
    assert [run.id for run in newest_runs(store, 2)] == ids[:1:-1]


def test_an_unknown_run_is_named(store: Store) -> None:
    """The sentence names the run and the command that lists the runs."""
    with pytest.raises(UnknownRunError, match=r"no run 7 in .*; `secdaemon status` lists the runs"):
        get_run(store, "7")


def test_what_is_known_of_a_source_is_kept(store: Store, make_run: MakeRun) -> None:
    """Every field of a new run is read back as it went in, times in UTC."""
    run = make_run(
        kind="github",
        repository="a/b",
        workflow_run_id=2**40,
        run_attempt=2,
        head_sha="c0ffee",
        source_dir="/src",
        train=False,
        publish=False,
    )
    assert (run.kind, run.repository, run.workflow_run_id) == ("github", "a/b", 2**40)
    assert (run.run_attempt, run.head_sha, run.source_dir) == (2, "c0ffee", "/src")
    assert (run.train, run.publish, run.size, run.archive) == (False, False, 7, "/archive/scan.zip")
    assert run.created_at == run.updated_at == "2023-11-14T22:13:20.000Z"
    set_run_dir(store, run.id, "/runs/1")
    note(store, run, "looked at", NOW + 1)
    assert get_run(store, run.id).run_dir == "/runs/1"
    last = events(store, run.id)[-1]
    assert (last.source, last.target, last.detail) == (run.state, run.state, "looked at")


def test_the_database_knows_only_its_kinds(make_run: MakeRun) -> None:
    """A kind that the contract lacks is refused by the schema itself."""
    with pytest.raises(sqlite3.IntegrityError):
        make_run(kind="carrier pigeon")


def test_a_failed_transaction_leaves_neither_state_nor_event(
    store: Store, make_run: MakeRun
) -> None:
    """A change and its event are one transaction: an exception takes both back."""
    run = make_run()
    how = Move(target=State.CANCELLED, cause=Cause.CANCEL, detail="")

    def interrupted() -> None:
        with store.transaction() as db:
            assert move_within(db, run, how, NOW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert get_run(store, run.id) == run
    assert len(events(store, run.id)) == 1


def test_open_runs_oldest_first(store: Store, make_run: MakeRun, step_on: StepOn) -> None:
    """Runs with a step left, in the order they came; a retained one only if it is published."""
    first, second, third, fourth = (make_run() for _ in range(4))
    step_on(first, times=7)
    step_on(second, times=6)
    move(store, third, Move(target=State.REJECTED, cause=Step.UNPACK, detail=""), NOW)
    last = step_on(make_run(publish=False), times=6)
    assert last.finished
    assert [run.id for run in open_runs(store)] == [second.id, fourth.id]


def test_the_newest_run_that_trains_supersedes(
    store: Store, make_run: MakeRun, step_on: StepOn
) -> None:
    """Parsed, on its way, trained or held counts; unread, of another project or data only not."""
    old = step_on(make_run(), times=2)
    make_run()
    step_on(make_run(project="other"), times=2)
    step_on(make_run(train=False), times=2)
    assert newer_trained_run(store, old) is None
    for times in range(2, 8):
        newer = step_on(make_run(), times=times)
        assert newer.state in BEFORE_TRAINING | TRAINED
        assert newer_trained_run(store, old) == newer.id
        assert newer_trained_run(store, newer) is None
    held = step_on(make_run(), times=5)
    move(store, held, Move(target=State.HELD, cause=Step.RETENTION, detail=""), NOW)
    assert newer_trained_run(store, old) == held.id
    failed = step_on(make_run(), times=4)
    move(store, failed, Move(target=State.FAILED, cause=Step.STAGE2, detail=""), NOW)
    assert newer_trained_run(store, old) == held.id


def test_a_newer_artifact_is_waited_for_until_it_is_read(
    store: Store, make_run: MakeRun, step_on: StepOn
) -> None:
    """Received and unpacked count as about to be read, unless they back off."""
    old = step_on(make_run(), times=3)
    make_run(project="other")
    make_run(train=False)
    assert not newer_unread_run(store, old, NOW)
    newer = make_run()
    assert newer_unread_run(store, old, NOW)
    assert not newer_unread_run(store, newer, NOW)
    lease = acquire(store, newer, rule_of(Step.UNPACK), NOW)
    assert lease is not None
    back_off(store, lease, "busy", NOW + 60, NOW)
    assert not newer_unread_run(store, old, NOW)
    assert newer_unread_run(store, old, NOW + 60)
    newer = step_on(get_run(store, newer.id))
    assert newer_unread_run(store, old, NOW)
    step_on(newer)
    assert not newer_unread_run(store, old, NOW)


def test_the_last_run_that_got_through(store: Store, make_run: MakeRun, step_on: StepOn) -> None:
    """Published, or retained without publishing, with its fingerprint; older, same project."""
    assert last_finished(store, make_run()) is None
    published = step_on(make_run(), times=7, fingerprint="one")
    now = make_run()
    assert last_finished(store, now) == (published.id, "one")
    assert last_finished(store, published) is None
    assert last_finished(store, make_run(project="other")) is None
    waiting = step_on(make_run(), times=6, fingerprint="two")
    step_on(make_run(train=False, publish=False), times=6, fingerprint="three")
    assert last_finished(store, make_run()) == (published.id, "one")
    retained = step_on(make_run(publish=False), times=6, fingerprint="four")
    assert last_finished(store, make_run()) == (retained.id, "four")
    step_on(waiting)
    assert last_finished(store, make_run()) == (retained.id, "four")
    assert last_finished(store, now) == (published.id, "one")


def test_the_champion_is_the_newest_published_run_before_this_one(
    store: Store, make_run: MakeRun, step_on: StepOn
) -> None:
    """Of the same project, with a folder; a retained, held or newer one is none."""
    first = step_on(make_run(), times=7)
    assert last_published(store, make_run()) is None
    set_run_dir(store, first.id, "/runs/first")
    now = make_run()
    assert last_published(store, now) == (first.id, "/runs/first")
    assert last_published(store, first) is None
    assert last_published(store, make_run(project="other")) is None
    retained = step_on(make_run(publish=False), times=6)
    set_run_dir(store, retained.id, "/runs/retained")
    assert last_published(store, make_run()) == (first.id, "/runs/first")
    second = step_on(make_run(), times=7)
    set_run_dir(store, second.id, "/runs/second")
    assert last_published(store, make_run()) == (second.id, "/runs/second")
    assert last_published(store, now) == (first.id, "/runs/first")


def test_runs_are_found_by_when_they_were_parsed(
    store: Store, make_run: MakeRun, step_on: StepOn
) -> None:
    """Of one project, the last parsed first; what was taken in early may have been parsed late."""

    def parse(run: Run, target: State = State.PARSED) -> Run:
        run = step_on(run)
        how = Move(target=target, cause=Step.PARSE, detail="", output="{}")
        assert move(store, run, how, NOW)
        return get_run(store, run.id)

    late, rejected, first = make_run(), make_run(), parse(make_run())
    other = parse(make_run(project="other"))
    empty = parse(make_run(), State.SKIPPED)
    move(store, step_on(rejected), Move(target=State.REJECTED, cause=Step.PARSE, detail=""), NOW)
    second = parse(make_run())
    waiting = make_run()
    late = parse(late)
    note(store, first, "the same bytes were dropped again", NOW)
    ids = [run.id for run in parsed_before(store, waiting, 10)]
    assert ids == [late.id, second.id, empty.id, first.id]
    assert [run.id for run in parsed_before(store, second, 10)] == [empty.id, first.id]
    assert parsed_before(store, first, 10) == parsed_before(store, other, 10) == []
    assert [run.id for run in parsed_before(store, waiting, 2)] == [second.id, empty.id]


def fill(store: Store, count: int) -> None:
    """Add finished runs in bulk: what months of work leave behind."""
    with store.transaction() as db:
        db.executemany(
            "INSERT INTO artifacts (sha256, size, archive, taken_at) VALUES (?, 1, '/a', 'x')",
            ((f"bulk{n}",) for n in range(count)),
        )
        db.executemany(
            "INSERT INTO runs (id, project, state, kind, name, sha256, train, publish, created_at, "
            "updated_at, finished) VALUES (?, ?, 'published', 'inbox', 'n', ?, 1, 1, 'x', 'x', 1)",
            ((f"bulk{n}", f"project{n % 3}", f"bulk{n}") for n in range(count)),
        )


def test_no_query_of_the_loop_reads_all_runs(store: Store, make_run: MakeRun) -> None:
    """With 10,000 runs stored, what the loop asks every second goes through an index."""
    fill(store, 10_000)
    run = make_run()
    asked: list[str] = []
    with store.transaction() as db:
        db.set_trace_callback(asked.append)
    open_runs(store)
    newer_trained_run(store, run)
    newer_unread_run(store, run, NOW)
    last_finished(store, run)
    last_published(store, run)
    get_run(store, run.id)
    events(store, run.id)
    outputs(store, [run.id])
    take_in(store, artifact("new"), NOW)
    move(store, run, Move(target=State.CANCELLED, cause=Cause.CANCEL, detail=""), NOW)
    with store.transaction() as db:
        db.set_trace_callback(None)
    queries = [sql for sql in asked if sql.startswith(("SELECT", "UPDATE", "DELETE"))]
    assert len(queries) > 10
    for sql in queries:
        plan = [row["detail"] for row in store.read(f"EXPLAIN QUERY PLAN {sql}")]
        reads = [step for step in plan if not step.startswith("CORRELATED")]
        assert [step for step in reads if "USING" not in step or "TEMP B-TREE" in step] == [], sql


def test_the_newest_runs_are_read_from_the_end(store: Store, make_run: MakeRun) -> None:
    """`status` sorts nothing: it reads backwards along the primary key and stops at its limit."""
    fill(store, 10_000)
    newest = make_run()
    asked: list[str] = []
    with store.transaction() as db:
        db.set_trace_callback(asked.append)
    assert [run.id for run in newest_runs(store, 3)] == [newest.id, "bulk9999", "bulk9998"]
    with store.transaction() as db:
        db.set_trace_callback(None)
    query = next(sql for sql in asked if sql.startswith("SELECT"))
    plan = [row["detail"] for row in store.read(f"EXPLAIN QUERY PLAN {query}")]
    assert not any("TEMP B-TREE" in line for line in plan)
