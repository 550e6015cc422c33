"""A scanner's own edit, applied to the text that the finding is about."""

import re
from collections.abc import Sequence

from secdaemon.pipeline.findings.model import Edit, Finding
from secdaemon.pipeline.fixes.model import Fix, Flagged, TextEdit, edited
from secdaemon.pipeline.fixes.parse_check import parses

_USER = re.compile(r"^USER[ \t]+([A-Za-z_][\w-]*)[ \t]*$", re.MULTILINE)
_REDACTED = re.compile(r"<secret:[a-z0-9-]+:\d{8}>|<email>")


def fixes_for(finding: Finding, flagged: Flagged) -> tuple[Fix, ...]:
    """Return the edited text; () where there is no edit or it does not fit the text.

    A snippet may be the edited region alone, which tools write too. An edit that leaves errors of
    grammar which were not there before is no fix.
    """
    edits = finding.edits
    if not edits or finding.line is None or any(edit.path != finding.path for edit in edits):
        return ()
    if flagged.whole:
        after = _edited(flagged.text, edits, 0)
    elif len(edits) == 1 and _is_whole_snippet(finding, edits[0]):
        after = edits[0].text
    else:
        after = _edited(flagged.text, edits, finding.line - (flagged.line or 1))
    if after is None or "".join(after.split()) == "".join(flagged.text.split()):
        return ()
    if parses(flagged.path, flagged.text, after) is False or _is_stranger(flagged.text, edits):
        return ()
    return (
        Fix(
            approach="scanner_fix",
            path=flagged.path,
            before=flagged.text,
            after=after,
            reason="",
        ),
    )


def _is_stranger(text: str, edits: Sequence[Edit]) -> bool:
    """Whether an image is to run as a user whom nothing in its file makes.

    Semgrep's rules write `USER non-root` for a user that somebody is to make first.
    """
    named = {match[1] for edit in edits for match in _USER.finditer(edit.text)}
    return any(not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) for name in named)


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


def _edited(text: str, edits: Sequence[Edit], lines_before: int) -> str | None:
    """Return the text with all edits made; None where one does not fit or two overlap."""
    lines = text.split("\n")
    spans = [_span(edit, lines, lines_before) for edit in edits]
    known = [span for span in spans if span is not None]
    return edited(text, known) if len(known) == len(edits) else None


def _span(edit: Edit, lines: list[str], lines_before: int) -> TextEdit | None:
    """Return the edit by characters; None where the text does not hold its region."""
    first = edit.start_line - lines_before - 1
    last = (edit.end_line or edit.start_line) - lines_before - 1
    end_column = edit.end_column
    if last == len(lines) and end_column == 1:
        # Whole lines to the end of the text: the region ends before a line that is not there.
        last, end_column = len(lines) - 1, len(lines[-1]) + 1
    if not 0 <= first <= last < len(lines):
        return None
    if any(_REDACTED.search(lines[at]) for at in (first, last)):
        # The columns are those of the line as it was.
        return None
    start = (edit.start_column or 1) - 1
    end = len(lines[last]) if end_column is None else end_column - 1
    if start > len(lines[first]) or end > len(lines[last]):
        return None
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    return TextEdit(starts[first] + start, starts[last] + end, edit.text)
