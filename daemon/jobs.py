"""Between the store and a worker: the job that a run's next step gets, and what its end means."""

import shutil
from pathlib import Path

import msgspec

from secdaemon.config.paths import Home
from secdaemon.config.schema import Schedule, Settings
from secdaemon.daemon.intake import set_aside
from secdaemon.pipeline.findings.model import FileKind, FileReport, Finding
from secdaemon.pipeline.interface import (
    BuildOutput,
    Done,
    Ended,
    ExampleCounts,
    Failed,
    Job,
    Origin,
    Outputs,
    ParseOutput,
    PublishOutput,
    RetentionOutput,
    Stage1Output,
    Stage2Output,
    StepOutput,
    UnpackOutput,
)
from secdaemon.pipeline.layout import RUN_DIR_PREFIX, RunFolder
from secdaemon.pipeline.past.provenance import EarlierRun, PastRun, SeenIn
from secdaemon.state.daemon_row import home_salt
from secdaemon.state.history import IndexedFinding
from secdaemon.state.leases import StageOne, record_stage1
from secdaemon.state.machine import State, Step, rule_of
from secdaemon.state.model import Lease, Run
from secdaemon.state.runs import (
    Move,
    last_finished,
    last_published,
    newest_runs,
    outputs,
    parsed_before,
    set_run_dir,
)
from secdaemon.state.store import Store, iso

MAX_EARLIER = 200
"""Runs of a project that are looked through for the last one with a corpus."""
OUTPUT_TYPES: dict[Step, type[StepOutput]] = {
    Step.UNPACK: UnpackOutput,
    Step.PARSE: ParseOutput,
    Step.BUILD_DATASET: BuildOutput,
    Step.STAGE1: Stage1Output,
    Step.STAGE2: Stage2Output,
    Step.RETENTION: RetentionOutput,
    Step.PUBLISH: PublishOutput,
}


def decode_outputs(texts: dict[str, str]) -> Outputs:
    """Return a run's stored outputs by type."""
    return msgspec.json.decode(
        msgspec.json.encode({step: msgspec.Raw(text.encode()) for step, text in texts.items()}),
        type=Outputs,
    )


def origin_of(run: Run) -> Origin:
    """Return where a run's artifact came from."""
    return msgspec.convert({name: getattr(run, name) for name in Origin.__struct_fields__}, Origin)


def run_dir_of(run: Run, settings: Settings) -> Path:
    """Return where a run's files lie, or will lie."""
    if run.run_dir:
        return Path(run.run_dir)
    return Path(settings.models.fine_tuned_dir) / f"{RUN_DIR_PREFIX}{run.id}"


def make_job(  # noqa: PLR0917 - what a job is made of
    store: Store, home: Home, settings: Settings, run: Run, slot: str, now: float
) -> Job:
    """Return everything the run's next step may know, and fix where its files lie."""
    run_dir = run_dir_of(run, settings)
    if run.run_dir is None:
        set_run_dir(store, run.id, str(run_dir))
    last = last_finished(store, run)
    champion = _champion(store, run)
    return Job(
        run_id=run.id,
        project=run.project,
        origin=origin_of(run),
        archive=run.archive,
        run_dir=str(run_dir),
        stage1_dir=str(home.stage1),
        lock_file=str(home.locks / f"{slot}.lock"),
        now=iso(now),
        settings=settings,
        salt=home_salt(store),
        source_dir=run.source_dir,
        last_run=last[0] if last else None,
        last_fingerprint=last[1] if last else None,
        champion=champion[1] if champion else None,
        champion_run=champion[0] if champion else None,
        knowledge=str(home.knowledge),
        known_runs=known_runs(store) if _proposes(settings, run) else (),
        train=run.train,
        scanned_at=seen_in(run).at,
        earlier=earlier_runs(store, run) if run.state is State.PARSED else (),
        previous=decode_outputs(outputs(store, [run.id])[run.id]),
    )


def _proposes(settings: Settings, run: Run) -> bool:
    """Return whether a run's next step may ask the local model."""
    return settings.stage2.local_model and run.state is State.PARSED


def known_runs(store: Store) -> tuple[PastRun, ...]:
    """Return what the knowledge base is made of: every run with a folder, oldest first."""
    return tuple(
        PastRun(run_id=run.id, project=run.project, folder=run.run_dir)
        for run in reversed(newest_runs(store, -1))
        if run.run_dir is not None
    )


def seen_in(run: Run) -> SeenIn:
    """Return a run as the place where findings were seen."""
    return SeenIn(
        run=run.id,
        at=run.ran_at or run.created_at,
        name=run.name,
        sha256=run.sha256,
        repository=run.repository,
        workflow_run_id=run.workflow_run_id,
        run_attempt=run.run_attempt,
        url=run.url,
        commit=run.head_sha,
    )


def earlier_runs(store: Store, run: Run) -> tuple[EarlierRun, ...]:
    """Return the project's last run with a corpus and those parsed since, oldest first.

    A run whose folder is gone is among them, so that its findings are missed and counted; what its
    corpus held is found in an older one, as far as that goes.
    """
    found: list[EarlierRun] = []
    for one in parsed_before(store, run, MAX_EARLIER):
        if one.run_dir is None:
            continue
        has_corpus = RunFolder(Path(one.run_dir)).corpus.is_file()
        files = () if has_corpus else _scans(store, one)
        found.append(EarlierRun(seen=seen_in(one), run_dir=one.run_dir, files=files))
        if has_corpus:
            break
    return tuple(reversed(found))


