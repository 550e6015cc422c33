"""Every model of a run side by side, from what was measured and kept in its folder."""

from pathlib import Path

import msgspec

from secdaemon.config.files import write_file
from secdaemon.pipeline.evaluation.cases import write_cases
from secdaemon.pipeline.evaluation.model import MODELS, Comparison
from secdaemon.pipeline.evaluation.tables import Measured, Resampling, SplitMeasured, compare
from secdaemon.pipeline.examples import read_splits
from secdaemon.pipeline.interface import Job, RetentionOutput
from secdaemon.pipeline.layout import RunFolder, StageFolder
from secdaemon.pipeline.training.evaluate import known_evaluation


def write(job: Job, output: RetentionOutput) -> Comparison:
    """Write the run's evaluation_results.json and model_evaluation/, and return the former.

    Of the models that are not in every run, those that the output speaks of are taken.

    Raises:
        OSError: the files cannot be written.
        ValueError: two models were not measured on the same examples of a split.
    """
    folder = RunFolder(Path(job.run_dir))
    there = {"base", "stage1", "stage2"}
    if output.healed is not None:
        there.add("healed")
    if output.champion is not None:
        there.add("champion")
    known, new = _split(folder.stage1, there), _split(folder.stage2, there)
    found = compare(
        {"stage1": known, "stage2": new},
        Resampling(job.settings.evaluation.bootstrap_samples, job.settings.training.seed),
        output.champion.run if output.champion else None,
    )
    write_cases(folder.cases, {"stage1": known, "stage2": new})
    text = msgspec.json.format(msgspec.json.encode(found), indent=2)
    write_file(folder.comparison, text + b"\n")
    return found


def _split(stage: StageFolder, there: set[str]) -> SplitMeasured:
    """Return the test split of a stage, and what is kept of each model on it."""
    models: dict[str, Measured] = {}
    for name in MODELS:
        found = known_evaluation(stage.evaluation / name) if name in there else None
        if found is not None:
            models[name] = found
    return SplitMeasured(read_splits(stage.data).test, models)
