"""knowledge.db: the findings of all runs and their fixes, in one SQLite file that is only a cache.

What a run holds is read again when its files change, and forgotten when they go. A file that is
damaged, or of another version, is set aside and made again. Whoever looks something up brings the
index up to date first, under a lock, so that two never write it at once; each run is a transaction,
so that whoever is killed leaves whole runs.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from secdaemon.pipeline.interface import PermanentError, Progress, Report, TransientError
from secdaemon.pipeline.knowledge.entries import Indexed, contents_of, digest_of, stamp_of
from secdaemon.pipeline.knowledge.static_model import StaticModel
from secdaemon.pipeline.knowledge.words import COLUMNS
from secdaemon.pipeline.past.provenance import PastRun
from secdaemon.pipeline.slot import take

VERSION = 1
"""Of the tables and of what is put into them; another one is made anew."""
BROKEN_SUFFIX = ".broken"
_APPLICATION = 0x53444B42
_BUSY_SECONDS = 30.0
_EMBEDDED_AT_ONCE = 256

_SCHEMA = f"""
CREATE TABLE runs (id TEXT PRIMARY KEY, project TEXT, folder TEXT, stamp TEXT, digest TEXT);
CREATE TABLE entries (
  id INTEGER PRIMARY KEY, key TEXT UNIQUE, finding TEXT, document TEXT, text TEXT, vector BLOB);
CREATE INDEX entries_of_finding ON entries (finding);
CREATE TABLE sightings (
  run TEXT, entry INTEGER, seen TEXT, PRIMARY KEY (run, entry)) WITHOUT ROWID;
CREATE INDEX runs_of_entry ON sightings (entry);
CREATE TABLE held_out (run TEXT, finding TEXT, PRIMARY KEY (run, finding)) WITHOUT ROWID;
CREATE TABLE embedding (identity TEXT);
CREATE VIRTUAL TABLE words USING fts5({", ".join(COLUMNS)}, tokenize="unicode61 tokenchars '_'");
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {VERSION};
"""
_TABLES = {"runs", "entries", "sightings", "held_out", "embedding", "words"}

_Found = TypeVar("_Found")


class Index:
    """An open index; a context manager, for one thread."""

    def __init__(
        self, file: Path, runs: Sequence[PastRun], model: StaticModel | None, report: Report
    ) -> None:
        """Take what is known; nothing is opened before the first question.

        Args:
            file: made where it is missing; a lock stands beside it, in `locks`.
            runs: those that exist; others that the index knows stay as long as their files do.
            model: for vectors; None where findings are compared by their words alone.
            report: hears of every run that is read; it may raise `StopRequested`.
        """
        self.model = model
        self._file = file
        self._runs = tuple(runs)
        self._report = report
        self._open: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._close()

    def ask(self, question: Callable[[sqlite3.Connection], _Found]) -> _Found:
        """Return the answer of an index that is up to date; a broken one is made again, once.

        Raises:
            TransientError: the file is in use by somebody who does not let go.
            PermanentError: it cannot be read or written.
            StopRequested: by way of `report`.
        """
        try:
            try:
                return question(self._connection())
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                self._set_aside()
                return question(self._connection())
        except sqlite3.Error as error:
            self._close()
            msg = f"{self._file}: {error}; it is only a cache and can be deleted"
            if "locked" in str(error):
                raise TransientError(msg) from error
            raise PermanentError(msg) from error

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            with self._locked():
                opened = self._opened()
                try:
                    refresh(opened, self._runs, self.model, self._report)
                except BaseException:
                    opened.close()
                    raise
                self._open = opened
        return self._open

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            if _is_ours(connection):
                return connection
            if _is_empty(connection):
                connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        msg = "not an index of this version"
        raise sqlite3.DatabaseError(msg)

    def _set_aside(self) -> None:
        """Move a broken file out of the way, unless somebody has done it and made a new one."""
        self._close()
        with self._locked():
            with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(self._opened()):
                return
            self._file.replace(f"{self._file}{BROKEN_SUFFIX}")
            for rest in ("-journal", "-wal", "-shm"):
                Path(f"{self._file}{rest}").unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the index's lock; while another has it, `report` may end the wait."""
        folder = self._file.parent / "locks"
        folder.mkdir(parents=True, exist_ok=True)

        def heard() -> bool:
            self._report(Progress(iteration=0, iterations=len(self._runs)))
            return False

        with (folder / "knowledge.lock").open("a") as lock:
            take(lock, heard)
            yield

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def refresh(
    db: sqlite3.Connection, runs: Sequence[PastRun], model: StaticModel | None, report: Report
) -> None:
    """Bring the index up to date with the folders of these runs and of those that it knows."""
    known = {row["id"]: row for row in db.execute("SELECT * FROM runs ORDER BY id")}
    places = {id_: (row["project"], row["folder"]) for id_, row in known.items()}
    places |= {run.run_id: (run.project, run.folder) for run in runs}
    for number, (id_, (project, folder)) in enumerate(places.items()):
        report(Progress(iteration=number, iterations=len(places)))
        _renew(db, known.get(id_), PastRun(run_id=id_, project=project, folder=folder))
    with _transaction(db):
        _drop_unseen(db)
    _embed(db, model, report)


