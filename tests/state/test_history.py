"""Findings of runs compared: new, fixed, unchanged, by project."""

import sqlite3

from secdaemon.config.paths import Home
from secdaemon.state.history import Changes, IndexedFinding, changes, first_seen, index_findings
from secdaemon.state.migrations import migrations
from secdaemon.state.model import NewRun
from secdaemon.state.runs import get_run, outputs, take_in
from secdaemon.state.store import Store, open_store


def _parsed(store: Store, project: str, *ids: str) -> str:
    """Record a run of a project that was parsed to these findings; return its id."""
    count = len(store.read("SELECT id FROM runs"))
    new = NewRun(
        kind="inbox",
        name=f"{count}.zip",
        sha256=f"{count:064x}",
        size=1,
        project=project,
        archive="/nowhere",
    )
    run = take_in(store, new, 1_000_000.0 + count).run
    found = [
        IndexedFinding(id=one, tool="t", rule="r", severity="high", place="src/a.py") for one in ids
    ]
    with store.transaction() as db:
        db.execute("INSERT INTO outputs (run, step, output) VALUES (?, 'parse', '{}')", (run,))
        index_findings(db, run, found)
    return run


def test_a_run_is_compared_with_the_one_before_it(home: Home) -> None:
    """New, fixed and unchanged are counted against the project's last parsed run."""
    store = open_store(home)
    first = _parsed(store, "one", "a", "b", "c")
    _parsed(store, "other", "x")
    second = _parsed(store, "one", "b", "c", "d", "e")
    assert changes(store, get_run(store, first)) is None
    assert changes(store, get_run(store, second)) == Changes(
        previous=first, new=2, fixed=1, unchanged=2
    )
    store.close()


def test_a_finding_is_found_where_it_was_first_seen(home: Home) -> None:
    """The first run of the project that had it counts, whatever other projects had."""
    store = open_store(home)
    _parsed(store, "other", "a")
    first = _parsed(store, "one", "a")
    _parsed(store, "one", "a")
    assert first_seen(store, "one", "a") == first
    assert first_seen(store, "one", "b") is None
    store.close()


def test_indexing_again_replaces(home: Home) -> None:
    """A step that is done twice leaves its findings once."""
    store = open_store(home)
    first = _parsed(store, "one", "a")
    run = _parsed(store, "one", "a", "b")
    with store.transaction() as db:
        index_findings(db, run, ())
    found = changes(store, get_run(store, run))
    assert found == Changes(previous=first, new=0, fixed=1, unchanged=0)
    store.close()


def test_an_older_database_is_brought_up_to_date(home: Home) -> None:
    """A state.db of version 1 keeps its runs and gains what is missing."""
    from sqlite_utils import Database

    connection = sqlite3.connect(home.database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    migrations.apply(Database(connection), stop_before="version_2")
    connection.execute(
        "INSERT INTO artifacts (sha256, size, archive, taken_at) VALUES ('0', 1, '/a', 'then')"
    )
    connection.execute(
        "INSERT INTO runs (id, project, state, kind, name, sha256, train, publish, created_at, "
        "updated_at) VALUES ('20260101_000000', 'one', 'received', 'inbox', 'a.zip', '0', 1, 1, "
        "'then', 'then')"
    )
    connection.close()
    store = open_store(home)
    assert get_run(store, "20260101_000000").name == "a.zip"
    assert outputs(store, ["20260101_000000"]) == {"20260101_000000": {}}
    assert _parsed(store, "one", "a")
    store.close()
