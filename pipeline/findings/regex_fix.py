"""A scanner's fix that is a regular expression, applied where it surely comes to an end.

Python's `re` backtracks: the right text under a stranger's pattern takes longer than anybody lives.
So a pattern is only tried where the steps that it could take are few, counted as generously as can
be: with k choices (repetitions, options, alternatives), none inside another, a match on n
characters begins at n places and goes at most n ways at each choice.
"""

import re
import warnings

MAX_STEPS = 10**7
"""Some tenths of a second."""
_MAX_TEXT = 4_000
_MAX_PATTERN = 500
_ESCAPED = re.compile(r"\\(?P<reference>[1-9g])|\\.", re.DOTALL)
_CLASS = re.compile(r"\[\^?\]?[^\]]*\]")
_CHOICE = re.compile(r"[*+?{|]")
_SPECIAL_GROUP = re.compile(r"\(\?(?!:)")
_REPEATED_GROUP = re.compile(r"\)\s*[*+?{]")


def applied(text: str, pattern: str, replacement: str, count: int) -> str | None:
    """The text with the first `count` matches replaced, all of them where that is 0.

    None where nothing matches, where the pattern or replacement is none of Python's, and where the
    matching might take long (also what repeats a group, looks around, or refers back).
    """
    if max(len(pattern), len(replacement)) > _MAX_PATTERN or len(text) > _MAX_TEXT or count < 0:
        return None
    if not _is_quick(pattern, len(text)):
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            found, number = re.subn(pattern, replacement, text, count=count)
    except (re.error, IndexError, OverflowError, RecursionError):
        return None
    return found if number and found != text else None


def _is_quick(pattern: str, size: int) -> bool:
    """Whether the steps of a match on so many characters are certainly few."""
    if any(match["reference"] for match in _ESCAPED.finditer(pattern)):
        return False
    bare = _CLASS.sub("x", _ESCAPED.sub("x", pattern))
    if _SPECIAL_GROUP.search(bare) or _REPEATED_GROUP.search(bare):
        return False
    choices = len(_CHOICE.findall(bare.replace("(?:", "(")))
    steps: int = (size + 1) ** (choices + 1)
    return steps <= MAX_STEPS