def _renew(db: sqlite3.Connection, known: sqlite3.Row | None, run: PastRun) -> None:
    """Read a run's files where they have changed, forget it where they are gone."""
    folder = Path(run.folder)
    stamp = stamp_of(folder)
    if not stamp:
        if known is not None:
            with _transaction(db):
                _forget(db, run.run_id)
        return
    if known and (run.project, run.folder, stamp) == tuple(known)[1:4]:
        return
    digest = digest_of(folder)
    with _transaction(db):
        if known is None or known["digest"] != digest:
            _replace_run(db, run)
        db.execute(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)",
            (run.run_id, run.project, run.folder, stamp, digest),
        )


def _replace_run(db: sqlite3.Connection, run: PastRun) -> None:
    contents = contents_of(Path(run.folder), run.run_id)
    _forget(db, run.run_id)
    for sighting in contents.sightings:
        db.execute(
            "INSERT OR IGNORE INTO sightings VALUES (?, ?, ?)",
            (run.run_id, _entry(db, sighting.indexed), sighting.run),
        )
    db.executemany(
        "INSERT INTO held_out VALUES (?, ?)", [(run.run_id, id_) for id_ in contents.held_out]
    )


def _entry(db: sqlite3.Connection, indexed: Indexed) -> int:
    """Return the number of an entry, adding it where no run had it before."""
    key = indexed.key
    for row in db.execute("SELECT id FROM entries WHERE key = ?", (key,)):
        return int(row["id"])
    document = msgspec.json.encode(indexed.entry).decode()
    added = db.execute(
        "INSERT INTO entries (key, finding, document, text) VALUES (?, ?, ?, ?)",
        (key, indexed.entry.finding, document, indexed.text),
    ).lastrowid
    assert added is not None
    columns = [getattr(indexed.document, name) for name in COLUMNS]
    marks = ", ".join("?" * len(columns))
    db.execute(
        f"INSERT INTO words (rowid, {', '.join(COLUMNS)}) VALUES (?, {marks})",  # noqa: S608
        (added, *columns),
    )
    return added


def _forget(db: sqlite3.Connection, run_id: str) -> None:
    for table, column in (("runs", "id"), ("sightings", "run"), ("held_out", "run")):
        db.execute(f"DELETE FROM {table} WHERE {column} = ?", (run_id,))  # noqa: S608


def _drop_unseen(db: sqlite3.Connection) -> None:
    """Remove the entries that no run has any more."""
    unseen = "SELECT id FROM entries WHERE id NOT IN (SELECT entry FROM sightings)"
    db.execute(f"DELETE FROM words WHERE rowid IN ({unseen})")  # noqa: S608
    db.execute(f"DELETE FROM entries WHERE id IN ({unseen})")  # noqa: S608


def _embed(db: sqlite3.Connection, model: StaticModel | None, report: Report) -> None:
    """Give every entry its vector by the model; another model's vectors go first."""
    if model is None:
        return
    known = db.execute("SELECT identity FROM embedding").fetchone()
    if known is None or known["identity"] != model.identity:
        with _transaction(db):
            db.execute("UPDATE entries SET vector = NULL")
            db.execute("DELETE FROM embedding")
            db.execute("INSERT INTO embedding VALUES (?)", (model.identity,))
    rows = db.execute("SELECT id, text FROM entries WHERE vector IS NULL ORDER BY id").fetchall()
    for first in range(0, len(rows), _EMBEDDED_AT_ONCE):
        report(Progress(iteration=first, iterations=len(rows)))
        some = rows[first : first + _EMBEDDED_AT_ONCE]
        vectors = model.embed([row["text"] for row in some])
        with _transaction(db):
            db.executemany(
                "UPDATE entries SET vector = ? WHERE id = ?",
                [
                    (vector.astype("<f4").tobytes(), row["id"])
                    for row, vector in zip(some, vectors, strict=True)
                ],
            )


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _is_ours(db: sqlite3.Connection) -> bool:
    """Return whether the file is a whole index of this version.

    Raises:
        sqlite3.DatabaseError: it is no database, or a damaged one.
    """
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if (application, version) != (_APPLICATION, VERSION):
        return False
    tables = {row["name"] for row in db.execute("SELECT name FROM sqlite_master")}
    return tables >= _TABLES and db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"


def _is_empty(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])
