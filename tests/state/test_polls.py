"""What is remembered of GitHub: decisions that stay, listings that are whole, one run an attempt."""

from collections.abc import Callable

import msgspec
import pytest

from secdaemon.state.model import NewRun
from secdaemon.state.polls import (
    Decision,
    Entry,
    Listing,
    Page,
    begin_watch,
    decided,
    end_poll,
    entries,
    get_watch,
    ignore,
    later_attempt,
    more_is_coming,
    newest_entries,
    pages,
    put_off,
    record_listing,
    take,
)
from secdaemon.state.runs import get_run, newer_trained_run, newer_unread_run, newest_runs
from secdaemon.state.store import Store

NOW = 1_800_000_000.0
WATCH = "https://api.github.com/owner/repo .github/workflows/ci.yml main"
NAME = "owner/repo"


def entry(number: int, state: Decision = Decision.WANTED, attempt: int = 1) -> Entry:
    """Return an attempt that started in the order of its number."""
    return Entry(id=number, attempt=attempt, state=state, ran_at=f"2026-01-{number:02d}")


def listing(*found: Entry, pages: tuple[Page, ...] = ()) -> Listing:
    """Return a listing with these entries."""
    return Listing(entries=found, pages=pages, horizon="2026-01-01", repository_id=7, deep_at=NOW)


def new_run(number: int, ran_at: str | None = None) -> NewRun:
    """Return what a workflow run's artifact is recorded as."""
    return NewRun(
        kind="github",
        name=f"{NAME}#{number}.1",
        sha256=f"{number:064d}",
        size=1,
        project=NAME,
        archive=f"{number}.zip",
        repository=NAME,
        workflow_run_id=number,
        run_attempt=1,
        ran_at=ran_at or f"2026-01-{number:02d}",
    )


@pytest.fixture
def watch(store: Store) -> str:
    """Return a watch that was begun."""
    begin_watch(store, WATCH, NAME, "config")
    return WATCH


def test_a_watch_that_nobody_polled_is_empty(store: Store) -> None:
    """Reading it writes nothing."""
    assert get_watch(store, WATCH, NAME).tried_at is None
    assert store.read("SELECT * FROM watches") == []


def test_a_listing_stands_with_its_pages(store: Store, watch: str) -> None:
    """And the first horizon stays."""
    page = Page(url="/runs", etag='W/"1"', following="/runs?page=2", ids=(2, 1))
    record_listing(store, watch, listing(entry(1), entry(2, Decision.PENDING), pages=(page,)))
    assert pages(store, watch) == {"/runs": page}
    later = msgspec.structs.replace(listing(), horizon="2027", deep_at=None, repository_id=9)
    record_listing(store, watch, later)
    row = get_watch(store, watch, NAME)
    assert (row.horizon, row.repository_id, row.deep_at) == ("2026-01-01", 7, NOW)
    assert decided(store, watch, [1, 2, 3]) == {
        (1, 1): Decision.WANTED,
        (2, 1): Decision.PENDING,
    }


@pytest.mark.parametrize("state", [Decision.WANTED, Decision.IGNORED])
def test_only_what_is_pending_is_decided_again(store: Store, watch: str, state: Decision) -> None:
    """A decision is for good, whatever a later listing says."""
    record_listing(store, watch, listing(entry(1, state), entry(2, Decision.PENDING)))
    record_listing(store, watch, listing(entry(1, Decision.PENDING), entry(2, state)))
    assert decided(store, watch, [1, 2]) == {(1, 1): state, (2, 1): state}


def test_other_settings_forget_what_was_ignored(store: Store, watch: str) -> None:
    """What was taken stays, and what is wanted is judged again when its turn comes."""
    record_listing(
        store,
        watch,
        listing(entry(1, Decision.IGNORED), entry(2, Decision.PENDING), entry(3), entry(4)),
    )
    take(store, watch, (4, 1), new_run(4), NOW)
    assert begin_watch(store, watch, NAME, "config").horizon
    assert begin_watch(store, watch, NAME, "other").horizon is None
    assert decided(store, watch, range(9)) == {(3, 1): Decision.WANTED, (4, 1): Decision.TAKEN}


