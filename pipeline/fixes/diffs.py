"""The places at which two versions of a text differ, by lines."""

from difflib import SequenceMatcher
from functools import lru_cache

import msgspec

from secdaemon.pipeline.fixes.changes import trimmed

_MAX_COMPARED = 2_000
"""Lines on either side between the first and the last change; beyond it they are one hunk."""


class Hunk(msgspec.Struct, frozen=True):
    """Lines `start` to `stop` of the old text become other lines.

    1-based, `stop` exclusive: equal ones are a place between two lines, before line `start`.
    """

    start: int
    stop: int
    lines: tuple[str, ...]


@lru_cache(maxsize=32)
def hunks_of(before: str, after: str) -> tuple[Hunk, ...]:
    """Return the hunks in their order; none touches another, and none is empty on both sides."""
    old, new = before.split("\n"), after.split("\n")
    start, end = trimmed(old, new)
    left, right = old[start : len(old) - end], new[start : len(new) - end]
    if not left and not right:
        return ()
    if max(len(left), len(right)) > _MAX_COMPARED:
        return (Hunk(start + 1, start + 1 + len(left), tuple(right)),)
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    return tuple(
        Hunk(start + i + 1, start + j + 1, tuple(right[k:m]))
        for tag, i, j, k, m in matcher.get_opcodes()
        if tag != "equal"
    )
