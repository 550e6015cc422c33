"""The project's data set: findings to examples, examples to splits."""

import logging
from pathlib import Path

import msgspec

from secdaemon.pipeline.augmentation.augment import augment
from secdaemon.pipeline.example_maker import ExampleMaker
from secdaemon.pipeline.examples import Example, Splits
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.interface import Job, Progress, Report
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.past.corpus import merge
from secdaemon.pipeline.splitting.leaks import check
from secdaemon.pipeline.splitting.splits import split_with_caution

log = logging.getLogger(__name__)


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """What a run's Stage 2 may learn from, its splits, and what was left out by reason."""

    examples: tuple[Example, ...]
    splits: Splits
    """The training split has variants of its examples too."""
    left_out: dict[str, int]
    dropped_fixes: dict[str, int]
    """Fixes that were proposed and not good enough: `approach: reason` -> how many."""


def _unheard(progress: Progress) -> None:
    """Report to nobody."""


def build(job: Job, report: Report = _unheard) -> Dataset:
    """Make the examples of each kept finding, and take along what earlier runs of the project have.

    Raises:
        EndRun: skipped, where there are too few independent examples to split.
        PermanentError: the splits leak; a model that is to propose fixes cannot be loaded.
    """
    folder = RunFolder(Path(job.run_dir))
    findings, suppressed = _read(folder.findings), _read(folder.suppressed)
    maker = ExampleMaker(job, findings, suppressed)
    own = maker.examples(findings, report)
    known = merge(job, findings, suppressed, own, maker.learned, maker.plain)
    return Dataset(
        examples=known.examples,
        splits=_split(known.examples, job),
        left_out=known.left_out,
        dropped_fixes=dict(sorted(maker.dropped.items())),
    )


def _split(examples: tuple[Example, ...], job: Job) -> Splits:
    """Return the splits, that nothing leaks across, with the variants of training examples."""
    seed = job.settings.training.seed
    splits, caution = split_with_caution(examples, seed)
    check(splits)
    if caution:
        log.warning("the project's data: %s", caution)
    held_out = (*splits.valid, *splits.test)
    train = augment(splits.train, job.settings.stage2.augmentation, seed, held_out)
    return msgspec.structs.replace(splits, train=train)


def _read(path: Path) -> list[Finding]:
    return msgspec.json.Decoder(Finding).decode_lines(path.read_bytes())
