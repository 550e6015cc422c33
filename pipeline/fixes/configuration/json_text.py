"""A JSON file as the same nodes that a YAML file has, and the edits that keep all other bytes.

Places are those of `yaml_edit`: the document's number (always 0), then keys and indexes.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tree_sitter import Node as Syntax

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.fixes.configuration.places import Places
from secdaemon.pipeline.fixes.configuration.yaml_document import (
    MAX_CHARS,
    MAX_DEPTH,
    MAX_NODES,
    Document,
    Node,
)
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place, Value, node_at

_FIRST_INDENT = re.compile(r"\n([ \t]+)[\"{\[]")
_COLON = re.compile(r"\"\s*:(\s*)")
_INDENT = "  "


@lru_cache(maxsize=4)
def read_json(text: str) -> Document | None:
    """Return a text as nodes, None where it is no JSON, too large, too deep or has a key twice."""
    if len(text) > MAX_CHARS or not text.lstrip().startswith("{"):
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    root = grammars.parse("json", text)
    tops = [node for node in root.named_children if node.type != "comment"]
    if root.has_error or len(tops) != 1:
        return None
    reader = _Reader(text)
    top = reader.read(tops[0])
    return Document(text, (top,), ()) if reader.is_sound else None


class _Reader:
    """Makes nodes of a syntax tree; `is_sound` turns false where they are not all of it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = Places(text).at
        breaks = (at + 1 for at, character in enumerate(text) if character == "\n")
        self._lines = (0, *breaks)
        self._left = MAX_NODES
        self.is_sound = True

    def read(self, found: Syntax, depth: int = 0) -> Node:
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            self.is_sound = False
            return self._node(found, "scalar")
        if found.type == "object":
            pairs = [c.named_children for c in found.named_children if c.type == "pair"]
            both = tuple((self.read(k, depth + 1), self.read(v, depth + 1)) for k, v in pairs)
            self.is_sound &= len({key.value for key, _ in both}) == len(both)
            return self._node(found, "mapping", is_flow=True, pairs=both)
        if found.type == "array":
            items = tuple(self.read(c, depth + 1) for c in found.named_children)
            return self._node(found, "sequence", is_flow=True, items=items)
        raw = self._text[self._at(found.start_byte) : self._at(found.end_byte)]
        is_text = found.type == "string"
        value = raw
        if is_text:
            value = str(json.loads(raw)) if "\\" in raw else raw[1:-1]
        return self._node(found, "scalar", value=value, style='"' if is_text else "")

    def _node(self, found: Syntax, kind: Any, **fields: Any) -> Node:
        start, line = self._at(found.start_byte), found.start_point.row
        return Node(
            kind=kind,
            start=start,
            end=self._at(found.end_byte),
            line=line + 1,
            end_line=found.end_point.row + 1,
            column=start - self._lines[line],
            **fields,
        )


def put_json(
    text: str, place: Place, value: Value, *, after: Sequence[str] = (), before: Sequence[str] = ()
) -> str | None:
    """Set what a key has; as `yaml_edit.put`."""
    document = read_json(text)
    if document is None:
        return None
    there = node_at(document, place)
    if there is not None:
        written = _written(text, value, _indent_of(text, there.start))
        return _made(text, there.start, there.end, written, place, value)
    at = len(place) - 1
    while at > 0 and node_at(document, place[:at]) is None:
        at -= 1
    parent, key = node_at(document, place[:at]), place[at]
    for name in reversed(place[at + 1 :]):
        value = {name: value}
    if parent is None or parent.kind != "mapping":
        return None
    start, end, added = _entry(text, parent, (key, value), (after, before))
    return _made(text, start, end, added, place[: at + 1], value)


def rewrite_json(text: str, place: Place, change: Callable[[str], str]) -> str | None:
    """Change the characters of a value as they stand in the text, quotes included."""
    document = read_json(text)
    node = None if document is None else node_at(document, place)
    if node is None:
        return None
    written = change(text[node.start : node.end])
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        return None
    return _made(text, node.start, node.end, written, place, value)


