"""URL to code: how many requests of the sample services reach the handler that answers them.

The services lie under tests/pipeline/routes/services, one folder each with an `expected.json`:
rows of method, URL and the handler's name, null where no code of the service answers. A handler
has its name in a comment or a text, `h:NAME`; it is found where the mapped lines hold that name and
no other.
"""

import json
import re
import subprocess
import time
from pathlib import Path

import msgspec

from benchmarks.table import columns
from secdaemon.pipeline.routes.discover import routes_at
from secdaemon.pipeline.routes.match import Matcher

SERVICES = Path(__file__).parents[1] / "tests/pipeline/routes/services"
_NAME = re.compile(r"\bh:([\w.]+)")


class Service(msgspec.Struct, frozen=True):
    """What came of one service's requests."""

    name: str
    routes: int
    handled: int
    """Requests that code of the service answers."""
    mapped: int
    right: int
    found: int
    """Requests with a handler that were mapped, rightly or not."""
    seconds: float
    wrong: tuple[str, ...]
    """What is mapped wrongly or not at all, a line each."""


def committed(service: Path, folder: Path) -> str:
    """Commit a copy of a service in `folder` and return the commit."""
    folder.mkdir(parents=True)
    identity = ("-c", "user.name=B", "-c", "user.email=b@example.org")
    git = ("git", "-C", str(folder), *identity)
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "--work-tree", str(service.resolve()), "add", "-Af", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "service"], check=True)
    done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def measured(service: Path, work: Path) -> Service:
    """Map every request of a service's `expected.json`."""
    folder = work / service.name
    commit = committed(service, folder)
    began = time.perf_counter()
    routes = routes_at(folder, commit)
    seconds = time.perf_counter() - began
    rows = json.loads((service / "expected.json").read_text(encoding="utf-8"))
    matcher = Matcher(routes, [row[1] for row in rows])
    counts, wrong = dict.fromkeys(("handled", "mapped", "right", "found"), 0), []
    for method, url, expected, *_ in rows:
        found = matcher.find(method, url)
        names = None
        if found is not None and found.route.handler is not None:
            at = found.route.handler
            lines = (service / at.path).read_text(encoding="utf-8").splitlines()
            names = set(_NAME.findall("\n".join(lines[at.first - 1 : at.last])))
        right = names == {expected}
        counts["handled"] += expected is not None
        counts["mapped"] += names is not None
        counts["right"] += right
        counts["found"] += names is not None and expected is not None
        if not right and (expected or names is not None):
            got = f"{sorted(names)} by {found.words}" if names is not None and found else "nothing"
            wrong.append(f"{method} {url}: {expected or 'no handler'}, found {got}")
    return Service(service.name, len(routes.routes), **counts, seconds=seconds, wrong=tuple(wrong))


def measured_all(work: Path, services: Path = SERVICES) -> list[Service]:
    """Map the requests of every service in a folder."""
    return [measured(each.parent, work) for each in sorted(services.glob("*/expected.json"))]


def measure(work: Path) -> None:
    """Print the shares for each service and for all."""
    services = measured_all(work / "routes")
    rows = [_row(each) for each in services]
    sums = [
        sum(getattr(each, name) for each in services) for name in Service.__struct_fields__[1:7]
    ]
    rows.append(_row(Service("all", *sums, wrong=())))
    header = ("service", "routes", "right / mapped", "mapped / with a handler", "seconds")
    columns(
        "Routes (aims: 95 % of the mapped right, 80 % of those with a handler mapped)", header, rows
    )
    for each in services:
        for line in each.wrong:
            print(f"  {each.name}: {line}")


def _row(each: Service) -> tuple[str, ...]:
    return (
        each.name,
        str(each.routes),
        f"{each.right} / {each.mapped} = {each.right / max(1, each.mapped):.1%}",
        f"{each.found} / {each.handled} = {each.found / max(1, each.handled):.1%}",
        f"{each.seconds:.2f}",
    )
