"""What passes between the daemon and a worker: the job, the outputs, the messages, the errors.

A worker is `python -m secdaemon.pipeline TASK`. It reads one `Job` as a line of JSON on standard
input, writes `Message`s as lines of JSON on standard output, and takes the end of its standard
input, or SIGTERM, as the request to checkpoint and stop.
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from secdaemon.config.schema import Settings
from secdaemon.pipeline.findings.model import Counts, FileReport
from secdaemon.pipeline.past.provenance import EarlierRun, PastRun
from secdaemon.pipeline.training.memory import Preflight


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where an artifact came from."""

    kind: Literal["inbox", "github", "manual"]
    name: str
    sha256: str
    size: int
    repository: str | None = None
    workflow_run_id: int | None = None
    run_attempt: int | None = None
    head_sha: str | None = None
    branch: str | None = None
    workflow: str | None = None
    """The workflow's path in its repository."""
    actor: str | None = None
    """Who started it, by login."""
    url: str | None = None
    """The workflow run's page."""


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one split; loss in nats per assistant token, both shares in 0 to 1."""

    examples: int
    loss: float | None
    perplexity: float | None
    token_accuracy: float | None
    exact_match: float | None = None
    codebleu: float | None = None
    edited_loss: float | None = None
    edited_token_accuracy: float | None = None
    """Over the tokens that are not copied from the question's code; all others are its copy."""


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its bootstrap interval (95 %); null where it is not defined."""

    value: float | None
    ci_low: float | None
    ci_high: float | None

    @property
    def text(self) -> str:
        """The value and, where there is one, its interval."""
        if self.value is None:
            return "undefined"
        if self.ci_low is None or self.ci_high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.ci_low:.3f}, {self.ci_high:.3f}]"


class ExampleCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Examples of the project by split, and the Stage 1 examples mixed into its training split."""

    train: int
    validation: int
    test: int
    replay: int = 0


class UnpackOutput(msgspec.Struct, frozen=True, kw_only=True):
    """The artifact lies unpacked in the run's work folder."""

    files: int
    bytes: int


class ParseOutput(msgspec.Struct, frozen=True, kw_only=True):
    """Findings are written; every result of every file is accounted for."""

    counts: Counts
    files: tuple[FileReport, ...]
    by_tool: dict[str, int]
    project: str | None = None
    """The project that the artifact's secdaemon.json names."""


class BuildOutput(msgspec.Struct, frozen=True, kw_only=True):
    """The project's examples are written; `fingerprint` is the hash of all their rows."""

    examples: ExampleCounts
    fingerprint: str
    by_category: dict[str, int]
    left_out: dict[str, int]
    by_approach: dict[str, int] = {}
    """How the answers came about: `fixes.model.Approach` -> examples."""
    by_quality: dict[str, int] = {}
    variants: int = 0
    """Training examples that are another one in other words; not in the counts by kind."""
    dropped_fixes: dict[str, int] = {}
    """Fixes that were proposed and not good enough: `approach: reason` -> how many."""


class TrainingSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What one training did."""

    iterations: int
    """That were trained; fewer than asked for where `capped_from` or `stopped_early` says so."""
    examples: int
    tokens: int
    first_loss: float
    last_loss: float
    seconds: float
    left_out: dict[str, int] = {}
    """Training examples that could not be used, by reason."""
    resumed_at: int = 0
    capped_from: int | None = None
    """The iterations asked for, where training.max_epochs allowed fewer."""
    best_iteration: int | None = None
    """Whose adapter was kept, as its validation loss was lowest; null without a validation."""
    stopped_early: bool = False
    """After training.early_stopping validations without a lower loss."""
    preflight: Preflight | None = None


class Stage1Output(msgspec.Struct, frozen=True, kw_only=True):
    """A Stage 1 result lies under its fingerprint; metrics are on its own test split."""

    fingerprint: str
    reused: bool
    created_at: str
    folder: str
    base_metrics: Metrics
    metrics: Metrics
    examples: ExampleCounts
    left_out: dict[str, int]
    revisions: dict[str, str]
    training: TrainingSummary


class Stage2Output(msgspec.Struct, frozen=True, kw_only=True):
    """The Stage 2 adapter is trained; all metrics are on the Stage 2 test split."""

    base_metrics: Metrics
    baseline: Metrics
    metrics: Metrics
    examples: ExampleCounts
    left_out: dict[str, int]
    training: TrainingSummary


class RetentionResult(msgspec.Struct, frozen=True, kw_only=True):
    """How much of Stage 1's gain over the base is left after Stage 2; 1.0 is all of it."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    threshold: float
    passed: bool
    gain: Interval
    """Stage 1's gain over the base, in nats per assistant token of Stage 1's test split."""
    token_accuracy_ratio: float | None
    """Stage 2's token accuracy over Stage 1's; it hardly moves and decides nothing."""
    reason: str
    bound: Literal["point", "ci_low"] = "point"
    """What had to reach the threshold: the value, or the lower end of its interval."""
    slack: Interval = Interval(value=None, ci_low=None, ci_high=None)
    """What could still be forgotten before the threshold, in nats per token; it decides."""
    edited: Interval = Interval(value=None, ci_low=None, ci_high=None)
    """The same share over the edited tokens; null where Stage 1 gained nothing on them."""


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """A named check; a person may release a run past a quality gate, past no other."""

    name: str
    passed: bool
    quality: bool
    detail: str


class HealingAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was judged while a Stage 2 that forgot too much was healed."""

    kind: Literal["trained", "walk", "retrained"]
    """Stage 2 as trained, a point on the line from Stage 1 to a training's end, or that end."""
    training: int
    """0 is the run's own Stage 2 training, n the n-th one after it."""
    t: float
    """How far from the Stage 1 adapter (0) to the training's end (1)."""
    replay_ratio: float
    learning_rate: float
    """What the training was asked for."""
    retention: float | None
    improvement: float | None
    """By how much it lowers Stage 1's loss on the Stage 2 test split, in nats per token."""
    passed: bool
    """Whether every quality gate passed."""
    chosen: bool
    """Whether it is the final model."""
    detail: str
    """What stood against it; empty where nothing did."""


class TwoSplits(msgspec.Struct, frozen=True, kw_only=True):
    """One model on both test splits."""

    stage1_test: Metrics
    stage2_test: Metrics


class Champion(TwoSplits, frozen=True, kw_only=True):
    """The project's last published adapter, on this run's test splits."""

    run: str


class RetentionOutput(msgspec.Struct, frozen=True, kw_only=True):
    """The gates' verdicts, and the final model laid out beside them."""

    stage1_test: Metrics
    """The Stage 2 adapter, as trained, on the Stage 1 test split."""
    retention: RetentionResult
    """Of the final model, as all gates are."""
    gates: tuple[Gate, ...]
    healing: tuple[HealingAttempt, ...] = ()
    """What was tried, the training itself first; empty where nothing had to be healed."""
    remedy: str | None = None
    """What came of it, a phrase."""
    healed: TwoSplits | None = None
    """The final model, where it is not the Stage 2 adapter as trained."""
    champion: Champion | None = None


class PublishOutput(msgspec.Struct, frozen=True, kw_only=True):
    """Where the model and its data stand published."""

    target: str
    model_url: str
    dataset_url: str
    revision: str
    gates: tuple[Gate, ...] = ()
    """What the staged bytes passed before they left."""


StepOutput = (
    UnpackOutput
    | ParseOutput
    | BuildOutput
    | Stage1Output
    | Stage2Output
    | RetentionOutput
    | PublishOutput
)


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """The outputs of the steps that a run has behind it, by the step's name."""

    unpack: UnpackOutput | None = None
    parse: ParseOutput | None = None
    build_dataset: BuildOutput | None = None
    stage1: Stage1Output | None = None
    stage2: Stage2Output | None = None
    retention: RetentionOutput | None = None
    publish: PublishOutput | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a step may know; the same job gives the same files and the same output."""

    run_id: str
    project: str
    origin: Origin
    archive: str
    """The artifact, a zip."""
    run_dir: str
    stage1_dir: str
    """The folder of reusable Stage 1 results."""
    lock_file: str
    """Held by the worker for as long as it lives."""
    now: str
    """UTC, ISO 8601, ending in Z."""
    settings: Settings
    salt: str
    """Hexadecimal, this home's own: what placeholders of secrets are derived with."""
    source_dir: str | None = None
    last_fingerprint: str | None = None
    """The training data of the project's last finished run, and which run that was."""
    last_run: str | None = None
    champion: str | None = None
    """The MLX adapter folder of the project's last published run on this base, to be equalled."""
    champion_run: str | None = None
    knowledge: str | None = None
    """The file of the knowledge base."""
    known_runs: tuple[PastRun, ...] = ()
    """All runs with a folder; only for building the data with `stage2.local_model`."""
    train: bool = True
    """False where the caller wants the data only."""
    scanned_at: str = ""
    """As `SeenIn.at` says it."""
    earlier: tuple[EarlierRun, ...] = ()
    """For building the data, oldest first: the last run with a corpus, and those parsed since."""
    previous: Outputs = Outputs()


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a long step is."""

    iteration: int
    iterations: int
    loss: float | None = None
    tokens_per_second: float | None = None
    eta_seconds: float | None = None


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """The worker lives."""


class Advanced(msgspec.Struct, frozen=True, tag="progress"):
    """The worker got further."""

    progress: Progress


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The step is complete; `output` is the JSON of its output type."""

    output: msgspec.Raw


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The run ends here, for a reason that is no error."""

    state: Literal["skipped", "held", "rejected"]
    reason: str
    output: msgspec.Raw = msgspec.Raw(b"null")


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The step failed; a transient failure is worth another attempt."""

    reason: str
    transient: bool


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """The worker was told to stop and left a checkpoint."""


Message = Beat | Advanced | Done | Ended | Failed | Stopped

Report = Callable[[Progress], None]
"""How a step tells its progress; it raises `StopRequested` once the worker was told to stop."""


class PipelineError(Exception):
    """A step cannot go on; the message is one sentence for the user and says what to do."""


class TransientError(PipelineError):
    """Something outside failed that may work again later."""


class PermanentError(PipelineError):
    """Trying again changes nothing before a person does."""


class StopRequested(PipelineError):  # noqa: N818 - a request, not an error
    """The worker was told to stop; what is done is checkpointed."""


class EndRun(PipelineError):  # noqa: N818 - an ending, not an error
    """The run ends here: nothing to learn, a gate said no, or the artifact is unusable."""

    def __init__(
        self,
        state: Literal["skipped", "held", "rejected"],
        reason: str,
        output: StepOutput | None = None,
    ) -> None:
        """Keep the end state and, where the step has one, its output."""
        super().__init__(reason)
        self.state = state
        self.output = output
