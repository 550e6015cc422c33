"""Changes at one place of a YAML text; every character outside of it stays as it is.

A place is a path from the stream: the document's number, then keys and indexes. Each function gives
the new text, or None where the change cannot be made there alone: below an alias, in a node that
others refer to, in a layout that it does not know. The new text is read again, and has to say the
same as before everywhere but at the place.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from secdaemon.pipeline.fixes.configuration.yaml_document import Document, Node, read_yaml

Place = tuple[str, ...]
Value = str | bool | int | Sequence["Value"] | Mapping[str, "Value"]

_PLAIN = re.compile(r"[A-Za-z/][\w./@+-]*(?::[\w./@+-]+)*")
_RESERVED = re.compile(r"true|false|yes|no|on|off|y|n|null", re.IGNORECASE)
_DEFAULT_STEP = 2


class _Layout(msgspec.Struct, frozen=True):
    """How a document is indented: mappings by `step`, the dashes of a list by `dash`."""

    step: int
    dash: int


class _Insertion(msgspec.Struct, frozen=True):
    """Text put at an offset, or in place of what stands up to `end`."""

    start: int
    end: int
    text: str


def node_at(document: Document, place: Place) -> Node | None:
    """Return the node at a place, aliases not followed."""
    found: Node | None = None
    below: Sequence[Node] = document.roots
    for step in place:
        if found is not None and found.kind == "mapping":
            found = found.get(step)
        else:
            below = below if found is None else found.items
            found = below[int(step)] if step.isdecimal() and int(step) < len(below) else None
        if found is None:
            return None
    return found


def put(
    text: str, place: Place, value: Value, *, after: Sequence[str] = (), before: Sequence[str] = ()
) -> str | None:
    """Set what a key has; the mappings to it are made where they are missing.

    A new entry stands behind the last of the siblings `after`, else above the first of the siblings
    `before` with the comment on that, else at the end of its mapping.
    """
    document = read_yaml(text)
    if document is None:
        return None
    there = node_at(document, place)
    if there is not None and not there.is_null:
        edit = _replacement(document, place, there, value)
        return _made(document, edit, place)
    at = len(place) - 1
    while at > 1 and node_at(document, place[:at]) is None:
        at -= 1
    parent = node_at(document, place[:at])
    if parent is None:
        return None
    if parent.is_null:
        return _filled(document, place[:at], _nested(place[at:], value))
    if there is not None:
        return _filled(document, place, value)
    edit = _entry(document, parent, place[at], _nested(place[at + 1 :], value), (after, before))
    return _made(document, edit, place[: at + 1])


def append(text: str, place: Place, value: Value) -> str | None:
    """Add an item to the end of a list."""
    document = read_yaml(text)
    items = None if document is None else node_at(document, place)
    if document is None or items is None or items.kind != "sequence" or not items.items:
        return None
    if items.is_flow:
        at = items.items[-1].end
        return _made(document, _Insertion(at, at, f", {_flow(value)}"), place)
    column = items.items[0].start - text.rfind("\n", 0, items.items[0].start) - 1
    dash = text.rfind("-", 0, items.items[0].start)
    column = dash - text.rfind("\n", 0, dash) - 1
    lines = _item_lines(value, column, _layout(document))
    return _made(document, _below(text, items.end, lines), place)


def replace(text: str, place: Place, raw: str) -> str | None:
    """Put other characters in place of a node's, as they stand in the text, quotes included."""
    return rewrite(text, place, lambda _raw: raw)


def rewrite(text: str, place: Place, change: Callable[[str], str]) -> str | None:
    """Change the characters of a node as they stand in the text, quotes included."""
    document = read_yaml(text)
    node = None if document is None else node_at(document, place)
    if document is None or node is None:
        return None
    raw = text[node.start : node.end]
    return _made(document, _Insertion(node.start, node.end, change(raw)), place)