def _scans(store: Store, run: Run) -> tuple[FileReport, ...]:
    """Return the scans that were read in a run, those that found nothing too."""
    text = outputs(store, [run.id])[run.id][Step.PARSE]
    files = msgspec.json.decode(text, type=ParseOutput).files
    return tuple(file for file in files if file.kind in {FileKind.OK, FileKind.EMPTY})


def _champion(store: Store, run: Run) -> tuple[str, str] | None:
    """Return the project's last published run and its MLX adapter, where that is still there."""
    last = last_published(store, run)
    if last is None:
        return None
    adapter = RunFolder(Path(last[1])).final_model / "mlx"
    return (last[0], str(adapter)) if adapter.is_dir() else None


def read_output(step: Step, raw: msgspec.Raw) -> StepOutput | None:
    """Return a step's output, None where it sent none.

    Raises:
        msgspec.ValidationError: it is not of the step's type.
    """
    return msgspec.json.decode(raw, type=OUTPUT_TYPES[step] | None)


def move_of(
    lease: Lease, message: Done | Ended, output: StepOutput | None, run_dir: str | None
) -> Move:
    """Return the move that a worker's last message, with this output in it, means.

    Raises:
        OSError: the findings that it speaks of cannot be read.
    """
    parsed = output if isinstance(output, ParseOutput) else None
    return Move(
        target=State(message.state) if isinstance(message, Ended) else rule_of(lease.step).target,
        cause=lease.step,
        detail=message.reason if isinstance(message, Ended) else summary(output),
        reason=message.reason if isinstance(message, Ended) else None,
        output=bytes(message.output).decode() if output is not None else None,
        fingerprint=output.fingerprint if isinstance(output, BuildOutput) else None,
        project=parsed.project if parsed else None,
        findings=_index(Path(run_dir)) if parsed and run_dir else None,
    )


def _index(run_dir: Path) -> tuple[IndexedFinding, ...]:
    """Return what state.db keeps of a run's findings."""
    lines = RunFolder(run_dir).findings.read_bytes()
    return tuple(
        IndexedFinding(
            id=row.id,
            tool=row.tool,
            rule=row.rule,
            severity=row.severity,
            place=row.package.name if row.package else row.path or row.url or row.target or "",
        )
        for row in msgspec.json.Decoder(Finding).decode_lines(lines)
    )


def failure_of(lease: Lease, failed: Failed) -> Move:
    """Return the move of a run whose step will not be tried again."""
    return Move(target=State.FAILED, cause=lease.step, detail=failed.reason, reason=failed.reason)


def retry_after(schedule: Schedule, attempts: int) -> float | None:
    """Return the seconds until the next attempt, None where the attempts are spent."""
    if attempts >= schedule.max_attempts:
        return None
    return min(schedule.backoff_seconds * 2.0 ** (attempts - 1), schedule.backoff_max_seconds)


def summary(output: StepOutput | None) -> str:  # noqa: PLR0911 - one line a kind of output
    """Return what a step did, in one line for the history."""
    match output:
        case UnpackOutput():
            return f"{output.files} files, {output.bytes} bytes"
        case ParseOutput():
            c = output.counts
            return (
                f"{c.entered} results: {c.kept} kept, {c.duplicate} duplicate, "
                f"{c.suppressed} suppressed, {c.rejected} rejected"
            )
        case BuildOutput():
            return _examples(output.examples)
        case Stage1Output():
            verb = "reused" if output.reused else "trained"
            return f"Stage 1 {output.fingerprint[:12]} {verb}; {_loss(output.metrics.loss)}"
        case Stage2Output():
            return f"{_examples(output.examples)}; {_loss(output.metrics.loss)}"
        case RetentionOutput():
            return "; ".join(filter(None, (output.retention.reason, output.remedy)))
        case PublishOutput():
            return f"published to {output.model_url}"
        case None:
            return ""


def _examples(counts: ExampleCounts) -> str:
    replay = f" + {counts.replay} replay" if counts.replay else ""
    return (
        f"{counts.train}{replay} training, {counts.validation} validation, "
        f"{counts.test} test examples"
    )


def _loss(loss: float | None) -> str:
    return "loss on its test split unknown" if loss is None else f"test loss {loss:.4f}"


def remember(store: Store, lease: Lease, output: StepOutput | None) -> None:
    """Keep what other runs may ask for: a Stage 1 result that this run made."""
    if isinstance(output, Stage1Output) and not output.reused:
        record_stage1(
            store,
            StageOne(
                fingerprint=output.fingerprint,
                folder=output.folder,
                created_at=output.created_at,
                run=lease.run,
            ),
        )


def settle(store: Store, home: Home, run: Run) -> None:
    """Tidy up behind a run that ended; doing it twice is as good as once.

    A rejected artifact moves to rejected/ and its folder goes; every other run keeps its folder,
    and only a failed one the unpacked artifact in it, because it may be tried again.

    Raises:
        OSError: something could not be moved or removed; it is tried again at the next start.
    """
    if run.run_dir is None:
        return
    if run.state is State.REJECTED:
        name = run.name if run.kind != "github" else f"{run.name}.zip"
        set_aside(Path(run.archive), name, run.reason or "", home.rejected)
        shutil.rmtree(run.run_dir, ignore_errors=True)
        set_run_dir(store, run.id, None)
    elif run.state is not State.FAILED:
        shutil.rmtree(Path(run.run_dir) / "work", ignore_errors=True)
