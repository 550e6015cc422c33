"""What `status` prints for people: plain text that fits a terminal, foreign text made harmless."""

import shutil
import unicodedata
from collections.abc import Iterator

from secdaemon.daemon.views import FullRunView, RunView, StatusView
from secdaemon.pipeline.interface import Metrics, Progress

_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of control, format and bidirectional marks, lone surrogates, line ends."""


def plain(text: str) -> str:
    """Return foreign text without control, zero-width and bidirectional characters."""
    if text.isprintable():
        return text
    return "".join("?" if unicodedata.category(mark) in _OBEYED else mark for mark in text)


def status_lines(view: StatusView) -> Iterator[str]:
    """Yield the overview: the daemon, its problems, one line a run."""
    daemon = view.daemon
    if daemon.running:
        yield f"daemon   running, process {daemon.pid}, since {daemon.started_at}"
    else:
        yield "daemon   not running; start it with `secdaemon run` or `secdaemon agent install`"
    if daemon.paused:
        yield "         paused; `secdaemon resume` goes on"
    yield f"inbox    {plain(view.inbox)}"
    for problem in daemon.problems:
        yield f"problem  {plain(problem)}"
    yield ""
    if not view.runs:
        yield "no runs yet: drop a zip of scan outputs into the inbox"
        return
    yield from _table(view.runs)


def _table(runs: list[RunView]) -> Iterator[str]:
    rows = [("RUN", "STATE", "FINDINGS", "SOURCE", "WHAT")]
    rows.extend(
        (
            run.id,
            run.state.value,
            str(run.findings.kept) if run.findings else "-",
            plain(run.source.name),
            plain(_what(run)),
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


def _what(run: RunView) -> str:
    """Return the most telling thing about a run, in a few words."""
    if run.step:
        told = f" {progress_text(run.progress)}" if run.progress else ""
        tries = f" (attempt {run.attempts})" if run.attempts > 1 else ""
        return f"{run.step}{told}{tries}"
    if run.reason:
        return run.reason
    if run.published:
        return run.published.model_url
    return ""


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


def run_lines(run: FullRunView) -> Iterator[str]:
    """Yield one run with its counts, metrics, files and history."""
    step = f", in step {run.step}" if run.step else ""
    yield f"run        {run.id}"
    yield f"state      {run.state}{step}"
    if run.reason:
        yield f"reason     {plain(run.reason)}"
    if run.progress:
        yield f"progress   {progress_text(run.progress)}"
    yield f"source     {run.source.kind}: {plain(run.source.name)} ({run.source.size} bytes)"
    yield f"sha256     {run.source.sha256}"
    if run.run_dir:
        yield f"folder     {plain(run.run_dir)}"
    yield from _results(run)
    if (found := run.changes) is not None:
        yield (
            f"changes    {found.new} new, {found.fixed} fixed, {found.unchanged} unchanged "
            f"since run {found.previous}"
        )
    if run.files:
        yield ""
        yield "files"
        for file in run.files:
            what = file.error or f"{file.findings} findings" if file.tool else file.error or ""
            kind = file.kind.value.replace("_", " ")
            yield f"  {kind:<11} {plain(file.tool or '-'):<12} {plain(file.path)}  {plain(what)}"
    yield ""
    yield "history"
    for event in run.events:
        moved = event.target if event.source != event.target else "  "
        yield f"  {event.at}  {moved:<15} {plain(event.detail)}"


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


def retention_text(run: RunView) -> str:
    """Return the retention with its interval and verdict."""
    if run.retention is None:
        return "not measured"
    found = run.retention
    verdict = "passed" if found.passed else "not passed"
    if found.value is None:
        return f"undefined (Stage 1 gained nothing that could be lost), {verdict}"
    interval = (
        f" [{found.ci_low:.3f}, {found.ci_high:.3f}]"
        if found.ci_low is not None and found.ci_high is not None
        else ""
    )
    return f"{found.value:.3f}{interval}, threshold {found.threshold:.2f}: {verdict}"


def _metrics(found: Metrics) -> str:
    parts = [f"{found.examples} examples"]
    if found.loss is not None:
        parts.append(f"loss {found.loss:.4f}")
    if found.token_accuracy is not None:
        parts.append(f"token accuracy {found.token_accuracy:.3f}")
    if found.exact_match is not None:
        parts.append(f"exact match {found.exact_match:.2f}")
    return ", ".join(parts)
