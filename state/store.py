"""The store: state.db through the standard sqlite3 connection, every change one transaction.

WAL, foreign keys, and BEGIN IMMEDIATE: a reader never waits, and a writer that has read cannot
be overtaken between its read and its write. A change of state and its event commit together.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from secdaemon.config.paths import Home
from secdaemon.state.model import ForeignStoreError, StoreError

SCHEMA_VERSION = 4
BUSY_SECONDS = 30.0


def iso(now: float) -> str:
    """Return Unix seconds as UTC ISO 8601 with milliseconds, ending in Z."""
    moment = datetime.fromtimestamp(now, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


class Store:
    """One connection to state.db; it belongs to the thread that opened it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        """Wrap an open, migrated connection: use `open_store`."""
        self.path = path
        self._db = connection

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection inside BEGIN IMMEDIATE; commit, or roll back on any exception."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[sqlite3.Row]:
        """Return the rows of one SELECT."""
        return self._db.execute(sql, parameters).fetchall()

    def data_version(self) -> int:
        """Return a number that changes when another connection has committed something."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])


def open_store(home: Home) -> Store:
    """Open state.db, making or migrating it first where that is needed.

    Raises:
        ForeignStoreError: it is no database of ours, damaged, or was made by a newer version.
        StoreError: it cannot be written.
    """
    path = home.database
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            _prepare(connection, home)
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        raise store_error(path, error) from error
    return Store(path, connection)


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """Return what SQLite complains about as a sentence that says what to do."""
    if isinstance(error, sqlite3.OperationalError):
        msg = f"{path}: {error}; check that the folder can be written and the disk is not full"
        return StoreError(msg)
    return ForeignStoreError(f"{path}: {error}; move it away to start with an empty one")


def _prepare(connection: sqlite3.Connection, home: Home) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    if _version(connection, home) < SCHEMA_VERSION:
        _migrate(connection, home)


def _version(connection: sqlite3.Connection, home: Home) -> int:
    """Return the schema's number, 0 for an empty database.

    The tables are looked at whatever the number says: other programs number their schemas too.
    """
    things, ours = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE name = '_sqlite_migrations') FROM sqlite_master"
    ).fetchone()
    if things and not ours:
        msg = f"{home.database}: not a database of secdaemon; move it away and start again"
        raise ForeignStoreError(msg)
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        msg = (
            f"{home.database}: made by a newer secdaemon (schema {version}, this one knows "
            f"{SCHEMA_VERSION}); install that version again, or use another home"
        )
        raise ForeignStoreError(msg)
    return version


def _migrate(connection: sqlite3.Connection, home: Home) -> None:
    """Migrate under a lock of the home, so that two processes never do it at once.

    The switch to WAL belongs under it too: of two at once, SQLite fails one without waiting.
    """
    from secdaemon.state.migrations import migrate

    home.locks.mkdir(parents=True, exist_ok=True)
    with (home.locks / "migrate.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _version(connection, home) < SCHEMA_VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection)
