"""`secdaemon status` in a process of its own against `python -c pass` of the same interpreter.

Its table shows 20 runs, `--json` every run there is; the aim is for the table.
"""

import statistics
import sys
from contextlib import closing

from benchmarks.processes import SECDAEMON, run_to_its_end
from benchmarks.table import Row, milliseconds, show, spread, times
from secdaemon.config.paths import Home
from secdaemon.state.runs import newest_runs
from secdaemon.state.store import open_store

AIM = "at most 10x"


def measure(homes: dict[str, Home], rounds: int) -> None:
    """Alternate between an empty interpreter and `status` in each home."""
    commands: dict[str, tuple[str, ...]] = {"python -c pass": (sys.executable, "-c", "pass")}
    for name, home in homes.items():
        commands[f"status, {name}"] = (*SECDAEMON, "--home", str(home.root), "status")
    for command in commands.values():
        run_to_its_end(*command)
    took: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            took[name].append(run_to_its_end(*command))
    bare = statistics.median(took["python -c pass"])
    rows = [Row(name, spread(seconds, milliseconds)) for name, seconds in took.items()]
    for name in list(took)[1:]:
        ratio = statistics.median(took[name]) / bare
        rows.append(Row(f"{name}, against pass", times(ratio), AIM))
    for name, home in homes.items():
        rows.append(Row(f"status RUN, {name}", _asked(home, _newest(home))))
        rows.append(Row(f"status --json, {name}", _asked(home, "--json")))
    show("`secdaemon status`, a whole process", rows)


def _asked(home: Home, argument: str) -> str:
    """Return what `status` with one more argument takes."""
    command = (*SECDAEMON, "--home", str(home.root), "status", argument)
    return spread([run_to_its_end(*command) for _ in range(3)], milliseconds)


def _newest(home: Home) -> str:
    with closing(open_store(home)) as store:
        return newest_runs(store, 1)[0].id