def remove_json(text: str, place: Place) -> str | None:
    """Take an entry or an item away, and the comma that it leaves."""
    document = read_json(text)
    parent = None if document is None else node_at(document, place[:-1])
    if parent is None:
        return None
    spans = [(k.start, v.end) for k, v in parent.pairs] or [(i.start, i.end) for i in parent.items]
    names = [key.value for key, _ in parent.pairs] or [str(n) for n in range(len(parent.items))]
    if place[-1] not in names:
        return None
    at = names.index(place[-1])
    if at > 0:
        start, end = spans[at - 1][1], spans[at][1]
    elif len(spans) > 1:
        start, end = spans[0][0], spans[1][0]
    else:
        start, end = parent.start + 1, parent.end - 1
    after = text[:start] + text[end:]
    wanted = json.loads(text)
    holder = _holder(wanted, place)
    del holder[int(place[-1]) if isinstance(holder, list) else place[-1]]
    return after if _says(after, wanted) else None


def _entry(
    text: str,
    parent: Node,
    entry: tuple[str, Value],
    near: tuple[Sequence[str], Sequence[str]],
) -> tuple[int, int, str]:
    """Return which characters give way to what, to add an entry to an object."""
    key, value = entry
    if not parent.pairs:
        outer = _indent_of(text, parent.start)
        inner = outer + _step(text)
        said = f"{json.dumps(key)}:{_space(text)}{_written(text, value, inner)}"
        is_line = "\n" not in text
        return (
            parent.start,
            parent.end,
            f"{{{said}}}" if is_line else f"{{\n{inner}{said}\n{outer}}}",
        )
    first = parent.pairs[0][0]
    said = f"{json.dumps(key)}:{_space(text)}{_written(text, value, _indent_of(text, first.start))}"
    gap = _gap(text, first.start)
    after, before = near
    above = [pair for pair in parent.pairs if pair[0].value in after]
    under = [pair for pair in parent.pairs if pair[0].value in before]
    if under and not above:
        place = under[0][0].start
        return place, place, f"{said},{gap}"
    place = (above or list(parent.pairs))[-1][1].end
    return place, place, f",{gap}{said}"


def _gap(text: str, start: int) -> str:
    """Return what stands between two entries: a new line where one begins its own."""
    line = text.rfind("\n", 0, start)
    before = text[line + 1 : start]
    if line >= 0 and not before.strip():
        return f"\n{before}"
    return " " if _space(text) else ""


def _indent_of(text: str, place: int) -> str:
    """Return the white space that the line of a place begins with."""
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip())]


def _step(text: str) -> str:
    found = _FIRST_INDENT.search(text)
    return found[1] if found else _INDENT


def _space(text: str) -> str:
    """Return what follows a colon in this text."""
    found = _COLON.search(text)
    return " " if found is None or found[1] else ""


def _written(text: str, value: Value, indent: str) -> str:
    """Return a value as this text would write it; on one line where the text is one."""
    if "\n" not in text:
        tight = None if _space(text) else (",", ":")
        return json.dumps(value, ensure_ascii=False, separators=tight)
    if not isinstance(value, Mapping | list | tuple) or not value:
        return json.dumps(value, ensure_ascii=False)
    space = _space(text)
    lines = json.dumps(
        value, ensure_ascii=False, indent=_step(text), separators=(",", f":{space}")
    ).split("\n")
    return f"\n{indent}".join(lines)


def _made(  # noqa: PLR0917 - an edit and what it is to say
    text: str, start: int, end: int, added: str, place: Place, value: Value
) -> str | None:
    """Return the text with the edit, where it says what it said but for the value at the place."""
    after = text[:start] + added + text[end:]
    wanted = json.loads(text)
    holder = _holder(wanted, place)
    if isinstance(holder, list):
        holder[int(place[-1]) : int(place[-1]) + 1] = [value]
    else:
        holder[place[-1]] = value
    return after if _says(after, json.loads(json.dumps(wanted))) else None


def _says(text: str, wanted: Any) -> bool:
    """Return whether a text is JSON for a value, with no key twice."""
    try:
        said = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return False
    return bool(said == wanted)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        msg = "a key twice"
        raise ValueError(msg)
    return found


def _holder(document: Any, place: Place) -> Any:
    """Return the object or array that a place is in; it is known to be there."""
    for step in place[1:-1]:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document