def remove(text: str, place: Place) -> str | None:
    """Take an entry away with its lines; None for a mapping's only entry, and within `{}`."""
    document = read_yaml(text)
    parent = None if document is None else node_at(document, place[:-1])
    if document is None or parent is None or parent.is_flow:
        return None
    if parent.kind == "sequence":
        node = node_at(document, place)
        # The dash is before the item.
        start = -1 if node is None else text.rfind("-", 0, node.start)
        alone = len(parent.items) == 1
    else:
        entry = parent.entry(place[-1])
        node, start = (entry[1], entry[0].start) if entry else (None, -1)
        alone = len(parent.pairs) == 1
    if node is None or alone:
        return None
    first = text.rfind("\n", 0, start) + 1
    last = _line_end(text, node.end)
    if text[first:start].strip():
        return None
    allowed = place[:-1] if parent.kind == "sequence" else place
    return _made(document, _Insertion(first, min(last + 1, len(text)), ""), allowed)


def _nested(keys: Place, value: Value) -> Value:
    for key in reversed(keys):
        value = {key: value}
    return value


def _replacement(document: Document, place: Place, node: Node, value: Value) -> _Insertion | None:
    is_block = bool(node.pairs or node.items) and not node.is_flow
    if isinstance(value, Mapping) and not node.is_flow and (value or is_block):
        entry = _parent_entry(document, place)
        if entry is None:
            return None
        key, column = entry
        colon = document.text.find(":", key.end)
        if not value:
            return _Insertion(colon + 1, node.end, " {}")
        lines = _lines(value, column + _layout(document).step, _layout(document))
        return _Insertion(colon + 1, node.end, "".join(f"\n{line}" for line in lines))
    return _Insertion(node.start, node.end, _flow(value))


def _parent_entry(document: Document, place: Place) -> tuple[Node, int] | None:
    """Return the key of an entry of a block mapping, and the column that it stands in."""
    parent = node_at(document, place[:-1])
    entry = parent.entry(place[-1]) if parent is not None and not parent.is_flow else None
    return (entry[0], entry[0].column) if entry else None


def _filled(document: Document, place: Place, value: Value) -> str | None:
    """Give an entry without a value one; nothing may be written there, as `~` is."""
    node, entry = node_at(document, place), _parent_entry(document, place)
    if node is None or node.value or entry is None:
        return None
    key, column = entry
    colon = document.text.find(":", key.end)
    if not isinstance(value, Mapping):
        edit = _Insertion(colon + 1, colon + 1, f" {_flow(value)}")
    else:
        layout = _layout(document)
        edit = _below(document.text, colon, _lines(value, column + layout.step, layout))
    return _made(document, edit, place)


def _entry(
    document: Document,
    parent: Node,
    key: str,
    value: Value,
    near: tuple[Sequence[str], Sequence[str]],
) -> _Insertion | None:
    if parent.kind != "mapping":
        return None
    if parent.is_flow:
        said = f"{key}: {_flow(value)}"
        if not parent.pairs:
            return _Insertion(parent.start, parent.end, f"{{{said}}}")
        at = parent.pairs[-1][1].end
        return _Insertion(at, at, f", {said}")
    lines = _lines({key: value}, parent.pairs[0][0].column, _layout(document))
    after, before = near
    above = [pair for pair in parent.pairs if pair[0].value in after]
    under = [pair for pair in parent.pairs if pair[0].value in before]
    if above or not under:
        last = (above or list(parent.pairs))[-1]
        return _below(document.text, max(last[0].end, last[1].end), lines)
    return _above(document.text, under[0][0], lines)


def _below(text: str, offset: int, lines: Iterable[str]) -> _Insertion:
    """Put lines below the one that an offset is in."""
    end = _line_end(text, offset)
    return _Insertion(end, end, "".join(f"\n{line}" for line in lines))


def _above(text: str, key: Node, lines: Iterable[str]) -> _Insertion | None:
    """Put lines above a key and the comment that stands right above it, blank line between."""
    at = text.rfind("\n", 0, key.start) + 1
    if text[at : key.start].strip():
        return None
    while at:
        previous = text.rfind("\n", 0, at - 1) + 1
        if not text[previous:at].lstrip().startswith("#"):
            break
        at = previous
    gap = "\n" if key.column == 0 else ""
    return _Insertion(at, at, "".join(f"{line}\n" for line in lines) + gap)


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end


