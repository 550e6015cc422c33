"""Random orders of everything that changes a run, on a real store, against a plain model of it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from secdaemon.config.paths import Home
from secdaemon.state.leases import (
    acquire,
    back_off,
    finish,
    give_back,
    heartbeat,
    leases,
    progress_of,
    state_of_retry,
)
from secdaemon.state.machine import (
    TRANSITIONS,
    Cause,
    State,
    Step,
    TransitionError,
    rule_from,
    rule_of,
)
from secdaemon.state.model import Lease, NewRun, Run
from secdaemon.state.runs import Move, add_run, events, get_run, move, open_runs, take_in
from secdaemon.state.store import Store, open_store

Change = tuple[State | None, State, str | None]


@contextmanager
def fresh_store() -> Iterator[Store]:
    """Open a new store that does not wait for the disk: power cuts are not this test's subject."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(root=Path(folder), chosen=True)
        shutil.copyfile(_empty_database(), home.database)
        store = open_store(home)
        store.read("PRAGMA synchronous = OFF")
        yield store
        store.close()


_made: list[tempfile.TemporaryDirectory[str]] = []


def _empty_database() -> Path:
    """Return a database that was migrated once for all examples."""
    if not _made:
        _made.append(tempfile.TemporaryDirectory())
        open_store(Home(root=Path(_made[0].name), chosen=True)).close()
    return Path(_made[0].name) / "state.db"


