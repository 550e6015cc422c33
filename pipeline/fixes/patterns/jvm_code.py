"""Java and Kotlin as patterns see them: calls, statements, texts put together, imports."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.model import Code, Grammar
from secdaemon.pipeline.routes.syntax import child, field, text_of, within

JVM: tuple[Grammar, ...] = ("java", "kotlin")
FUNCTIONS = (
    "function_declaration",
    "secondary_constructor",
    "anonymous_initializer",
    "getter",
    "setter",
    "method_declaration",
    "constructor_declaration",
    "compact_constructor_declaration",
    "static_initializer",
)
CLASSES = ("class_declaration", "object_declaration", "record_declaration", "enum_declaration")
_CALLS = ("call_expression", "method_invocation", "object_creation_expression")
BLOCKS = frozenset(("block", "constructor_body", "lambda_literal", "source_file", "program"))
MAX_ABOVE = 60
_MAX_PARTS = 60
MAX_CALLS = 300
"""Calls of one name that are looked at; nobody wrote a file with more of them."""


class Argument(msgspec.Struct, frozen=True):
    """What a call is given; `name` is "" for one that is given by position."""

    name: str
    value: Node


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a method, a function or a constructor."""

    node: Node
    name: str
    """Of the method, or the last part of the class that is made."""
    word: Node
    """Where the name stands: in a chain of calls the only node of this one alone."""
    receiver: Node | None
    arguments: tuple[Argument, ...]
    block: Node | None = None
    """Kotlin's lambda behind the brackets."""
    listed: Node | None = None
    """The brackets."""

    def given(self, place: int) -> Node | None:
        """Return the positional argument at a place, counted from 0."""
        if place < len(self.arguments) and not any(a.name for a in self.arguments[: place + 1]):
            return self.arguments[place].value
        return None

    @property
    def on(self) -> str:
        """The receiver's text, "" where there is none."""
        return text_of(self.receiver)


class Part(msgspec.Struct, frozen=True):
    """A part of a text that is put together: letters as they stand in the source, or a value."""

    is_letters: bool
    text: str
    gap: str = ""
    """What stands between this part and the one before, where they are on different lines."""


@lru_cache(maxsize=4)
def calls(code: Code) -> tuple[Call, ...]:
    """Return all calls in a text, in its order."""
    return tuple(call for node in within(code.root, *_CALLS) if (call := call_of(node)))


def calls_of(code: Code, *names: str) -> list[Call]:
    """Return the first calls of methods or constructors with one of these names."""
    return [call for call in calls(code) if call.name in names][:MAX_CALLS]


@lru_cache(maxsize=256)
def inside(room: Node, *kinds: str) -> tuple[Node, ...]:
    """Return the nodes of some kinds in a tree, in the order of the text."""
    return tuple(within(room, *kinds))


@lru_cache(maxsize=256)
def named(room: Node) -> Mapping[str, tuple[Node, ...]]:
    """Return the identifiers in a tree by what they are called, in the order of the text."""
    found: dict[str, list[Node]] = {}
    for node in inside(room, "identifier", "shorthand_property_identifier"):
        found.setdefault(text_of(node), []).append(node)
    return {name: tuple(nodes) for name, nodes in found.items()}


@lru_cache(maxsize=256)
def says(room: Node, words: re.Pattern[str]) -> bool:
    """Return whether an expression is found in the text of a tree."""
    return words.search(text_of(room)) is not None


def call_of(node: Node | None) -> Call | None:
    """Return a node as a call, None for what is none or whose name is not plain."""
    if node is None:
        return None
    if node.type == "call_expression":
        return _kotlin_call(node)
    listed = field(node, "arguments")
    arguments = tuple(Argument("", each) for each in _items(listed))
    if node.type == "method_invocation":
        word, receiver = field(node, "name"), field(node, "object")
    elif node.type == "object_creation_expression":
        word, receiver = field(node, "type"), None
    else:
        return None
    if word is None:
        return None
    name = re.split(r"[<\s]", text_of(word))[0].rpartition(".")[2]
    return Call(
        node=node, name=name, word=word, receiver=receiver, arguments=arguments, listed=listed
    )


