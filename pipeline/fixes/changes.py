"""One sentence that says what a fix changes, made from the two versions."""

from difflib import SequenceMatcher, get_close_matches

from secdaemon.pipeline.fixes.quote import inline

_SHOWN = 110
_COMPARED = 200
_MAX_LINES = 400
"""Above this the comparison of lines is given up for the first line that differs."""


def trimmed(before: list[str], after: list[str]) -> tuple[int, int]:
    """Return how many lines at the start, and then at the end, are the same on both sides."""
    shorter = min(len(before), len(after))
    start = next((n for n in range(shorter) if before[n] != after[n]), shorter)
    rest = shorter - start
    end = next((n for n in range(rest) if before[-1 - n] != after[-1 - n]), rest)
    return start, end


def describe(before: str, after: str) -> str:
    """Return the first change as a clause without a full stop; white space alone is no change."""
    old = [line for line in before.splitlines() if line.strip()]
    new = [line for line in after.splitlines() if line.strip()]
    removed, added = _first_change(old, new)
    if removed and added:
        return f"{inline(removed, _SHOWN)} becomes {inline(added, _SHOWN)}"
    if added:
        return f"{inline(added, _SHOWN)} is added"
    if removed:
        return f"{inline(removed, _SHOWN)} is removed"
    return "only the layout changes"


def _first_change(old: list[str], new: list[str]) -> tuple[str, str]:
    """Return the first (removed, added) lines that say something; either may be empty."""
    left, right = [line.strip() for line in old], [line.strip() for line in new]
    start, end = trimmed(left, right)
    left, right = left[start : len(left) - end], right[start : len(right) - end]
    if max(len(left), len(right)) > _MAX_LINES:
        return _telling(left), _telling(right)
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for tag, i, j, k, m in matcher.get_opcodes():
        removed = _telling(left[i:j])
        added = _nearest(removed, right[k:m])
        if tag != "equal" and (removed or added):
            return removed, added
    return "".join(left[:1]), "".join(right[:1])


def _nearest(removed: str, added: list[str]) -> str:
    """Return the added line that is most like the removed one, the first telling one if none is."""
    alike = get_close_matches(removed[:_COMPARED], [line[:_COMPARED] for line in added], n=1)
    found = (line for line in added if alike and line[:_COMPARED] == alike[0])
    return next(found, "") or _telling(added)


def _telling(lines: list[str]) -> str:
    """Return the first line with a letter or digit in it that is no comment."""
    marks = ("//", "/*", "*", "#", "--", "<!--")
    found = (s for s in lines if any(c.isalnum() for c in s) and not s.startswith(marks))
    return next(found, "")
