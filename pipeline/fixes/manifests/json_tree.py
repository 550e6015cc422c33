"""JSON by tree-sitter: objects, their members, and a member put at an object's end."""

import json
import re

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.manifests.model import Source, indent_at
from secdaemon.pipeline.fixes.model import TextEdit

_INDENT = re.compile(r"^([ \t]+)\S", re.MULTILINE)


class Member(msgspec.Struct, frozen=True):
    """A member of an object."""

    key: str
    value: Node


class Document(Source):
    """A JSON document."""

    def __init__(self, text: str) -> None:
        """Read the text."""
        super().__init__("json", text)
        found = [n for n in self.root.named_children if n.type == "object"]
        self.object = found[0] if len(found) == 1 and not self.root.has_error else None

    def members(self, node: Node | None) -> list[Member]:
        """Return an object's members in their order; none of another value."""
        if node is None or node.type != "object":
            return []
        pairs = [n for n in node.named_children if n.type == "pair" and n.named_child_count > 1]
        return [
            Member(self.string(pair.named_children[0]) or "", pair.named_children[-1])
            for pair in pairs
        ]

    def at(self, *keys: str) -> Node | None:
        """Return the value under these keys, None where there is none or more than one."""
        node = self.object
        for key in keys:
            found = [member.value for member in self.members(node) if member.key == key]
            node = found[0] if len(found) == 1 else None
        return node

    def string(self, node: Node | None) -> str | None:
        """Return a string's text, None for other values and for strings with escapes."""
        if node is None or node.type != "string":
            return None
        text = self.of(node)[1:-1]
        return text if "\\" not in text else None

    def added(self, keys: tuple[str, ...], value: str) -> TextEdit | None:
        """Return the edit that adds a string under these keys, with the objects that it needs.

        None where something else stands there.
        """
        held = len(keys) - 1
        while held and self.at(*keys[:held]) is None:
            held -= 1
        node = self.at(*keys[:held])
        if node is None or node.type != "object":
            return None
        match = _INDENT.search(self.text)
        unit = match[1] if match else "  "
        base = indent_at(self.text, self.start(node)) + unit
        inner: object = value
        for key in reversed(keys[held + 1 :]):
            inner = {key: inner}
        lines = json.dumps(inner, indent=unit, ensure_ascii=False).split("\n")
        member = f"{json.dumps(keys[held], ensure_ascii=False)}: " + f"\n{base}".join(lines)
        pairs = [child for child in node.named_children if child.type == "pair"]
        if pairs:
            at = self.end(pairs[-1])
            is_flat = "\n" not in self.of(node)
            return TextEdit(at, at, f", {member}" if is_flat else f",\n{base}{member}")
        opened, closed = self.start(node) + 1, self.end(node) - 1
        return TextEdit(opened, closed, f"\n{base}{member}\n{base.removesuffix(unit)}")
