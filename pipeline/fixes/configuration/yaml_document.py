"""A YAML text as nodes that know where they stand in it, read without expanding aliases.

Built from PyYAML's events rather than its objects: what a text says has to be found in it again to
be changed there, and a document with nested aliases ("billion laughs") is as small here as it is
written. ruamel.yaml's round trip was left out because it writes the whole file anew, with its own
ideas of indentation, quotes and long lines, where a fix should change a line or two.
"""

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import msgspec
import yaml

MAX_CHARS = 256 * 1024
MAX_NODES = 40_000
MAX_DEPTH = 60

_MERGE = "<<"
_MAX_MERGES = 8
_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = (
    yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
)
_TRUE = frozenset(("true", "True", "TRUE", "yes", "Yes", "on", "On"))
_FALSE = frozenset(("false", "False", "FALSE", "no", "No", "off", "Off"))


class Node(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A part of a document; offsets are characters of the text, 0-based, ends exclusive."""

    kind: Literal["mapping", "sequence", "scalar", "alias"]
    start: int
    """Of its first character; before a tag or an anchor, if any."""
    end: int
    """Behind its last character that is no space and no comment."""
    line: int
    """1-based."""
    end_line: int
    column: int
    """0-based, of `start`."""
    value: str = ""
    """Of a scalar; the name of an alias."""
    style: str = ""
    """Of a scalar: "" plain, else its quote, `|` or `>`."""
    tag: str | None = None
    anchor: str | None = None
    is_flow: bool = False
    pairs: tuple[tuple["Node", "Node"], ...] = ()
    """Of a mapping; all keys are scalars, and no two of them are the same."""
    items: tuple["Node", ...] = ()
    """Of a sequence."""
    target: "Node | None" = None
    """What an alias stands for; None inside its own anchor."""

    def get(self, *keys: str) -> "Node | None":
        """Return the node at a path of keys as it is written here; None where there is none."""
        node: Node | None = self
        for key in keys:
            entry = node.entry(key) if node is not None else None
            node = entry[1] if entry is not None else None
        return node

    def entry(self, key: str) -> "tuple[Node, Node] | None":
        """Return the key and the value of a mapping's own entry."""
        return next((pair for pair in self.pairs if pair[0].value == key), None)

    def lookup(self, key: str) -> "Node | None":
        """Return what a key has in the end: its own entry, else what `<<` merges, aliases followed.

        At most `_MAX_MERGES` merges deep, so that no text makes it long.
        """
        return _lookup(self, key, _MAX_MERGES)

    def resolved(self) -> "Node":
        """Return what an alias stands for, the node itself where it is none or it is a cycle."""
        return self if self.target is None else self.target

    @property
    def is_true(self) -> bool:
        """Whether it is a plain scalar for true, in YAML 1.1 or 1.2."""
        return self.kind == "scalar" and not self.style and self.value in _TRUE

    @property
    def is_false(self) -> bool:
        """Whether it is a plain scalar for false."""
        return self.kind == "scalar" and not self.style and self.value in _FALSE

    @property
    def is_null(self) -> bool:
        """Whether it is a plain scalar for nothing."""
        return self.kind == "scalar" and not self.style and self.value in {"", "~", "null", "Null"}


def _lookup(node: Node, key: str, left: int) -> Node | None:
    node = node.resolved()
    own = node.entry(key)
    if own is not None:
        return own[1].resolved()
    merged = node.entry(_MERGE)
    if merged is None or not left:
        return None
    source = merged[1].resolved()
    for other in (source.items or (source,))[:_MAX_MERGES]:
        found = _lookup(other, key, left - 1 if len(source.items) < 2 else 0)  # noqa: PLR2004
        if found is not None:
            return found
    return None


class Document(msgspec.Struct, frozen=True, eq=False):
    """A YAML text: the root of each of its documents, and the anchors that something refers to."""

    text: str
    roots: tuple[Node, ...]
    shared: tuple[Node, ...]
    """Anchored nodes with an alias: what changes in one changes elsewhere too."""


@lru_cache(maxsize=16)
def read_yaml(text: str) -> Document | None:
    """Return a text as nodes, None where it cannot be relied on.

    That is what is no YAML, is too large or too deep, or has a mapping with a key twice, or with a
    key that is no scalar, as an unquoted `{{ template }}` makes one.
    """
    if len(text) > MAX_CHARS or text.startswith("\ufeff"):
        return None
    builder = _Builder(text)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if not builder.take(event):
                return None
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    shared = tuple(node for name, node in builder.anchored if name in builder.used)
    return Document(text, tuple(builder.roots), shared)


def _offset(mark: yaml.error.Mark | yaml._yaml.Mark | None) -> int:
    return 0 if mark is None else mark.index


class _Open(msgspec.Struct):
    """A collection whose end has not come yet."""

    event: yaml.CollectionStartEvent
    children: list[Node]


class _Builder:
    """Makes nodes of events, the inner ones first, so that no node can hold itself."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(at + 1 for at, char in enumerate(text) if char == "\n")]
        self.roots: list[Node] = []
        self.anchors: dict[str, Node] = {}
        self.anchored: list[tuple[str, Node]] = []
        self.used: set[str] = set()
        self._open: list[_Open] = []
        self._count = 0

    def take(self, event: yaml.Event) -> bool:
        """Take one event in; False where the text is not to be read any further."""
        self._count += 1
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append(_Open(event, []))
        elif isinstance(event, yaml.CollectionEndEvent):
            return self._close(event)
        elif isinstance(event, yaml.ScalarEvent):
            self._add(self._scalar(event))
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._alias(event))
        return self._count < MAX_NODES and len(self._open) < MAX_DEPTH

    def _close(self, end: yaml.CollectionEndEvent) -> bool:
        opened = self._open.pop()
        start, children = opened.event, opened.children
        is_flow = bool(start.flow_style)
        # A block collection ends, for the parser, where the next thing begins.
        last = _offset(end.end_mark) if is_flow or not children else children[-1].end
        node = self._node(
            "sequence" if isinstance(start, yaml.SequenceStartEvent) else "mapping",
            start,
            last,
            is_flow=is_flow,
            items=tuple(children) if isinstance(start, yaml.SequenceStartEvent) else (),
            pairs=()
            if isinstance(start, yaml.SequenceStartEvent)
            else tuple(zip(children[::2], children[1::2], strict=True)),
        )
        self._add(node)
        keys = [key for key, _ in node.pairs]
        return len({key.value for key in keys}) == len(keys) and all(
            key.kind == "scalar" for key in keys
        )

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        start, end = _offset(event.start_mark), _offset(event.end_mark)
        style = event.style or ""
        if style in {"|", ">"}:
            end = start + len(self.text[start:end].rstrip())
        return self._node("scalar", event, end, value=event.value, style=style)

    def _alias(self, event: yaml.AliasEvent) -> Node:
        name = event.anchor or ""
        self.used.add(name)
        target = self.anchors.get(name)
        return self._node(
            "alias", event, _offset(event.end_mark), value=name, anchor=None, target=target
        )

    def _node(
        self,
        kind: Literal["mapping", "sequence", "scalar", "alias"],
        event: yaml.NodeEvent,
        end: int,
        **fields: object,
    ) -> Node:
        start = _offset(event.start_mark)
        end = max(start, end)
        row = bisect_right(self.starts, start)
        fields.setdefault("anchor", event.anchor)
        return Node(
            kind=kind,
            start=start,
            end=end,
            line=row,
            end_line=bisect_right(self.starts, max(start, end - 1)),
            column=start - self.starts[row - 1],
            tag=getattr(event, "tag", None),
            **fields,  # type: ignore[arg-type]
        )

    def _add(self, node: Node) -> None:
        if node.kind != "alias" and node.anchor:
            self.anchors[node.anchor] = node
            self.anchored.append((node.anchor, node))
        (self._open[-1].children if self._open else self.roots).append(node)


def scalars(node: Node) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Yield every scalar below a node with its path of keys and indexes, as they are written."""
    waiting: list[tuple[tuple[str, ...], Node]] = [((), node)]
    while waiting:
        path, found = waiting.pop()
        if found.kind == "scalar":
            yield path, found
        below = [((*path, key.value), value) for key, value in found.pairs]
        below += [((*path, str(at)), item) for at, item in enumerate(found.items)]
        waiting += reversed(below)
