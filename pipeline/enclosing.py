"""The function, class member or configuration block around lines of a text, by tree-sitter.

Line numbers are 1-based. A part of a tree with an error in it is not trusted.
"""

import re
from functools import lru_cache
from pathlib import PurePosixPath

import msgspec
from tree_sitter import Node, Tree

from secdaemon.pipeline.code_units import body_of, name_of, unit_in, whole
from secdaemon.pipeline.evaluation import grammars

MIN_LINES = 3
"""A smaller unit says too little; the next one around it is taken."""
MIN_PART = 8
"""A smaller part of what is too long says less than a window of lines."""
MAX_LINES = 60
MAX_CHARS = 3_000
"""Of a unit that is shown whole: with the fix once more, an example keeps to 2,048 tokens."""
MAX_PARSED = 512 * 1024
"""Characters; tree-sitter needs up to five seconds for as much of what is no code at all."""

_MAX_DEPTH = 400
_MAX_HEAD = 8
_MAX_ABOVE = 12
_HASH = re.compile(r"\s*#")
_SLASHES = re.compile(r"\s*(?://|/?\*|@\w|#\[|<!--)")
_HASH_LANGUAGES = frozenset(("python", "yaml", "ruby", "shell", "toml", "terraform", "dockerfile"))


class Unit(msgspec.Struct, frozen=True):
    """A unit: its lines, and where it is too long to be shown whole, what of it is.

    A cut one has a head, a part or neither: then a window of lines in it is all there is to show.
    """

    kind: str
    """function, method, class, item, element, stage and the like."""
    name: str
    first: int
    last: int
    is_cut: bool = False
    head: int = 0
    """The last line of a cut unit's head, 0 where it has none."""
    part: tuple[int, int] | None = None
    """The lines of the largest block inside that holds the flagged ones and fits, if any."""


class _Text(msgspec.Struct, frozen=True):
    """A file: its lines without their ends, and how its tree is to be read."""

    lines: tuple[str, ...]
    grammar: str
    script: bool

    def fits(self, first: int, last: int) -> bool:
        """Whether these lines may be shown whole."""
        size = sum(len(line) + 1 for line in self.lines[first - 1 : last])
        return last - first < MAX_LINES and size <= MAX_CHARS


class _Span(msgspec.Struct, frozen=True):
    node: Node
    kind: str
    name: str
    first: int
    last: int


def unit_around(path: str, lines: tuple[str, ...], first: int, last: int) -> Unit | None:
    """Return the smallest unit that holds the lines `first` to `last`, blank ones at the end aside.

    None where the language has no grammar, the file is too large or not grammatical at this place,
    or nothing smaller than the file holds the lines.
    """
    if sum(map(len, lines)) + len(lines) > MAX_PARSED:
        return None
    while last > first and not lines[last - 1].strip():
        last -= 1
    code = "\n".join(lines)
    grammar = grammars.grammar_at(path, code)
    if grammar is None:
        return None
    suffixes = PurePosixPath(path.lower()).suffixes
    text = _Text(lines, grammar, ".gradle" in suffixes or suffixes[-1:] == [".kts"])
    root = _tree(grammar, code).root_node
    if grammar == "dockerfile":
        return _stage(text, root, first, last)
    return _chosen(text, _path(root, lines, first, last), first, last)


@lru_cache(maxsize=4)
def _tree(grammar: str, code: str) -> Tree:
    return grammars.tree(grammar, code)


def _path(root: Node, lines: tuple[str, ...], first: int, last: int) -> list[Node]:
    """Return the nodes that hold the text of the lines, the root first."""
    indent = len(lines[first - 1]) - len(lines[first - 1].lstrip())
    start = (first - 1, len(lines[first - 1][:indent].encode("utf-8", "replace")))
    end = (last - 1, len(lines[last - 1].rstrip().encode("utf-8", "replace")))
    end = max(start, end)
    cursor = root.walk()
    found = [root]
    while len(found) < _MAX_DEPTH and cursor.goto_first_child_for_point(start) is not None:
        node = cursor.node
        if node is None or node.start_point > start or _end(node) < end:
            break
        found.append(node)
    return found


def _end(node: Node) -> tuple[int, int]:
    """Return where a node ends, behind its last character."""
    return (node.end_point.row, node.end_point.column)


