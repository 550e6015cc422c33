"""Stage 2: training on the project's own examples with Stage 1 replay, from the Stage 1 adapter."""

from pathlib import Path

from secdaemon.pipeline.augmentation.augment import VARIANT
from secdaemon.pipeline.examples import Example, Splits, read_jsonl, read_splits, write_splits
from secdaemon.pipeline.interface import ExampleCounts, Job, Report, Stage2Output, TrainingSummary
from secdaemon.pipeline.layout import RunFolder, StageFolder
from secdaemon.pipeline.measure import Split, measure
from secdaemon.pipeline.splitting.leaks import check_replay
from secdaemon.pipeline.splitting.splits import free_of, replay, replay_count
from secdaemon.pipeline.training.base_model import base_folder
from secdaemon.pipeline.training.forgetting import NEEDS_KNOWN
from secdaemon.pipeline.training.train import TrainSpec, train


def run(job: Job, report: Report) -> Stage2Output:
    """Mix, measure what is to be beaten, train, and measure again."""
    folder = RunFolder(Path(job.run_dir))
    base = base_folder(job.settings.models)
    project = read_splits(folder.project_data)
    test = Split(project.test, folder.stage2.evaluation)
    untuned = measure(job, test, "base", base, None, report)
    baseline = measure(job, test, "stage1", base, folder.stage1.adapters, report)
    training, replayed = train_from_stage1(job, folder.stage2, report)
    tuned = measure(job, test, "stage2", base, folder.stage2.adapters, report)
    return Stage2Output(
        base_metrics=untuned.metrics,
        baseline=baseline.metrics,
        metrics=tuned.metrics,
        examples=ExampleCounts(
            train=len(project.train),
            validation=len(project.valid),
            test=len(project.test),
            replay=replayed,
        ),
        left_out=training.left_out,
        training=training,
    )


def train_from_stage1(
    job: Job, into: StageFolder, report: Report, start: Path | None = None
) -> tuple[TrainingSummary, int]:
    """Mix and train by the job's `stage2` settings, from the Stage 1 adapter of its run.

    Data, adapter and losses go below `into`; `start` is another form of the Stage 1 adapter.
    Returns what the training did, and how many Stage 1 examples were replayed in it.
    """
    folder = RunFolder(Path(job.run_dir))
    project, replayed = mix(job, folder)
    splits = Splits((*project.train, *replayed), project.valid, project.test)
    write_splits(into.data, splits)
    training = train(
        TrainSpec(
            model_dir=base_folder(job.settings.models),
            folder=into.root,
            train=splits.train,
            valid=splits.valid,
            iterations=job.settings.stage2.iterations,
            learning_rate=job.settings.stage2.learning_rate,
            training=job.settings.training,
            lora=job.settings.lora,
            seed=job.settings.training.seed + 1,
            resume_adapter=start or folder.stage1.adapters,
            against_forgetting=job.settings.stage2,
            known=known_examples(job, folder),
        ),
        report,
    )
    return training, len(replayed)


def mix(job: Job, folder: RunFolder) -> tuple[Splits, tuple[Example, ...]]:
    """Return the project's splits, and the Stage 1 training examples that are replayed.

    Their number is a share of the project's own training examples, variants not counted.

    Raises:
        PermanentError: a replayed example would give away one that the project is measured with.
    """
    project = read_splits(folder.project_data)
    if "replay" not in job.settings.stage2.method:
        return project, ()
    known = read_jsonl(folder.stage1.data / "train.jsonl")
    own = sum(VARIANT not in example.metadata for example in project.train)
    count = replay_count(job.settings.stage2.replay_ratio, own, len(known))
    held_out = (*project.valid, *project.test)
    replayed = replay(known, count, job.settings.training.seed, held_out)
    check_replay(replayed, project)
    return project, replayed


def known_examples(job: Job, folder: RunFolder) -> tuple[Example, ...]:
    """Return Stage 1's training examples where a method against forgetting asks for them.

    Without those that the project's validation and test splits are bound to.
    """
    if NEEDS_KNOWN.isdisjoint(job.settings.stage2.method):
        return ()
    project = read_splits(folder.project_data)
    known = read_jsonl(folder.stage1.data / "train.jsonl")
    return tuple(free_of(known, (*project.valid, *project.test)))
