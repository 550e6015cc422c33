"""Gradle build scripts in Groovy and Kotlin, as far as dependencies are declared in them.

What counts are string literals and the blocks around them: comments are none, and what a script
computes is not followed further than one variable.
"""

import re

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.manifests.model import Source

_QUOTES = {"string_literal", "character_literal"}
_CALLS = {"call_expression", "method_invocation", "juxt_function_call"}
_PLAIN = re.compile(r"v?\d[\w.-]*(?:\+[\w.-]+)?")
_COORDINATE = re.compile(r"([\w.-]+:[\w.-]+):([^:@!]+)((?:!!)?(?::[\w.-]+)?(?:@\w+)?)")
_VARIABLE = re.compile(r"\$(?:\{([^{}]*)\}|([A-Za-z_]\w*))")
_KEY = re.compile(r"[\"']([\w.-]+)[\"']\W*$|(\w+)\W*$")
_ASSIGNED = re.compile(
    r"(?:(?P<name>[A-Za-z_]\w*)|\[\s*[\"'](?P<key>[\w.-]+)[\"']\s*\])\s*(?::\s*String\s*)?"
    r"(?:=|by\s+extra\s*\()\s*$"
    r"|\bset\s*\(\s*[\"'](?P<set>[\w.-]+)[\"']\s*,\s*$"
)
_LINE = 200
_DEPTH = 200


class Literal(msgspec.Struct, frozen=True, kw_only=True):
    """A string without its quotes."""

    start: int
    end: int
    text: str
    blocks: tuple[str, ...]
    """The blocks around it, the outermost first, such as `dependencies`, `constraints`."""
    label: str
    """The name that it is given as an argument, such as `version`; "" for none."""
    arguments: int
    """Which list of arguments it stands in, 0 for none."""


class _Around(msgspec.Struct, frozen=True, kw_only=True):
    """What is around a node; see `Literal`."""

    blocks: tuple[str, ...] = ()
    call: str = ""
    label: str = ""
    arguments: int = 0
    depth: int = 0


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A version that a script gives a module."""

    module: str
    start: int
    end: int
    version: str
    variable: str
    """The variable that gives it, "" where it is written out."""
    blocks: tuple[str, ...]


class Script(Source):
    """A build script."""

    def __init__(self, path: str, text: str) -> None:
        """Read the script in the language of its name."""
        super().__init__("kotlin" if path.endswith((".kts", ".kt")) else "groovy", text)
        self.is_kotlin = path.endswith((".kts", ".kt"))
        self.literals = self._read()

    def declared(self) -> list[Declared]:
        """Return the versions of modules, in their order, whether written out or by a variable."""
        found = []
        for literal in self.literals:
            match = _COORDINATE.fullmatch(literal.text)
            if match:
                start = literal.start + match.start(2)
                found.append(_declared(match[1], match[2], start, literal.blocks))
        return [*found, *self._by_parts()]

    def versions(self, variable: str) -> list[Literal]:
        """Return the plain versions that a variable, property or constant is set to."""
        return [
            literal
            for literal in self.literals
            if _PLAIN.fullmatch(literal.text) and self._assigned(literal) == variable
        ]

    def block(self, *names: str) -> Node | None:
        """Return the closure of the first block of these names, each within the one before."""
        node = self.root
        for name in names:
            inner = next((body for n, body in self._blocks(node) if n == name), None)
            if inner is None:
                return None
            node = inner
        return node

    def _blocks(self, node: Node) -> list[tuple[str, Node]]:
        """Return the blocks that stand in a node directly, with their names."""
        found = []
        for child in node.named_children:
            call = child
            if call.type == "expression_statement" and call.named_child_count:
                call = call.named_children[0]
            body = _closure(call) if call.type in _CALLS else None
            if body is not None:
                found.append((self._name(call), body))
        return found

    def _name(self, call: Node) -> str:
        """Return the function that a call calls, by its last name."""
        node = call.named_children[0] if call.named_child_count else call
        while node.type == "call_expression" and node.named_child_count:
            node = node.named_children[0]
        text = self.of(node) if node.end_byte - node.start_byte < _LINE else ""
        return text.rpartition(".")[2]

    def _read(self) -> list[Literal]:
        """Return the strings in their order, each with what is around it."""
        found: list[Literal] = []
        waiting = [(self.root, _Around())]
        while waiting:
            node, around = waiting.pop()
            if node.type in _QUOTES:
                found.append(self._literal(node, around))
            else:
                inner = self._within(node, around)
                if inner is not None:
                    waiting += [(child, inner) for child in reversed(node.children)]
        return found

    def _within(self, node: Node, around: "_Around") -> "_Around | None":
        """Return what is around a node's children, None where they lie too deep to be looked at."""
        if around.depth > _DEPTH:
            return None
        changed = msgspec.structs.replace(around, depth=around.depth + 1)
        if node.type in _CALLS:
            return msgspec.structs.replace(changed, call=self._name(node))
        if node.type in {"closure", "lambda_literal"}:
            return _Around(blocks=(*around.blocks, around.call), depth=changed.depth)
        if node.type in {"value_arguments", "argument_list"}:
            return msgspec.structs.replace(changed, label="", arguments=node.start_byte + 1)
        if node.type in {"value_argument", "map_item"}:
            named = node.named_child_count > 1
            label = self.of(node.named_children[0])[:_LINE] if named else ""
            return msgspec.structs.replace(changed, label=label)
        return changed

    def _literal(self, node: Node, around: "_Around") -> Literal:
        start, end = self.start(node) + 1, self.end(node) - 1
        return Literal(
            start=start,
            end=max(start, end),
            text=self.text[start:end],
            blocks=around.blocks,
            label=around.label,
            arguments=around.arguments,
        )

    def _by_parts(self) -> list[Declared]:
        """Return what is declared as `group: 'g', name: 'a', version: 'v'`."""
        lists: dict[int, dict[str, Literal]] = {}
        for literal in self.literals:
            if literal.label in {"group", "name", "version"} and literal.arguments:
                lists.setdefault(literal.arguments, {})[literal.label] = literal
        return [
            _declared(
                f"{parts['group'].text}:{parts['name'].text}",
                parts["version"].text,
                parts["version"].start,
                parts["version"].blocks,
            )
            for parts in lists.values()
            if {"group", "name", "version"} <= set(parts)
        ]

    def _assigned(self, literal: Literal) -> str:
        before = self.text[max(0, literal.start - 1 - _LINE) : literal.start - 1]
        match = _ASSIGNED.search(before.rpartition("\n")[2])
        return (match["name"] or match["key"] or match["set"] or "") if match else ""


def _closure(call: Node) -> Node | None:
    """Return the closure that a call is given last."""
    last = call.named_children[-1] if call.named_child_count else None
    if last is not None and last.type == "annotated_lambda" and last.named_child_count:
        last = last.named_children[-1]
    return last if last is not None and last.type in {"closure", "lambda_literal"} else None


def _declared(module: str, version: str, start: int, blocks: tuple[str, ...]) -> Declared:
    match = _VARIABLE.fullmatch(version) if len(version) <= _LINE else None
    variable = ""
    if match:
        key = _KEY.search(match[1] or match[2] or "")
        variable = (key[1] or key[2]) if key else ""
    return Declared(
        module=module,
        start=start,
        end=start + len(version),
        version="" if match else version,
        variable=variable,
        blocks=blocks,
    )
