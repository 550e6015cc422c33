"""What `status` shows: the contract's JSON, built from state.db alone."""

import msgspec

from secdaemon import config as config_package
from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.jobs import decode_outputs, origin_of
from secdaemon.daemon.lock import holder
from secdaemon.pipeline.findings.model import Counts, FileReport
from secdaemon.pipeline.interface import (
    ExampleCounts,
    Metrics,
    Origin,
    Outputs,
    Progress,
    PublishOutput,
)
from secdaemon.state.daemon_row import problems, read_daemon
from secdaemon.state.history import Changes, changes
from secdaemon.state.leases import progress_of
from secdaemon.state.machine import State, Step
from secdaemon.state.model import Event, Run
from secdaemon.state.runs import events, get_run, newest_runs, outputs
from secdaemon.state.store import Store


class Stage1View(msgspec.Struct, frozen=True, kw_only=True):
    """The Stage 1 result a run builds on."""

    fingerprint: str
    reused: bool
    metrics: Metrics


class Stage2View(msgspec.Struct, frozen=True, kw_only=True):
    """The Stage 2 adapter and, as baseline, the Stage 1 adapter, on the Stage 2 test split."""

    metrics: Metrics
    baseline: Metrics


class RetentionView(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of Stage 1's gain."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    threshold: float
    passed: bool


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as `status --json` shows it."""

    id: str
    state: State
    step: Step | None
    source: Origin
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
    published: PublishOutput | None
    run_dir: str | None


class FullRunView(RunView, frozen=True, kw_only=True):
    """One run with its history and files, as `status RUN --json` shows it."""

    events: list[Event]
    files: tuple[FileReport, ...]
    changes: Changes | None = None
    """New, fixed and unchanged findings since the project's run before."""


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
        "source": origin_of(run),
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
            metrics=known.stage1.metrics,
        ),
        "stage2": known.stage2
        and Stage2View(metrics=known.stage2.metrics, baseline=known.stage2.baseline),
        "retention": retention
        and RetentionView(
            **{name: getattr(retention, name) for name in RetentionView.__struct_fields__}
        ),
        "published": known.publish,
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
        },
        FullRunView,
    )


def view_status(store: Store | None, home: Home, settings: Settings, limit: int) -> StatusView:
    """Return the daemon and its newest runs; a negative limit gives all runs.

    `store` is None where the home has no state.db yet.
    """
    held = holder(home)
    running = held is not None and held.command == "run"
    row = read_daemon(store) if store else None
    runs = newest_runs(store, limit) if store else []
    texts = outputs(store, [run.id for run in runs]) if store else {}
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
            problems=problems(store) if store else [],
        ),
        runs=[
            msgspec.convert(
                _parts(store, run, _known(texts[run.id]), live=held is not None), RunView
            )
            for run in runs
            if store
        ],
    )
