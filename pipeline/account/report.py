"""report.html: one run, for people; a single file that needs nothing and runs nothing.

The document carries a content security policy that allows our own style sheet by its hash and
nothing else, and text from outside gets into it by `markup` alone.
"""

import base64
import hashlib
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import TypeVar

import msgspec

from secdaemon.config import __version__
from secdaemon.pipeline.account import report_results as results
from secdaemon.pipeline.account import report_sections as sections
from secdaemon.pipeline.account.manifest_model import Manifest
from secdaemon.pipeline.account.markup import Html, page, style, tag
from secdaemon.pipeline.account.portable import folders_of, portable, portable_job, portable_outputs
from secdaemon.pipeline.account.report_comparison import side_by_side
from secdaemon.pipeline.account.report_data import LossPoint, ReportData, Tally
from secdaemon.pipeline.account.report_parts import section
from secdaemon.pipeline.account.report_retention import retention
from secdaemon.pipeline.evaluation.model import Comparison
from secdaemon.pipeline.findings.model import Severity
from secdaemon.pipeline.interface import Job, Outputs
from secdaemon.pipeline.layout import RunFolder

__all__ = ["LossPoint", "ReportData", "Tally", "gather", "render"]

_Row = TypeVar("_Row")

_SECTIONS = (
    ("what came in", sections.intake),
    ("training data", sections.examples),
    ("loss curves", results.curves),
    ("metrics", results.metrics),
    ("models side by side", side_by_side),
    ("retention", retention),
    ("gates", results.gates),
    ("provenance", results.provenance),
)
"""What follows the header, in order, and how it is called where there is nothing of it."""


class _Kept(msgspec.Struct, frozen=True):
    """What the report needs of a finding."""

    tool: str
    severity: Severity


def gather(
    run: RunFolder,
    job: Job,
    outputs: Outputs,
    *,
    state: str | None = None,
    reason: str | None = None,
) -> ReportData:
    """Return what is known of a run, in whatever state it is.

    Args:
        run: files that are not there yet, or not whole, count as unknown.
        job: any job of the run.
        outputs: those of the steps it has behind it.
        state: the run's own; where None, what the outputs say.
        reason: why it ended.
    """
    folders = folders_of(job)
    kept = Counter((row.tool, row.severity) for row in _rows(run.findings, _Kept))
    return ReportData(
        job=portable_job(job),
        outputs=portable_outputs(job, outputs),
        stage1_losses=_rows(run.stage1.losses, LossPoint),
        stage2_losses=_rows(run.stage2.losses, LossPoint),
        findings=tuple(
            Tally(tool=portable(tool, folders), severity=severity, count=count)
            for (tool, severity), count in sorted(kept.items())
        ),
        comparison=_whole(run.comparison, Comparison),
        manifest=_whole(run.manifest, Manifest),
        state=state,
        reason=None if reason is None else portable(reason, folders),
    )


def _rows(path: Path, kind: type[_Row]) -> tuple[_Row, ...]:
    """Return the rows of a JSONL file, none where it cannot be read."""
    try:
        return tuple(msgspec.json.Decoder(kind).decode_lines(path.read_bytes()))
    except (OSError, msgspec.DecodeError):
        return ()


def _whole(path: Path, kind: type[_Row]) -> _Row | None:
    """Return the one object of a JSON file, None where it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def render(data: ReportData) -> str:
    """Return the report as a whole HTML document; the same data gives the same bytes."""
    sheet = resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    parts = [(name, make(data)) for name, make in _SECTIONS]
    body = tag(
        "body",
        tag(
            "main",
            sections.header(data),
            *(part for _, part in parts),
            _unknown([name for name, part in parts if part is None]),
            tag("footer", f"Made by secdaemon {__version__} at {data.job.now}."),
        ),
    )
    return page(_head(f"Run {data.job.run_id} - secdaemon", sheet), body)


def _unknown(names: list[str]) -> Html | None:
    """Return the section that names what this run has nothing of."""
    if not names:
        return None
    return section("Not there", f"The run has not come this far: {', '.join(names)}.")


def _head(title: str, sheet: str) -> Html:
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("title", title),
        style(sheet),
    )
