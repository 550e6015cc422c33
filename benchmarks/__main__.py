"""`python -m benchmarks [NAME…]`: every measure of the house, each with its aim, none a verdict.

Ratios are taken within one run, the two sides alternating, because machines are shared.
"""

import argparse
import os
import platform
import tempfile
from pathlib import Path

from benchmarks import (
    drop,
    examples,
    forgetting,
    generation,
    idle,
    intake,
    parsing,
    polling,
    public_data,
    routes,
    status,
    training,
    versions,
)
from benchmarks.homes import copy_home, home_of_many, home_of_one
from secdaemon.config import __version__
from secdaemon.config.paths import Home

NAMES = (
    "training",
    "generation",
    "status",
    "intake",
    "drop",
    "idle",
    "poll",
    "parsing",
    "forgetting",
    "routes",
    "public",
    "examples",
    "versions",
)
HOMES = frozenset(("status", "intake", "drop", "idle"))
"""What needs homes with runs in them."""
MANY = 10_000
FEW = 10


def main() -> None:
    """Measure what is named, else everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="fewer rounds, to see that it works")
    parser.add_argument(
        "--keep",
        metavar="DIR",
        type=Path,
        help="keep what `forgetting` trains in this folder, and take what stands there",
    )
    args = parser.parse_args()
    if unknown := set(args.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    names = args.names or list(NAMES)
    print(
        f"secdaemon {__version__}, Python {platform.python_version()}, {platform.platform()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory(prefix="secdaemon-bench-") as work:
        if "forgetting" in names:
            forgetting.measure(args.keep or Path(work) / "forgetting", quick=args.quick)
        if "routes" in names:
            routes.measure(Path(work))
        if "examples" in names:
            examples.measure(Path(work))
        if "versions" in names:
            versions.measure()
        if "public" in names:
            public_data.measure(Path(work), quick=args.quick)
        _measure(Path(work), names, quick=args.quick)


def _measure(work: Path, names: list[str], *, quick: bool) -> None:
    if "training" in names:
        training.measure(work, rounds=1 if quick else 5)
    if "generation" in names:
        generation.measure(work, rounds=1 if quick else 5)
    if "parsing" in names:
        parsing.measure(work, rounds=2 if quick else 5, quick=quick)
    if "poll" in names:
        polling.measure(work, quick=quick)
    if not set(names) & {"status", "idle", "drop", "intake"}:
        return
    few = 10 if quick else 20
    one = home_of_one(work / "one")
    count = MANY // 100 if quick else MANY
    many = home_of_many(one, work / "many", count)
    homes = {"1 run": one, f"{count:,} runs": many}
    if "status" in names:
        status.measure(homes, rounds=few)
    if "idle" in names:
        idle.measure(homes, seconds=5 if quick else 60)
    if "drop" in names:
        dropped = {name: copy_home(home, _beside(home, "drop")) for name, home in homes.items()}
        drop.measure(dropped, drops=2 if quick else 10)
    if "intake" in names:
        ten = home_of_many(one, work / "ten", FEW)
        beside = {f"{FEW} runs": ten, f"{count:,} runs": copy_home(many, _beside(many, "intake"))}
        intake.measure(beside, rounds=2 if quick else 7, zips=20)


def _beside(home: Home, suffix: str) -> Path:
    return home.root.with_name(f"{home.root.name}-{suffix}")


if __name__ == "__main__":
    main()
