"""TOML as tables of keys and values, each with its node, by tree-sitter."""

import re

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.manifests.model import Source

Key = tuple[str, ...]
_QUOTED = re.compile(r"(\"\"\"|'''|\"|')(.*)\1", re.DOTALL)


class Entry(msgspec.Struct, frozen=True):
    """A key and its value; the key is whole, with its table's, so that spelling does not matter."""

    key: Key
    value: Node


class Table(msgspec.Struct, frozen=True):
    """A table's header, and the node that holds its pairs; the document itself has no header."""

    key: Key
    node: Node


def tables(source: Source) -> list[Table]:
    """Return the document's tables in their order, arrays of tables among them."""
    headed = (
        Table(_key(source, node.named_children[0]), node)
        for node in source.root.named_children
        if node.type in {"table", "table_array_element"} and node.named_child_count
    )
    return [Table((), source.root), *headed]


def entries(source: Source) -> list[Entry]:
    """Return all pairs outside arrays, those of inline tables too, in their order."""
    found: list[Entry] = []
    waiting = [(table.key, table.node) for table in reversed(tables(source))]
    while waiting:
        prefix, node = waiting.pop()
        inner = []
        for pair in node.named_children:
            if pair.type != "pair" or pair.named_child_count < 2:  # noqa: PLR2004 - key, value
                continue
            key = (*prefix, *_key(source, pair.named_children[0]))
            value = pair.named_children[1]
            found.append(Entry(key, value))
            if value.type == "inline_table":
                inner.append((key, value))
        waiting += reversed(inner)
    return found


def string_of(source: Source, node: Node) -> str | None:
    """Return a string's text without its quotes, None for another value or one with escapes."""
    if node.type != "string":
        return None
    match = _QUOTED.fullmatch(source.of(node))
    return match[2] if match and "\\" not in match[2] else None


def requoted(source: Source, node: Node, text: str) -> str:
    """Return a text between the quotes that a string has."""
    match = _QUOTED.fullmatch(source.of(node))
    quote = match[1] if match else '"'
    return f"{quote}{text}{quote}"


def _key(source: Source, node: Node) -> Key:
    parts: list[str] = []
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if part.type == "dotted_key":
            waiting += reversed(part.named_children)
        else:
            parts.append(source.of(part).strip("\"'"))
    return tuple(parts)