class StoreMachine(RuleBasedStateMachine):
    """Drives the store as the loop, the workers and people do, stale knowledge included."""

    views = Bundle("views")
    """Runs as somebody once read them; most are out of date."""
    claims = Bundle("claims")
    """Leases as workers once got them; most have ended."""

    def __init__(self) -> None:
        super().__init__()
        self._context = fresh_store()
        self.store = self._context.__enter__()
        self.now = 1_700_000_000.0
        self.first_of: dict[str, str] = {}
        self.history: dict[str, list[Change]] = {}
        self.live: dict[str, Lease] = {}

    def teardown(self) -> None:
        """Close the store and forget it."""
        self._context.__exit__(None, None, None)

    # -- what happens -----------------------------------------------------------------------

    @initialize(target=views)
    def begin(self) -> Run:
        """One artifact is there from the start."""
        return self.take(artifact=0, again=False, publish=True, train=True)

    @precondition(lambda self: len(self.history) < 4)
    @rule(
        target=views,
        again=st.booleans(),
        artifact=st.integers(0, 2),
        publish=st.booleans(),
        train=st.booleans(),
    )
    def arrive(self, again: bool, artifact: int, publish: bool, train: bool) -> Run:
        """An artifact comes in, its bytes known or not; `again` is `process`, always a new run."""
        return self.take(artifact=artifact, again=again, publish=publish, train=train)

    def take(self, *, artifact: int, again: bool, publish: bool, train: bool) -> Run:
        """Take an artifact in and compare with the model."""
        new = NewRun(
            kind="inbox",
            name="scan.zip",
            sha256=str(artifact),
            size=1,
            project="project",
            archive="/archive",
            publish=publish,
            train=train,
        )
        taken = (add_run if again else take_in)(self.store, new, self.now)
        assert taken.new == (again or new.sha256 not in self.first_of)
        if taken.new:
            assert taken.run not in self.history
            self.history[taken.run] = [(None, State.RECEIVED, None)]
        else:
            assert taken.run == self.first_of[new.sha256]
        self.first_of.setdefault(new.sha256, taken.run)
        return get_run(self.store, taken.run)

    @rule(seconds=st.sampled_from([0.2, 1.0, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        """The clock goes on; otherwise everything happens within one second."""
        self.now += seconds

    @rule(target=views, view=views)
    def look_again(self, view: Run) -> Run:
        """Somebody reads a run anew."""
        return get_run(self.store, view.id)

    @rule(target=claims, view=views, stale=st.booleans())
    def claim(self, view: Run, stale: bool) -> object:
        """A worker is started for a run, as it stands or as somebody once read it."""
        view = view if stale else get_run(self.store, view.id)
        step = rule_from(view.state)
        if step is None:
            return multiple()
        before = get_run(self.store, view.id)
        lease = acquire(self.store, view, step, self.now)
        free = step.slot not in self.live and before.lease is None
        assert (lease is not None) == (free and before.state is view.state and not before.finished)
        if lease is None:
            assert get_run(self.store, view.id) == before
            return multiple()
        after = get_run(self.store, view.id)
        assert (after.state, after.attempts) == (before.state, before.attempts + 1)
        self.live[step.slot] = lease
        return lease

    @rule(lease=claims, iteration=st.none() | st.integers(0, 9))
    def beat(self, lease: Lease, iteration: int | None) -> None:
        """A worker says that it lives, whether or not its claim still counts."""
        progress = None if iteration is None else str(iteration)
        before = progress_of(self.store, lease.run)
        alive = heartbeat(self.store, lease, progress, self.now)
        assert alive == self.is_live(lease)
        expected = progress if alive and progress is not None else before
        assert progress_of(self.store, lease.run) == expected

    @rule(target=views, lease=claims, end=st.integers(0, 5))
    def finish(self, lease: Lease, end: int) -> Run:
        """A worker ends its step well (the common case), or in another of its ends."""
        step = rule_of(lease.step)
        target = [step.target, step.target, *sorted(step.ends)][end % (2 + len(step.ends))]
        before, live = get_run(self.store, lease.run), self.is_live(lease)
        done = finish(
            self.store,
            lease,
            Move(target=target, cause=lease.step, detail="", output="{}"),
            self.now,
        )
        assert done == live
        after = get_run(self.store, lease.run)
        if live:
            self.moved(before, target, lease.step)
            assert after.ended_in == (
                lease.step if target in (State.HELD, State.FAILED) else before.ended_in
            )
        else:
            assert after == before
        return after

    @rule(lease=claims, counted=st.booleans())
    def stop(self, lease: Lease, counted: bool) -> None:
        """A worker fails for now, or is interrupted."""
        before, live = get_run(self.store, lease.run), self.is_live(lease)
        if counted:
            back_off(self.store, lease, "busy", self.now + 5, self.now)
        else:
            give_back(self.store, lease, "stopped", self.now)
        after = get_run(self.store, lease.run)
        if not live:
            assert after == before
            return
        del self.live[lease.slot]
        assert (after.state, after.lease, after.step) == (before.state, None, None)
        assert after.attempts == before.attempts - (not counted)
        assert after.retry_at == (self.now + 5 if counted else None)

    @rule(target=views, view=views, cause=st.sampled_from(Cause), state=st.sampled_from(State))
    def push(self, view: Run, cause: Cause, state: State) -> Run:
        """Somebody moves a run as they read it, to any state."""
        return self.attempt(view, cause, state)

    @rule(target=views, view=views, cause=st.sampled_from(Cause))
    def ask(self, view: Run, cause: Cause) -> Run:
        """The same as the commands and the loop ask for it: to the state that the cause means."""
        state = {
            Cause.CANCEL: State.CANCELLED,
            Cause.RELEASE: State.RETAINED,
            Cause.SUPERSEDE: State.SUPERSEDED,
            Cause.RETRY: state_of_retry(view),
        }[cause]
        return view if state is None else self.attempt(view, cause, state)

    @precondition(lambda self: not self.live)
    @rule(target=views, view=views, steps=st.integers(1, 7))
    def go_far(self, view: Run, steps: int) -> Run:
        """Some steps in a row succeed, so that late states are reached often."""
        run = get_run(self.store, view.id)
        for _ in range(steps):
            step = rule_from(run.state)
            if step is None or run.finished:
                break
            lease = acquire(self.store, run, step, self.now)
            assert lease is not None
            assert finish(
                self.store, lease, Move(target=step.target, cause=step.step, detail=""), self.now
            )
            self.moved(run, step.target, step.step)
            run = get_run(self.store, run.id)
        return run

    def attempt(self, view: Run, cause: Cause, state: State) -> Run:
        """Move a run as somebody read it: refused, void, or done, as the table and the store say."""
        before = get_run(self.store, view.id)
        how = Move(target=state, cause=cause, detail="somebody said so")
        try:
            done = move(self.store, view, how, self.now)
        except TransitionError:
            assert (view.state, state, cause) not in TRANSITIONS
            assert get_run(self.store, view.id) == before
            return before
        assert (view.state, state, cause) in TRANSITIONS
        assert done == ((view.state, view.lease) == (before.state, before.lease))
        if done:
            self.moved(before, state, cause)
        return get_run(self.store, view.id)

    def is_live(self, lease: Lease) -> bool:
        """Return whether the model knows the lease."""
        return self.live.get(lease.slot) == lease

    def moved(self, before: Run, target: State, cause: Step | Cause) -> None:
        """Note a change in the model; whoever had the run's lease has it no more."""
        self.history[before.id].append((before.state, target, cause))
        self.live = {slot: held for slot, held in self.live.items() if held.run != before.id}
        attempts = before.attempts if target is State.FAILED else 0
        assert get_run(self.store, before.id).attempts == attempts

    # -- what always holds ------------------------------------------------------------------

    @invariant()
    def every_change_has_its_event_and_every_event_its_change(self) -> None:
        """The history is the changes that were made, in order, each in the table."""
        for run_id, changes in self.history.items():
            story = events(self.store, run_id)
            told = [(e.source, e.target, e.step) for e in story if e.source is not e.target]
            assert told == changes
            assert all(change in TRANSITIONS for change in told[1:])
            at = [event.at for event in story]
            assert at == sorted(at)
            places = [event.target for event in story]
            assert [event.source for event in story] == [None, *places[:-1]]
            assert get_run(self.store, run_id).state is places[-1]

    @invariant()
    def a_slot_has_one_lease_and_a_run_knows_its_own(self) -> None:
        """Leases, runs and the model agree on who works on what."""
        held = leases(self.store)
        assert {lease.slot: lease for lease in held} == self.live
        assert len(held) == len(self.live)
        by_run = {lease.run: lease for lease in held}
        assert len(by_run) == len(held)
        for run_id in self.history:
            run, lease = get_run(self.store, run_id), by_run.get(run_id)
            assert (run.lease, run.step) == ((lease.token, lease.step) if lease else (None, None))
            if lease:
                assert rule_of(lease.step).source is run.state
                assert rule_of(lease.step).slot == lease.slot
                assert run.retry_at is None

    @invariant()
    def attempts_are_counted(self) -> None:
        """Attempts are never negative; those without an end are those under way."""
        for run_id in self.history:
            run = get_run(self.store, run_id)
            assert run.attempts >= (1 if run.lease else 0)
        rows = self.store.read("SELECT token FROM attempts WHERE ended_at IS NULL")
        assert {row["token"] for row in rows} == {lease.token for lease in self.live.values()}

    @invariant()
    def finished_is_what_the_run_says(self) -> None:
        """The column, the property and the list of open runs agree."""
        rows = self.store.read("SELECT id, finished FROM runs ORDER BY seq")
        assert [row["id"] for row in rows] == list(self.history)
        runs = {row["id"]: get_run(self.store, row["id"]) for row in rows}
        assert {row["id"]: bool(row["finished"]) for row in rows} == {
            run_id: run.finished for run_id, run in runs.items()
        }
        assert [run.id for run in open_runs(self.store)] == [
            run_id for run_id, run in runs.items() if not run.finished
        ]


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_every_move_of_the_table_can_be_made() -> None:
    """The store makes each move of the table, and writes it down with its cause."""
    for source, target, cause in sorted(TRANSITIONS):
        with fresh_store() as store:
            new = NewRun(kind="manual", name="a", sha256="b", size=1, project="p", archive="/a")
            run = get_run(store, add_run(store, new, 0.0).run)
            for step in path_to(source):
                assert move(store, run, step, 1.0)
                run = get_run(store, run.id)
            assert move(store, run, Move(target=target, cause=cause, detail="x"), 2.0)
            last = events(store, run.id)[-1]
            assert (last.source, last.target, last.step) == (source, target, cause)
            assert get_run(store, run.id).state is target


def path_to(state: State) -> list[Move]:
    """Return moves that bring a new run to a state."""
    if state is State.RECEIVED:
        return []
    source, cause = next(
        (a, c) for a, b, c in sorted(TRANSITIONS) if b is state and isinstance(c, Step)
    )
    return [*path_to(source), Move(target=state, cause=cause, detail="")]


def test_a_run_survives_its_own_encoding() -> None:
    """Text that looks like other types comes back as the text it was."""
    for text in ("null", "true", "1e5", "2024-01-01", "ü\u2028", ""):
        with fresh_store() as store:
            new = NewRun(
                kind="github", name=text, sha256=text, size=1, project=text, archive=text,
                repository=text, head_sha=text, source_dir=text,
            )  # fmt: skip
            run = get_run(store, take_in(store, new, 0.0).run)
            kept = {name: getattr(run, name) for name in NewRun.__struct_fields__}
            assert kept == msgspec.structs.asdict(new)
