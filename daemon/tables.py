"""What `status` prints for people: plain text that fits a terminal, foreign text made harmless."""

import shutil
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from secdaemon.daemon.views import FullRunView, MetricsView, PollView, RunView, StatusView
from secdaemon.pipeline.findings.model import FileKind, FileReport
from secdaemon.pipeline.interface import HealingAttempt, Progress
from secdaemon.state.history import Changes
from secdaemon.state.machine import Slot, rule_from

_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of control, format and bidirectional marks, lone surrogates, line ends."""


def plain(text: str) -> str:
    """Return foreign text without control, zero-width and bidirectional characters."""
    if text.isprintable():
        return text
    return "".join("?" if unicodedata.category(mark) in _OBEYED else mark for mark in text)


def status_lines(
    view: StatusView, waits: Sequence[str] = (), polls: Sequence[PollView] = ()
) -> Iterator[str]:
    """Yield the overview: the daemon, the watched workflows, the problems, one line a run.

    `waits` is what training waits for; it stands beside each run whose turn it would be.
    """
    daemon = view.daemon
    if daemon.running:
        yield f"daemon   running, process {daemon.pid}, since {daemon.started_at}"
    else:
        yield "daemon   not running; start it with `secdaemon run` or `secdaemon agent install`"
    if daemon.paused:
        yield "         paused; `secdaemon resume` goes on"
    yield f"inbox    {plain(view.inbox)}"
    yield from _polls(polls)
    for problem in daemon.problems:
        yield f"problem  {plain(problem)}"
    yield ""
    if not view.runs:
        yield "no runs yet: drop a zip of scan outputs into the inbox"
        return
    yield from _table(view.runs, waits)


def _polls(polls: Sequence[PollView]) -> Iterator[str]:
    """Yield a line for every watched workflow; its trouble stands among the problems."""
    for poll in polls:
        place = f"{poll.name} {poll.workflow.rpartition('/')[2]} {poll.branch}"
        yield f"github   {plain(place)}: {poll_text(poll)}"


def poll_text(poll: PollView) -> str:
    """Return how polling one workflow goes, in one line."""
    well = f"polled {poll.last_success_at}" if poll.last_success_at else "no poll has succeeded yet"
    following = f", next {poll.next_try_at}" if poll.next_try_at else ""
    left = f", {poll.remaining} requests left" if poll.remaining is not None else ""
    trouble = ", see its problem" if poll.problem else ""
    return f"{well}{following}{left}{trouble}"


def _table(runs: list[RunView], waits: Sequence[str]) -> Iterator[str]:
    rows = [("RUN", "STATE", "FINDINGS", "SOURCE", "WHAT")]
    rows.extend(
        (
            run.id,
            run.state.value,
            str(run.findings.kept) if run.findings else "-",
            plain(run.source.name),
            plain(_what(run, waits)),
        )
        for run in runs
    )
    limits = (24, 16, 8, 32, 200)
    cut = [[_cut(cell, limit) for cell, limit in zip(row, limits, strict=True)] for row in rows]
    widths = [max(len(row[column]) for row in cut) for column in range(5)]
    width = shutil.get_terminal_size((120, 24)).columns
    for row in cut:
        cells = (cell.ljust(size) for cell, size in zip(row, widths, strict=True))
        yield _cut("  ".join(cells).rstrip(), max(width, 80))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _what(run: RunView, waits: Sequence[str]) -> str:
    """Return the most telling thing about a run, in a few words."""
    if run.step:
        told = f" {progress_text(run.progress)}" if run.progress else ""
        tries = f" (attempt {run.attempts})" if run.attempts > 1 else ""
        return f"{run.step}{told}{tries}"
    if waits and trains_next(run):
        return "; ".join(waits)
    if run.reason:
        return run.reason
    if run.published:
        return run.published.model_url
    return ""


def trains_next(run: RunView) -> bool:
    """Return whether a run stands before a step that trains or measures."""
    rule = rule_from(run.state)
    return run.step is None and rule is not None and rule.slot is Slot.HEAVY


def progress_text(progress: Progress) -> str:
    """Return how far a step is, in one line."""
    parts = [f"{progress.iteration}/{progress.iterations}"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.tokens_per_second is not None:
        parts.append(f"{progress.tokens_per_second:.0f} tokens/s")
    if progress.eta_seconds is not None:
        parts.append(f"{duration(progress.eta_seconds)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def size_text(count: int) -> str:
    """Return a number of bytes in the unit that fits, a thousand each."""
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004 - what the next unit holds
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def run_lines(run: FullRunView, waits: Sequence[str] = ()) -> Iterator[str]:
    """Yield one run with its counts, metrics, files and history.

    `waits` is what training waits for; it is told where it is this run's turn.
    """
    step = f", in step {run.step}" if run.step else ""
    yield f"run        {run.id}"
    yield f"state      {run.state}{step}"
    if run.reason:
        yield f"reason     {plain(run.reason)}"
    for wait in waits if trains_next(run) else ():
        yield f"waits      {plain(wait)}"
    if run.progress:
        yield f"progress   {progress_text(run.progress)}"
    yield f"source     {run.source.kind}: {plain(run.source.name)} ({run.source.size} bytes)"
    yield f"sha256     {run.source.sha256}"
    yield from _upstream(run)
    if run.run_dir:
        yield f"folder     {plain(run.run_dir)}"
    yield from _results(run)
    if run.tools:
        kept = ", ".join(f"{plain(tool)} {count}" for tool, count in run.tools.items())
        yield f"tools      {kept} (kept)"
    yield from _answers(run)
    yield from _healing(run)
    if (found := run.changes) is not None:
        yield f"changes    {changes_text(found)}"
    yield from _gates(run)
    if run.files:
        yield ""
        yield "files"
        for file in run.files:
            kind = file.kind.value.replace("_", " ")
            tool, what = plain(file.tool or "-"), plain(file_text(file))
            yield f"  {kind:<11} {tool:<12} {plain(file.path)}  {what}"
    yield ""
    yield "history"
    for event in run.events:
        moved = event.target if event.source != event.target else "  "
        yield f"  {event.at}  {moved:<15} {plain(event.detail)}"


def _answers(run: FullRunView) -> Iterator[str]:
    """Yield how the examples' answers came about, and what was not good enough."""
    if not run.answers:
        return
    counts = {
        "answers": run.answers.approach,
        "quality": run.answers.quality,
        "dropped": run.answers.dropped,
        "left out": run.answers.left_out,
    }
    for name, found in counts.items():
        if found:
            yield f"{name:<10} {counts_text(found)}"
    if run.answers.variants:
        yield f"{'variants':<10} {run.answers.variants} of the training examples"