def _kotlin_call(node: Node) -> Call | None:
    callee = node.named_children[0] if node.named_children else None
    listed = child(node, "value_arguments")
    lambda_ = child(node, "annotated_lambda")
    if callee is not None and callee.type == "call_expression" and listed is None:
        inner = _kotlin_call(callee)
        block = child(lambda_, "lambda_literal") if lambda_ is not None else None
        if inner is None or inner.block is not None:
            return None
        return msgspec.structs.replace(inner, node=node, block=block)
    if callee is None or callee.type not in {"identifier", "navigation_expression"}:
        return None
    name, receiver = callee, None
    if callee.type == "navigation_expression":
        receiver, name = callee.named_children[0], callee.named_children[-1]
    return Call(
        node=node,
        name=text_of(name),
        word=name,
        receiver=receiver,
        arguments=tuple(_argument(each) for each in _items(listed)),
        block=child(lambda_, "lambda_literal") if lambda_ is not None else None,
        listed=listed,
    )


def _argument(node: Node) -> Argument:
    inside = [each for each in node.named_children if not each.type.endswith("comment")]
    if len(inside) > 1 and any(each.type == "=" for each in node.children):
        return Argument(text_of(inside[0]), inside[-1])
    return Argument("", inside[-1] if inside else node)


def _items(listed: Node | None) -> list[Node]:
    if listed is None:
        return []
    return [each for each in listed.named_children if not each.type.endswith("comment")]


def chain_of(node: Node) -> list[Call]:
    """Return the calls that a call is made on, one after the other, from the last to the first."""
    found: list[Call] = []
    current: Node | None = node
    while (call := call_of(current)) is not None and len(found) < MAX_ABOVE:
        found.append(call)
        current = call.receiver
    return found


def name_of(node: Node | None) -> str:
    """Return a plain name's text, "" for all else."""
    return text_of(node) if node is not None and node.type == "identifier" else ""


def letters_of(node: Node | None) -> str | None:
    """Return what a string without values and escapes says, None for all else."""
    if node is None or node.type not in {"string_literal", "multiline_string_literal"}:
        return None
    inside = node.named_children
    if any(not each.type.endswith(("content", "fragment")) for each in inside):
        return None
    text = "".join(map(text_of, inside))
    return None if node.type == "string_literal" and "$" in text and _has_dollar(inside) else text


def _has_dollar(inside: list[Node]) -> bool:
    return any(text_of(a) == "$" for a in inside)


def number_of(node: Node | None) -> int | None:
    """Return the whole number that a literal is, None for all else."""
    text = text_of(node).replace("_", "") if node is not None else ""
    return int(text) if re.fullmatch(r"\d{1,12}", text) else None


def declared(code: Code, statement: Node) -> tuple[str, Node] | None:
    """Return the name that a local declaration declares and its value, None for all else."""
    if statement.type == "property_declaration":
        variable = child(statement, "variable_declaration")
        equals = child(statement, "=")
        value = equals.next_named_sibling if equals is not None else None
        return _named(variable and child(variable, "identifier"), value)
    if statement.type in {"local_variable_declaration", "field_declaration"}:
        declarators = [c for c in statement.named_children if c.type == "variable_declarator"]
        if len(declarators) == 1:
            return _named(field(declarators[0], "name"), field(declarators[0], "value"))
    if statement.type == "resource":
        return _named(field(statement, "name"), field(statement, "value"))
    return None


def _named(name: Node | None, value: Node | None) -> tuple[str, Node] | None:
    return (text_of(name), value) if name is not None and value is not None else None


@lru_cache(maxsize=256)
def locals_of(code: Code, room: Node) -> Mapping[str, tuple[Node, ...]]:
    """Return the values that names are declared with in a room, by the name."""
    found: dict[str, list[Node]] = {}
    for node in inside(room, "property_declaration", "local_variable_declaration"):
        pair = declared(code, node)
        if pair is not None:
            found.setdefault(pair[0], []).append(pair[1])
    return {name: tuple(values) for name, values in found.items()}


def declaration_around(node: Node) -> Node | None:
    """Return the declaration whose whole value a node is."""
    parent = node.parent
    if parent is not None and parent.type == "variable_declarator":
        parent = parent.parent
    kinds = {"property_declaration", "local_variable_declaration", "field_declaration", "resource"}
    return parent if parent is not None and parent.type in kinds else None


