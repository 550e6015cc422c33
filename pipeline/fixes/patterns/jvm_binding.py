"""Java and Kotlin: where a query comes from, and how its values are bound."""

import re

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.jvm_code import (
    Call,
    call_of,
    function_of,
    inside,
    locals_of,
    name_of,
    parts_of,
    uses,
)
from secdaemon.pipeline.fixes.patterns.jvm_query import Query, query_of
from secdaemon.pipeline.fixes.patterns.jvm_types import type_of
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import field, text_of

_SETTERS = {
    "String": "setString",
    "int": "setInt",
    "Int": "setInt",
    "Integer": "setInt",
    "long": "setLong",
    "Long": "setLong",
    "boolean": "setBoolean",
    "Boolean": "setBoolean",
    "double": "setDouble",
    "Double": "setDouble",
}
_BOXED = frozenset(("Integer", "Int?", "Long?", "Boolean?", "Double?"))
_DATES = frozenset(("LocalDate", "LocalDateTime", "OffsetDateTime"))
"""What every driver of JDBC 4.2 takes as it is."""
_MAX_NAMED = 4
_NUMBER = re.compile(
    r"(?i)(?:id|num(?:ber)?|count|year|age|version|page|size|port|position|index)$"
)
"""What a text is called that stood in SQL without quotes and was a whole number."""
_WHY = "so that it reaches the database as data and can no longer change what the query does"


def source_of(code: Code, call: Call, sql: Node) -> Node | None:
    """Return the expression of a query: the argument, or what its only local is declared as."""
    name = name_of(sql)
    if not name:
        return _inner(sql)
    room = function_of(call.node)
    if room is None:
        return None
    found = locals_of(code, room).get(name, ())
    said = uses(room, name)
    used = [node for node in said if node.start_byte >= call.node.start_byte]
    if len(found) != 1 or len(used) != 1 or len(said) != 2:  # noqa: PLR2004 - declared and used
        return None
    return _inner(found[0]) if found[0].start_byte < call.node.start_byte else None


def _inner(sql: Node) -> Node:
    """Return the raw string that `trimIndent` or `trimMargin` is called on, else the node."""
    call = call_of(sql)
    if call is not None and call.name == "trimIndent" and call.receiver is not None:
        return call.receiver
    return sql


def has_values(node: Node) -> bool:
    """Return whether values are written into a text."""
    parts = parts_of(node)
    return parts is not None and any(not part.is_letters for part in parts)


def reason_for(code: Code, text: Node, needed: str = "") -> str:
    """Return which values are bound, and why that ends the weakness."""
    query = query_of(code, text)
    values = list(dict.fromkeys(query.values))[:_MAX_NAMED] if query else []
    names = " and ".join(inline(value, 60) for value in values) or "The value"
    is_one = len(values) < 2  # noqa: PLR2004
    bound = "is bound as a parameter" if is_one else "are bound as parameters"
    why = _WHY if is_one else _WHY.replace("it reaches", "they reach")
    return f"{names} {bound}, {why}.{needed}"


def elsewhere(text: Node, call: Call) -> Node | None:
    """Return a query's expression where it stands before the call that runs it."""
    return None if text.start_byte >= call.node.start_byte else text


def with_query(sql: Node, text: Node, query: Query) -> str:
    """Return the SQL argument's source with the query in the place of its text."""
    return query.source + text_of(sql).removeprefix(text_of(text)) if sql != text else query.source


def bound_values(code: Code, at: Node, query: Query) -> list[tuple[str, str]] | None:
    """Return the setter and the expression of each value; None where a type is not certain."""
    found = []
    for place, value in enumerate(query.values):
        kind = "String" if query.composed[place] else type_of(code, value, at)
        pair = _setter(code, value, kind, is_quoted=query.quoted[place])
        if pair is None or is_reassigned(at, value):
            return None
        found.append(pair)
    return found


def _setter(code: Code, value: str, kind: str, *, is_quoted: bool) -> tuple[str, str] | None:
    if not kind or kind in _DATES:
        return "setObject", value
    if is_quoted:
        return ("setString", value) if kind.rstrip("?") == "String" else None
    if kind == "String":
        if not _NUMBER.search(value):
            return None
        # Without quotes it was a number to the database, and has to be one still.
        long = f"{value}.toLong()" if code.grammar == "kotlin" else f"Long.parseLong({value})"
        return "setLong", long
    if kind in _BOXED:
        return "setObject", value
    return (_SETTERS[kind], value) if kind in _SETTERS else None


def is_reassigned(at: Node, value: str) -> bool:
    """Whether a name may mean something else by the time the query runs."""
    function = function_of(at)
    names = set(re.findall(r"(?<![\w.\"'])[A-Za-z_]\w*", value)) - {"this"}
    if function is None or not names:
        return False
    kinds = ("assignment", "assignment_expression", "unary_expression", "update_expression")
    return any(
        (field(node, "left") is not None or re.search(r"\+\+|--", text_of(node)) is not None)
        and _first_name(field(node, "left") or node) in names
        for node in inside(function, *kinds)
    )


def _first_name(node: Node) -> str:
    """Return the name that an expression begins with."""
    found = re.search(r"[A-Za-z_]\w*", text_of(node).removeprefix("this."))
    return found[0] if found else ""


def as_text(code: Code, value: str) -> str:
    """Return an expression as a text, whatever its type."""
    return f"{value}.toString()" if code.grammar == "kotlin" else f"String.valueOf({value})"


def holds(outer: Node, inner: Node) -> bool:
    """Return whether a node lies in another one, or is it."""
    return outer.start_byte <= inner.start_byte and inner.end_byte <= outer.end_byte
