"""One model on one split, by the job's settings; measured once and kept."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.interface import Job, Report
from secdaemon.pipeline.training.evaluate import Evaluation, evaluate


class Split(msgspec.Struct, frozen=True):
    """A test split, and the folder under which its measurements are kept by model."""

    examples: Sequence[Example]
    evaluation: Path


def measure(  # noqa: PLR0917 - what a measurement is made of
    job: Job, split: Split, model: str, base: Path, adapter: Path | None, report: Report
) -> Evaluation:
    """Return the scores of one model, called as in `evaluation.model.MODELS`, on one split."""
    return evaluate(
        base,
        adapter,
        split.examples,
        evaluation=job.settings.evaluation,
        training=job.settings.training,
        seed=job.settings.training.seed,
        out=split.evaluation / model,
        report=report,
    )
