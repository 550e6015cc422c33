"""What an example shows of a fix: the same excerpt of a file before and after it, redacted."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from secdaemon.pipeline.context import WINDOW, Context, clean_rows
from secdaemon.pipeline.enclosing import MAX_CHARS, MAX_LINES
from secdaemon.pipeline.findings.redact import Redactor
from secdaemon.pipeline.fixes.diffs import Hunk, hunks_of
from secdaemon.pipeline.fixes.languages import comment, language_of
from secdaemon.pipeline.fixes.model import Fix
from secdaemon.pipeline.fixes.strict_parsers import reads

_MARGIN = 3
"""Lines kept around a change outside the unit that is shown."""
_BY_INDENTATION = frozenset(("yaml",))
"""Languages in which a line means nothing without those that it stands under."""
_SMALL_GAP = 2
"""As many lines are shown rather than a comment in their place."""
_ALIAS = re.compile(r"(?:^|[\s,\[{])\*([\w-]+)")
_ANCHOR = re.compile(r"(?:^|[\s,\[{])&([\w-]+)")
_LITERAL = re.compile(r"""["'`]([^"'`\n]{6,})["'`]|[:=]\s*(\S{6,})""")

_Row = tuple[int, str]


class Excerpt(msgspec.Struct, frozen=True):
    """The shown lines before the fix, with their numbers, and what becomes of them."""

    before: Context
    after: str


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of the file anyway: a function, a block, or nothing in particular."""

    lines: frozenset[int] = frozenset()
    """1-based."""
    kind: str = WINDOW
    name: str = ""


def unit_of(context: Context | None) -> Unit:
    """Return the unit that a finding's context is."""
    if context is None:
        return Unit()
    shown = frozenset(line for line in context.numbers if line)
    return Unit(lines=shown, kind=context.kind, name=context.name)


def excerpt(
    fix: Fix, unit: Unit, secrets: Redactor, leaks: Mapping[int, str], first_line: int = 1
) -> Excerpt | None:
    """Return the changed lines before and after, with the unit around them; all of a small file.

    Lines left out between two shown ones are a comment that says how many, the same on both sides.
    Of YAML the keys that lines stand under are shown too, and the anchors of the aliases on them,
    so that an excerpt is a document.
    None where the fix does not fit what an example can show, or where what changes is hidden, or
    where a leaked value would be left beside its changed line.

    Args:
        fix: whole texts.
        unit: in the lines of `fix.before`.
        secrets: the run's redactor.
        leaks: the lines of the file that a secret scanner reports: number -> placeholder.
        first_line: where in its file the first line of the text stands.
    """
    hunks = hunks_of(fix.before, fix.after)
    old = fix.before.split("\n")
    while len(old) > 1 and not old[-1].strip():
        old.pop()
    is_nested = language_of(fix.path) in _BY_INDENTATION and bool(reads(fix.path, fix.before))
    for wanted in _extents(len(old), hunks, unit):
        lines = wanted
        if is_nested:
            near = set(_without_gaps(wanted | _keys_above(old, wanted)))
            lines = near | _anchors_of(old, near)
            lines |= _keys_above(old, lines)
        shown = _rows(fix.path, old, hunks, _without_gaps(lines))
        if all(_fits(rows) for rows in shown) and (not is_nested or _is_read(fix.path, shown)):
            seen = unit if unit.lines and unit.lines <= lines else Unit()
            return _cleaned(shown, seen, secrets, leaks, first_line, hunks)
    return None


def _anchors_of(old: list[str], lines: set[int]) -> set[int]:
    """Return the lines with the anchors that aliases on some lines stand for."""
    names = {name for line in lines for name in _ALIAS.findall(old[line - 1])}
    if not names:
        return set()
    return {at for at, text in enumerate(old, 1) if not names.isdisjoint(_ANCHOR.findall(text))}


def _keys_above(old: list[str], lines: set[int]) -> set[int]:
    """Return the lines that others stand under by their indentation."""
    above: set[int] = set()
    for line in lines:
        indent = _indent(old[line - 1])
        for at in range(line - 1, 0, -1):
            text = old[at - 1]
            if not indent:
                break
            if text.strip() and not text.lstrip().startswith("#") and _indent(text) < indent:
                indent = _indent(text)
                above.add(at)
    return above


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def _is_read(path: str, shown: tuple[list[_Row], list[_Row]]) -> bool:
    return all(reads(path, "\n".join(text for _, text in rows)) for rows in shown)


def _extents(count: int, hunks: tuple[Hunk, ...], unit: Unit) -> Iterable[set[int]]:
    """Yield the old lines to show, from the most to the least."""
    changed: set[int] = set()
    for hunk in hunks:
        near = set(range(max(1, hunk.start - _MARGIN), min(count + 1, hunk.stop + _MARGIN)))
        # What changes inside the unit is shown by the unit, which ends where it ends.
        changed |= near & unit.lines if hunk.start in unit.lines else near
        changed |= set(range(hunk.start, hunk.stop))
    if unit.kind == WINDOW:
        yield set(range(1, count + 1))
    if changed & unit.lines:
        yield changed | {line for line in unit.lines if line <= count}
    yield changed


def _without_gaps(lines: set[int]) -> list[int]:
    """Return the lines in their order, with the gaps that are too small for a comment filled."""
    filled: list[int] = []
    for line in sorted(lines):
        if filled and line - filled[-1] - 1 <= _SMALL_GAP:
            filled += range(filled[-1] + 1, line)
        filled.append(line)
    return filled


def _rows(
    path: str, old: list[str], hunks: tuple[Hunk, ...], shown: list[int]
) -> tuple[list[_Row], list[_Row]]:
    """Return the shown rows before and after; a row that stands in no old line has number 0."""
    before: list[_Row] = []
    after: list[_Row] = []
    inserted = {hunk.start: hunk for hunk in hunks}
    removed = {line for hunk in hunks for line in range(hunk.start, hunk.stop)}
    language = language_of(path)
    last = None
    for line in [*shown, (shown[-1] if shown else len(old)) + 1]:
        is_end = line > (shown[-1] if shown else len(old))
        if last is not None and line - last > 1:
            cut = _cut(language, line - last - 1, old[line - 1])
            before.append(cut)
            after.append(cut)
        if line in inserted:
            after += [(0, text) for text in inserted[line].lines]
        if is_end:
            break
        before.append((line, old[line - 1]))
        if line not in removed:
            after.append((line, old[line - 1]))
        last = line
    return before, after


def _cut(language: str, count: int, near: str) -> _Row:
    indent = near[: len(near) - len(near.lstrip())]
    return 0, indent + comment(language, f"{count} lines left out")


def _fits(rows: list[_Row]) -> bool:
    return len(rows) <= MAX_LINES and sum(len(text) + 1 for _, text in rows) <= MAX_CHARS


def _cleaned(  # noqa: PLR0917 - rows, and what to hide in them
    shown: tuple[list[_Row], list[_Row]],
    unit: Unit,
    secrets: Redactor,
    leaks: Mapping[int, str],
    first_line: int,
    hunks: tuple[Hunk, ...],
) -> Excerpt | None:
    """Return both sides as an example may show them."""
    before, after = shown
    while after and not after[-1][1].strip():
        after.pop()
    sides = [clean_rows(rows, secrets, leaks) for rows in shown if rows]
    if len(sides) < len(shown) or _leaves_a_leak(before, after, leaks, hunks):
        return None
    left, right = sides
    if left is None or right is None or left.text.split() == right.text.split():
        return None
    moved = tuple(number + first_line - 1 if number else 0 for number in left.numbers)
    name = secrets.redact(unit.name)
    context = msgspec.structs.replace(left, numbers=moved, kind=unit.kind, name=name)
    return Excerpt(context, right.text)


def _leaves_a_leak(
    before: list[_Row], after: list[_Row], leaks: Mapping[int, str], hunks: tuple[Hunk, ...]
) -> bool:
    """Return whether a new line repeats a value of a changed line that a secret scanner reports."""
    changed = {line for hunk in hunks for line in range(hunk.start, hunk.stop)}
    values = {
        value
        for line, text in before
        if line in leaks and line in changed
        for match in _LITERAL.finditer(text)
        if (value := match[1] or match[2])
    }
    return any(value in text for line, text in after if not line for value in values)
