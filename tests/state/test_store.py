"""state.db: made once, by whoever comes first, and refused in one sentence where it is not ours."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.config.paths import Home
from secdaemon.state.daemon_row import (
    daemon_started,
    problems,
    read_daemon,
    set_paused,
    set_problem,
)
from secdaemon.state.machine import Cause, State
from secdaemon.state.model import Run, StoreError
from secdaemon.state.runs import Move, get_run, move_within
from secdaemon.state.store import SCHEMA_VERSION, Store, iso, open_store

NOW = 1_700_000_000.0

OPEN_EACH = """
import sys
from pathlib import Path
from secdaemon.config.paths import Home
from secdaemon.state import migrations
from secdaemon.state.store import open_store
print("ready", flush=True)
for line in sys.stdin:
    store = open_store(Home(root=Path(line.strip()), chosen=True))
    store.read("SELECT * FROM runs")
    store.close()
    print("opened", flush=True)
"""

PAUSE = """
import sys
from pathlib import Path
from secdaemon.config.paths import Home
from secdaemon.state.store import open_store
store = open_store(Home(root=Path(sys.argv[1]), chosen=True))
print("ready", flush=True)
sys.stdin.readline()
with store.transaction() as db:
    value = db.execute("SELECT pid FROM daemon").fetchone()[0]
    db.execute("UPDATE daemon SET pid = ?", (value + 1,))
print("done", flush=True)
"""


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a process that speaks by lines, and wait until it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def tell(process: subprocess.Popen[str], line: str) -> None:
    """Send a line."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process says; empty where it died."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_processes_that_open_a_new_store_at_once_all_get_it(tmp_path: Path) -> None:
    """Whoever comes first migrates, the others wait for it; ten new homes, three processes."""
    processes = [start(OPEN_EACH) for _ in range(3)]
    for number in range(10):
        root = tmp_path / str(number)
        root.mkdir()
        for process in processes:
            tell(process, str(root))
        assert [answer(process) for process in processes] == ["opened"] * 3
    for process in processes:
        process.communicate()
        assert process.returncode == 0


def test_a_writer_that_reads_first_waits_for_another(home: Home, store: Store) -> None:
    """Read and write are one piece: the second writer waits, and reads what the first wrote."""
    process = start(PAUSE, str(home.root))
    with store.transaction() as db:
        db.execute("SELECT pid FROM daemon").fetchone()
        tell(process, "go")
        db.execute("UPDATE daemon SET pid = 41")
    assert answer(process) == "done"
    process.communicate()
    assert process.returncode == 0
    assert read_daemon(store).pid == 42


def test_a_reader_never_waits(home: Home, store: Store) -> None:
    """While another writes, a reader sees what was committed before."""
    other = open_store(home)
    with store.transaction() as db:
        db.execute("UPDATE daemon SET pid = 1")
        assert read_daemon(other).pid is None
    assert read_daemon(other).pid == 1
    other.close()


def test_a_killed_writer_leaves_nothing_half(home: Home, store: Store) -> None:
    """A process that dies inside a transaction leaves the store as it was, and free."""
    script = PAUSE.replace('print("done", flush=True)', "").replace(
        "    value =", "    db.execute('UPDATE daemon SET pid = 9'); print('in', flush=True)\n"
        "    sys.stdin.readline()\n    value =",
    )  # fmt: skip
    process = start(script, str(home.root))
    tell(process, "go")
    assert answer(process) == "in"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert read_daemon(store).pid is None
    daemon_started(store, 7, NOW)
    assert read_daemon(store).pid == 7


def test_a_new_store_is_at_the_newest_schema(home: Home, store: Store) -> None:
    """Version, WAL and foreign keys are on, and each migration has left its record."""
    assert store.read("PRAGMA user_version")[0][0] == SCHEMA_VERSION
    assert store.read("PRAGMA journal_mode")[0][0] == "wal"
    assert store.read("PRAGMA foreign_keys")[0][0] == 1
    names = [row["name"] for row in store.read("SELECT name FROM _sqlite_migrations")]
    assert names == [f"version_{number}" for number in range(1, SCHEMA_VERSION + 1)]
    again = open_store(home)
    assert again.read("PRAGMA foreign_keys")[0][0] == 1
    assert again.read("PRAGMA journal_mode")[0][0] == "wal"
    again.close()


def test_a_run_needs_its_artifact(store: Store) -> None:
    """Foreign keys hold: an event of no run is refused."""
    with pytest.raises(sqlite3.IntegrityError), store.transaction() as db:
        db.execute("INSERT INTO events (run, at, target, detail) VALUES ('none', 'x', 'y', 'z')")


def refusal(home: Home) -> str:
    """Return the sentence that a database is refused with; the file stays as it is."""
    before = home.database.read_bytes() if home.database.is_file() else b""
    with pytest.raises(StoreError) as caught:
        open_store(home)
    text = str(caught.value)
    assert text.startswith(f"{home.database}: ")
    assert "\n" not in text
    assert (home.database.read_bytes() if home.database.is_file() else b"") == before
    return text


