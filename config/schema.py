"""The settings' schema: a type for every section, with the bounds of every key."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(gt=0)]
Name = Annotated[str, Meta(min_length=1)]

_PART = r"(?:[A-Za-z0-9._-]|\{prefix\}|\{run_id\})+"
REPOSITORY = f"^{_PART}/{_PART}$"
HOURS = r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$"

EMBEDDED_BASE = "embedded:tiny"
EMBEDDED_BASE_ID = "secdaemon/embedded-tiny"
SOURCE_FILES = (".jsonl", ".ndjson", ".parquet")


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the settings; an unknown key in it is an error."""


class Inbox(Section, frozen=True):
    """The inbox folder and when a file in it counts as complete."""

    dir: Name
    stable_seconds: Seconds
    rescan_seconds: Annotated[float, Meta(gt=0)]
    broken_seconds: Seconds


class Artifact(Section, frozen=True):
    """Limits for what an artifact may unpack to."""

    max_files: Positive
    max_total_bytes: Positive
    max_file_bytes: Positive
    max_ratio: Positive
    max_depth: NotNegative


class Repository(Section, frozen=True):
    """One watched GitHub repository."""

    name: Annotated[str, Meta(pattern=r"^[^/\s]+/[^/\s]+$")]
    workflow: Name = "main-ci-cd.yml"
    branch: Name = "main"
    events: tuple[Name, ...] = ("push", "schedule", "workflow_dispatch")
    artifacts: tuple[Name, ...] = (
        "*zap*",
        "*trivy*",
        "*sarif*",
        "*osv*",
        "*gitleaks*",
        "*semgrep*",
        "*checkov*",
    )
    checkout: Name | None = None
    backfill: Positive = 1
    id: Positive | None = None


class Github(Section, frozen=True):
    """Which repositories are polled, and how often."""

    api_url: Annotated[str, Meta(pattern=r"^https?://")]
    poll_seconds: Annotated[float, Meta(gt=0)]
    timeout_seconds: Annotated[float, Meta(gt=0)]
    max_download_bytes: Positive
    max_wait_seconds: Annotated[float, Meta(gt=0)]
    require_attestation: bool
    repositories: tuple[Repository, ...]


class Models(Section, frozen=True):
    """The base model and where models live."""

    base: Name
    base_id: Name
    base_dir: Name
    fine_tuned_dir: Name
    embedding: Name | None


class Training(Section, frozen=True):
    """What both stages train with."""

    batch_size: Positive
    checkpoint_every: Positive
    max_seq_length: Annotated[int, Meta(ge=16)]
    mask_prompt: bool
    warmup_ratio: Share
    schedule: Literal["constant", "cosine", "linear"]
    weight_decay: Share
    grad_accumulation_steps: Positive
    grad_checkpoint: bool
    early_stopping: Positive | None
    max_epochs: Annotated[float, Meta(gt=0)] | None
    memory_gb: Annotated[float, Meta(gt=0)] | None
    hostfile: Name | None
    seed: NotNegative


class Stage1(Section, frozen=True):
    """General training on public vulnerability fixes."""

    sources: Annotated[tuple[Name, ...], Meta(min_length=1)]
    max_age_days: Seconds
    iterations: Positive
    learning_rate: Rate
    max_examples: Positive | None


Method = Literal["replay", "distillation", "ewc", "multitask", "curriculum"]


class Stage2(Section, frozen=True):
    """Training on the project's own findings, and what keeps it from forgetting Stage 1."""

    iterations: Positive
    learning_rate: Rate
    corpus: Literal["accumulated", "run"]
    method: tuple[Method, ...]
    replay_ratio: Share
    distillation_weight: Share
    distillation_temperature: Annotated[float, Meta(gt=0)]
    ewc_lambda: Annotated[float, Meta(ge=0)]
    multitask_ratio: Annotated[float, Meta(ge=0, lt=1)]
    quality_weight_multiplier: Annotated[float, Meta(ge=1)]
    augmentation: NotNegative
    local_model: bool


class Lora(Section, frozen=True):
    """The adapter's shape."""

    type: Literal["lora", "dora"]
    rank: Positive
    scale: Annotated[float, Meta(gt=0)]
    alpha: Annotated[float, Meta(gt=0)] | None
    dropout: Annotated[float, Meta(ge=0, lt=1)]
    layers: Positive
    target_modules: Annotated[tuple[Name, ...], Meta(min_length=1)]


class Evaluation(Section, frozen=True):
    """How adapters are measured."""

    batch_size: Positive
    max_examples: Positive
    generate_examples: NotNegative
    max_tokens: Positive
    bootstrap_samples: Annotated[int, Meta(ge=100)]


class Retention(Section, frozen=True):
    """How much of Stage 1 must remain."""

    threshold: Share
    bound: Literal["point", "ci_low"]
    when_undefined: Literal["hold", "pass"]
    heal: bool
    max_retrainings: NotNegative


class Gates(Section, frozen=True):
    """What else must hold before a model is published."""

    improvement: bool
    champion: bool
    specialisation: bool
    stage1_score: Share
    stage2_score: Share
    sequential_score: Share
    overall_score: Share
    category_score: Share


class Publish(Section, frozen=True):
    """Where a finished adapter goes."""

    enabled: bool
    target: Literal["huggingface", "folder"]
    folder: Name
    prefix: Name | None
    private: bool
    merged: bool
    model_repo: Annotated[str, Meta(pattern=REPOSITORY)]
    dataset_repo: Annotated[str, Meta(pattern=REPOSITORY)]


class Schedule(Section, frozen=True):
    """Retries and manners of the workers."""

    max_attempts: Positive
    backoff_seconds: Seconds
    backoff_max_seconds: Seconds
    stalled_seconds: Annotated[float, Meta(gt=0)]
    nice: Annotated[int, Meta(ge=0, le=19)]
    hours: Annotated[str, Meta(pattern=HOURS)] | None
    on_ac_power_only: bool
    min_battery_percent: Annotated[int, Meta(ge=0, le=100)] | None


class Notify(Section, frozen=True):
    """Who is told when a run ends."""

    command: tuple[Name, ...] | None


class Settings(Section, frozen=True):
    """All settings, validated."""

    inbox: Inbox
    artifact: Artifact
    github: Github
    models: Models
    training: Training
    stage1: Stage1
    stage2: Stage2
    lora: Lora
    evaluation: Evaluation
    retention: Retention
    gates: Gates
    publish: Publish
    schedule: Schedule
    notify: Notify

    def __post_init__(self) -> None:
        """Refuse combinations that no single key shows."""
        watched = [(r.name.lower(), r.workflow, r.branch) for r in self.github.repositories]
        for item in self.github.repositories:
            if watched.count((item.name.lower(), item.workflow, item.branch)) > 1:
                msg = (
                    f"github.repositories has {item.name} twice with workflow {item.workflow} and "
                    f"branch {item.branch}; keep one and give it the artifacts of both"
                )
                raise ValueError(msg)
        if self.training.grad_checkpoint and self.lora.dropout > 0:
            msg = (
                "training.grad_checkpoint needs lora.dropout 0: with both, mlx-lm recomputes "
                "a layer under another dropout mask and its gradients are wrong"
            )
            raise ValueError(msg)