def _layout(document: Document) -> _Layout:
    """Return how the first nested mapping and the first list under a key are indented."""
    step = dash = None
    waiting = list(document.roots)
    while waiting and (step is None or dash is None):
        node = waiting.pop(0)
        for key, value in node.pairs:
            if value.pairs and not value.is_flow and step is None:
                step = value.pairs[0][0].column - key.column
            if value.items and not value.is_flow and dash is None:
                at = document.text.rfind("-", 0, value.items[0].start)
                dash = at - document.text.rfind("\n", 0, at) - 1 - key.column
            waiting.append(value)
        waiting += node.items
    step = step if step and step > 0 else _DEFAULT_STEP
    return _Layout(step, step if dash is None or dash < 0 else dash)


def _lines(value: Mapping[str, Value], column: int, layout: _Layout) -> list[str]:
    """Return a mapping as the lines of a block."""
    margin = " " * column
    lines = []
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            lines += [f"{margin}{key}:", *_lines(inner, column + layout.step, layout)]
        elif isinstance(inner, Sequence) and not isinstance(inner, str) and inner:
            lines.append(f"{margin}{key}:")
            for item in inner:
                lines += _item_lines(item, column + layout.dash, layout)
        else:
            lines.append(f"{margin}{key}: {_flow(inner)}")
    return lines


def _item_lines(value: Value, column: int, layout: _Layout) -> list[str]:
    if not isinstance(value, Mapping) or not value:
        return [f"{' ' * column}- {_flow(value)}"]
    first, *rest = _lines(value, column + 2, layout)
    return [f"{' ' * column}- {first.lstrip()}", *rest]


def _flow(value: Value) -> str:
    """Return a value as it is written on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _scalar(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    return "[" + ", ".join(_flow(inner) for inner in value) + "]"


def _scalar(value: str) -> str:
    is_expression = value.startswith("${{") and value.endswith("}}") and "\n" not in value
    if is_expression and ": " not in value and " #" not in value:
        return value
    if _PLAIN.fullmatch(value) and not _RESERVED.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _made(document: Document, edit: _Insertion | None, place: Place) -> str | None:
    """Return the text with the edit, where it says the same as before but for the place."""
    if edit is None or _is_shared(document, edit):
        return None
    after = document.text[: edit.start] + edit.text + document.text[edit.end :]
    new = read_yaml(after)
    return after if new is not None and _same_but(document, new, place) else None


def _is_shared(document: Document, edit: _Insertion) -> bool:
    """Whether an edit is in, or right behind, a node that an alias stands for."""
    return any(
        node.start <= edit.end and edit.start <= _line_end(document.text, node.end)
        for node in document.shared
    )


def _same_but(before: Document, after: Document, place: Place) -> bool:
    if len(before.roots) != len(after.roots):
        return False
    waiting: list[tuple[Place, Node | None, Node | None]] = [
        ((str(at),), old, new)
        for at, (old, new) in enumerate(zip(before.roots, after.roots, strict=True))
    ]
    while waiting:
        path, old, new = waiting.pop()
        if path == place:
            continue
        if old is None or new is None or _head(old) != _head(new):
            return False
        # Looked up by key: a text may have a mapping of thousands of them.
        was, now = ({key.value: value for key, value in node.pairs} for node in (old, new))
        waiting += [((*path, key), was.get(key), now.get(key)) for key in (was | now)]
        pairs = zip(old.items, new.items, strict=True)
        waiting += [((*path, str(at)), a, b) for at, (a, b) in enumerate(pairs)]
    return True


def _head(node: Node) -> tuple[object, ...]:
    """Return what a node is without what is in it."""
    is_plain = not node.style
    return (node.kind, node.value, is_plain, node.tag, node.anchor, len(node.items))
