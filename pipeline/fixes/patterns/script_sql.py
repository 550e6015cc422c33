"""JavaScript and TypeScript: SQL that values are pasted into, by the imported driver."""

from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import SCRIPTS, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.one_use import value_of
from secdaemon.pipeline.fixes.patterns.script_code import (
    Names,
    called_by,
    has_spread,
    method_of,
    owner_of,
    value_in,
)
from secdaemon.pipeline.fixes.patterns.sql_text import Bound, Value, bound, is_strange, named, reach
from secdaemon.pipeline.fixes.patterns.syntax import (
    appended,
    arguments,
    beside,
    calls,
    inserted,
    replaced,
)
from secdaemon.pipeline.fixes.patterns.templates import literal, template_of
from secdaemon.pipeline.routes.syntax import field, text_of

_MARKS = "?"
_NUMBERS = "$"
_DRIVERS = {
    "mysql": _MARKS,
    "mysql2": _MARKS,
    "mysql2/promise": _MARKS,
    "sqlite3": _MARKS,
    "sqlite": _MARKS,
    "pg": _NUMBERS,
}
_RUNS = {_MARKS: frozenset(("query", "execute")), _NUMBERS: frozenset(("query",))}
_SQLITE_RUNS = frozenset(("all", "each", "exec", "get", "run"))
_CALLBACKS = frozenset(("arrow_function", "function_expression", "identifier"))
_RAW = {"$queryRawUnsafe": "$queryRaw", "$executeRawUnsafe": "$executeRaw"}


def _queries(code: Code) -> Iterator[Instance]:
    """Yield queries of a known driver, of Sequelize and of Prisma with values in their SQL."""
    names = Names(code)
    styles = {style for module, style in _DRIVERS.items() if names.has(module)}
    style = styles.pop() if len(styles) == 1 else ""
    runs = _RUNS.get(style, frozenset())
    if names.has("sqlite3", "sqlite"):
        runs = _SQLITE_RUNS - {"exec"}
    for call in calls(code):
        given, method = arguments(call), method_of(call)
        if not given or field(call, "arguments") is None:
            continue
        if method in _RAW and len(given) == 1:
            yield from _tagged(code, call, given[0])
        elif method == "query" and owner_of(call).lower().endswith("sequelize"):
            yield from _replacements(code, call, given)
        elif method == "prepare" and names.has("better-sqlite3") and len(given) == 1:
            yield from _prepared(code, call, given[0])
        elif method in runs and _has_no_values(given):
            yield from _positional(code, call, style)


def _has_no_values(given: list[Node]) -> bool:
    """Return whether nothing but a callback follows the SQL."""
    return len(given) == 1 or (len(given) == 2 and given[1].type in _CALLBACKS)  # noqa: PLR2004


def _sql(code: Code, first: Node) -> tuple[Node, Bound, str] | None:
    """Return where the SQL is put together, the SQL, and its quotes."""
    made = value_of(code, first) or first
    template = template_of(code, made)
    sql = bound(template) if template is not None else None
    return None if template is None or sql is None else (made, sql, template.quote)


def _positional(code: Code, call: Node, style: str) -> Iterator[Instance]:
    first = arguments(call)[0]
    found = _sql(code, first)
    if found is None:
        return
    made, sql, quote = found
    text = literal(code, sql.sql(lambda at: f"${at + 1}" if style == _NUMBERS else "?"), quote)
    values = f"[{', '.join(map(_value, sql.values))}]"
    edits = _edits(code, first, made, (text, values))
    yield Instance(first, edits, _reason(sql), *_elsewhere(call, first, made))


def _elsewhere(call: Node, first: Node, made: Node) -> tuple[Node | None, Node | None]:
    """Return where the query is put together, if elsewhere, and what runs it."""
    return None if made == first else made, field(call, "function")


def _edits(
    code: Code, first: Node, made: Node, new: tuple[str | None, str]
) -> tuple[TextEdit, ...]:
    text, values = new
    if text is None or "\n" in values:
        return ()
    more = beside(code, first, values) if values else ""
    if made == first:
        return (replaced(code, first, text + more),)
    return replaced(code, made, text), inserted(code, first.end_byte, more)


def _prepared(code: Code, call: Node, first: Node) -> Iterator[Instance]:
    """Yield `prepare(…).all()` of better-sqlite3, whose second call takes the values."""
    found = _sql(code, first)
    member = call.parent
    run = member.parent if member is not None else None
    if found is None or run is None or run.type != "call_expression" or arguments(run):
        return
    made, sql, quote = found
    text, listed = literal(code, sql.sql(lambda _: "?"), quote), field(run, "arguments")
    edits: tuple[TextEdit, ...] = ()
    if text is not None and listed is not None and text_of(listed) == "()":
        values = ", ".join(map(_value, sql.values))
        edits = (replaced(code, made, text), replaced(code, listed, f"({values})"))
    yield Instance(first, edits, _reason(sql), *_elsewhere(call, first, made))


def _replacements(code: Code, call: Node, given: list[Node]) -> Iterator[Instance]:
    """Yield `sequelize.query` with values in its SQL, which get names among its options."""
    found = _sql(code, given[0])
    options = given[1] if len(given) > 1 else None
    if found is None or (options is not None and options.type != "object"):
        return
    if options is not None and any(
        (value_in(options, "replacements"), value_in(options, "bind"), has_spread(options))
    ):
        return
    made, sql, quote = found
    keys = named(sql.values)
    text = literal(code, sql.sql(lambda at: f":{keys[at]}"), quote)
    pairs = dict(zip(keys, map(_value, sql.values), strict=True)).items()
    entry = f"replacements: {{ {', '.join(k if k == v else f'{k}: {v}' for k, v in pairs)} }}"
    edits = _edits(code, given[0], made, (text, "" if options is not None else f"{{ {entry} }}"))
    if edits and options is not None:
        edits = (*edits, appended(code, options, [entry]))
    yield Instance(given[0], edits, _reason(sql), *_elsewhere(call, given[0], made))


def _tagged(code: Code, call: Node, first: Node) -> Iterator[Instance]:
    """Yield Prisma's raw queries with a template literal, which its tag binds."""
    template, called = template_of(code, first), called_by(call)
    sql = bound(template) if template is not None else None
    if sql is None or called is None or any(v.before + v.after for v in sql.values):
        return
    if any(map(is_strange, sql.values)):
        yield Instance(call, (), "")
        return
    name = field(called, "property")
    if name is None:
        return
    new = _RAW[text_of(name)]
    body = sql.sql(lambda at: f"${{{text_of(sql.values[at].node)}}}")
    listed = field(call, "arguments")
    edits: tuple[TextEdit, ...] = ()
    if "`" not in body and listed is not None:
        edits = (replaced(code, name, new), replaced(code, listed, f"`{body}`"))
    reason = (
        f"As the tag of a template literal `{new}` binds each value as a parameter, instead of "
        "pasting it into the statement."
    )
    yield Instance(call, edits, reason)


def _reason(sql: Bound) -> str:
    how = "a parameter" if len({text_of(v.node) for v in sql.values}) == 1 else "parameters"
    return f"{reach(sql.values)} as {how} beside the statement and cannot become SQL."


def _value(value: Value) -> str:
    text = text_of(value.node)
    return f"`{value.before}${{{text}}}{value.after}`" if value.before + value.after else text


PATTERNS = (
    pattern(
        "script-sql-parameters", r".*(sql|sequelize|knex|prisma)", (89, 943), SCRIPTS, _queries
    ),
)
