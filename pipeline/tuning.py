"""A bounded search for better Stage 2 settings: `secdaemon tune`.

Successive halving (Jamieson and Talwalkar, arXiv:1502.07943): all candidates train a little, the
better half twice as long, and so on to one. They are judged on the validation splits, so that the
test splits still know nothing of the choice. The settings in use are always among the candidates.

Everything lies below one folder, is made from the job and the seed alone, and is measured and
trained once: a search that was stopped goes on where it was.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from secdaemon.pipeline.examples import Example, read_splits
from secdaemon.pipeline.interface import EndRun, Interval, Job, Report
from secdaemon.pipeline.layout import RunFolder, StageFolder
from secdaemon.pipeline.measure import Split, measure
from secdaemon.pipeline.stage2 import train_from_stage1
from secdaemon.pipeline.training.base_model import base_folder
from secdaemon.pipeline.training.paired import UNDEFINED, paired_difference
from secdaemon.pipeline.training.retention import judge
from secdaemon.pipeline.training.scores import Score
from secdaemon.pipeline.training.widen import widen

SPREAD = 10.0
"""Rates are drawn between a tenth and ten times the one in use, evenly by their logarithm."""
REPLAYS = (0.05, 0.15, 0.3, 0.5)
WIDTHS = (1, 2, 4)
"""Ranks, as multiples of Stage 1's, whose adapter the training starts from."""
LEAST_ITERATIONS = 8


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate's settings."""

    learning_rate: float
    replay_ratio: float
    rank: int


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate after one training."""

    choice: Choice
    current: bool
    """Whether these are the settings in use."""
    iterations: int
    gain: Interval
    """How much lower than Stage 1's its loss on the project's validation split is, in nats."""
    retention: float | None
    """Of Stage 1's gain, on Stage 1's validation split; null where it is undefined."""
    keeps: bool
    """Whether retention, where it is defined, reaches its threshold; it decides by the point."""
    diverged: bool = False


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a search found; nothing is written to the settings by it."""

    run: str
    trials: tuple[Trial, ...]
    """In the order they were made."""
    proposal: Choice | None
    """Better than the settings in use after as many iterations; null where nothing was."""
    evidence: str


def search(job: Job, into: Path, count: int, report: Report) -> Search:
    """Search among `count` candidates, those in use included.

    Raises:
        StopRequested: by way of `report`; the same call goes on from there.
        PermanentError: the base model or Stage 1's adapter is not whole.
        OSError: a folder cannot be read or written.
    """
    bench = _Bench(job, into, report)
    left = candidates(job, count)
    rounds = max(1, math.ceil(math.log2(len(left)))) if len(left) > 1 else 1
    trials: list[Trial] = []
    last: list[Trial] = []
    for number in range(rounds):
        asked = job.settings.stage2.iterations // 2 ** (rounds - 1 - number)
        last = [bench.trial(choice, max(asked, LEAST_ITERATIONS)) for choice in left]
        trials += last
        left = [trial.choice for trial in ranked(last)][: max(2, math.ceil(len(left) / 2))]
        left = [*dict.fromkeys((*left, bench.current))]
    return msgspec.structs.replace(conclude(job.run_id, last), trials=tuple(trials))


