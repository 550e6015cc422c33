"""What `status` shows: the contract's JSON, built from state.db alone."""

from typing import Literal, TypeVar

import msgspec

from secdaemon import config as config_package
from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.github.trust import watch_of, workflow_path
from secdaemon.daemon.jobs import decode_outputs, origin_of
from secdaemon.daemon.lock import holder
from secdaemon.daemon.manners import PROBLEM_PREFIX
from secdaemon.pipeline.findings.model import Counts, FileReport
from secdaemon.pipeline.interface import (
    BuildOutput,
    ExampleCounts,
    Gate,
    HealingAttempt,
    Origin,
    Outputs,
    Progress,
)
from secdaemon.state.daemon_row import problems, read_daemon
from secdaemon.state.history import Changes, changes
from secdaemon.state.leases import progress_of
from secdaemon.state.machine import State, Step
from secdaemon.state.model import Event, Run
from secdaemon.state.polls import get_watch
from secdaemon.state.runs import events, get_run, newest_runs, outputs
from secdaemon.state.store import Store, iso

_View = TypeVar("_View", bound=msgspec.Struct)


class SourceView(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run's artifact came from."""

    kind: Literal["inbox", "github", "manual"]
    name: str
    sha256: str
    size: int
    repository: str | None
    workflow_run_id: int | None
    run_attempt: int | None
    head_sha: str | None


class UpstreamView(msgspec.Struct, frozen=True, kw_only=True):
    """The workflow run that an artifact is from: its page, and what it ran on."""

    url: str | None
    branch: str | None
    workflow: str | None
    actor: str | None


class MetricsView(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one split; loss in nats per assistant token, both shares in 0 to 1."""

    examples: int
    loss: float | None
    perplexity: float | None
    token_accuracy: float | None
    exact_match: float | None
    codebleu: float | None


class Stage1View(msgspec.Struct, frozen=True, kw_only=True):
    """The Stage 1 result a run builds on."""

    fingerprint: str
    reused: bool
    metrics: MetricsView


class Stage2View(msgspec.Struct, frozen=True, kw_only=True):
    """The Stage 2 adapter and, as baseline, the Stage 1 adapter, on the Stage 2 test split."""

    metrics: MetricsView
    baseline: MetricsView


class RetentionView(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of Stage 1's gain."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    threshold: float
    passed: bool


class PublishedView(msgspec.Struct, frozen=True, kw_only=True):
    """Where the model and its data stand published."""

    target: str
    model_url: str
    dataset_url: str
    revision: str


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as `status --json` shows it."""

    id: str
    state: State
    step: Step | None
    source: SourceView
    created_at: str
    updated_at: str
    attempts: int
    reason: str | None
    progress: Progress | None
    findings: Counts | None
    examples: ExampleCounts | None
    stage1: Stage1View | None
    stage2: Stage2View | None
    retention: RetentionView | None
    published: PublishedView | None
    run_dir: str | None


class AnswersView(msgspec.Struct, frozen=True, kw_only=True):
    """How the answers of a run's examples came about, and what was not good enough."""

    approach: dict[str, int]
    """Examples by how the fix was found; `advice` is none."""
    quality: dict[str, int]
    variants: int
    """Training examples that are another one in other words; not in the other counts."""
    dropped: dict[str, int]
    """Fixes that were proposed and dropped: `approach: reason` -> how many."""
    left_out: dict[str, int]


class FullRunView(RunView, frozen=True, kw_only=True):
    """One run with its history and files, as `status RUN --json` shows it."""

    events: list[Event]
    files: tuple[FileReport, ...]
    changes: Changes | None = None
    """New, fixed and unchanged findings since the project's run before."""
    tools: dict[str, int] = {}
    """Kept findings by tool; a merged one counts for the tool that says the most about it."""
    answers: AnswersView | msgspec.UnsetType = msgspec.UNSET
    """Left out before the examples are built."""
    healing: tuple[HealingAttempt, ...] | msgspec.UnsetType = msgspec.UNSET
    """What was tried against forgetting; left out where nothing had to be."""
    gates: tuple[Gate, ...] | msgspec.UnsetType = msgspec.UNSET
    """Every named check in order, the publish step's too; left out where none was asked yet."""
    upstream: UpstreamView | msgspec.UnsetType = msgspec.UNSET
    """Left out where no workflow run is known."""


class PollView(msgspec.Struct, frozen=True, kw_only=True):
    """One watched workflow: when it was polled, when it will be, what GitHub still allows."""

    name: str
    workflow: str
    branch: str
    last_success_at: str | None
    next_try_at: str | None
    remaining: int | None
    problem: str | None


class DaemonView(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon, as `status --json` shows it."""

    running: bool
    pid: int | None
    paused: bool
    started_at: str | None
    last_poll_at: str | None
    problems: list[str]


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `status --json` shows."""

    version: str
    home: str
    inbox: str
    daemon: DaemonView
    runs: list[RunView]


def _known(texts: dict[str, str]) -> Outputs:
    """Return a run's outputs; those that another version wrote in another form count as none."""
    try:
        return decode_outputs(texts)
    except msgspec.ValidationError:
        return Outputs()


def _as(view: type[_View], found: msgspec.Struct) -> _View:
    """Return what a view shows of a struct that may have gained further fields."""
    names = view.__struct_fields__
    return msgspec.convert({name: getattr(found, name) for name in names}, view)


def _parts(store: Store, run: Run, known: Outputs, live: bool) -> dict[str, object]:
    """Return the fields of a RunView; without a process in the home, no step is worked on."""
    examples = known.build_dataset.examples if known.build_dataset else None
    if known.stage2:
        examples = known.stage2.examples
    step = run.step if live else None
    text = progress_of(store, run.id) if step else None
    retention = known.retention.retention if known.retention else None
    return {
        "id": run.id,
        "state": run.state,
        "step": step,
        "source": _as(SourceView, origin_of(run)),
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "attempts": run.attempts,
        "reason": run.reason,
        "progress": msgspec.json.decode(text, type=Progress) if text else None,
        "findings": known.parse.counts if known.parse else None,
        "examples": examples,
        "stage1": known.stage1
        and Stage1View(
            fingerprint=known.stage1.fingerprint,
            reused=known.stage1.reused,
            metrics=_as(MetricsView, known.stage1.metrics),
        ),
        "stage2": known.stage2
        and Stage2View(
            metrics=_as(MetricsView, known.stage2.metrics),
            baseline=_as(MetricsView, known.stage2.baseline),
        ),
        "retention": retention and _as(RetentionView, retention),
        "published": known.publish and _as(PublishedView, known.publish),
        "run_dir": run.run_dir,
    }


def view_run(store: Store, run_id: str) -> FullRunView:
    """Return one run with its events and files.

    Raises:
        UnknownRunError: there is none of this id.
    """
    run = get_run(store, run_id)
    held = holder(Home(root=store.path.parent, chosen=True))
    known = _known(outputs(store, [run.id])[run.id])
    return msgspec.convert(
        {
            **_parts(
                store,
                run,
                known,
                live=held is not None,
            ),
            "events": events(store, run.id),
            "files": known.parse.files if known.parse else (),
            "changes": changes(store, run) if known.parse else None,
            "tools": known.parse.by_tool if known.parse else {},
            **_told_where_known(known, origin_of(run)),
        },
        FullRunView,
    )


def training_waits(store: Store | None) -> list[str]:
    """Return what every training waits for now, as sentences; they are among the problems too."""
    return problems(store, PROBLEM_PREFIX) if store else []


def _told_where_known(known: Outputs, origin: Origin) -> dict[str, object]:
    """Return the fields of a FullRunView that are left out where there is nothing to tell."""
    judged = known.retention
    gates = (*(judged.gates if judged else ()), *(known.publish.gates if known.publish else ()))
    healing = judged.healing if judged else ()
    upstream = _as(UpstreamView, origin) if origin.url else None
    told = {
        "answers": known.build_dataset and _answers(known.build_dataset),
        "healing": healing,
        "gates": gates,
        "upstream": upstream,
    }
    return {name: value for name, value in told.items() if value}


def _answers(built: BuildOutput) -> AnswersView:
    return AnswersView(
        approach=built.by_approach,
        quality=built.by_quality,
        variants=built.variants,
        dropped=built.dropped_fixes,
        left_out=built.left_out,
    )


def view_polls(store: Store | None, settings: Settings) -> list[PollView]:
    """Return each watched workflow of GitHub's."""
    return _polls(store, settings) if store else []


def _polls(store: Store, settings: Settings) -> list[PollView]:
    found = []
    for item in settings.github.repositories:
        row = get_watch(store, watch_of(settings.github, item), item.name)
        found.append(
            PollView(
                name=item.name,
                workflow=workflow_path(item.workflow),
                branch=item.branch,
                last_success_at=iso(row.success_at) if row.success_at is not None else None,
                next_try_at=iso(row.next_at) if row.next_at is not None else None,
                remaining=row.remaining,
                problem=row.trouble,
            )
        )
    return found


def _problems(store: Store, polls: list[PollView]) -> list[str]:
    """Return the daemon's problems; what several repositories share is said once."""
    found = problems(store)
    found += [poll.problem for poll in polls if poll.problem]
    return list(dict.fromkeys(found))


def view_status(
    store: Store | None, home: Home, settings: Settings, limit: int, skip: int = 0
) -> StatusView:
    """Return the daemon and its newest runs, some skipped; a negative limit gives all runs.

    `store` is None where the home has no state.db yet.
    """
    held = holder(home)
    running = held is not None and held.command == "run"
    row = read_daemon(store) if store else None
    runs = newest_runs(store, limit, skip) if store else []
    texts = outputs(store, [run.id for run in runs]) if store else {}
    polls = _polls(store, settings) if store else []
    return StatusView(
        version=config_package.__version__,
        home=str(home.root),
        inbox=settings.inbox.dir,
        daemon=DaemonView(
            running=running,
            pid=held.pid if held and running else None,
            paused=bool(row and row.paused),
            started_at=row.started_at if row and running else None,
            last_poll_at=row.last_poll_at if row else None,
            problems=_problems(store, polls) if store else [],
        ),
        runs=[
            msgspec.convert(
                _parts(store, run, _known(texts[run.id]), live=held is not None), RunView
            )
            for run in runs
            if store
        ],
    )
