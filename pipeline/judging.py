"""What every candidate for the final model is held against, and the quality gates' say on it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from secdaemon.pipeline.evaluation.tables import specialisation
from secdaemon.pipeline.examples import Example, read_jsonl, read_splits
from secdaemon.pipeline.interface import (
    Champion,
    Gate,
    Interval,
    Job,
    PermanentError,
    Report,
    RetentionResult,
)
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.measure import Split, measure
from secdaemon.pipeline.training import comparisons
from secdaemon.pipeline.training.base_model import base_folder, weights_hash
from secdaemon.pipeline.training.evaluate import Evaluation
from secdaemon.pipeline.training.paired import paired_difference
from secdaemon.pipeline.training.retention import judge
from secdaemon.pipeline.training.scores import Score

BASE_REVISION = "base model"
"""How the manifest calls the hash of the base model's weights."""


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One model on both test splits, and what the quality gates say."""

    known: Evaluation
    """On Stage 1's test split."""
    new: Evaluation
    """On Stage 2's."""
    retention: RetentionResult
    improvement: Interval
    gates: tuple[Gate, ...]

    @property
    def failed(self) -> tuple[Gate, ...]:
        """The gates that say no."""
        return tuple(gate for gate in self.gates if not gate.passed)

    @property
    def keeps_both(self) -> bool:
        """Whether it knows enough of either stage, whatever the other gates say."""
        return not {gate.name for gate in self.failed} & {
            "retention",
            "edited_tokens",
            "improvement",
        }


class Reigning(msgspec.Struct, frozen=True):
    """The last published adapter: what it scores, or why it is not compared."""

    found: Champion | None
    scores: tuple[Score, ...] = ()
    """On those examples of the Stage 2 test split that it was not trained on."""
    why_not: str = ""


class _Revisions(msgspec.Struct, frozen=True):
    """The part of a run-manifest.json that names the base model's weights."""

    data_revisions: dict[str, str] = {}


class Bench:
    """A run's test splits, and what the base, Stage 1 and the champion score on them."""

    def __init__(self, job: Job, report: Report) -> None:
        """Measure what candidates are held against, or read what was measured before."""
        self._job = job
        self._report = report
        self.folder = RunFolder(Path(job.run_dir))
        self.base = base_folder(job.settings.models)
        self.known = Split(read_splits(self.folder.stage1.data).test, self.folder.stage1.evaluation)
        self.new = Split(read_splits(self.folder.stage2.data).test, self.folder.stage2.evaluation)
        stage1 = self.folder.stage1.adapters
        self._base_known = self._measure(self.known, "base", None)
        self._stage1_known = self._measure(self.known, "stage1", stage1)
        self._stage1_new = self._measure(self.new, "stage1", stage1)
        self.reigning = self._reigning()

    def judge(self, adapter: Path, name: str) -> Judgement:
        """Measure an adapter in full, beside the other models, and judge it."""
        return self._judged(
            self._measure(self.known, name, adapter), self._measure(self.new, name, adapter)
        )

    def probe(self, adapter: Path, evaluation: Path) -> Judgement:
        """Judge an adapter as `judge` does, by the same scores, but generate nothing."""
        settings = self._job.settings
        silent = msgspec.structs.replace(settings.evaluation, generate_examples=0)
        job = msgspec.structs.replace(
            self._job, settings=msgspec.structs.replace(settings, evaluation=silent)
        )
        found = [
            measure(job, Split(split.examples, evaluation), name, self.base, adapter, self._report)
            for split, name in ((self.known, "stage1-test"), (self.new, "stage2-test"))
        ]
        return self._judged(*found)

    def _measure(self, split: Split, name: str, adapter: Path | None) -> Evaluation:
        return measure(self._job, split, name, self.base, adapter, self._report)

    def _judged(self, known: Evaluation, new: Evaluation) -> Judgement:
        settings = self._job.settings
        samples, seed = settings.evaluation.bootstrap_samples, settings.training.seed
        found = judge(
            self._base_known.scores,
            self._stage1_known.scores,
            known.scores,
            threshold=settings.retention.threshold,
            bound=settings.retention.bound,
            when_undefined=settings.retention.when_undefined,
            samples=samples,
            seed=seed,
        )
        before = self._stage1_new.scores
        gates = [
            Gate(name="retention", passed=found.passed, quality=True, detail=found.reason),
            comparisons.edited_tokens(
                self._base_known.scores, known.scores, samples=samples, seed=seed
            ),
            comparisons.improvement(before, new.scores, samples=samples, seed=seed)
            if settings.gates.improvement
            else None,
            self._against_champion(new.scores),
            self._specialised(known, new) if settings.gates.specialisation else None,
        ]
        return Judgement(
            known=known,
            new=new,
            retention=found,
            improvement=paired_difference(before, new.scores, samples=samples, seed=seed),
            gates=tuple(gate for gate in gates if gate is not None),
        )

    def _against_champion(self, scores: Sequence[Score]) -> Gate | None:
        """Return the champion's gate, None where there is no champion or it is not asked for."""
        settings, reigning = self._job.settings, self.reigning
        if reigning is None or not settings.gates.champion:
            return None
        if reigning.found is None:
            return Gate(name="champion", passed=True, quality=True, detail=reigning.why_not)
        ids = {score.id for score in reigning.scores}
        return comparisons.champion(
            reigning.scores,
            [score for score in scores if score.id in ids],
            run=reigning.found.run,
            samples=settings.evaluation.bootstrap_samples,
            seed=settings.training.seed,
        )

    def _specialised(self, known: Evaluation, new: Evaluation) -> Gate:
        categories = {
            example.id: example.metadata.get("category", "") for example in self.new.examples
        }
        found = specialisation(self._stage1_known.scores, known.scores, new.scores, categories)
        return comparisons.specialised(found, self._job.settings.gates)

    def _reigning(self) -> Reigning | None:
        """Measure the champion; None where there is none."""
        job = self._job
        if job.champion is None or job.champion_run is None:
            return None
        adapter = Path(job.champion)
        why_not = f"not compared with run {job.champion_run}, the last published one: "
        if _base_of(adapter) != weights_hash(self.base):
            return Reigning(None, why_not=f"{why_not}its model is of another base model")
        try:
            known = self._measure(self.known, "champion", adapter)
            new = self._measure(self.new, "champion", adapter)
        except PermanentError as error:
            return Reigning(None, why_not=f"{why_not}{error}")
        seen = {example.group for example in _training_data(adapter)}
        return Reigning(
            Champion(run=job.champion_run, stage1_test=known.metrics, stage2_test=new.metrics),
            tuple(score for score in new.scores if score.group not in seen),
        )


def _base_of(adapter: Path) -> str | None:
    """Return the hash of the base model that a final model's manifest names, where it has one."""
    try:
        text = (adapter.parent / "run-manifest.json").read_bytes()
        return msgspec.json.decode(text, type=_Revisions).data_revisions.get(BASE_REVISION)
    except (OSError, msgspec.DecodeError):
        return None


def _training_data(adapter: Path) -> tuple[Example, ...]:
    """Return the project's examples that the run of a final model was trained and tuned on."""
    data = RunFolder(adapter.parents[1]).project_data
    paths = (data / "train.jsonl", data / "valid.jsonl")
    return tuple(example for path in paths if path.is_file() for example in read_jsonl(path))