def _chosen(text: _Text, path: list[Node], first: int, last: int) -> Unit | None:
    """Return the smallest unit of at least MIN_LINES that fits, or a part of the one that does not.

    Where even the smallest is too long, its head and the largest block in it that fits stand for
    it; where a small one lies in one that is too long, it stands in its place among the lines.
    """
    spans = _spans(text, path, first, last)
    for span in spans:
        if span.last - span.first + 1 < MIN_LINES:
            continue
        if span.node.has_error:
            return None
        if text.fits(span.first, span.last):
            above = _above(text, span.first)
            start = above if text.fits(above, span.last) else span.first
            return Unit(span.kind, span.name, start, span.last)
        part = _part(text, path, span.first)
        return Unit(span.kind, span.name, span.first, span.last, True, _head(span), part)
    part = None if path[0].has_error else _part(text, path, 0)
    return Unit("block", "", *part) if part else None


def _spans(text: _Text, path: list[Node], first: int, last: int) -> list[_Span]:
    """Return the units on a path, the smallest first, without those inside what is no code."""
    found = []
    for place, node in enumerate(path):
        if node.is_error:
            break
        unit = unit_in(text.grammar, node, path[:place], text.script)
        if unit is None:
            continue
        outer = whole(node, path[:place])
        rows = _rows(text, outer)
        if rows[0] <= first and last <= rows[1]:
            found.append(_Span(outer, unit[0], name_of(outer) or name_of(unit[1]), *rows))
    return found[::-1]


def _rows(text: _Text, node: Node) -> tuple[int, int]:
    """Return the first and the last line of a node, without blank lines at its end."""
    first, last = node.start_point.row + 1, node.end_point.row + 1
    if node.end_point.column == 0 and last > first:
        last -= 1
    last = min(last, len(text.lines))
    while last > first and not text.lines[last - 1].strip():
        last -= 1
    return first, last


def _part(text: _Text, path: list[Node], after: int) -> tuple[int, int] | None:
    """Return the lines of the outermost node that begins below a line, has MIN_PART and fits."""
    for node in path[1:]:
        first, last = _rows(text, node)
        if node.is_named and first > after and last - first + 1 >= MIN_PART:
            if node.has_error:
                return None
            if text.fits(first, last):
                return first, last
    return None


def _head(span: _Span) -> int:
    """Return the last line of what stands before a unit's body, MAX_HEAD lines at most; 0 if none.

    JSON has no comment that could mark the cut behind it.
    """
    if span.node.type in {"pair", "object", "document"}:
        return 0
    body = body_of(span.node)
    row = span.first if body is None else body.start_point.row + 1
    if body is not None and body.start_point.row + 1 > span.first and _opens_alone(body, span):
        row = body.start_point.row
    return min(max(row, span.first), span.first + _MAX_HEAD - 1)


def _opens_alone(body: Node, span: _Span) -> bool:
    """Return whether the body begins on a line of its own, as in Python."""
    before = body.prev_sibling
    return before is not None and before.end_point.row < body.start_point.row > span.first - 1


def _above(text: _Text, first: int) -> int:
    """Return the line where the comments and annotations right above a unit begin."""
    mark = _HASH if text.grammar in _HASH_LANGUAGES else _SLASHES
    start = first
    while start > max(1, first - _MAX_ABOVE) and mark.match(text.lines[start - 2]):
        start -= 1
    return start


def _stage(text: _Text, root: Node, first: int, last: int) -> Unit | None:
    """Return the build stage of a Dockerfile: its `FROM` is the head, the instruction the part."""
    rows = [(node, _rows(text, node)) for node in root.named_children]
    begins = [(node, at) for node, at in rows if node.type == "from_instruction" and at[0] <= first]
    if not begins:
        return None
    node, (start, head) = begins[-1]
    later = (at[0] for other, at in rows if other.type == "from_instruction" and at[0] > start)
    end = next(later, len(text.lines) + 1) - 1
    while end > last and not text.lines[end - 1].strip():
        end -= 1
    if last > end or any(n.has_error for n, at in rows if at[0] <= last and first <= at[1]):
        return None
    names = [child for child in node.named_children if child.type == "image_alias"]
    name = (names[0].text or b"").decode("utf-8", "replace") if names else ""
    if text.fits(start, end):
        above = _above(text, start)
        return Unit("stage", name, above if text.fits(above, end) else start, end)
    held = [at for _, at in rows if at[0] <= first and last <= at[1] and text.fits(*at)]
    is_long = held and held[0][0] > head and held[0][1] - held[0][0] + 1 >= MIN_PART
    part = held[0] if is_long else None
    return Unit("stage", name, start, end, True, min(head, start + _MAX_HEAD - 1), part)
