"""What stands in run-manifest.json, version 2.0, part by part.

The names of the sequential plan stand exactly as it has them: version, run_id, timestamp,
base_model, pipeline_type, stage1, stage2, final_model_path; every path is relative to the run
directory.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from secdaemon.config import schema
from secdaemon.pipeline.findings.model import Counts
from secdaemon.pipeline.interface import Gate, HealingAttempt, Metrics, RetentionResult

Count = Annotated[int, Meta(ge=0)]
Relative = Annotated[str, Meta(pattern=r"^\./[^/].*$")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the manifest; every field of it is required."""


class SplitCounts(_Record, frozen=True):
    """Examples by split, without replay."""

    train: Count
    validation: Count
    test: Count


class DatasetStats(_Record, frozen=True):
    """What a stage was trained on: total_train = splits.train + stage1_replay."""

    sources: tuple[str, ...]
    splits: SplitCounts
    webauthn_examples: Count
    """Training examples of the project itself; 0 in Stage 1."""
    stage1_replay_examples: Count
    total_train_examples: Count
    left_out: dict[str, int]


class TrainingParams(_Record, frozen=True):
    """What Stage 1 was asked to train with."""

    learning_rate: float
    batch_size: int
    num_iters: int
    quality_weight_multiplier: float


class Stage2Params(TrainingParams, frozen=True):
    """What Stage 2 was asked to train with."""

    resume_from_stage1: bool
    stage1_replay_ratio: float
    """0 where replay is not among the methods."""
    method: tuple[str, ...]
    """Against forgetting Stage 1."""


class TrainingRecord(_Record, frozen=True):
    """What a training did; losses in nats per assistant token."""

    iterations: Count
    examples: Count
    tokens: Count
    first_loss: float
    last_loss: float


class Stage1Record(_Record, frozen=True):
    """Stage 1, and whether an earlier run had made it."""

    adapters_path: Relative
    training_data_path: Relative
    evaluation_results_path: Relative
    training_params: TrainingParams
    dataset_stats: DatasetStats
    training: TrainingRecord
    fingerprint: str
    reused: bool
    created_at: str


class Stage2Record(_Record, frozen=True):
    """Stage 2."""

    adapters_path: Relative
    training_data_path: Relative
    evaluation_results_path: Relative
    training_params: Stage2Params
    dataset_stats: DatasetStats
    training: TrainingRecord


class Compared(_Record, frozen=True):
    """The models on one test split."""

    base: Metrics
    stage1: Metrics
    stage2: Metrics | None
    """As trained; null while it has not been measured."""
    healed: Metrics | None
    """The final model, where it is not the Stage 2 adapter as trained."""
    champion: Metrics | None
    """The project's last published model."""

    @property
    def final(self) -> Metrics | None:
        """The final model."""
        return self.healed or self.stage2


class Results(_Record, frozen=True):
    """Both test splits."""

    stage1_test: Compared
    stage2_test: Compared


class ArtifactRecord(_Record, frozen=True):
    """The artifact that the run is about."""

    kind: Literal["inbox", "github", "manual"]
    trust: Literal["github-trusted", "by-hand"]
    """Whether GitHub vouches for the workflow run that it is from, or a person dropped it."""
    name: str
    sha256: Sha256
    size: Count


class SourceRecord(_Record, frozen=True):
    """Where the scanned code is from, as far as it is known."""

    repository: str | None
    commit: str | None
    branch: str | None
    workflow: str | None
    workflow_run_id: int | None
    run_attempt: int | None
    actor: str | None
    url: str | None
    """The workflow run's page."""


class SettingsRecord(_Record, frozen=True):
    """The settings that decide what comes out."""

    training: schema.Training
    stage1: schema.Stage1
    stage2: schema.Stage2
    lora: schema.Lora
    evaluation: schema.Evaluation
    retention: schema.Retention
    gates: schema.Gates


class Manifest(_Record, frozen=True):
    """run-manifest.json."""

    version: Literal["2.0"]
    run_id: Annotated[str, Meta(pattern=r"^\d{8}_\d{6}(_\d+)?$")]
    timestamp: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")]
    base_model: str
    base_model_id: str
    pipeline_type: Literal["sequential"]
    stage1: Stage1Record
    stage2: Stage2Record
    final_model_path: Relative
    metrics: Results
    retention: RetentionResult | None
    gates: tuple[Gate, ...]
    healing: tuple[HealingAttempt, ...]
    """What was tried against forgetting; empty where nothing had to be."""
    remedy: str | None
    """What came of it."""
    champion_run: str | None
    """The project's last published run, where its model could be measured."""
    findings: Counts
    findings_by_tool: dict[str, int]
    examples_by_category: dict[str, int]
    artifact: ArtifactRecord
    source: SourceRecord
    seeds: dict[str, int]
    data_fingerprints: dict[str, str]
    data_revisions: dict[str, str]
    settings: SettingsRecord
    libraries: dict[str, str]
    examples_by_approach: dict[str, int] = {}
    """How the answers came about; `advice` is none. Variants are not counted."""
