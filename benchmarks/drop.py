"""From a zip's last rename in the inbox to its run in state.db, beyond `stable_seconds`."""

import time
from contextlib import closing

from benchmarks.homes import small_zip
from benchmarks.processes import daemon, wait_until
from benchmarks.table import Row, milliseconds, show, spread
from secdaemon.config.paths import Home
from secdaemon.config.settings import load_settings
from secdaemon.state.daemon_row import set_paused
from secdaemon.state.runs import newest_runs
from secdaemon.state.store import Store, open_store


def measure(homes: dict[str, Home], drops: int) -> None:
    """Drop zips one by one into the inbox of a paused daemon: it takes in and starts no step."""
    rows = [
        Row(f"drop to recorded, {name}", spread(_seconds(home, drops), milliseconds), "under 1 s")
        for name, home in homes.items()
    ]
    show("A zip in the inbox, seconds beyond inbox.stable_seconds", rows)


def _seconds(home: Home, drops: int) -> list[float]:
    stable = load_settings(home, environ={}).inbox.stable_seconds
    with closing(open_store(home)) as store:
        set_paused(store, True)
        with daemon(home):
            return [_drop(store, home, number) - stable for number in range(drops)]


def _drop(store: Store, home: Home, number: int) -> float:
    """Return the seconds from a zip's last rename to its run."""
    ready = small_zip(home.root / "next.part", number)
    name = f"drop-{number}.zip"
    began = time.monotonic()
    ready.rename(home.root / "inbox" / name)
    wait_until(lambda: newest_runs(store, 1)[0].name == name, f"{name} was not recorded")
    return time.monotonic() - began