def candidates(job: Job, count: int) -> list[Choice]:
    """Return the settings in use and `count - 1` others, drawn by the training seed."""
    settings = job.settings
    used = _used(job)
    random = np.random.default_rng([settings.training.seed, 0x7E])
    found = [used]
    while len(found) < max(1, count):
        factor = SPREAD ** random.uniform(-1.0, 1.0)
        found.append(
            Choice(
                learning_rate=min(1.0, float(f"{used.learning_rate * factor:.2g}")),
                replay_ratio=float(random.choice(REPLAYS)),
                rank=used.rank * int(random.choice(WIDTHS)),
            )
        )
    return list(dict.fromkeys(found))


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials, the best first: those that keep Stage 1, by their gain."""

    def key(trial: Trial) -> tuple[bool, bool, float]:
        value = trial.gain.value
        return trial.diverged, not trial.keeps, math.inf if value is None else -value

    return sorted(trials, key=key)


def _used(job: Job) -> Choice:
    stage2 = job.settings.stage2
    ratio = stage2.replay_ratio if "replay" in stage2.method else 0.0
    return Choice(
        learning_rate=stage2.learning_rate, replay_ratio=ratio, rank=job.settings.lora.rank
    )


class _Bench:
    """What all trials share: the splits, and what base and Stage 1 score on them."""

    def __init__(self, job: Job, into: Path, report: Report) -> None:
        self._job, self._into, self._report = job, into, report
        self._folder = RunFolder(Path(job.run_dir))
        self._base = base_folder(job.settings.models)
        self._known = read_splits(self._folder.stage1.data).valid
        self._new = read_splits(self._folder.project_data).valid
        self.current = _used(job)
        stage1 = self._folder.stage1.adapters
        self._base_known = self._scores("base-known", self._known, None)
        self._stage1_known = self._scores("stage1-known", self._known, stage1)
        self._stage1_new = self._scores("stage1-new", self._new, stage1)

    def trial(self, choice: Choice, iterations: int) -> Trial:
        """Train a candidate for so many iterations and judge it."""
        name = f"{choice.learning_rate:g}-{choice.replay_ratio:g}-{choice.rank}-{iterations}"
        into = StageFolder(self._into / name)
        try:
            train_from_stage1(
                self._asked(choice, iterations), into, self._report, self._start(choice)
            )
        except EndRun:
            return Trial(
                choice=choice,
                current=choice == self.current,
                iterations=iterations,
                gain=UNDEFINED,
                retention=None,
                keeps=False,
                diverged=True,
            )
        known = self._scores(f"{name}/known", self._known, into.adapters)
        new = self._scores(f"{name}/new", self._new, into.adapters)
        settings = self._job.settings
        samples, seed = settings.evaluation.bootstrap_samples, settings.training.seed
        kept = judge(
            self._base_known,
            self._stage1_known,
            known,
            threshold=settings.retention.threshold,
            bound="point",
            when_undefined="pass",
            samples=samples,
            seed=seed,
        )
        return Trial(
            choice=choice,
            current=choice == self.current,
            iterations=iterations,
            gain=paired_difference(self._stage1_new, new, samples=samples, seed=seed),
            retention=kept.value,
            keeps=kept.passed,
        )

    def _asked(self, choice: Choice, iterations: int) -> Job:
        """Return the job with a candidate's settings."""
        replace, settings = msgspec.structs.replace, self._job.settings
        method = settings.stage2.method
        stage2 = replace(
            settings.stage2,
            iterations=iterations,
            learning_rate=choice.learning_rate,
            replay_ratio=choice.replay_ratio,
            method=method if "replay" in method or not choice.replay_ratio else (*method, "replay"),
        )
        lora = replace(settings.lora, rank=choice.rank)
        return replace(self._job, settings=replace(settings, stage2=stage2, lora=lora))

    def _start(self, choice: Choice) -> Path:
        """Return Stage 1's adapter in a candidate's rank."""
        factor = choice.rank // self.current.rank
        source = self._folder.stage1.adapters
        if factor == 1:
            return source
        wide = self._into / f"stage1-rank-{choice.rank}"
        if not wide.is_dir():
            widen(source, factor, wide)
        return wide

    def _scores(
        self, name: str, examples: Sequence[Example], adapter: Path | None
    ) -> tuple[Score, ...]:
        settings = self._job.settings
        silent = msgspec.structs.replace(settings.evaluation, generate_examples=0)
        job = msgspec.structs.replace(
            self._job, settings=msgspec.structs.replace(settings, evaluation=silent)
        )
        split = Split(examples, self._into / "evaluation")
        return measure(job, split, name, self._base, adapter, self._report).scores


def conclude(run: str, last: Sequence[Trial]) -> Search:
    """Propose the best of the last round, of which what is in use is one, where it is better."""
    best = ranked(last)[0]
    used = next(trial for trial in last if trial.current)
    proposal = None
    if best.current or best.gain.value is None or not best.keeps:
        evidence = "nothing that was tried is better than the settings in use"
    else:
        proposal = best.choice
        evidence = (
            f"after {best.iterations} iterations its loss on the validation split is "
            f"{best.gain.text} nats per token below Stage 1's, that of the settings in use "
            f"{used.gain.text if used.gain.value is not None else 'not finite'}"
        )
        if used.gain.value is not None and best.gain.ci_low is not None:
            overlap = best.gain.ci_low <= used.gain.value
            evidence += "; the intervals overlap, so that it may be chance" if overlap else ""
    return Search(run=run, trials=tuple(last), proposal=proposal, evidence=evidence)
