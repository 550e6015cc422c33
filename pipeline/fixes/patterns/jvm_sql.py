"""Java and Kotlin: queries that values are written into; those of JDBC itself are here."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_binding import (
    bound_values,
    elsewhere,
    has_values,
    holds,
    reason_for,
    source_of,
    with_query,
)
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    JVM,
    Call,
    call_of,
    calls_of,
    declaration_around,
    declared,
    function_of,
    inside,
    name_of,
    named,
    room_of,
    uses,
)
from secdaemon.pipeline.fixes.patterns.jvm_edits import asks_for, before, importing, statement_of
from secdaemon.pipeline.fixes.patterns.jvm_query import Query, query_of
from secdaemon.pipeline.fixes.patterns.jvm_sql_libraries import android, jpa, templates
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import between, replaced
from secdaemon.pipeline.routes.syntax import field, text_of

_EXECUTE = ("executeQuery", "executeUpdate", "execute")
_TAKES_SQL = frozenset((*_EXECUTE, "executeLargeUpdate", "addBatch"))
_OF_A_STATEMENT = re.compile(
    r"\b(?:this|connection|warnings|metaData|parameterMetaData|resultSet\w*|generatedKeys|maxRows"
    r"|maxFieldSize|fetchSize|fetchDirection|queryTimeout|\w*[uU]pdateCount|largeMaxRows"
    r"|moreResults|isClosed|isPoolable|isCloseOnCompletion)\b"
)
"""What means something else in a block that is applied to a statement."""
_PREPARED = "java.sql.PreparedStatement"


def _queries(code: Code) -> Iterator[Instance]:
    for family in (_statements, templates, jpa, android):
        yield from family(code)


def _statements(code: Code) -> Iterator[Instance]:
    """`createStatement()` that runs a query with values in it."""
    for call in calls_of(code, *_EXECUTE):
        sql = call.given(0)
        if sql is None or len(call.arguments) != 1 or call.receiver is None:
            continue
        text = source_of(code, call, sql)
        if text is None or not has_values(text):
            continue
        made = call_of(call.receiver)
        if made is not None and made.name == "createStatement" and not made.arguments:
            edits = _at_once(code, call, made, text, sql)
        elif name_of(call.receiver):
            edits = _by_name(code, call, text, sql)
        else:
            continue
        if edits is None:
            continue
        needed = asks_for(code, _PREPARED) if code.grammar == "java" and edits else ""
        yield Instance(
            call.node, edits, reason_for(code, text, needed), source=elsewhere(text, call)
        )


def _at_once(
    code: Code, call: Call, made: Call, text: Node, sql: Node
) -> tuple[TextEdit, ...] | None:
    """Return the edits for `conn.createStatement().executeQuery(…)`."""
    query = query_of(code, text)
    if query is None or call.listed is None or made.receiver is None:
        return ()
    is_here = text.start_byte >= call.listed.start_byte
    lines = _setters(code, call.node, query, "")
    if lines is None:
        return ()
    if code.grammar == "kotlin":
        if any(_OF_A_STATEMENT.search(value) for value in query.values):
            return ()
        end = call.node.end_byte
        done = f".apply {{ {'; '.join(lines)} }}.{call.name}()"
        return (
            replaced(code, text, query.source),
            between(code, made.word.start_byte, call.word.end_byte, "prepareStatement"),
            between(code, end, end, done),
        )
    source = with_query(sql, text, query) if is_here else text_of(sql)
    edits = [] if is_here else [replaced(code, text, query.source)]
    prepared = f"{text_of(made.receiver)}.prepareStatement({source})"
    statement = statement_of(call.node)
    added = importing(code, _PREPARED)
    name = _name_for(code, call)
    if statement is None or added is None or name in named(room_of(code, call.node)):
        return ()
    first = f"PreparedStatement {name} = {prepared};"
    rest = [f"{name}.{line};" for line in lines]
    done = f"{name}.{call.name}()"
    return (
        *edits,
        before(code, statement, [first, *rest]),
        replaced(code, call.node, done),
        *added,
    )


def _name_for(code: Code, call: Call) -> str:
    """Return what a new statement is called: the second one of a function is `statement2`."""
    room = room_of(code, call.node)
    earlier = [
        each
        for each in calls_of(code, "createStatement")
        if each.node.start_byte < call.node.start_byte and holds(room, each.node)
        if call.receiver != each.node
    ]
    return f"statement{len(earlier) + 1}" if earlier else "statement"


def _by_name(code: Code, call: Call, text: Node, sql: Node) -> tuple[TextEdit, ...] | None:
    """Return the edits where the statement has a name; None where it is not seen to be made."""
    name = name_of(call.receiver)
    room = function_of(call.node) or code.root
    made = _created(code, room, name, call.node)
    if made is None:
        return None
    creation, holder = made
    query = query_of(code, text)
    statement = statement_of(call.node)
    if query is None or statement is None or call.listed is None or creation.listed is None:
        return ()
    if not all(_is_harmless(use, call) for use in uses(holder, name)):
        return ()
    is_here = text.start_byte >= call.listed.start_byte
    source = with_query(sql, text, query) if is_here else text_of(sql)
    if not is_here and text.start_byte > creation.node.start_byte:
        return ()
    end = ";" if code.grammar == "java" else ""
    setters = _setters(code, call.node, query, f"{name}.") or []
    lines = [f"{line}{end}" for line in setters]
    added = importing(code, _PREPARED) if code.grammar == "java" else ()
    retyped = _retyped(code, creation)
    if added is None or retyped is None or not setters:
        return ()
    return (
        *([] if is_here else [replaced(code, text, query.source)]),
        *retyped,
        between(
            code, creation.word.start_byte, creation.node.end_byte, f"prepareStatement({source})"
        ),
        before(code, statement, lines),
        replaced(code, call.listed, "()"),
        *(added if retyped else ()),
    )


def _is_harmless(use: Node, call: Call) -> bool:
    """Whether a use of a statement is its declaration, or a call that brings no query."""
    other = call_of(use.parent) or call_of(_up(use))
    if other is not None and other.receiver == use:
        return other.node == call.node or other.name not in _TAKES_SQL
    parent = use.parent
    is_property = parent is not None and parent.type == "navigation_expression"
    return is_property or (
        parent is not None
        and parent.type
        in {"variable_declarator", "variable_declaration", "resource", "lambda_parameters"}
    )


def _up(node: Node) -> Node | None:
    return node.parent.parent if node.parent is not None else None


def _created(code: Code, room: Node, name: str, at: Node) -> tuple[Call, Node] | None:
    """Return the `createStatement()` that a name stands for, and the room in which it does."""
    found: list[tuple[Call, Node]] = []
    for made in calls_of(code, "createStatement"):
        node = made.node
        if made.arguments or made.block or not holds(room, node):
            continue
        declaration = declaration_around(node)
        pair = declared(code, declaration) if declaration is not None else None
        if pair is not None and pair[0] == name:
            found.append((made, room))
        used = call_of(_up(node))
        if used is not None and used.name == "use" and used.block is not None:
            given = inside(used.block, "lambda_parameters")[:1]
            if (text_of(given[0]) if given else "it") == name and holds(used.block, at):
                found.append((made, used.block))
    return found[0] if len(found) == 1 and found[0][0].receiver is not None else None


def _retyped(code: Code, creation: Call) -> list[TextEdit] | None:
    """Return the edit of a declared type; None where it is an unexpected one."""
    declaration = declaration_around(creation.node)
    if declaration is None or code.grammar == "kotlin":
        is_typed = declaration is not None and bool(
            re.match(r"va[lr]\s+\w+\s*:", text_of(declaration))
        )
        return None if is_typed else []
    kind = field(declaration, "type")
    if text_of(kind) == "var":
        return []
    return (
        [replaced(code, kind, "PreparedStatement")]
        if text_of(kind) == "Statement" and kind
        else None
    )


def _setters(code: Code, at: Node, query: Query, prefix: str) -> list[str] | None:
    """Return the calls that bind a query's values; None where a type is not certain."""
    bound = bound_values(code, at, query)
    if bound is None:
        return None
    return [f"{prefix}{name}({place}, {value})" for place, (name, value) in enumerate(bound, 1)]


_RULES = (
    r"sql-?i|sqli|.*(tainted-)?sql-(string|inject|from|concat|format)|formatted-sql|jdbc-?sql"
    r"|(jdbc|jpa|hibernate|spring)-(sqli|inject|sql)|sql.*(inject|concat|format|string|query|raw)"
    r"|hibernate.*inject|jpa|prepared-?statement"
)
PATTERNS = (pattern("jvm-sql-parameters", _RULES, (89, 564), JVM, _queries),)
