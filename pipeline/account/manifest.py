"""run-manifest.json: what a run made, from what, and what makes it again.

No text in it names a path of the computer it was made on.
"""

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import msgspec

from secdaemon.config import __version__
from secdaemon.config.files import write_file
from secdaemon.config.schema import Settings
from secdaemon.pipeline.account.manifest_check import check
from secdaemon.pipeline.account.manifest_model import (
    ArtifactRecord,
    Compared,
    DatasetStats,
    Manifest,
    Results,
    SettingsRecord,
    SourceRecord,
    SplitCounts,
    Stage1Record,
    Stage2Params,
    Stage2Record,
    TrainingParams,
    TrainingRecord,
)
from secdaemon.pipeline.account.portable import portable_job, portable_outputs
from secdaemon.pipeline.interface import (
    ExampleCounts,
    Job,
    Origin,
    Outputs,
    RetentionOutput,
    Stage1Output,
    Stage2Output,
    TrainingSummary,
)

__all__ = ["Manifest", "build_manifest", "check", "library_versions", "write"]

LIBRARIES = ("mlx", "mlx-lm", "transformers", "tokenizers", "datasets", "numpy")


def build_manifest(
    job: Job,
    outputs: Outputs,
    revisions: Mapping[str, str] | None = None,
    libraries: Mapping[str, str] | None = None,
) -> Manifest:
    """Return the manifest of a run that has both its stages behind it.

    Args:
        job: `now` becomes the timestamp.
        outputs: those of `parse` to `stage2` have to be there, `retention` may still be missing.
        revisions: further content hashes to name, beside those of Stage 1's sources.
        libraries: name -> version; those of this interpreter where None.

    Raises:
        ValueError: an output is missing.
    """
    outputs = portable_outputs(job, outputs)
    job = portable_job(job)
    parse, built, stage1, stage2 = (
        outputs.parse,
        outputs.build_dataset,
        outputs.stage1,
        outputs.stage2,
    )
    if parse is None or built is None or stage1 is None or stage2 is None:
        msg = f"{job.run_id}: a manifest needs the outputs of parse, build_dataset and both stages"
        raise ValueError(msg)
    judged = outputs.retention
    return Manifest(
        version="2.0",
        run_id=job.run_id,
        timestamp=job.now,
        base_model=job.settings.models.base,
        base_model_id=job.settings.models.base_id,
        pipeline_type="sequential",
        stage1=_stage1(job, outputs),
        stage2=_stage2(job, outputs),
        final_model_path="./final-model",
        metrics=_results(stage1, stage2, judged),
        retention=judged.retention if judged else None,
        gates=judged.gates if judged else (),
        healing=judged.healing if judged else (),
        remedy=judged.remedy if judged else None,
        champion_run=judged.champion.run if judged and judged.champion else None,
        findings=parse.counts,
        findings_by_tool=parse.by_tool,
        examples_by_category=built.by_category,
        examples_by_approach=built.by_approach,
        artifact=_artifact(job.origin),
        source=_source(job.origin),
        seeds=_seeds(job.settings.training.seed),
        data_fingerprints={"project_examples": built.fingerprint, "stage1": stage1.fingerprint},
        data_revisions={**stage1.revisions, **(revisions or {})},
        settings=_settings(job.settings),
        libraries=dict(library_versions() if libraries is None else libraries),
    )


def _results(stage1: Stage1Output, stage2: Stage2Output, judged: RetentionOutput | None) -> Results:
    healed, champion = (judged.healed, judged.champion) if judged else (None, None)
    return Results(
        stage1_test=Compared(
            base=stage1.base_metrics,
            stage1=stage1.metrics,
            stage2=judged.stage1_test if judged else None,
            healed=healed.stage1_test if healed else None,
            champion=champion.stage1_test if champion else None,
        ),
        stage2_test=Compared(
            base=stage2.base_metrics,
            stage1=stage2.baseline,
            stage2=stage2.metrics,
            healed=healed.stage2_test if healed else None,
            champion=champion.stage2_test if champion else None,
        ),
    )


