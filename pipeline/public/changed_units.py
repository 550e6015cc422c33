"""A file before and after its fix, cut to what changes: whole functions, else windows of lines.

Both sides are cut at the same places, so that lines which the fix leaves alone stand on both.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise

import msgspec

from secdaemon.pipeline.enclosing import Unit, unit_around
from secdaemon.pipeline.fixes.changes import trimmed
from secdaemon.pipeline.fixes.languages import comment, path_of

_NEAR = 8
"""Lines around a change that stands in no unit, or in one that is too long to be shown whole."""
_COMPARED = 2_000
"""More lines on a side between the first and the last change are taken for one change."""

Lines = tuple[str, ...]


class _Item(msgspec.Struct, frozen=True):
    """Lines that stand together: one that both sides have, or one change; ends are exclusive."""

    old: tuple[int, int]
    new: tuple[int, int]
    is_change: bool


class Alignment:
    """The two sides of a fix, line by line."""

    def __init__(self, before: str, after: str, language: str) -> None:
        """Compare the sides; they are to differ."""
        self._old, self._new = tuple(before.splitlines()), tuple(after.splitlines())
        self._language = language
        self._items = list(_items(self._old, self._new))
        self._item_of_old = _owners(item.old for item in self._items)
        self._item_of_new = _owners(item.new for item in self._items)

    def units(self) -> tuple[str, str] | None:
        """Return both sides cut to the functions, class members or blocks that change.

        A unit that is too long is cut to its head and the block around the change; of a change
        outside any, the lines around it are kept. None where every change is outside.
        """
        path = path_of(self._language)
        chosen: set[int] = set()
        has_unit = False
        for place in self._changes():
            item = self._items[place]
            for lines, span, owners in (
                (self._old, item.old, self._item_of_old),
                (self._new, item.new, self._item_of_new),
            ):
                if span[0] == span[1]:
                    continue
                unit = unit_around(path, lines, span[0] + 1, span[1])
                has_unit = has_unit or unit is not None
                for first, last in _shown(unit, lines, span):
                    chosen.update(range(owners[first], owners[last - 1] + 1))
            chosen.add(place)
        return self._cut(chosen) if has_unit else None

    def windows(self, context: int) -> tuple[str, str]:
        """Return both sides cut to `context` lines around each change."""
        chosen: set[int] = set()
        for place in self._changes():
            chosen.update(range(place - context, place + context + 1))
        return self._cut(chosen)

    def changed_lines(self) -> set[int]:
        """Return the lines before the fix that change, 0-based, and those around an addition."""
        found: set[int] = set()
        for place in self._changes():
            first, last = self._items[place].old
            found.update(range(first, last) if first < last else (first - 1, first))
        return {line for line in found if 0 <= line < len(self._old)}

    def added_lines(self) -> list[str]:
        """Return the lines that the fix adds or puts in the place of others."""
        return [
            line for place in self._changes() for line in self._new[slice(*self._items[place].new)]
        ]

    def without(
        self, gaps: Sequence[tuple[int, int]], mark: Callable[[int, int], str]
    ) -> tuple[str, str]:
        """Return both sides without lines that do not change, `mark(first, last)` in their place.

        `gaps` are lines before the fix, 0-based, ends exclusive.
        """
        marks = {first: mark(first, last) for first, last in gaps}
        gone = {line for first, last in gaps for line in range(first, last)}
        old: list[str] = []
        new: list[str] = []
        for item in self._items:
            at = item.old[0]
            if item.is_change or at not in gone:
                old += self._old[slice(*item.old)]
                new += self._new[slice(*item.new)]
            elif at in marks:
                old.append(marks[at])
                new.append(marks[at])
        return "\n".join(old), "\n".join(new)

    def _changes(self) -> list[int]:
        return [place for place, item in enumerate(self._items) if item.is_change]

    def _cut(self, chosen: set[int]) -> tuple[str, str]:
        """Return the lines of the items on both sides, a comment wherever some are left out."""
        places = sorted(place for place in chosen if 0 <= place < len(self._items))
        gap = comment(self._language, "…")
        old: list[str] = []
        new: list[str] = []
        for earlier, place in pairwise([places[0] - 1, *places]):
            if place > earlier + 1:
                old.append(gap)
                new.append(gap)
            item = self._items[place]
            old += self._old[slice(*item.old)]
            new += self._new[slice(*item.new)]
        return "\n".join(old), "\n".join(new)


def _shown(unit: Unit | None, lines: Lines, span: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the lines to be shown of one side of a change, 0-based, ends exclusive."""
    first, last = span
    near = (max(0, first - _NEAR), min(len(lines), last + _NEAR))
    if unit is None:
        yield near
    elif not unit.is_cut:
        yield unit.first - 1, unit.last
    else:
        yield from _cut_unit(unit, near)


def _cut_unit(unit: Unit, near: tuple[int, int]) -> Iterator[tuple[int, int]]:
    if unit.head:
        yield unit.first - 1, unit.head
    if unit.part:
        yield unit.part[0] - 1, unit.part[1]
    else:
        yield max(near[0], unit.first - 1), min(near[1], unit.last)


def _items(old: Lines, new: Lines) -> Iterator[_Item]:
    start, end = trimmed(list(old), list(new))
    old_end, new_end = len(old) - end, len(new) - end
    for line in range(start):
        yield _Item((line, line + 1), (line, line + 1), False)
    if max(old_end, new_end) - start > _COMPARED:
        yield _Item((start, old_end), (start, new_end), True)
    else:
        matcher = SequenceMatcher(None, old[start:old_end], new[start:new_end], autojunk=False)
        for tag, i, j, k, m in matcher.get_opcodes():
            if tag == "equal":
                for step in range(j - i):
                    at, to = start + i + step, start + k + step
                    yield _Item((at, at + 1), (to, to + 1), False)
            else:
                yield _Item((start + i, start + j), (start + k, start + m), True)
    for line in range(end):
        at, to = old_end + line, new_end + line
        yield _Item((at, at + 1), (to, to + 1), False)


def _owners(spans: Iterable[tuple[int, int]]) -> list[int]:
    """Return the item of each line."""
    return [place for place, (first, last) in enumerate(spans) for _ in range(first, last)]
