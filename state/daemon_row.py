"""What the daemon says of itself: its row, whether it is paused, and its open problems."""

from secdaemon.state.model import DaemonRow
from secdaemon.state.store import Store, iso


def read_daemon(store: Store) -> DaemonRow:
    """Return the daemon's row."""
    row = store.read("SELECT * FROM daemon")[0]
    return DaemonRow(
        pid=row["pid"],
        started_at=row["started_at"],
        paused=bool(row["paused"]),
        last_poll_at=row["last_poll_at"],
    )


def home_salt(store: Store) -> str:
    """Return the salt of this home's placeholders, 32 hexadecimal digits."""
    salt: str = store.read("SELECT salt FROM salt")[0]["salt"]
    return salt


def daemon_started(store: Store, pid: int, now: float) -> None:
    """Note a daemon's start; problems of the one before are gone with it."""
    with store.transaction() as db:
        db.execute("UPDATE daemon SET pid = ?, started_at = ?", (pid, iso(now)))
        db.execute("DELETE FROM problems")


def set_paused(store: Store, paused: bool) -> None:
    """Ask the daemon to stop starting steps, or to go on."""
    with store.transaction() as db:
        db.execute("UPDATE daemon SET paused = ?", (paused,))


def set_problem(store: Store, key: str, text: str | None, now: float) -> None:
    """Show one problem under `daemon.problems`, or clear it with None; no change writes nothing."""
    rows = store.read("SELECT text FROM problems WHERE key = ?", (key,))
    if (rows[0]["text"] if rows else None) == text:
        return
    with store.transaction() as db:
        if text is None:
            db.execute("DELETE FROM problems WHERE key = ?", (key,))
        else:
            db.execute(
                "INSERT INTO problems (key, text, since) VALUES (?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET text = excluded.text",
                (key, text, iso(now)),
            )


def problems(store: Store, prefix: str = "") -> list[str]:
    """Return the open problems whose keys begin so, as sentences, oldest first."""
    rows = store.read(
        "SELECT text FROM problems WHERE substr(key, 1, ?) = ? ORDER BY since, key",
        (len(prefix), prefix),
    )
    return [row["text"] for row in rows]
