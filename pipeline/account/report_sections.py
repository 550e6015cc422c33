"""The report's first half: where the run stands, what came in, what it was trained on."""

from collections.abc import Iterator

from secdaemon.pipeline.account.charts import Part
from secdaemon.pipeline.account.markup import Html, join, tag
from secdaemon.pipeline.account.report_data import STEPS, ReportData, verdict_of
from secdaemon.pipeline.account.report_parts import (
    DASH,
    badge,
    cell,
    count,
    facts,
    mono,
    plural,
    row_name,
    section,
    shares,
    sub,
    table,
)
from secdaemon.pipeline.findings.model import FileKind, FileReport, Severity
from secdaemon.pipeline.interface import ExampleCounts, Origin

_FILES_SHOWN = 12
_KINDS = {
    FileKind.OK: "read",
    FileKind.EMPTY: "found nothing",
    FileKind.UNREADABLE: "unreadable",
    FileKind.UNSUPPORTED: "shape not read",
    FileKind.NOT_A_SCAN: "no scan",
}


def header(data: ReportData) -> Html:
    """Return the run's name, its verdict, how far it came, and its numbers in short."""
    verdict = verdict_of(data)
    done = [name for name, _ in STEPS if getattr(data.outputs, name) is not None]
    steps = [
        tag("li", name.replace("_", " "), class_="done" if name in done else None)
        for name, _ in STEPS
    ]
    return tag(
        "header",
        tag("p", "secdaemon run", class_="overline"),
        tag(
            "div",
            tag("h1", data.job.run_id),
            badge(verdict.state.replace("_", " "), verdict.tone),
            class_="title",
        ),
        tag("p", verdict.sentence, class_="verdict"),
        tag("ol", *steps, class_="steps", aria_label=f"{len(done)} of {len(STEPS)} steps done"),
        tag("dl", *_tiles(data), class_="tiles"),
        section("Where it came from", _origin(data.job.origin), _source(data)),
    )


def _tiles(data: ReportData) -> Iterator[Html]:
    """Yield the four numbers that a hurried reader wants."""
    outputs = data.outputs
    parse, built, stage2, judged = (
        outputs.parse,
        outputs.build_dataset,
        outputs.stage2,
        outputs.retention,
    )
    yield _tile(
        "Findings kept",
        f"{parse.counts.kept:,}" if parse else None,
        f"of {plural(parse.counts.entered, 'result')}" if parse else "",
    )
    replay = f" and {stage2.examples.replay:,} replayed" if stage2 else ""
    yield _tile(
        "Training examples",
        f"{built.examples.train:,}" if built else None,
        f"of this project{replay}" if built else "",
    )
    before = stage2.baseline.loss if stage2 else None
    after = stage2.metrics.loss if stage2 else None
    yield _tile(
        "Loss on this project",
        f"{after:.3f}" if after is not None else None,
        f"{before:.3f} before Stage 2" if before is not None else "",
    )
    found = judged.retention if judged else None
    undefined = "undefined" if found else None
    yield _tile(
        "Retention",
        f"{found.value:.3f}" if found and found.value is not None else undefined,
        f"threshold {found.threshold:.2f}" if found else "",
    )


def _tile(name: str, value: str | None, note: str) -> Html:
    return tag("div", tag("dt", name), tag("dd", value or DASH), tag("dd", note or "not known yet"))


def _origin(origin: Origin) -> str:
    match origin.kind:
        case "github":
            return "Downloaded from GitHub Actions."
        case "inbox":
            return "Dropped into the inbox."
        case "manual":
            return "Handed over on the command line."


def _source(data: ReportData) -> Html:
    origin, models = data.job.origin, data.job.settings.models
    run = origin.workflow_run_id
    return facts(
        (
            ("Artifact", join(origin.name, sub(f"{origin.size:,} bytes"))),
            ("SHA-256", mono(origin.sha256)),
            ("Repository", origin.repository),
            ("Branch", origin.branch),
            ("Commit", mono(origin.head_sha) if origin.head_sha else None),
            ("Workflow", origin.workflow),
            ("Workflow run", f"{run}, attempt {origin.run_attempt}" if run is not None else None),
            ("Started by", origin.actor),
            ("Page", origin.url),
            ("Base model", join(models.base, sub(models.base_id))),
        )
    )


def intake(data: ReportData) -> Html | None:
    """Return what the artifact held, every result of it; None where nothing is known."""
    title = "What came in"
    parse, unpacked = data.outputs.parse, data.outputs.unpack
    if parse is None:
        if unpacked is None:
            return None
        return section(title, f"{plural(unpacked.files, 'file')}, {unpacked.bytes:,} bytes.")
    counts = parse.counts
    names = ("kept", "duplicate", "suppressed", "rejected")
    parts = [Part(name, getattr(counts, name), f"s-{name}") for name in names]
    return section(
        title,
        f"{plural(counts.entered, 'result')} in {plural(len(parse.files), 'file')}, each of them "
        "either kept or accounted for.",
        shares("fate", "What became of the results", parts),
        *_severities(data),
        tag("h3", "Files"),
        *_files(parse.files),
    )


