"""A scanner's own edit, applied to the code that the finding shows."""

from collections.abc import Sequence

import msgspec

from secdaemon.pipeline.context import first_line
from secdaemon.pipeline.findings.model import Edit, Finding

_REDACTED = ("<secret:", "<email>")


class Applied(msgspec.Struct, frozen=True):
    """The code as it was shown, and with the scanner's edit in it; the two differ."""

    before: str
    after: str


def apply_edits(finding: Finding, code: str | None) -> Applied | None:
    """Return the edited code; None where there is no edit or it does not fit what is shown.

    `code` is what `context.code_around` gave for the finding; the snippet in the scan is taken
    where there is none, or where the two do not agree.
    """
    edits = finding.edits
    if not edits or finding.line is None or any(edit.path != finding.path for edit in edits):
        return None
    if code is not None and _agree(finding, code):
        fixed = _edited(code, first_line(finding.line), edits)
        if fixed is not None:
            return _if_changed(code, fixed)
    if not finding.snippet:
        return None
    if len(edits) == 1 and _is_whole_snippet(finding, edits[0]):
        return _if_changed(finding.snippet, edits[0].text)
    fixed = _edited(finding.snippet, finding.line, edits)
    return None if fixed is None else _if_changed(finding.snippet, fixed)


def _if_changed(before: str, after: str) -> Applied | None:
    if "".join(before.split()) == "".join(after.split()):
        return None
    return Applied(before, after)


def _agree(finding: Finding, code: str) -> bool:
    """Return whether the flagged line of the code is the first line of the snippet."""
    assert finding.line is not None
    lines = code.splitlines()
    position = finding.line - first_line(finding.line)
    if position >= len(lines):
        return False
    shown = (finding.snippet or "").splitlines()
    return not shown or shown[0].strip() in lines[position]


def _is_whole_snippet(finding: Finding, edit: Edit) -> bool:
    """Return whether the snippet is the edited region itself, not the whole lines it lies in.

    SARIF allows both (3.30.13); a region that begins within a line tells them apart by length.
    """
    if (edit.start_line, edit.start_column) != (finding.line, finding.column):
        return False
    if edit.end_column is None or (edit.start_column or 1) == 1:
        return False
    lines = (finding.snippet or "").splitlines()
    if len(lines) != (edit.end_line or edit.start_line) - edit.start_line + 1:
        return False
    offset = edit.start_column or 1 if len(lines) == 1 else 1
    return len(lines[-1]) == edit.end_column - offset


def _edited(text: str, first: int, edits: Sequence[Edit]) -> str | None:
    """Return the text with all edits applied; None where one does not fit or two overlap."""
    lines = text.splitlines()
    spans = [_span(edit, lines, first) for edit in edits]
    known = [(*span, edit.text) for span, edit in zip(spans, edits, strict=True) if span]
    if len(known) != len(edits):
        return None
    whole = "\n".join(lines)
    limit = len(whole) + 1
    for start, end, replacement in sorted(known, reverse=True):
        if end > limit:
            return None
        whole = whole[:start] + replacement + whole[end:]
        limit = start
    return whole


def _span(edit: Edit, lines: list[str], first: int) -> tuple[int, int] | None:
    """Return the edit's character offsets in the joined lines; None where they hold no more."""
    start_line, end_line = edit.start_line - first, (edit.end_line or edit.start_line) - first
    if not 0 <= start_line <= end_line < len(lines):
        return None
    if any(mark in line for mark in _REDACTED for line in (lines[start_line], lines[end_line])):
        # The columns are those of the line as it was.
        return None
    start_column = (edit.start_column or 1) - 1
    end_column = len(lines[end_line]) if edit.end_column is None else edit.end_column - 1
    if start_column > len(lines[start_line]) or end_column > len(lines[end_line]):
        return None
    offset = [0]
    for line in lines:
        offset.append(offset[-1] + len(line) + 1)
    start, end = offset[start_line] + start_column, offset[end_line] + end_column
    return (start, end) if start <= end else None
