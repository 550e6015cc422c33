"""A month of artifacts dropped at once."""

import zipfile
from collections.abc import Callable
from typing import Any

from secdaemon.config.paths import Home
from secdaemon.state.daemon_row import set_paused
from secdaemon.state.runs import newest_runs
from secdaemon.state.store import Store


def test_a_thousand_zips_at_once_are_recorded_once_each(
    home: Home, store: Store, make_loop: Callable[..., Any]
) -> None:
    """Every one of them becomes one run, none becomes two, and the inbox is empty."""
    inbox = home.root / "inbox"
    inbox.mkdir(exist_ok=True)
    for number in range(1000):
        with zipfile.ZipFile(inbox / f"{number:04}.zip", "w") as archive:
            archive.writestr(zipfile.ZipInfo("scan.json"), f'{{"number": {number}}}')
    set_paused(store, paused=True)
    driven = make_loop()
    driven.tick()
    driven.tick(1.0)
    driven.tick(1.0)
    runs = newest_runs(store, -1)
    assert sorted(run.name for run in runs) == [f"{number:04}.zip" for number in range(1000)]
    assert len({run.id for run in runs}) == 1000
    assert not list(inbox.iterdir())
