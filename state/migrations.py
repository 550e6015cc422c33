"""The schema of state.db, as numbered migrations; each commits together with its own record.

Imported only when a database is behind: sqlite-utils costs more than a whole `status`.
"""

import secrets
import sqlite3

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

migrations = Migrations("secdaemon")

_SCHEMA_1 = """
CREATE TABLE artifacts (
  sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, archive TEXT NOT NULL, taken_at TEXT NOT NULL
) STRICT;
CREATE TABLE runs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  project TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  reason TEXT,
  kind TEXT NOT NULL CHECK (kind IN ('inbox', 'github', 'manual')),
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL REFERENCES artifacts (sha256),
  repository TEXT,
  workflow_run_id INTEGER,
  run_attempt INTEGER,
  head_sha TEXT,
  source_dir TEXT,
  train INTEGER NOT NULL,
  publish INTEGER NOT NULL,
  run_dir TEXT,
  lease TEXT,
  step TEXT,
  retry_at REAL,
  ended_in TEXT,
  fingerprint TEXT,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  finished INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_open ON runs (seq) WHERE finished = 0;
CREATE INDEX runs_by_artifact ON runs (sha256);
CREATE INDEX runs_by_project ON runs (project, seq);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  run TEXT NOT NULL REFERENCES runs (id),
  at TEXT NOT NULL,
  source TEXT,
  target TEXT NOT NULL,
  step TEXT,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_run ON events (run, seq);
CREATE TABLE attempts (
  token TEXT PRIMARY KEY,
  run TEXT NOT NULL REFERENCES runs (id),
  step TEXT NOT NULL,
  number INTEGER NOT NULL,
  started_at TEXT NOT NULL,
  ended_at TEXT,
  outcome TEXT
) STRICT;
CREATE INDEX attempts_by_run ON attempts (run, started_at);
CREATE TABLE outputs (
  run TEXT NOT NULL REFERENCES runs (id),
  step TEXT NOT NULL,
  output TEXT NOT NULL,
  PRIMARY KEY (run, step)
) STRICT;
CREATE TABLE progress (
  run TEXT PRIMARY KEY REFERENCES runs (id), at TEXT NOT NULL, progress TEXT NOT NULL
) STRICT;
CREATE TABLE leases (
  slot TEXT PRIMARY KEY CHECK (slot IN ('heavy', 'light')),
  token TEXT NOT NULL UNIQUE,
  run TEXT NOT NULL REFERENCES runs (id),
  step TEXT NOT NULL,
  heartbeat_at TEXT NOT NULL
) STRICT;
CREATE TABLE stage1_results (
  fingerprint TEXT PRIMARY KEY, folder TEXT NOT NULL, created_at TEXT NOT NULL, run TEXT NOT NULL
) STRICT;
CREATE TABLE daemon (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  pid INTEGER, started_at TEXT, paused INTEGER NOT NULL DEFAULT 0, last_poll_at TEXT
) STRICT;
INSERT INTO daemon (id) VALUES (1);
CREATE TABLE problems (key TEXT PRIMARY KEY, text TEXT NOT NULL, since TEXT NOT NULL) STRICT;
"""


@migrations()
def version_1(db: Database) -> None:
    """Runs, events, artifacts, attempts, outputs, progress, leases, Stage 1 results, the daemon."""
    _statements(db, _SCHEMA_1)
    db.execute("PRAGMA user_version = 1")


_SCHEMA_2 = """
CREATE TABLE findings (
  run TEXT NOT NULL REFERENCES runs (id),
  id TEXT NOT NULL,
  tool TEXT NOT NULL,
  rule TEXT NOT NULL,
  severity TEXT NOT NULL,
  place TEXT NOT NULL,
  PRIMARY KEY (run, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX findings_by_id ON findings (id, run);
"""


@migrations()
def version_2(db: Database) -> None:
    """The kept findings of every parsed run, so that runs can be compared."""
    _statements(db, _SCHEMA_2)
    db.execute("PRAGMA user_version = 2")


@migrations()
def version_3(db: Database) -> None:
    """The home's salt, drawn once: placeholders of secrets are derived with it."""
    db.execute("CREATE TABLE salt (salt TEXT NOT NULL) STRICT")
    db.execute("INSERT INTO salt (salt) VALUES (?)", (secrets.token_hex(16),))
    db.execute("PRAGMA user_version = 3")


_SCHEMA_4 = """
ALTER TABLE runs ADD COLUMN branch TEXT;
ALTER TABLE runs ADD COLUMN workflow TEXT;
ALTER TABLE runs ADD COLUMN actor TEXT;
ALTER TABLE runs ADD COLUMN url TEXT;
ALTER TABLE runs ADD COLUMN ran_at TEXT;
CREATE TABLE watches (
  watch TEXT PRIMARY KEY,
  repository TEXT NOT NULL,
  config TEXT NOT NULL,
  repository_id INTEGER,
  horizon TEXT,
  deep_at REAL,
  tried_at REAL,
  success_at REAL,
  next_at REAL,
  wait_until REAL,
  failures INTEGER NOT NULL DEFAULT 0,
  remaining INTEGER,
  trouble TEXT,
  full_name TEXT
) STRICT;
CREATE TABLE pages (
  watch TEXT NOT NULL REFERENCES watches (watch),
  url TEXT NOT NULL,
  etag TEXT NOT NULL,
  following TEXT,
  ids TEXT NOT NULL,
  PRIMARY KEY (watch, url)
) STRICT;
CREATE TABLE workflow_runs (
  watch TEXT NOT NULL REFERENCES watches (watch),
  id INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'wanted', 'taken', 'ignored')),
  reason TEXT,
  run TEXT REFERENCES runs (id),
  ran_at TEXT NOT NULL,
  about TEXT NOT NULL DEFAULT '{}',
  failures INTEGER NOT NULL DEFAULT 0,
  retry_at REAL,
  PRIMARY KEY (watch, id, attempt)
) STRICT;
CREATE INDEX workflow_runs_by_state ON workflow_runs (watch, state, ran_at);
"""


@migrations()
def version_4(db: Database) -> None:
    """GitHub: the watched workflows, every workflow run's decision, and where a run came from."""
    _statements(db, _SCHEMA_4)
    db.execute("PRAGMA user_version = 4")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to the newest version; what fails leaves it at the version before.

    Raises:
        sqlite3.Error: the database cannot be written.
    """
    migrations.apply(Database(connection))


def _statements(db: Database, script: str) -> None:
    """Run each statement inside the migration's own transaction (executescript would commit it)."""
    for statement in script.split(";\n"):
        if statement.strip():
            db.execute(statement)
