"""Findings of runs compared: new, fixed, unchanged, by project."""

import re
import sqlite3
from pathlib import Path

from secdaemon.config.paths import Home
from secdaemon.state.daemon_row import home_salt
from secdaemon.state.history import Changes, IndexedFinding, changes, index_findings
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
        previous=first, new=2, fixed=1, unchanged=2, oldest=first
    )
    store.close()


def test_the_oldest_finding_is_found_where_it_was_first_seen(home: Home) -> None:
    """The first run of the project that had one counts, whatever other projects had."""
    store = open_store(home)
    _parsed(store, "other", "a", "b")
    _parsed(store, "one", "x")
    first = _parsed(store, "one", "a")
    _parsed(store, "one", "a", "c")
    runs = [_parsed(store, "one", *ids) for ids in (("a", "b", "c"), ("b", "d"), ("e",))]
    found = [changes(store, get_run(store, run)) for run in runs]
    assert [one and one.oldest for one in found] == [first, runs[0], None]
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


def test_a_database_without_a_salt_draws_one(home: Home, tmp_path: Path) -> None:
    """A state.db of version 2 gains a salt that stays, and that no other home has."""
    from sqlite_utils import Database

    connection = sqlite3.connect(home.database, isolation_level=None)
    migrations.apply(Database(connection), stop_before="version_3")
    connection.close()
    other = Home(root=tmp_path / "other", chosen=True)
    other.make()
    salts = []
    for place in (home, home, other):
        store = open_store(place)
        salts.append(home_salt(store))
        store.close()
    assert salts[0] == salts[1] != salts[2]
    assert all(re.fullmatch(r"[0-9a-f]{32}", salt) for salt in salts)
