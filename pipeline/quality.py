"""What a fix is worth: named checks, each 0 to 1, and the score that is their mean.

| part | 1 means |
| --- | --- |
| parses | no error of grammar that was not there before; YAML, JSON, XML, TOML by their parsers |
| differs | something else than comments and white space changes |
| touches | the change is at the flagged lines |
| keeps | at most 20 lines in at most 3 places change; 0 from 100 lines or 12 places on |
| gone | the weakness was there and is no longer, by the approach or the scanner itself |
| no_secret | no secret that was not there before |
| no_new_finding | no check of configuration files says what it did not say before |

A part that cannot be told is left out of the mean, except `gone`, which counts half. A fix that
fails a required part (all but touches and keeps) or scores less than `LEAST` is dropped.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec

from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.findings.redact import redact
from secdaemon.pipeline.fixes.code_words import says_more
from secdaemon.pipeline.fixes.configuration.choose import security_score, weaknesses
from secdaemon.pipeline.fixes.diffs import Hunk, hunks_of
from secdaemon.pipeline.fixes.model import Fix, Flagged
from secdaemon.pipeline.fixes.parse_check import parses
from secdaemon.pipeline.fixes.strict_parsers import reads

LEAST = 0.7
HIGH = 0.9
"""From this score on a fix whose weakness is shown to be gone is of high quality."""

_UNKNOWN = 0.5
_NEAR = 3
"""Lines: what is missing is put beside the lines that lack it."""
_FEW_LINES, _MANY_LINES = 20, 100
_FEW_PLACES, _MANY_PLACES = 3, 12
_REQUIRED = ("parses", "differs", "gone", "no_secret", "no_new_finding")
_SAID = {
    "parses": "does not parse",
    "differs": "changes nothing but comments",
    "touches": "does not touch what was flagged",
    "keeps": "changes too much",
    "gone": "the weakness is still there",
    "no_secret": "holds a secret",
    "no_new_finding": "brings a new weakness",
}


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """A fix's parts by name, in the order of the table above, and what comes of them."""

    parts: dict[str, float]
    is_shown_gone: bool
    """Whether somebody could tell that the weakness is gone, and it is."""
    security: tuple[float, float] | None = None
    """The security score of a configuration file before and after, None for other files."""

    @property
    def score(self) -> float:
        """The mean of the parts, 0 to 1."""
        return sum(self.parts.values()) / len(self.parts)

    @property
    def dropped(self) -> str | None:
        """Why the fix is dropped, None where it is kept."""
        failed = [name for name in _REQUIRED if self.parts.get(name) == 0]
        if failed:
            return _SAID[failed[0]]
        if self.score >= LEAST:
            return None
        return _SAID[min(self.parts, key=lambda name: self.parts[name])]

    @property
    def passed(self) -> tuple[str, ...]:
        """The names of the checks that it passed in full."""
        return tuple(name for name, value in self.parts.items() if value == 1)


def judge(
    fix: Fix, finding: Finding, flagged: Flagged | None, gone: bool | None = None
) -> Judgement:
    """Return what a fix is worth.

    Args:
        fix: of the flagged text, or of another file that declares the finding's package.
        finding: what it mends.
        flagged: the finding's own text; None where it is about a package alone.
        gone: what the finding's scanner says of the fixed text, None where it was not asked.
    """
    hunks = hunks_of(fix.before, fix.after)
    is_gone = _is_gone(fix) if gone is None else gone
    parts = {
        "parses": _parses(fix, whole=flagged is None or flagged.whole or fix.path != flagged.path),
        "differs": float(says_more(fix.path, fix.before, fix.after)),
        "touches": _touches(fix, flagged, hunks, shown_gone=is_gone is True),
        "keeps": _keeps(hunks),
        "gone": _UNKNOWN if is_gone is None else float(is_gone),
        "no_secret": float(_secrets(fix.after) <= _secrets(fix.before)),
        "no_new_finding": _no_new_finding(fix),
    }
    known = {name: value for name, value in parts.items() if value is not None}
    return Judgement(parts=known, is_shown_gone=is_gone is True, security=_security(fix))


def quality_of(fix: Fix, judgement: Judgement) -> str:
    """Return high, medium or low: the scanner's own edit needs nobody else's word."""
    trusted = judgement.is_shown_gone or fix.approach == "scanner_fix"
    if trusted and judgement.score >= HIGH:
        return "high"
    return "medium" if judgement.score >= LEAST else "low"


def _is_gone(fix: Fix) -> bool | None:
    """Return whether the weakness was there and is not any more; a finding gone in history is."""
    if fix.approach == "history":
        return True
    if fix.is_weak is None:
        return None
    return fix.is_weak(fix.before) and not fix.is_weak(fix.after)


def _parses(fix: Fix, *, whole: bool) -> float | None:
    """Return 1 or 0, None for a text that nothing reads."""
    grammatical = parses(fix.path, fix.before, fix.after)
    if not whole:
        return None if grammatical is None else float(grammatical)
    strict = reads(fix.path, fix.after) if reads(fix.path, fix.before) else None
    told = [each for each in (grammatical, strict) if each is not None]
    return float(all(told)) if told else None


def _touches(
    fix: Fix, flagged: Flagged | None, hunks: tuple[Hunk, ...], *, shown_gone: bool
) -> float | None:
    """Return 1 at the flagged lines, half elsewhere in the file where the weakness is gone."""
    if flagged is None or fix.path != flagged.path:
        return None
    lines = flagged.lines
    near = range(lines.start - _NEAR, lines.stop + _NEAR)
    if any(hunk.start < near.stop and hunk.stop >= near.start for hunk in hunks):
        return 1.0
    return _UNKNOWN if shown_gone else 0.0


def _keeps(hunks: tuple[Hunk, ...]) -> float:
    changed = sum(hunk.stop - hunk.start + len(hunk.lines) for hunk in hunks)
    return min(
        _falling(changed, _FEW_LINES, _MANY_LINES),
        _falling(len(hunks), _FEW_PLACES, _MANY_PLACES),
    )


def _falling(value: int, few: int, many: int) -> float:
    return min(1.0, max(0.0, (many - value) / (many - few)))


def _secrets(text: str) -> int:
    """Return how many secrets stand in a text by the looks of it."""
    return redact(text).count("<secret:")


def _no_new_finding(fix: Fix) -> float | None:
    """Return 1 where the checks of configuration files find nothing more; None for other files."""
    before, after = (Counter(_found(fix.path, text)) for text in (fix.before, fix.after))
    if not before and not after:
        return None
    return float(after <= before)


def _security(fix: Fix) -> tuple[float, float] | None:
    before, after = (security_score(fix.path, text) for text in (fix.before, fix.after))
    return None if before is None or after is None else (before, after)


def _found(path: str, text: str) -> Iterator[tuple[str, str]]:
    for weakness in weaknesses(path, text):
        yield weakness.check, weakness.where