def test_an_attempt_becomes_one_run(store: Store, watch: str) -> None:
    """The second who takes it gets the first one's run, and nothing is inserted."""
    record_listing(store, watch, listing(entry(1)))
    first = take(store, watch, (1, 1), new_run(1), NOW)
    again = take(store, watch, (1, 1), new_run(1), NOW)
    assert (first.new, again.new, first.run) == (True, False, again.run)
    assert len(newest_runs(store, -1)) == 1
    assert entries(store, watch, Decision.TAKEN)[0].run == first.run
    ignore(store, watch, entry(1), "too late")
    assert decided(store, watch, [1]) == {(1, 1): Decision.TAKEN}


def test_the_same_bytes_of_a_rerun_are_a_run_of_their_own(store: Store, watch: str) -> None:
    """Its identity is the attempt."""
    take(store, watch, (1, 1), new_run(1), NOW)
    assert take(store, watch, (1, 2), new_run(1), NOW).new
    assert len(newest_runs(store, -1)) == 2


def test_a_failed_transaction_leaves_neither_run_nor_decision(store: Store, watch: str) -> None:
    """Both or none."""
    record_listing(store, watch, listing(entry(1)))
    broken = msgspec.structs.replace(new_run(1), kind="nothing")
    with pytest.raises(Exception, match="CHECK"):
        take(store, watch, (1, 1), broken, NOW)
    assert newest_runs(store, -1) == []
    assert decided(store, watch, [1]) == {(1, 1): Decision.WANTED}


def test_what_is_put_off_keeps_its_place(store: Store, watch: str) -> None:
    """With a reason, a count and a time; others that have not failed are still coming."""
    record_listing(store, watch, listing(entry(1), entry(2, attempt=1), entry(2, attempt=2)))
    put_off(store, watch, entry(1), "damaged", NOW + 60)
    wanted = entries(store, watch, Decision.WANTED)
    assert [(item.id, item.failures, item.retry_at) for item in wanted] == [
        (1, 1, NOW + 60),
        (2, 0, None),
        (2, 0, None),
    ]
    assert later_attempt(store, watch, wanted[1]) == "2026-01-02"
    assert later_attempt(store, watch, wanted[2]) is None
    assert more_is_coming(store, [watch])
    for item in wanted[1:]:
        ignore(store, watch, item, "no")
    assert not more_is_coming(store, [watch])
    assert [item.reason for item in newest_entries(store, watch, 9)] == ["no", "no"]


def test_the_end_of_a_poll_is_remembered(store: Store, watch: str) -> None:
    """A success is the daemon's last poll; a failure is not."""
    row = get_watch(store, watch, NAME)
    bad = msgspec.structs.replace(row, tried_at=NOW, failures=1, trouble="no", remaining=3)
    end_poll(store, bad, NOW)
    assert get_watch(store, watch, NAME) == bad
    assert store.read("SELECT last_poll_at FROM daemon")[0][0] is None
    end_poll(store, msgspec.structs.replace(bad, success_at=NOW, trouble=None), NOW)
    assert store.read("SELECT last_poll_at FROM daemon")[0][0]


@pytest.mark.parametrize("newer", [newer_trained_run, lambda *a: newer_unread_run(*a, NOW)])
def test_runs_of_one_repository_are_ordered_by_when_they_ran(
    store: Store, watch: str, newer: Callable[..., object]
) -> None:
    """One that could only be downloaded after its successor does not become the newest by it."""
    late = take(store, watch, (9, 1), new_run(9), NOW).run
    early = take(store, watch, (3, 1), new_run(3), NOW + 60).run
    state = "parsed" if newer is newer_trained_run else "received"
    with store.transaction() as db:
        db.execute("UPDATE runs SET state = ?", (state,))
    assert newer(store, get_run(store, early))
    assert not newer(store, get_run(store, late))