def _artifact(origin: Origin) -> ArtifactRecord:
    return ArtifactRecord(
        kind=origin.kind,
        trust="github-trusted" if origin.kind == "github" else "by-hand",
        name=origin.name,
        sha256=origin.sha256,
        size=origin.size,
    )


def _source(origin: Origin) -> SourceRecord:
    return SourceRecord(
        repository=origin.repository,
        commit=origin.head_sha,
        branch=origin.branch,
        workflow=origin.workflow,
        workflow_run_id=origin.workflow_run_id,
        run_attempt=origin.run_attempt,
        actor=origin.actor,
        url=origin.url,
    )


def _stage1(job: Job, outputs: Outputs) -> Stage1Record:
    assert outputs.stage1 is not None
    made, wanted = outputs.stage1, job.settings.stage1
    return Stage1Record(
        **_paths("stage1"),
        training_params=TrainingParams(
            learning_rate=wanted.learning_rate,
            batch_size=job.settings.training.batch_size,
            num_iters=wanted.iterations,
            quality_weight_multiplier=1.0,
        ),
        dataset_stats=_stats(wanted.sources, made.examples, made.left_out, own=0),
        training=_training(made.training),
        fingerprint=made.fingerprint,
        reused=made.reused,
        created_at=made.created_at,
    )


def _stage2(job: Job, outputs: Outputs) -> Stage2Record:
    assert outputs.stage2 is not None
    assert outputs.parse is not None
    made, wanted = outputs.stage2, job.settings.stage2
    return Stage2Record(
        **_paths("stage2"),
        training_params=Stage2Params(
            learning_rate=wanted.learning_rate,
            batch_size=job.settings.training.batch_size,
            num_iters=wanted.iterations,
            quality_weight_multiplier=wanted.quality_weight_multiplier,
            resume_from_stage1=True,
            stage1_replay_ratio=wanted.replay_ratio if "replay" in wanted.method else 0.0,
            method=wanted.method,
        ),
        dataset_stats=_stats(
            tuple(outputs.parse.by_tool), made.examples, made.left_out, own=made.examples.train
        ),
        training=_training(made.training),
    )


def _paths(stage: str) -> dict[str, str]:
    return {
        "adapters_path": f"./{stage}/adapters",
        "training_data_path": f"./{stage}/training-data",
        "evaluation_results_path": f"./{stage}/evaluation",
    }


def _stats(
    sources: tuple[str, ...], examples: ExampleCounts, left_out: dict[str, int], own: int
) -> DatasetStats:
    return DatasetStats(
        sources=sources,
        splits=SplitCounts(
            train=examples.train, validation=examples.validation, test=examples.test
        ),
        webauthn_examples=own,
        stage1_replay_examples=examples.replay,
        total_train_examples=examples.train + examples.replay,
        left_out=left_out,
    )


def _training(summary: TrainingSummary) -> TrainingRecord:
    """Leave out what differs between two runs that end alike: time, and where it was resumed."""
    return TrainingRecord(
        **{name: getattr(summary, name) for name in TrainingRecord.__struct_fields__}
    )


def _seeds(seed: int) -> dict[str, int]:
    """Return every seed, all of them made from training.seed."""
    return {
        "training.seed": seed,
        "splits": seed,
        "replay": seed,
        "stage1": seed,
        "stage2": seed + 1,
        "evaluation": seed,
        "bootstrap": seed,
    }


def _settings(all_settings: Settings) -> SettingsRecord:
    return SettingsRecord(
        **{name: getattr(all_settings, name) for name in SettingsRecord.__struct_fields__}
    )


def library_versions() -> dict[str, str]:
    """Return the versions of what decides a training's bytes, where it is installed."""
    found = {"secdaemon": __version__}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found["python"] = platform.python_version()
    found["platform"] = f"{platform.system()} {platform.machine()}"
    return found


def write(manifest: Manifest, path: Path) -> None:
    """Write the manifest, indented, all of it or nothing.

    Raises:
        OSError: the folder cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    write_file(path, text + b"\n")
