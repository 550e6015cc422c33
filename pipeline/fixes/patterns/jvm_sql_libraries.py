"""Java and Kotlin: queries that values are written into, over Spring, JPA and Android."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import Instance
from secdaemon.pipeline.fixes.patterns.jvm_binding import (
    as_text,
    bound_values,
    elsewhere,
    has_values,
    holds,
    is_reassigned,
    reason_for,
    source_of,
    with_query,
)
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    Call,
    calls_of,
)
from secdaemon.pipeline.fixes.patterns.jvm_query import Query, query_of
from secdaemon.pipeline.fixes.patterns.jvm_types import type_of
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import between, replaced
from secdaemon.pipeline.routes.syntax import text_of

_SPRING = frozenset(("query", "queryForObject", "queryForList", "queryForMap", "update"))
_SPRING_LIST = frozenset(("queryForList", "queryForMap", "update"))
_SPRINGS = re.compile(r"(?i)(?<!named)(?<!parameter)jdbc(?:template|operations)?$|^template$")
_SPRING_CLASSES = re.compile(r"(?<!NamedParameter)Jdbc(?:Template|Operations)\b")
_ENTITY_MANAGERS = re.compile(
    r"(?i)(?:^|\.)(?:em|\w*entity_?manager|\w*session|(?:get|open)\w*session|getEntityManager)"
    r"(?:\(\))?(?:!!)?$"
)
_NO_COLUMN = re.compile(
    r"(?i)\bhaving\b|\)\s*(?:=|<|>|<=|>=|<>|!=)\s*\?|[-+*/|]\s*[\w.]+\s*[=<>]+\s*\?"
)
"""SQLite compares what is no column with a text as unlike: `COUNT(*) > ?` would never hold."""
_JPA = ("createQuery", "createNativeQuery", "createSQLQuery", "createSelectionQuery")
_MAX_JPA = 2


def templates(code: Code) -> Iterator[Instance]:
    """Spring's `JdbcTemplate`, whose arguments stand behind the query."""
    for call in calls_of(code, *_SPRING, "execute"):
        sql = call.given(0)
        if sql is None or not _SPRINGS.search(call.on):
            continue
        is_typed = text_of(call.node).removeprefix(call.on).partition("(")[0].endswith(">")
        is_other = "import " in code.text and not _SPRING_CLASSES.search(code.text)
        if is_typed or (code.whole and is_other):
            continue
        text = source_of(code, call, sql)
        if text is None or not has_values(text):
            continue
        query = query_of(code, text)
        edits: tuple[TextEdit, ...] = ()
        room = 1 if call.name in _SPRING_LIST else 2
        bound = bound_values(code, call.node, query) if query is not None else None
        if query is not None and bound and call.block is None and len(call.arguments) == room:
            last = call.arguments[-1].value
            values = "".join(f", {value}" for _, value in bound)
            if last == sql and holds(sql, text):
                edits = (replaced(code, sql, with_query(sql, text, query) + values),)
            else:
                edits = (
                    replaced(code, text, query.source),
                    between(code, last.end_byte, last.end_byte, values),
                )
        yield Instance(call.node, edits, reason_for(code, text), source=elsewhere(text, call))


def jpa(code: Code) -> Iterator[Instance]:
    """JPA and Hibernate: parameters by name in JPQL, by place in SQL."""
    for call in calls_of(code, *_JPA):
        sql = call.given(0)
        if sql is None or not _ENTITY_MANAGERS.search(call.on) or call.block:
            continue
        if len(call.arguments) > _MAX_JPA or (code.whole and "javax.jcr" in code.text):
            continue
        text = source_of(code, call, sql)
        if text is None or not has_values(text):
            continue
        is_named = call.name in {"createQuery", "createSelectionQuery"}
        names: dict[int, str] = {}

        def marker(
            at: int, value: str, names: dict[int, str] = names, *, named: bool = is_named
        ) -> str:
            names[at] = _parameter(value, set(names.values())) if named else str(at)
            return f"{':' if named else '?'}{names[at]}"

        query = query_of(code, text, marker)
        edits: tuple[TextEdit, ...] = ()
        if query is not None and _is_typed(code, call.node, query):
            bound = "".join(
                f'.setParameter("{names[at]}", {value})'
                if is_named
                else f".setParameter({at}, {value})"
                for at, value in enumerate(query.values, 1)
            )
            end = call.node.end_byte
            edits = (replaced(code, text, query.source), between(code, end, end, bound))
        yield Instance(call.node, edits, reason_for(code, text), source=elsewhere(text, call))


def _is_typed(code: Code, at: Node, query: Query) -> bool:
    """Whether each value is of the type that the query compares it with, as far as is seen."""
    bound = bound_values(code, at, query)
    return bound is not None and all(
        value == given for (_, value), given in zip(bound, query.values, strict=True)
    )


def _parameter(value: str, taken: set[str]) -> str:
    """Return a name for a value's parameter."""
    words = [w for w in re.findall(r"[A-Za-z_]\w*", value) if not w.startswith("to")]
    name = re.sub(r"^get(?=[A-Z])", "", words[-1]) if words else "value"
    name = name[:1].lower() + name[1:]
    return name if name not in taken else f"{name}{len(taken) + 1}"


def android(code: Code) -> Iterator[Instance]:
    """Android's `rawQuery` and `execSQL`, whose arguments are an array."""
    for call in calls_of(code, "rawQuery", "execSQL"):
        sql = call.given(0)
        if sql is None or call.receiver is None:
            continue
        text = source_of(code, call, sql)
        if text is None or not has_values(text):
            continue
        query = query_of(code, text)
        room = 2 if call.name == "rawQuery" else 1
        last = call.arguments[-1].value
        edits: tuple[TextEdit, ...] = ()
        is_empty = room == 1 or text_of(last) == "null"
        is_kept = query is not None and not any(is_reassigned(call.node, v) for v in query.values)
        if query is not None and call.name == "rawQuery" and not all(query.quoted):
            is_kept = is_kept and not _NO_COLUMN.search(query.source)
        if query is not None and is_kept and len(call.arguments) == room and is_empty:
            listed = _array(code, call, query)
            first = replaced(code, text, query.source)
            second = (
                replaced(code, last, listed)
                if room > 1
                else between(code, last.end_byte, last.end_byte, f", {listed}")
            )
            edits = (first, second)
        yield Instance(call.node, edits, reason_for(code, text), source=elsewhere(text, call))


def _array(code: Code, call: Call, query: Query) -> str:
    values = [
        value
        if query.composed[at] or type_of(code, value, call.node) == "String"
        else as_text(code, value)
        for at, value in enumerate(query.values)
    ]
    joined = ", ".join(values)
    return f"arrayOf({joined})" if code.grammar == "kotlin" else f"new String[] {{{joined}}}"
