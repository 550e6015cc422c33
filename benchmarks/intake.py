"""What taking in one more zip costs the daemon's loop, by how many runs state.db has already."""

import statistics
import time
from contextlib import closing

from benchmarks.homes import small_zip
from benchmarks.table import Row, milliseconds, show, spread, times
from secdaemon.config.paths import Home
from secdaemon.config.settings import load_settings
from secdaemon.daemon.loop import Loop
from secdaemon.state.daemon_row import set_paused
from secdaemon.state.store import open_store

AIM = "the same for both"


def measure(homes: dict[str, Home], rounds: int, zips: int) -> None:
    """Alternate between the homes; each round's ticks take `zips` files in."""
    took: dict[str, list[float]] = {name: [] for name in homes}
    for number in range(rounds):
        for name, home in homes.items():
            took[name].append(_seconds_a_zip(home, number, zips))
    rows = [Row(name, spread(seconds, milliseconds)) for name, seconds in took.items()]
    few, many = (statistics.median(seconds) for seconds in took.values())
    rows.append(Row("ratio", times(many / few), AIM))
    show(f"Taking in a zip, {zips} at a time (scan, hash, archive with fsync, record)", rows)


def _seconds_a_zip(home: Home, number: int, zips: int) -> float:
    """Return the seconds a zip of the tick that takes them in; the loop's clock is ours."""
    settings = load_settings(home, environ={})
    for one in range(zips):
        small_zip(home.root / "inbox" / f"{number}-{one}.zip", number * zips + one)
    now = time.time()
    with closing(open_store(home)) as store:
        set_paused(store, True)
        loop = Loop(home, settings, store)
        loop.tick(now)
        began = time.perf_counter()
        loop.tick(now + settings.inbox.stable_seconds)
        took = time.perf_counter() - began
        assert len(loop.taken) == zips
    return took / zips
