"""The methods against forgetting, and a sweep of the replay ratio, on the embedded model.

Every seed has splits, a Stage 1 adapter and a Stage 2 order of its own; within a seed every
variant starts from the same Stage 1 adapter. Numbers are pooled over the seeds' test splits, with
the product's own bootstrap over groups (a group of one seed is another than that of the next).
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from benchmarks.table import columns
from benchmarks.variants import ABLATION, METHODS, REFERENCE, SEEDS, Found
from secdaemon.daemon.worker import environment
from secdaemon.pipeline.interface import Interval
from secdaemon.pipeline.training.paired import paired_difference
from secdaemon.pipeline.training.retention import judge
from secdaemon.pipeline.training.scores import Score

SAMPLES = 2_000
AT_ONCE = 2
"""Processes; each uses one core."""
METHODS_HEADER = (
    "method",
    "retention [95 %]",
    "by seed",
    "Stage 2 gain [95 %]",
    "keeps more than replay by",
    "learns more than replay by",
)

Scores = tuple[Score, ...]


def measure(folder: Path, *, quick: bool) -> None:
    """Train what `folder` does not hold yet, and print both tables."""
    seeds = SEEDS[:1] if quick else SEEDS
    methods = ("plain", REFERENCE) if quick else METHODS
    ablation = {} if quick else ABLATION
    names = list(dict.fromkeys((*methods, *ablation.values())))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda seed: _train(folder, seed, names), seeds))
    found = {name: [_read(folder, seed, name) for seed in seeds] for name in names}
    rows = [(name, *_cells(name, found)) for name in methods]
    columns(f"Forgetting, by method; seeds: {len(seeds)}", METHODS_HEADER, rows)
    if ablation:
        rows = [(ratio, *_cells(name, found)[:3]) for ratio, name in ablation.items()]
        header = ("replay ratio", *METHODS_HEADER[1:4])
        columns(f"Forgetting, by replay ratio; seeds: {len(seeds)}", header, rows)


def _train(folder: Path, seed: int, names: Sequence[str]) -> None:
    """Have a process of its own train and measure a seed's variants."""
    command = [sys.executable, "-m", "benchmarks.forget", str(folder), str(seed), *names]
    subprocess.run(
        command,
        env=environment("stage1", dict(os.environ)),
        stdout=subprocess.DEVNULL,
        check=True,
    )


def _read(folder: Path, seed: int, name: str) -> Found:
    return msgspec.json.decode((folder / f"{seed}-{name}.json").read_bytes(), type=Found)


def _cells(name: str, found: dict[str, list[Found]]) -> tuple[str, ...]:
    """Return what is told of a variant, the last two against the reference variant."""
    own, reference = found[name], found[REFERENCE]
    shares = [_retention([run]).value for run in own]
    known = [share for share in shares if share is not None]
    kept = _difference(reference, own, lambda run: run.stage2_known)
    learnt = _difference(reference, own, lambda run: run.stage2_new)
    return (
        _text(_retention(own)),
        f"{min(known):.2f} to {max(known):.2f}" if known else "undefined",
        _text(_gain(own)),
        "" if name == REFERENCE else _signed(kept),
        "" if name == REFERENCE else _signed(learnt),
    )


def _retention(runs: Sequence[Found]) -> Interval:
    result = judge(
        _pooled(runs, lambda run: run.base_known),
        _pooled(runs, lambda run: run.stage1_known),
        _pooled(runs, lambda run: run.stage2_known),
        threshold=0.9,
        bound="point",
        when_undefined="hold",
        samples=SAMPLES,
        seed=0,
    )
    return Interval(value=result.value, ci_low=result.ci_low, ci_high=result.ci_high)


def _gain(runs: Sequence[Found]) -> Interval:
    return paired_difference(
        _pooled(runs, lambda run: run.stage1_new),
        _pooled(runs, lambda run: run.stage2_new),
        samples=SAMPLES,
        seed=0,
    )


def _difference(
    one: Sequence[Found], other: Sequence[Found], of: Callable[[Found], Scores]
) -> Interval:
    """Return by how many nats a token the other's loss is lower."""
    return paired_difference(_pooled(one, of), _pooled(other, of), samples=SAMPLES, seed=0)


def _pooled(runs: Sequence[Found], of: Callable[[Found], Scores]) -> Scores:
    """Return the scores of all seeds, as of different examples and groups."""
    return tuple(
        msgspec.structs.replace(score, id=f"{seed}/{score.id}", group=f"{seed}/{score.group}")
        for seed, run in enumerate(runs)
        for score in of(run)
    )


def _text(interval: Interval) -> str:
    if interval.value is None or interval.ci_low is None:
        return "undefined"
    return f"{interval.value:.2f} [{interval.ci_low:.2f}, {interval.ci_high:.2f}]"


def _signed(interval: Interval) -> str:
    if interval.value is None or interval.ci_low is None:
        return "undefined"
    return f"{interval.value:+.3f} [{interval.ci_low:+.3f}, {interval.ci_high:+.3f}]"
