"""The types that Java and Kotlin code says of its parameters and locals."""

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.jvm_code import (
    CLASSES,
    FUNCTIONS,
    above,
    function_of,
    inside,
    named,
)
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.routes.syntax import child, field, text_of


def type_of(code: Code, name: str, at: Node) -> str:
    """Return the declared type of a parameter or local of the function around, "" if not seen."""
    for room in above(at, *FUNCTIONS, "lambda_literal", "lambda_expression"):
        if room.type in FUNCTIONS:
            break
        given = child(room, "lambda_parameters") or field(room, "parameters")
        if given is not None and (name in named(given) or text_of(given) == name):
            return ""
    for room in above(at, *FUNCTIONS, *CLASSES):
        kinds = (
            ("formal_parameter", "parameter") if room.type in FUNCTIONS else ("class_parameter",)
        )
        for node in inside(room, *kinds):
            if room.type in FUNCTIONS and function_of(node) != room:
                continue
            names = [text_of(c) for c in node.named_children if c.type == "identifier"]
            if (text_of(field(node, "name")) or (names[0] if names else "")) == name:
                kind = field(node, "type") or child(node, "user_type", "nullable_type")
                return text_of(kind)
        local = _local_type(room, name) if room.type in FUNCTIONS else None
        if local is not None:
            return local
    return ""


def _local_type(room: Node, name: str) -> str | None:
    """Return the type that a local is declared with, "" for one without, None for no local."""
    for node in inside(room, "local_variable_declaration", "variable_declaration"):
        declarator = field(node, "declarator")
        said = text_of(
            field(declarator, "name") if declarator is not None else child(node, "identifier")
        )
        if said == name:
            kind = field(node, "type") or child(node, "user_type", "nullable_type")
            return text_of(kind)
    return None
