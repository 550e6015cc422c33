"""Python: SQL that values are pasted into, by what the imported driver calls a placeholder."""

from collections.abc import Iterator
from typing import NamedTuple

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import PYTHON, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.one_use import value_of
from secdaemon.pipeline.fixes.patterns.python_code import Names, method_of
from secdaemon.pipeline.fixes.patterns.sql_text import Bound, Value, bound, is_strange, named, reach
from secdaemon.pipeline.fixes.patterns.syntax import (
    arguments,
    beside,
    calls,
    inserted,
    replaced,
)
from secdaemon.pipeline.fixes.patterns.templates import literal, template_of
from secdaemon.pipeline.routes.syntax import field, text_of

_MARKS = "?"
_FORMAT = "%s"
_NUMBERS = "$"
_DRIVERS = {
    "sqlite3": _MARKS,
    "aiosqlite": _MARKS,
    "pyodbc": _MARKS,
    "duckdb": _MARKS,
    "psycopg2": _FORMAT,
    "psycopg": _FORMAT,
    "pymysql": _FORMAT,
    "MySQLdb": _FORMAT,
    "mysql": _FORMAT,
    "django": _FORMAT,
    "asyncpg": _NUMBERS,
}
_RUNS = frozenset(("execute", "raw"))
_ASYNCPG_RUNS = frozenset(("execute", "fetch", "fetchrow", "fetchval"))
_TEXTS = frozenset(("sqlalchemy.text", "sqlalchemy.sql.text", "sqlalchemy.sql.expression.text"))


class _Query(NamedTuple):
    """A call that runs SQL, where the SQL is put together, and the SQL."""

    call: Node
    made: Node
    sql: Bound
    quote: str


def _driver(names: Names) -> str | None:
    """Return the placeholder style of what is imported; None where it is not the same for all."""
    styles = {style for module, style in _DRIVERS.items() if names.has(module)}
    return styles.pop() if len(styles) == 1 else None


def _queries(code: Code) -> Iterator[Instance]:
    """Yield `execute` of SQL with values in it."""
    names = Names(code)
    style = _driver(names)
    runs = _ASYNCPG_RUNS if style == _NUMBERS else _RUNS
    for call in calls(code):
        given = arguments(call)
        called = field(call, "function")
        if called is None or called.type != "attribute" or method_of(call) not in runs or not given:
            continue
        if _is_text(given[0], names) and len(given) == 1:
            yield from _named_query(code, call, given[0])
        elif names.has("sqlalchemy") and "cur" not in text_of(called).lower():
            # Connections of SQLAlchemy want `text`, whatever the driver; a cursor is the driver's.
            continue
        elif style is not None and len(given) == 1:
            query = _query(code, call, given[0])
            if query is not None:
                yield _instance(code, query, style)


def _is_text(node: Node, names: Names) -> bool:
    origin = names.of(field(node, "function")) if node.type == "call" else ""
    return (origin in _TEXTS or origin == "text") and len(arguments(node)) == 1


def _query(code: Code, call: Node, given: Node) -> _Query | None:
    made = value_of(code, given) or given
    template = template_of(code, made)
    sql = bound(template) if template is not None else None
    return None if template is None or sql is None else _Query(call, made, sql, template.quote)


def _instance(code: Code, query: _Query, style: str) -> Instance:
    def placeholder(at: int) -> str:
        return f"${at + 1}" if style == _NUMBERS else style

    text = literal(code, query.sql.sql(placeholder, doubled=style == _FORMAT), query.quote)
    values = ", ".join(map(_value, query.sql.values))
    if style != _NUMBERS:
        values = f"({values}{',' if len(query.sql.values) == 1 else ''})"
    edits = _edits(code, query, text, beside(code, arguments(query.call)[0], values))
    if style == _NUMBERS and any(map(is_strange, query.sql.values)):
        edits = ()
    source = None if query.made == arguments(query.call)[0] else query.made
    return Instance(query.call, edits, _reason(query.sql, placeholder(0)), source)


def _edits(code: Code, query: _Query, text: str | None, values: str) -> tuple[TextEdit, ...]:
    if text is None or any("\n" in text_of(value.node) for value in query.sql.values):
        return ()
    given = arguments(query.call)[0]
    if query.made == given:
        return (replaced(code, given, text + values),)
    return replaced(code, query.made, text), inserted(code, given.end_byte, values)


def _named_query(code: Code, call: Node, text_call: Node) -> Iterator[Instance]:
    """Yield `execute(text(f"…"))` of SQLAlchemy, whose placeholders have names."""
    query = _query(code, call, arguments(text_call)[0])
    if query is None:
        return
    keys = named(query.sql.values)
    text = literal(code, query.sql.sql(lambda at: f":{keys[at]}"), query.quote)
    pairs = dict(zip(keys, map(_value, query.sql.values), strict=True))
    values = ", ".join(f'"{key}": {value}' for key, value in pairs.items())
    edits: tuple[TextEdit, ...] = ()
    if text is not None and "\n" not in values:
        edits = (
            replaced(code, query.made, text),
            inserted(code, text_call.end_byte, f", {{{values}}}"),
        )
    source = None if query.made == arguments(text_call)[0] else query.made
    yield Instance(call, edits, _reason(query.sql, f":{keys[0]}"), source)


def _reason(sql: Bound, placeholder: str) -> str:
    return (
        f"{reach(sql.values)} beside the statement, in the place of `{placeholder}`, and cannot "
        "become SQL."
    )


def _value(value: Value) -> str:
    """Return the expression for a parameter, with the `%` of a LIKE around it."""
    text = text_of(value.node)
    if not value.before + value.after:
        return text
    if any(mark in text for mark in "\"'{}\\"):
        parts = (f'"{value.before}"' if value.before else "", f"str({text})")
        return " + ".join(
            part for part in (*parts, f'"{value.after}"' if value.after else "") if part
        )
    return f'f"{value.before}{{{text}}}{value.after}"'


PATTERNS = (
    pattern(
        "python-sql-parameters",
        r"b608|.*sql",
        (89, 564, 943),
        PYTHON,
        _queries,
    ),
)
