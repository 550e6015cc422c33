"""`secdaemon status` in a process of its own against `python -c pass` of the same interpreter.

Its table shows 20 runs; `--json` shows every run there is, which no aim covers.
"""

import statistics
import sys

from benchmarks.processes import SECDAEMON, run_to_its_end
from benchmarks.table import Row, milliseconds, show, spread, times
from secdaemon.config.paths import Home

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
        every = [
            run_to_its_end(*SECDAEMON, "--home", str(home.root), "status", "--json")
            for _ in range(3)
        ]
        rows.append(Row(f"status --json, {name}", spread(every, milliseconds)))
    show("`secdaemon status`, a whole process", rows)
