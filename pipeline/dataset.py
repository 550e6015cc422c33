"""The project's data set: findings to examples, examples to splits."""

from pathlib import Path

import msgspec

from secdaemon.pipeline.context import code_around
from secdaemon.pipeline.examples import Example, Splits
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.from_findings import example_of
from secdaemon.pipeline.interface import Job
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.splits import split


class Dataset(msgspec.Struct, frozen=True):
    """A run's examples, their splits, and what was left out by reason."""

    examples: tuple[Example, ...]
    splits: Splits
    left_out: dict[str, int]


def build(job: Job) -> Dataset:
    """Make one example of each kept finding, with the code around it where there is a checkout.

    Raises:
        EndRun: skipped, where there are too few independent examples to split.
    """
    path = RunFolder(Path(job.run_dir)).findings
    findings = msgspec.json.Decoder(Finding).decode_lines(path.read_bytes())
    examples = tuple(
        example_of(finding, _code(job, finding), job.settings.stage2.quality_weight_multiplier)
        for finding in findings
    )
    return Dataset(examples, split(examples, job.settings.training.seed), {})


def _code(job: Job, finding: Finding) -> str | None:
    if job.source_dir is None or finding.path is None or finding.line is None:
        return None
    return code_around(Path(job.source_dir), job.origin.head_sha, finding.path, finding.line)
