"""Polling GitHub, on the loopback: what 20 unchanged repositories cost, and 1,000 polls in memory.

The server is that of the tests; the client is a process of its own, with nothing else in it.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.homes import new_home
from benchmarks.processes import clean_environment
from benchmarks.table import Row, milliseconds, show, spread
from secdaemon.state.store import open_store

SERVERS = Path(__file__).resolve().parents[1] / "tests" / "servers"
REPOSITORIES = 20
RUNS = 100
POLLS = 1000
PARTS = (0.1, 0.5)
"""After these shares of the polls memory is looked at."""

CLIENT = """
import json, sys, time
from pathlib import Path
from benchmarks.processes import usage
from secdaemon.config.paths import Home
from secdaemon.config.settings import load_settings
from secdaemon.daemon.github.watch import poll_all
import os

home = Home(root=Path(sys.argv[1]), chosen=True)
rounds = int(sys.argv[2])
settings = load_settings(home, environ={})
for number in range(rounds + 1):
    begun = time.perf_counter()
    found = poll_all(home, settings)
    passed = time.perf_counter() - begun
    assert all(item.ok for item in found), [item.problem for item in found]
    print(json.dumps([passed, usage(os.getpid()).resident_bytes]), flush=True)
    sys.stdin.readline()
"""


def measure(work: Path, *, quick: bool) -> None:
    """Poll all repositories once for their runs, and then until a thousand polls are made."""
    sys.path.insert(0, str(SERVERS))
    from github_hosts import serving

    with serving() as github:
        home = new_home(work / "polling", _settings(github))
        # Migrating imports pandas, where it is installed: once in the life of a home, not here.
        open_store(home).close()
        rounds = (100 if quick else POLLS) // REPOSITORIES
        seconds, resident, statuses = _poll(home.root, rounds, github)
    grown = [(resident[-1] - resident[int(rounds * part)]) / 1e6 for part in PARTS]
    asked = sum(statuses.values()) / rounds
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    title = f"{REPOSITORIES} unchanged repositories of {RUNS} runs each, {rounds} times"
    rows = (
        Row("requests a round", f"{asked:.1f}", f"{REPOSITORIES}"),
        Row("answers", answers, "all 304"),
        Row("a round", spread(seconds, milliseconds)),
        Row("resident memory at the end", f"{resident[-1] / 1e6:.1f} MB"),
        *(
            Row(f"gained since {part:.0%} of the polls", f"{gain:+.2f} MB", "nothing")
            for part, gain in zip(PARTS, grown, strict=True)
        ),
    )
    show(title, rows)


def _settings(github: Any) -> str:
    """Fill the server and return settings that watch all of it."""
    from github_server import Run

    names = [f"owner/repo{number}" for number in range(REPOSITORIES)]
    for name in names:
        github.add(name, *(Run(number, second=number) for number in range(1, RUNS + 1)))
    items = ", ".join(f"{{name: {name}}}" for name in names)
    return f"github: {{api_url: '{github.api}', repositories: [{items}]}}\n"


def _poll(root: Path, rounds: int, github: Any) -> tuple[list[float], list[int], Counter[int]]:
    """Return each round's seconds, the memory after it, and the answers by status."""
    import json

    found: list[tuple[float, int]] = []
    statuses: Counter[int] = Counter()
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(root), str(rounds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[1],
        env=clean_environment() | {"GITHUB_TOKEN": github.token, "PATH": os.environ["PATH"]},
    ) as process:
        assert process.stdin
        assert process.stdout
        for number in range(rounds + 1):
            seconds, resident = json.loads(process.stdout.readline())
            answers = Counter(seen.status for seen in github.requests())
            if number:
                found.append((seconds, resident))
                statuses += answers
            process.stdin.write("\n")
            process.stdin.flush()
    return [seconds for seconds, _ in found], [resident for _, resident in found], statuses
