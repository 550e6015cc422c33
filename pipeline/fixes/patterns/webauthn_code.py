"""Calls, options and functions in all languages that passkey servers are written in here."""

import re
from collections.abc import Iterator
from functools import lru_cache

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns import jvm_code
from secdaemon.pipeline.fixes.patterns.instances import SCRIPTS
from secdaemon.pipeline.fixes.patterns.jvm_code import JVM, MAX_CALLS, Argument, Call, above, inside
from secdaemon.pipeline.fixes.patterns.model import Code, Grammar
from secdaemon.pipeline.fixes.patterns.syntax import items
from secdaemon.pipeline.routes.syntax import field, text_of

LANGUAGES: tuple[Grammar, ...] = (*JVM, *SCRIPTS, "python")
FUNCTIONS = (
    *jvm_code.FUNCTIONS,
    *("function_definition", "arrow_function", "function_expression", "method_definition"),
    "generator_function_declaration",
)
CEREMONY = re.compile(r"(?i)webauthn|fido|passkey|authenticator|assertion|attestation")
"""What code says that deals with passkeys."""
_CALLS = ("call", "call_expression", "new_expression", "method_invocation")
_MAX_ABOVE = 60


@lru_cache(maxsize=4)
def calls(code: Code) -> tuple[Call, ...]:
    """Return all calls in a text, in its order."""
    if code.grammar in JVM:
        return jvm_code.calls(code)
    return tuple(call for node in inside(code.root, *_CALLS) if (call := call_of(node)))


def calls_of(code: Code, *names: str) -> list[Call]:
    """Return the calls of functions, methods or constructors with one of these names."""
    return [call for call in calls(code) if call.name in names][:MAX_CALLS]


def call_of(node: Node | None) -> Call | None:
    """Return a node as a call, None for what is none or whose name is not plain."""
    if node is None:
        return None
    called = field(node, "function") or field(node, "constructor")
    if node.type not in {"call", "call_expression", "new_expression"} or called is None:
        return jvm_code.call_of(node)
    name, receiver = called, None
    if called.type in {"member_expression", "attribute"}:
        receiver = field(called, "object")
        name = field(called, "property") or field(called, "attribute") or called
    elif called.type not in {"identifier", "property_identifier"}:
        return None
    listed = field(node, "arguments")
    arguments = tuple(_argument(each) for each in items(listed)) if listed is not None else ()
    return Call(
        node=node,
        name=text_of(name),
        word=name,
        receiver=receiver,
        arguments=arguments,
        listed=listed,
    )


def _argument(node: Node) -> Argument:
    value = field(node, "value") if node.type == "keyword_argument" else None
    return (
        Argument(text_of(field(node, "name")), value) if value is not None else Argument("", node)
    )


def options(code: Code) -> Iterator[tuple[str, Node]]:
    """Named values: `name: value` in an object, `name = value` of a call, with the value's node."""
    if code.grammar in SCRIPTS:
        for pair in inside(code.root, "pair"):
            value = field(pair, "value")
            if value is not None:
                yield text_of(field(pair, "key")).strip("\"'"), value
    for call in calls(code):
        for argument in call.arguments:
            if argument.name:
                yield argument.name, argument.value


def function_of(node: Node) -> Node | None:
    """Return the function around a node; of a script's small lambdas too."""
    return next(above(node, *FUNCTIONS), None)


def room_of(code: Code, node: Node) -> Node:
    """Return the function around a node, else the whole text."""
    return function_of(node) or code.root


def name_of(function: Node | None) -> str:
    """Return a function's own name, or that of what it is assigned to; "" for none."""
    if function is None:
        return ""
    name = field(function, "name")
    if name is not None:
        return text_of(name)
    parent = function.parent
    if parent is not None and parent.type in {"variable_declarator", "pair"}:
        return text_of(field(parent, "name") or field(parent, "key"))
    return ""


def uses_of_name(room: Node, name: str) -> list[Node]:
    """Return where a name stands in a room, in the order of the text."""
    return list(jvm_code.named(room).get(name, ()))


def literal(node: Node | None) -> str | None:
    """Return what a plain string says in any of the languages, None for all else."""
    if node is None:
        return None
    if node.type in {"string_literal", "multiline_string_literal"}:
        return jvm_code.letters_of(node)
    if node.type != "string":
        return None
    found = re.fullmatch(r"(['\"])([^'\"\\]*)\1", text_of(node))
    return found[2] if found else None