def test_a_newer_schema_is_refused(home: Home, store: Store) -> None:
    """A database of a newer version says so and names both ways on."""
    store.read(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    store.close()
    text = refusal(home)
    assert f"schema {SCHEMA_VERSION + 1}, this one knows {SCHEMA_VERSION}" in text
    assert text.endswith("install that version again, or use another home")


def test_a_foreign_database_is_refused(home: Home) -> None:
    """Somebody else's database is not written to."""
    other = sqlite3.connect(home.database)
    other.execute("CREATE TABLE photos (name TEXT)")
    other.close()
    assert refusal(home).endswith("not a database of secdaemon; move it away and start again")


def test_a_foreign_database_with_a_version_of_its_own_is_refused(home: Home) -> None:
    """A version number alone makes no database ours."""
    other = sqlite3.connect(home.database)
    other.execute("CREATE TABLE photos (name TEXT)")
    other.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    other.close()
    assert "not a database of secdaemon" in refusal(home)


def test_garbage_is_refused(home: Home) -> None:
    """A file that is no database says how to go on."""
    home.database.write_bytes(b"this is not a database, by any means\n" * 40)
    assert refusal(home).endswith("move it away to start with an empty one")


def test_a_damaged_database_is_refused(home: Home, store: Store) -> None:
    """A database whose first pages are overwritten is refused as well."""
    store.close()
    data = bytearray(home.database.read_bytes())
    data[100:8192] = b"\xff" * (8192 - 100)
    home.database.write_bytes(data)
    assert refusal(home).endswith("move it away to start with an empty one")


def test_a_folder_in_its_place_is_refused(home: Home) -> None:
    """What cannot be opened at all names the folder and the disk as causes."""
    home.database.mkdir()
    assert "check that the folder can be written" in refusal(home)


def test_an_empty_file_becomes_a_store(home: Home) -> None:
    """What a kill at the very first moment left behind is not in the way."""
    home.database.touch()
    store = open_store(home)
    assert store.read("SELECT count(*) FROM runs")[0][0] == 0
    store.close()


def cancel_and_be_interrupted(store: Store, run: Run) -> None:
    """Move a run, and fail before the transaction ends."""
    with store.transaction() as db:
        how = Move(target=State.CANCELLED, cause=Cause.CANCEL, detail="")
        assert move_within(db, run, how, NOW)
        raise KeyboardInterrupt


def test_changes_of_others_are_noticed(
    home: Home, store: Store, make_run: Callable[..., Run]
) -> None:
    """The number changes when another connection commits, and only then."""
    run, other = make_run(), open_store(home)
    before = other.data_version()
    assert other.data_version() == before
    with pytest.raises(KeyboardInterrupt):
        cancel_and_be_interrupted(store, run)
    assert other.data_version() == before
    set_paused(store, paused=True)
    assert other.data_version() != before
    assert get_run(other, run.id) == run
    other.close()


def test_the_daemons_row(store: Store) -> None:
    """A start is noted and clears the problems of the one before; a pause outlives it."""
    row = read_daemon(store)
    assert (row.pid, row.started_at, row.paused, row.last_poll_at) == (None, None, False, None)
    set_paused(store, paused=True)
    set_problem(store, "inbox", "cannot be read", NOW)
    daemon_started(store, 42, NOW)
    row = read_daemon(store)
    assert (row.pid, row.started_at, row.paused) == (42, "2023-11-14T22:13:20.000Z", True)
    assert problems(store) == []


def test_problems_are_kept_by_key_and_written_once(home: Home, store: Store) -> None:
    """The oldest comes first; the same sentence again writes nothing; None clears."""
    set_problem(store, "inbox", "one", NOW)
    set_problem(store, "github", "two", NOW + 1)
    other = open_store(home)
    before = other.data_version()
    set_problem(store, "inbox", "one", NOW + 2)
    set_problem(store, "unknown", None, NOW + 2)
    assert other.data_version() == before
    set_problem(store, "inbox", "three", NOW + 3)
    assert problems(other) == ["three", "two"]
    assert problems(other, "git") == ["two"]
    assert problems(other, "%") == []
    set_problem(store, "inbox", None, NOW + 4)
    assert problems(other) == ["two"]
    other.close()


@given(st.floats(min_value=0, max_value=4e9), st.floats(min_value=0, max_value=4e9))
def test_times_are_utc_and_sort_as_text(one: float, other: float) -> None:
    """Every time has one length and ends in Z, so that text order is time order."""
    assert len(iso(one)) == len("2026-01-01T00:00:00.000Z")
    assert iso(one).endswith("Z")
    assert (iso(one) <= iso(other)) or one > other
