"""Go: values from outside in SQL, command lines and paths."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.commands import words
from secdaemon.pipeline.fixes.patterns.go_code import Names, string_value
from secdaemon.pipeline.fixes.patterns.instances import GO, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.one_use import bindings, value_of
from secdaemon.pipeline.fixes.patterns.sql_text import Value, bound, reach
from secdaemon.pipeline.fixes.patterns.syntax import (
    arguments,
    around,
    calls,
    indent_of,
    inserted,
    replaced,
)
from secdaemon.pipeline.fixes.patterns.templates import literal, template_of
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import field, text_of, within

_MARKS = ("github.com/go-sql-driver/mysql", "github.com/mattn/go-sqlite3", "modernc.org/sqlite")
_NUMBERS = ("github.com/lib/pq", "github.com/jackc/pgx")
_RUNS = frozenset(("Exec", "Query", "QueryRow"))
_SHELLS = frozenset(("sh", "bash", "/bin/sh", "/bin/bash"))


def _queries(code: Code) -> Iterator[Instance]:
    """Yield queries of `database/sql` with values in their SQL, by the imported driver."""
    names = Names(code)
    has_marks, has_numbers = names.has(*_MARKS), names.has(*_NUMBERS)
    if has_marks == has_numbers:
        return
    for call in calls(code):
        called, given = field(call, "function"), arguments(call)
        method = text_of(called and field(called, "field"))
        is_pgx = names.has("github.com/jackc/pgx") and method in _RUNS and len(given) > 1
        at = 1 if method.endswith("Context") or is_pgx else 0
        if method.removesuffix("Context") not in _RUNS or len(given) != at + 1:
            continue
        made = value_of(code, given[at]) or given[at]
        template = template_of(code, made)
        sql = bound(template) if template is not None else None
        if template is None or sql is None:
            continue
        text = literal(code, sql.sql(lambda n: f"${n + 1}" if has_numbers else "?"), template.quote)
        values = "".join(f", {_value(value)}" for value in sql.values)
        edits: tuple[TextEdit, ...] = ()
        if text is not None and "\n" not in values:
            is_here = made == given[at]
            edits = (replaced(code, made, text + values if is_here else text),)
            edits = edits if is_here else (*edits, inserted(code, given[at].end_byte, values))
        reason = f"{reach(sql.values)} beside the statement and cannot become SQL."
        yield Instance(call, edits, reason, None if made == given[at] else made)


def _value(value: Value) -> str:
    parts = (f'"{value.before}"', text_of(value.node), f'"{value.after}"')
    return " + ".join(part for part in parts if part != '""')


def _commands(code: Code) -> Iterator[Instance]:
    """Yield `exec.Command("sh", "-c", …)` of a command line that values are added to."""
    names = Names(code)
    for call in calls(code):
        origin, given = names.of(field(call, "function")), arguments(call)
        at = {
            "os/exec.Command": 0,
            "exec.Command": 0,
            "os/exec.CommandContext": 1,
            "exec.CommandContext": 1,
        }.get(origin)
        if at is None or len(given) != at + 3 or string_value(given[at]) not in _SHELLS:
            continue
        line = given[at + 2]
        made = value_of(code, line) or line
        template = template_of(code, line)
        # What `Sprintf` prints may be no string, which is all that a list of arguments takes.
        is_sum = line.type == "binary_expression" and "Sprintf" not in text_of(line)
        split = words(code, template) if template is not None and is_sum else None
        edits = (
            ()
            if split is None or made != line
            else (
                replaced(code, given[at], split[0]),
                *_swapped(code, (given[at + 1], line), split[1:]),
            )
        )
        reason = (
            "The program gets its arguments one by one and without a shell, so that nothing in "
            "them is read as another command."
        )
        yield Instance(call, edits, reason)


def _swapped(code: Code, old: tuple[Node, Node], new: list[str]) -> tuple[TextEdit, ...]:
    if not new:
        return ()
    return replaced(code, old[0], new[0]), replaced(code, old[1], ", ".join(new[1:]) or new[0])


def _paths(code: Code) -> Iterator[Instance]:
    """Yield `filepath.Join` of a folder and a variable in an HTTP handler."""
    names = Names(code)
    for call in calls(code):
        origin, given = names.of(field(call, "function")), arguments(call)
        if origin not in {"path/filepath.Join", "filepath.Join"} or len(given) != 2:  # noqa: PLR2004
            continue
        statement = around(call, "short_var_declaration", "statement_list")
        function = around(call, "function_declaration", "method_declaration", "func_literal")
        name = text_of(given[1])
        if statement is None or statement.type != "short_var_declaration" or function is None:
            continue
        if given[1].type != "identifier" or f".IsLocal({name})" in text_of(function):
            continue
        writer = _writer_of(function)
        if writer is None or field(function, "result") is not None:
            continue
        if not _is_from_request(code, given[1], call):
            continue
        package = text_of(field(call, "function")).partition(".")[0]
        indent = indent_of(code, statement)
        guard = (
            f"if !{package}.IsLocal({name}) {{\n{indent}\thttp.NotFound({writer})\n"
            f"{indent}\treturn\n{indent}}}\n{indent}"
        )
        reason = (
            f"`filepath.IsLocal` refuses an absolute {inline(name, 60)} and one that leads out of "
            f"{inline(text_of(given[0]), 60)} by `..`; Go has it from 1.20 on."
        )
        yield Instance(call, (inserted(code, statement.start_byte, guard),), reason)


def _writer_of(function: Node) -> str | None:
    """Return the names of a handler's writer and request, as arguments."""
    listed = field(function, "parameters")
    found: dict[str, str] = {}
    for each in within(listed, "parameter_declaration") if listed is not None else ():
        found[text_of(field(each, "type"))] = text_of(field(each, "name"))
    writer, request = found.get("http.ResponseWriter"), found.get("*http.Request")
    return f"{writer}, {request}" if writer and request and len(found) == 2 else None  # noqa: PLR2004


def _is_from_request(code: Code, used: Node, call: Node) -> bool:
    """Return whether a variable is assigned once, before a call, from the request."""
    made = bindings(code, used).only(text_of(used))
    if made is None or made.end_byte > call.start_byte:
        return False
    if re.search(r"\.(URL\.(Raw)?Path|RequestURI)\b", text_of(made)):
        # It begins with a slash, which the folder that it is joined to takes as its own.
        return False
    return bool(re.match(r"(r|req|request)\.|mux\.Vars\(|chi\.URLParam\(", text_of(made)))


PATTERNS = (
    pattern("go-sql-parameters", r"g20[12]|.*sql", (89, 943), GO, _queries),
    pattern("go-commands", r"g204|.*(command|exec|shell)", (77, 78, 88), GO, _commands),
    pattern("go-paths", r"g304|g703|.*(path|traversal)", (22, 23), GO, _paths),
)