def function_of(node: Node) -> Node | None:
    """Return the function around a node, lambdas not counted."""
    return next(above(node, *FUNCTIONS), None)


def above(node: Node, *kinds: str) -> Iterator[Node]:
    """The nodes of some kinds around a node, from the inside out, within reason."""
    parent = node.parent
    for _ in range(MAX_ABOVE):
        if parent is None:
            return
        if parent.type in kinds:
            yield parent
        parent = parent.parent


def room_of(code: Code, node: Node) -> Node:
    """Return the function around a node, else the whole text."""
    return function_of(node) or code.root


def uses(room: Node, name: str) -> list[Node]:
    """Return where a name stands in a room, members of others that are called so not counted."""
    plain = [node for node in named(room).get(name, ()) if not _is_member(node)]
    return plain + _in_letters(room).get(name, [])


def _is_member(node: Node) -> bool:
    parent = node.parent
    if parent is None:
        return False
    if parent.type == "navigation_expression":
        return parent.named_children[0] != node
    is_field = parent.type == "field_access" and field(parent, "field") == node
    is_method = parent.type == "method_invocation" and field(parent, "name") == node
    return is_field or is_method


@lru_cache(maxsize=256)
def _in_letters(room: Node) -> dict[str, list[Node]]:
    """Return Kotlin's strings by the `$name` in them, which the grammar takes for letters."""
    found: dict[str, list[Node]] = {}
    for node in inside(room, "string_literal"):
        for name in dict.fromkeys(re.findall(r"(?<!\\)\$([A-Za-z_]\w*)", text_of(node))):
            found.setdefault(name, []).append(node)
    return found


def parts_of(node: Node) -> list[Part] | None:
    """Return the parts of a text put together by `+` or a template, None for all else.

    Numbers that are added before the first letters are no part of a text: then it is None.
    """
    pieces = _pieces(node)
    if not pieces or not any(piece.type in _STRINGS for piece in pieces[:2]):
        return None
    found: list[Part] = []
    last: Node | None = None
    for piece in pieces:
        gap = ""
        if last is not None and last.end_point.row != piece.start_point.row:
            gap = _between(node, last, piece)
        if piece.type in _STRINGS:
            inside = _read(piece)
            if inside is None:
                return None
            found += [msgspec.structs.replace(inside[0], gap=gap), *inside[1:]] if inside else []
        else:
            found.append(Part(False, text_of(piece), gap))
        last = piece
    return found if len(found) <= _MAX_PARTS else None


def _between(node: Node, last: Node, piece: Node) -> str:
    """Return the source between two pieces, where it is a line's end, a `+` and white space."""
    data = (node.text or b"")[last.end_byte - node.start_byte : piece.start_byte - node.start_byte]
    text = data.decode("utf-8", "replace")
    plain = re.fullmatch(r"\s*\+\s*", text)
    return text if plain else "\n" + " " * piece.start_point.column


_STRINGS = frozenset(("string_literal", "multiline_string_literal"))


def _pieces(node: Node) -> list[Node] | None:
    waiting, found = [node], []
    while waiting:
        each = waiting.pop()
        operator = text_of(field(each, "operator")) if each.type == "binary_expression" else ""
        left, right = field(each, "left"), field(each, "right")
        if operator == "+" and left is not None and right is not None:
            waiting += [right, left]
            if right.type == "binary_expression":
                return None
        else:
            found.append(each)
        if len(found) + len(waiting) > _MAX_PARTS:
            return None
    return found


def _read(node: Node) -> list[Part] | None:
    """Return the parts of one string literal; Java's text blocks are not read."""
    parts: list[Part] = []
    after_dollar = False
    for each in node.named_children:
        text = text_of(each)
        if each.type == "interpolation":
            value = text.removeprefix("$").removeprefix("{").removesuffix("}").strip()
            parts.append(Part(False, value))
        elif each.type == "multiline_string_fragment":
            return None
        elif after_dollar and (found := re.match(r"[A-Za-z_]\w*", text)):
            parts[-1] = Part(True, parts[-1].text[:-1])
            parts += [Part(False, found[0]), Part(True, text[found.end() :])]
        else:
            parts.append(Part(True, text))
        after_dollar = text == "$" and node.type == "string_literal"
    return [part for part in parts if part.text or not part.is_letters] or [Part(True, "")]
