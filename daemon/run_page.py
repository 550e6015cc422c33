"""What the dashboard shows of one run: counts, models, gates, files, history."""

from collections.abc import Iterator, Sequence

from secdaemon.daemon.tables import (
    changes_text,
    counts_text,
    file_text,
    healing_text,
    retention_text,
)
from secdaemon.daemon.views import FullRunView, MetricsView
from secdaemon.pipeline.account.markup import Child, Html, join, tag
from secdaemon.pipeline.account.report_parts import (
    DASH,
    badge,
    cell,
    facts,
    mono,
    plural,
    row_name,
    section,
    table,
)

ROWS = 200
"""How many files, and how many events, are shown."""


def run_body(run: FullRunView, state: Html, *, report: bool) -> Html:
    """Return everything about one run below its heading; `state` is where it stands."""
    link = tag("a", "Report", href=f"/run/{run.id}/report")
    none = join("no report yet: ", mono(f"secdaemon report {run.id}"), " makes one")
    return join(
        tag(
            "header",
            tag("p", "secdaemon run", class_="overline"),
            tag("h1", run.id),
            tag("div", state, class_="verdict"),
            tag("p", link if report else none, class_="lead"),
        ),
        section(
            "What came of it", "Counts and verdicts, each as soon as it is known.", _facts(run)
        ),
        _metrics(run),
        _healing(run),
        _gates(run),
        _files(run),
        _history(run),
    )


def _facts(run: FullRunView) -> Html:
    return facts((*_results(run), *_origin(run)))


def _results(run: FullRunView) -> Iterator[tuple[str, Child]]:
    if (counts := run.findings) is not None:
        yield (
            "Findings",
            (
                f"{counts.entered:,} in = {counts.kept:,} kept + {counts.duplicate:,} duplicate + "
                f"{counts.suppressed:,} suppressed + {counts.rejected:,} rejected"
            ),
        )
    if run.tools:
        yield "Kept by tool", ", ".join(f"{tool} {count:,}" for tool, count in run.tools.items())
    if run.changes:
        yield "Changes", changes_text(run.changes)
    if (built := run.examples) is not None:
        yield (
            "Examples",
            (
                f"{built.train:,} training (+ {built.replay:,} replay), "
                f"{built.validation:,} validation, {built.test:,} test"
            ),
        )
    if run.answers:
        yield "Answers", counts_text(run.answers.approach)
        yield "Quality", counts_text(run.answers.quality)
        yield "Variants", f"{run.answers.variants:,}" if run.answers.variants else None
        yield "Fixes dropped", counts_text(run.answers.dropped) or None
        yield "Left out", counts_text(run.answers.left_out) or None
    if run.stage1:
        how = "reused" if run.stage1.reused else "trained for this run"
        yield "Stage 1", join(mono(run.stage1.fingerprint), f" {how}")
    if run.retention:
        yield "Retention", retention_text(run)
    if run.published:
        yield "Model", place(run.published.model_url)
        yield "Data set", place(run.published.dataset_url)
        yield "Revision", mono(run.published.revision)


def place(address: str) -> Html | None:
    """Return where something is published: a link where a browser can go there."""
    if address.startswith(("https://", "http://")):
        return tag("a", address, href=address, rel="noreferrer noopener")
    return mono(address) if address else None


def _origin(run: FullRunView) -> Iterator[tuple[str, Child]]:
    source = run.source
    yield "Source", f"{source.kind}: {source.name} ({source.size:,} bytes)"
    yield "SHA-256", mono(source.sha256)
    if source.head_sha:
        yield "Commit", mono(source.head_sha)
    if found := run.upstream or None:
        yield "Workflow run", place(found.url or "")
        yield "Branch", found.branch
        yield "Workflow", found.workflow
        yield "Started by", found.actor
    yield "Folder", mono(run.run_dir) if run.run_dir else None
    yield "Made", run.created_at
    yield "Changed", run.updated_at


def _metrics(run: FullRunView) -> Html | None:
    rows = [
        (name, split, found)
        for name, split, found in (
            ("Stage 1", "Stage 1 test", run.stage1 and run.stage1.metrics),
            ("Stage 1", "Stage 2 test", run.stage2 and run.stage2.baseline),
            ("Stage 2", "Stage 2 test", run.stage2 and run.stage2.metrics),
        )
        if found
    ]
    if not rows:
        return None
    columns = ("Model", "Split", "Examples", "Loss", "Perplexity", "Token accuracy", "Exact match")
    return section(
        "Metrics",
        "Loss in nats per assistant token; the report has more.",
        table(
            columns,
            [[row_name(name), cell(split), *_numbers(found)] for name, split, found in rows],
            numbers_from=2,
        ),
    )


def _numbers(found: MetricsView) -> Iterator[Html]:
    yield cell(f"{found.examples:,}", kind="num")
    for value, form in (
        (found.loss, ".4f"),
        (found.perplexity, ".2f"),
        (found.token_accuracy, ".1%"),
        (found.exact_match, ".1%"),
    ):
        yield cell(DASH if value is None else format(value, form), kind="num")


def _healing(run: FullRunView) -> Html | None:
    if not run.healing:
        return None
    rows = [tag("li", healing_text(attempt)) for attempt in run.healing]
    return section(
        "Healing", "What was tried, as Stage 2 forgot too much.", tag("ol", *rows, class_="told")
    )


def _gates(run: FullRunView) -> Html | None:
    if not run.gates:
        return None
    rows = [
        [
            row_name(gate.name),
            cell(badge("passed", "good") if gate.passed else badge("failed", "bad")),
            cell(gate.detail, kind="path"),
        ]
        for gate in run.gates
    ]
    lead = "Every one has to pass before a byte leaves."
    return section("Gates", lead, table(("Gate", "Verdict", "Detail"), rows))


def _files(run: FullRunView) -> Html | None:
    if not run.files:
        return None
    rows = [
        [
            cell(file.path, kind="path"),
            cell(file.kind.value.replace("_", " ")),
            cell(file.tool or DASH),
            cell(file_text(file) or DASH, kind="path"),
        ]
        for file in run.files[:ROWS]
    ]
    return section(
        "Files", _told("file", run.files), table(("File", "Kind", "Scanner", "What"), rows)
    )


def _history(run: FullRunView) -> Html:
    rows = [
        [
            cell(event.at, kind="mono nowrap"),
            cell(event.target.value.replace("_", " ") if event.source != event.target else ""),
            cell(event.detail, kind="path"),
        ]
        for event in run.events[-ROWS:]
    ]
    return section("History", _told("event", run.events), table(("When", "Moved to", "Why"), rows))


def _told(name: str, items: Sequence[object]) -> str:
    """Return how many there are, and how many of them are shown."""
    shown = f", {ROWS} of them shown" if len(items) > ROWS else ""
    return f"{plural(len(items), name)}{shown}."
