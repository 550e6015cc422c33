"""The steps: name -> function.

Each reads a job, writes files under the run's folder and returns its output; each can be killed
anywhere and run again to the same end.

What is heavy is imported when its step is called, so that a light step stays light.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from secdaemon.pipeline.artifact import project_of
from secdaemon.pipeline.examples import Example, fingerprint, write_jsonl, write_splits
from secdaemon.pipeline.interface import (
    BuildOutput,
    EndRun,
    ExampleCounts,
    Job,
    ParseOutput,
    Report,
    RetentionOutput,
    Stage1Output,
    Stage2Output,
    StepOutput,
    UnpackOutput,
)
from secdaemon.pipeline.layout import RunFolder


def unpack(job: Job, report: Report) -> UnpackOutput:
    """Unpack the artifact into the run's work folder."""
    from secdaemon.pipeline.artifact import unpack as unpack_artifact

    target = RunFolder(Path(job.run_dir)).unpacked
    return unpack_artifact(Path(job.archive), target, job.settings.artifact)


def parse(job: Job, report: Report) -> ParseOutput:
    """Read every file of the artifact; write findings.jsonl and suppressed.jsonl."""
    from secdaemon.pipeline.findings.model import FileKind
    from secdaemon.pipeline.findings.parse import parse_folder

    folder = RunFolder(Path(job.run_dir))
    if not folder.unpacked.is_dir():
        unpack(job, report)
    found = parse_folder(folder.unpacked, bytes.fromhex(job.salt))
    if not any(file.kind in (FileKind.OK, FileKind.EMPTY) for file in found.files):
        errors = [f"{file.path}: {file.error}" for file in found.files if file.error]
        why = f" ({errors[0]})" if errors else ""
        msg = f"no scan that can be read in its {len(found.files)} files{why}"
        raise EndRun(state="rejected", reason=msg)
    write_jsonl(folder.findings, found.kept)
    write_jsonl(folder.suppressed, found.suppressed)
    output = ParseOutput(
        counts=found.counts,
        files=found.files,
        by_tool=found.by_tool,
        project=project_of(folder.unpacked),
    )
    if not found.kept:
        reason = "nothing to learn: the scans hold no findings"
        raise EndRun(state="skipped", reason=reason, output=output)
    return output


def build_dataset(job: Job, report: Report) -> BuildOutput:
    """Make the project's examples and split them."""
    from secdaemon.pipeline.augmentation.augment import VARIANT
    from secdaemon.pipeline.dataset import build

    built = build(job, report)
    splits = built.splits
    write_splits(RunFolder(Path(job.run_dir)).project_data, splits)
    output = BuildOutput(
        examples=ExampleCounts(
            train=len(splits.train), validation=len(splits.valid), test=len(splits.test)
        ),
        fingerprint=fingerprint(splits),
        by_category=_counted(built.examples, "category"),
        by_approach=_counted(built.examples, "approach"),
        by_quality=_counted(built.examples, "quality"),
        variants=sum(VARIANT in example.metadata for example in splits.train),
        left_out=built.left_out,
        dropped_fixes=built.dropped_fixes,
    )
    if not job.train:
        reason = "fine-tuning was not asked for"
        raise EndRun(state="skipped", reason=reason, output=output)
    if output.fingerprint == job.last_fingerprint:
        msg = f"nothing new to learn: the same training data as run {job.last_run}"
        raise EndRun(state="skipped", reason=msg, output=output)
    return output


def _counted(examples: Iterable[Example], key: str) -> dict[str, int]:
    """Return how many examples have each value of a metadata key, by name."""
    return dict(sorted(Counter(example.metadata[key] for example in examples).items()))


def stage1(job: Job, report: Report) -> Stage1Output:
    """Make or reuse the Stage 1 result."""
    from secdaemon.pipeline.stage1 import run

    return run(job, report)


def stage2(job: Job, report: Report) -> Stage2Output:
    """Train on the project's examples, from the Stage 1 adapter."""
    from secdaemon.pipeline.stage2 import run

    return run(job, report)


def retention(job: Job, report: Report) -> RetentionOutput:
    """Measure what is left of Stage 1, lay out the final model, and judge it."""
    from secdaemon.pipeline.verdict import run

    return run(job, report)


def publish(job: Job, report: Report) -> StepOutput:
    """Put the final model and its data where strangers see them."""
    from secdaemon.pipeline.publish import run

    return run(job, report)


STEPS: dict[str, Callable[[Job, Report], StepOutput]] = {
    "unpack": unpack,
    "parse": parse,
    "build_dataset": build_dataset,
    "stage1": stage1,
    "stage2": stage2,
    "retention": retention,
    "publish": publish,
}