def counts_text(found: Mapping[str, int]) -> str:
    """Return named counts in one line, the largest first."""
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {plain(name.replace('_', ' '))}" for name, count in ordered)


def _gates(run: FullRunView) -> Iterator[str]:
    if not run.gates:
        return
    yield ""
    yield "gates"
    for gate in run.gates:
        verdict = "passed" if gate.passed else "FAILED"
        yield f"  {verdict:<11} {plain(gate.name):<12} {plain(gate.detail)}"


def file_text(file: FileReport) -> str:
    """Return what became of a file: its findings, what was wrong with it."""
    read = file.kind in {FileKind.OK, FileKind.EMPTY}
    count = f"{file.findings} finding{'' if file.findings == 1 else 's'}" if read else None
    return "; ".join(part for part in (count, file.error) if part)


def _upstream(run: FullRunView) -> Iterator[str]:
    """Yield what is known of the workflow run that an artifact is from."""
    found = run.upstream or None
    about = {
        "page": found and found.url,
        "commit": run.source.head_sha,
        "branch": found and found.branch,
        "workflow": found and found.workflow,
        "started by": found and found.actor,
    }
    for name, text in about.items():
        if text:
            yield f"{name:<10} {plain(text)}"


def changes_text(found: Changes) -> str:
    """Return what is new and gone since the project's run before, in one line."""
    oldest = f"; the oldest was first seen in run {found.oldest}" if found.oldest else ""
    return (
        f"{found.new} new, {found.fixed} fixed, {found.unchanged} unchanged "
        f"since run {found.previous}{oldest}"
    )


def _results(run: RunView) -> Iterator[str]:
    if (counts := run.findings) is not None:
        yield (
            f"findings   {counts.entered} in = {counts.kept} kept + {counts.duplicate} duplicate"
            f" + {counts.suppressed} suppressed + {counts.rejected} rejected"
        )
    if run.examples:
        yield (
            f"examples   {run.examples.train} training (+ {run.examples.replay} replay), "
            f"{run.examples.validation} validation, {run.examples.test} test"
        )
    if run.stage1:
        how = "reused" if run.stage1.reused else "trained"
        yield f"stage 1    {how}, {run.stage1.fingerprint[:12]}: {_metrics(run.stage1.metrics)}"
    if run.stage2:
        yield f"stage 2    {_metrics(run.stage2.metrics)}"
        yield f"  before   {_metrics(run.stage2.baseline)}"
    if run.retention:
        yield f"retention  {retention_text(run)}"
    if run.published:
        yield f"published  {run.published.model_url}"
        yield f"           {run.published.dataset_url}"


def _healing(run: FullRunView) -> Iterator[str]:
    """Yield a line for every model that was judged on the way to the final one."""
    for attempt in run.healing or ():
        yield f"healing    {healing_text(attempt)}"


def healing_text(attempt: HealingAttempt) -> str:
    """Return what was tried against forgetting, and what came of it, in one line."""
    kept = "unknown" if attempt.retention is None else f"{attempt.retention:.3f}"
    learnt = "unknown" if attempt.improvement is None else f"{attempt.improvement:.3f}"
    verdict = "passed" if attempt.passed else "not passed"
    final = ", the final model" if attempt.chosen else ""
    name = attempt.kind if attempt.kind != "walk" else f"walk to {attempt.t:.3f}"
    again = f" of training {attempt.training + 1}" if attempt.training else ""
    return (
        f"{name}{again}, {attempt.replay_ratio:.0%} replay at "
        f"{attempt.learning_rate:.3g}: retention {kept}, improvement {learnt}, {verdict}{final}"
    )


def retention_text(run: RunView) -> str:
    """Return the retention with its interval and verdict."""
    if run.retention is None:
        return "not measured"
    found = run.retention
    verdict = "passed" if found.passed else "not passed"
    if found.value is None:
        return f"undefined, {verdict}"
    interval = (
        f" [{found.ci_low:.3f}, {found.ci_high:.3f}]"
        if found.ci_low is not None and found.ci_high is not None
        else ""
    )
    return f"{found.value:.3f}{interval}, threshold {found.threshold:.2f}: {verdict}"


def _metrics(found: MetricsView) -> str:
    parts = [f"{found.examples} examples"]
    if found.loss is not None:
        parts.append(f"loss {found.loss:.4f}")
    if found.token_accuracy is not None:
        parts.append(f"token accuracy {found.token_accuracy:.3f}")
    if found.exact_match is not None:
        parts.append(f"exact match {found.exact_match:.2f}")
    return ", ".join(parts)
