"""What a change needs from elsewhere in its file: the imports and definitions of its new names."""

import re
from collections.abc import Iterable, Sequence

from secdaemon.pipeline.fixes.diffs import Hunk

_NAME = re.compile(r"[A-Za-z_]\w*")
_WORDS = """
as async await bool boolean case catch char class const def double else enum except export extern
false final float for from fun func function if import in include int interface internal is let long
new nil none not null object or override package private protected public raise require return self
static string struct super switch this throw throws true try typedef undefined unsigned use using
val var void when while with yield
"""
_KEYWORDS = frozenset(_WORDS.split())
"""Of several languages: no definition of such a name is looked for."""
_IMPORT = re.compile(r"\s*(?:(?:import|from|using|use)\s|#\s*include\b|require(?:_once)?\b)")
_DECLARES = (
    r"\s*(?:[\w@<>\[\],.?]+\s+){{0,6}}?(?:const|let|var|val|def|fun|func|function|class|interface"
    r"|object|enum|struct|record|static|final|private|public|protected|internal)\b[^=(]*?\b{name}\b"
    r"|{name}\s*="
)
_MAX_LINE = 400
_MAX_ROWS = 200
"""Of a hunk; a longer one is no definition beside a fix."""


def needed(
    before: Sequence[str], core: Sequence[Hunk], elsewhere: Iterable[Hunk], limit: int
) -> tuple[Hunk, ...]:
    """Return the parts of other changes that bring in names that are new in the core, and theirs.

    Args:
        before: the file's lines.
        core: the changes in question.
        elsewhere: other changes that may be taken from.
        limit: of lines, after which nothing more is looked for.
    """
    known = names_in(before)
    hunks = [hunk for hunk in elsewhere if len(hunk.lines) <= _MAX_ROWS]
    chosen: dict[Hunk, set[int]] = {}
    pending = [line for hunk in core for line in hunk.lines]
    while pending and sum(map(len, chosen.values())) <= limit:
        new = names_in(pending) - known
        pending = []
        for hunk in hunks:
            more = _defining(hunk.lines, new) - chosen.get(hunk, set())
            if more:
                chosen.setdefault(hunk, set()).update(more)
                rows = (hunk.lines[row] for row in sorted(more))
                pending += [row for row in rows if not _IMPORT.match(row)]
    parts = {hunk: tuple(hunk.lines[row] for row in sorted(rows)) for hunk, rows in chosen.items()}
    return tuple(_part(before, hunk, lines, core) for hunk, lines in parts.items())


def names_in(lines: Iterable[str]) -> set[str]:
    """Return the words in lines that may name something: no keywords."""
    found = set(_NAME.findall("\n".join(lines)))
    return {name for name in found if name.lower() not in _KEYWORDS}


def _defining(rows: Sequence[str], names: set[str]) -> set[int]:
    """Return the rows that define any of the names, each with the block that it opens."""
    found: set[int] = set()
    for at, row in enumerate(rows):
        line = row[:_MAX_LINE]
        if at not in found and any(
            _IMPORT.match(line) or re.match(_DECLARES.format(name=re.escape(name)), line)
            for name in sorted(names.intersection(_NAME.findall(line)))
        ):
            found.update(_block(rows, at))
    return found


def _block(rows: Sequence[str], at: int) -> range:
    """Return the rows of a definition: annotations, what it opens, and one blank row beside."""
    start, end = at, _end(rows, at)
    while start and rows[start - 1].lstrip().startswith("@"):
        start -= 1
    if end - start == 1:
        return range(start, end)
    if end < len(rows) and not rows[end].strip():
        return range(start, end + 1)
    has_blank = start and not rows[start - 1].strip()
    return range(start - 1 if has_blank else start, end)


def _end(rows: Sequence[str], at: int) -> int:
    """Return the row after a definition: where its brackets are closed, or its indentation ends."""
    depth = 0
    for end in range(at, len(rows)):
        depth += sum((sign in "{([") - (sign in "})]") for sign in rows[end])
        if depth > 0:
            continue
        is_open = rows[at].rstrip().endswith(":")
        following = next((row for row in rows[end + 1 :] if row.strip()), "")
        if not is_open or _indent(following) <= _indent(rows[at]):
            return end + 1
    return len(rows)


def _indent(row: str) -> int:
    return len(row) - len(row.lstrip())


def _part(before: Sequence[str], hunk: Hunk, lines: tuple[str, ...], core: Sequence[Hunk]) -> Hunk:
    """Return the chosen lines of a hunk; they replace old ones only where nobody needs those."""
    old = before[hunk.start - 1 : hunk.stop - 1]
    gone = names_in(old) - names_in(lines)
    removed = {line for each in core for line in range(each.start, each.stop)}
    removed.update(range(hunk.start, hunk.stop))
    rest = (line for number, line in enumerate(before, 1) if number not in removed)
    if gone & names_in(rest):
        return Hunk(hunk.stop, hunk.stop, lines)
    return Hunk(hunk.start, hunk.stop, lines)