def _severities(data: ReportData) -> Iterator[Html]:
    """Yield the kept findings by severity, and by tool and severity."""
    if not data.findings:
        return
    totals = {
        severity: sum(tally.count for tally in data.findings if tally.severity is severity)
        for severity in Severity
    }
    present = [severity for severity in Severity if totals[severity]]
    yield tag("h3", "Kept findings by severity")
    yield shares(
        "severity",
        "Kept findings by severity",
        [Part(severity.value, totals[severity], f"s-{severity.value}") for severity in present],
    )
    tools = sorted({tally.tool for tally in data.findings})
    found = {(tally.tool, tally.severity): tally.count for tally in data.findings}
    rows = []
    for tool in tools:
        numbers = [found.get((tool, severity), 0) for severity in present]
        rows.append([row_name(tool), *map(count, numbers), count(sum(numbers))])
    yield table(("Tool", *(severity.value for severity in present), "all"), rows, numbers_from=1)


def _files(files: tuple[FileReport, ...]) -> Iterator[Html]:
    """Yield the files, those with trouble first, a long rest folded away."""
    ordered = sorted(files, key=lambda file: (file.error is None, -file.findings, file.path))
    columns = ("File", "Tool", "State", "Results")
    first, rest = ordered[:_FILES_SHOWN], ordered[_FILES_SHOWN:]
    yield table(columns, map(_file, first), numbers_from=3)
    if rest:
        yield tag(
            "details",
            tag("summary", f"{plural(len(rest), 'more file')}"),
            table(columns, map(_file, rest), numbers_from=3),
        )


def _file(file: FileReport) -> list[Html]:
    error = sub(file.error) if file.error else None
    return [
        cell(file.path, error, kind="path"),
        cell(
            file.tool or DASH,
            tag("span", f" {file.format}", class_="muted") if file.format else None,
        ),
        cell(_KINDS[file.kind]),
        count(file.findings),
    ]


def examples(data: ReportData) -> Html | None:
    """Return the examples of both stages; None where nothing is known."""
    title = "Training data"
    built, stage1, stage2 = data.outputs.build_dataset, data.outputs.stage1, data.outputs.stage2
    if built is None:
        return None
    mixed = stage2.examples if stage2 else built.examples
    rows = [_splits("This project", mixed)]
    if stage1:
        sources = ", ".join(data.job.settings.stage1.sources)
        rows.insert(0, _splits(f"Stage 1: {sources}", stage1.examples))
    return section(
        title,
        "Related examples stand in one split, so that no test answer was seen in training.",
        table(("Examples", "Train", "Validation", "Test"), rows, numbers_from=1),
        *_mixture(stage2.examples if stage2 else None),
        tag(
            "div",
            _categories(built.by_category),
            _left_out(
                {
                    "Stage 1": stage1.left_out if stage1 else {},
                    "this project": built.left_out,
                    "Stage 2 training": stage2.left_out if stage2 else {},
                }
            ),
            class_="pair",
        ),
    )


def _splits(name: str, counts: ExampleCounts) -> list[Html]:
    return [row_name(name), count(counts.train), count(counts.validation), count(counts.test)]


def _mixture(counts: ExampleCounts | None) -> Iterator[Html]:
    if counts is None:
        return
    yield tag("h3", "What Stage 2 trained on")
    parts = [
        Part("this project", counts.train, "s-stage2"),
        Part("replayed from Stage 1", counts.replay, "s-stage1"),
    ]
    yield shares("mixture", "Stage 2's training examples", parts)


def _categories(by_category: dict[str, int]) -> Html | None:
    if not by_category:
        return None
    ordered = sorted(by_category.items(), key=lambda item: (-item[1], item[0]))
    rows = [[row_name(name), count(number)] for name, number in ordered]
    heading = tag("h3", "Categories of this project's examples")
    return tag("div", heading, table(("Category", "Examples"), rows, numbers_from=1))


def _left_out(reasons: dict[str, dict[str, int]]) -> Html | None:
    """Return what was left out of each set of examples, and why."""
    rows = [
        [row_name(reason, sub(f"of {name}")), count(number)]
        for name, counts in reasons.items()
        for reason, number in sorted(counts.items())
    ]
    if not rows:
        return None
    heading = tag("h3", "Examples left out")
    return tag("div", heading, table(("Reason", "Examples"), rows, numbers_from=1))
