"""A scanner's own edit, applied to the code that the finding shows."""

from collections.abc import Sequence

import msgspec

from secdaemon.pipeline.context import Context, window_of
from secdaemon.pipeline.findings.model import Edit, Finding
from secdaemon.pipeline.fixes.parse_check import parses

_REDACTED = ("<secret:", "<email>")


class Applied(msgspec.Struct, frozen=True):
    """The code as it was shown, and with the scanner's edit in it; the two differ."""

    before: str
    after: str


def apply_edits(finding: Finding, code: Context | None) -> Applied | None:
    """Return the edited code; None where there is no edit or it does not fit what is shown.

    `code` is what `context.code_around` gave for the finding; the snippet in the scan is taken
    where there is none, or where the two do not agree. An edit that leaves errors of grammar which
    were not there before is no fix.
    """
    edits = finding.edits
    if not edits or finding.line is None or any(edit.path != finding.path for edit in edits):
        return None
    if code is not None and _agree(finding, code):
        fixed = _edited(code, edits)
        if fixed is not None:
            return _if_good(finding, code.text, fixed)
    if not finding.snippet:
        return None
    if len(edits) == 1 and _is_whole_snippet(finding, edits[0]):
        return _if_good(finding, finding.snippet, edits[0].text)
    fixed = _edited(window_of("\n".join(finding.snippet.splitlines()), finding.line), edits)
    return None if fixed is None else _if_good(finding, finding.snippet, fixed)


def _if_good(finding: Finding, before: str, after: str) -> Applied | None:
    if "".join(before.split()) == "".join(after.split()):
        return None
    if parses(finding.path or "", before, after) is False:
        return None
    return Applied(before, after)


def _agree(finding: Finding, code: Context) -> bool:
    """Return whether the flagged line of the code is the first line of the snippet."""
    row = code.row_of(finding.line or 0)
    if row is None:
        return False
    shown = (finding.snippet or "").splitlines()
    return not shown or shown[0].strip() in code.text.split("\n")[row]


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


def _edited(code: Context, edits: Sequence[Edit]) -> str | None:
    """Return the text with all edits applied; None where one does not fit or two overlap."""
    spans = [_span(edit, code) for edit in edits]
    known = [(*span, edit.text) for span, edit in zip(spans, edits, strict=True) if span]
    if len(known) != len(edits):
        return None
    whole = code.text
    limit = len(whole) + 1
    for start, end, replacement in sorted(known, reverse=True):
        if end > limit:
            return None
        whole = whole[:start] + replacement + whole[end:]
        limit = start
    return whole


def _span(edit: Edit, code: Context) -> tuple[int, int] | None:
    """Return the edit's character offsets in the text; None where its lines are not all shown."""
    end_line, end_column = edit.end_line or edit.start_line, edit.end_column
    lines = [*code.text.split("\n"), ""]
    first, last = code.row_of(edit.start_line), code.row_of(end_line)
    if last is None and end_column == 1 and (before := code.row_of(end_line - 1)) is not None:
        # Whole lines: the region ends before the line that follows what is shown.
        last = before + 1
        lines[last] = ""
    if first is None or last is None or last - first != end_line - edit.start_line:
        return None
    ends = (lines[first], lines[last])
    is_hidden = any(mark in line for mark in _REDACTED for line in ends)
    if is_hidden or not code.altered.isdisjoint((edit.start_line, end_line)):
        # The columns are those of the line as it was.
        return None
    start_column = (edit.start_column or 1) - 1
    end_column = len(ends[1]) if end_column is None else end_column - 1
    if start_column > len(ends[0]) or end_column > len(ends[1]):
        return None
    start = sum(len(line) + 1 for line in lines[:first]) + start_column
    end = min(sum(len(line) + 1 for line in lines[:last]) + end_column, len(code.text))
    return (start, end) if start <= end else None
