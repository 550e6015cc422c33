"""Python: what a request can reach: files, templates, other sites, and connections without end."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import PYTHON, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.one_use import bindings
from secdaemon.pipeline.fixes.patterns.python_code import (
    Names,
    has_splat,
    keyword,
    keyword_value,
    method_of,
    positional,
    string_value,
)
from secdaemon.pipeline.fixes.patterns.syntax import (
    appended,
    arguments,
    around,
    begins_line,
    calls,
    indent_of,
    inserted,
    items,
    quote_in,
    replaced,
)
from secdaemon.pipeline.fixes.patterns.templates import literal, template_of
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import field, text_of, within

_VERBS = frozenset(("delete", "get", "head", "options", "patch", "post", "put", "request"))
_MARKUP = re.compile(r"html|markup|content|body|render|template|form|svg", re.IGNORECASE)
"""What values are called that are markup themselves."""
_PARTS = 2


def _files(code: Code) -> Iterator[Instance]:
    """Yield paths that `os.path.join` makes of a folder and what a caller names."""
    names = Names(code)
    for call in calls(code):
        given = arguments(call)
        if names.of(field(call, "function")) != "os.path.join" or len(given) < _PARTS:
            continue
        if has_splat(call) or not _is_foreign(code, given[-1], call):
            continue
        parent = call.parent
        if parent is not None and parent.type == "argument_list" and parent.parent is not None:
            sent = parent.parent
            if names.of(field(sent, "function")) == "flask.send_file":
                yield _sent(code, names, sent, call)
            continue
        if parent is None or parent.type != "assignment" or _is_checked(parent):
            continue
        is_held = not _is_led(code, given[:-1], call)
        edits = _contained(code, names, parent, call) if is_held else ()
        reason = (
            f"The resolved path has to lie below {inline(_folder(call), 60)}, so that `..`, an "
            f"absolute name or a link in {inline(text_of(given[-1]), 60)} leads nowhere else."
        )
        yield Instance(parent, edits, reason)


def _is_led(code: Code, folders: list[Node], call: Node) -> bool:
    """Return whether the folder is a caller's own choice, so that lying below it says nothing."""
    function = around(call, "function_definition")
    is_route = function is not None and around(function, "decorated_definition") is not None
    foreign = [_is_foreign(code, each, call) for each in folders]
    return any(foreign[0 if is_route else 1 :]) or text_of(folders[0]).startswith("request.")


def _folder(call: Node) -> str:
    """Return the folder that `os.path.join` joins a name to."""
    parts = [text_of(each) for each in arguments(call)[:-1]]
    called = text_of(field(call, "function"))
    return parts[0] if len(parts) == 1 else f"{called}({', '.join(parts)})"


def _is_foreign(code: Code, node: Node, call: Node) -> bool:
    """Return whether a value is of the request, or a parameter of the function around."""
    if re.match(r"(flask\.)?request\.", text_of(node)):
        return True
    function = around(call, "function_definition")
    listed = field(function, "parameters") if function is not None else None
    if function is None or listed is None or node.type != "identifier":
        return False
    names = {text_of(each) for each in within(listed, "identifier")}
    made = text_of(bindings(code, node).only(text_of(node)))
    return text_of(node) in names or made.startswith("request.")


def _is_checked(assignment: Node) -> bool:
    function = around(assignment, "function_definition")
    path = re.escape(text_of(field(assignment, "left")))
    checks = rf"{path}\.startswith\(|commonpath\(|is_relative_to\(|safe_join\("
    return bool(re.search(checks, text_of(function)))


def _contained(code: Code, names: Names, assignment: Node, call: Node) -> tuple[TextEdit, ...]:
    """Return the edits that resolve the path and refuse one that lies elsewhere."""
    target, statement = field(assignment, "left"), assignment.parent
    if target is None or target.type != "identifier" or statement is None:
        return ()
    if statement.type != "expression_statement" or not begins_line(code, statement):
        return ()
    path, base = text_of(target), _folder(call)
    module = text_of(field(call, "function")).removesuffix("path.join")
    if module != "os." or "\n" in text_of(call):
        return ()
    indent, quote = indent_of(code, statement), quote_in(code)
    refusal = f"raise ValueError({quote}the path leads out of its folder{quote})"
    if names.of_local("abort") == "flask.abort":
        refusal = "abort(404)"
    elif names.of_local("HTTPException").startswith("fastapi."):
        refusal = "raise HTTPException(status_code=404)"
    check = (
        f"\n{indent}if not {path}.startswith(os.path.realpath({base}) + os.sep):"
        f"\n{indent}    {refusal}"
    )
    return (
        replaced(code, call, f"os.path.realpath({text_of(call)})"),
        inserted(code, statement.end_byte, check),
    )


def _sent(code: Code, names: Names, sent: Node, call: Node) -> Instance:
    """Return Flask's `send_file` of a joined path, which has a sister that checks it."""
    called = field(sent, "function")
    added = names.adding_member("flask", "send_from_directory")
    reason = "`send_from_directory` answers 404 for a name that leads out of the folder."
    is_led = _is_led(code, arguments(call)[:-1], call)
    if called is None or added is None or is_led or positional(sent)[:1] != [call]:
        return Instance(sent, (), reason)
    new = text_of(called).replace("send_file", "send_from_directory")
    both = f"{_folder(call)}, {text_of(arguments(call)[-1])}"
    return Instance(sent, (replaced(code, called, new), replaced(code, call, both), *added), reason)


def _templates(code: Code) -> Iterator[Instance]:
    """Yield `render_template_string` of a template that values are pasted into."""
    names = Names(code)
    for call in calls(code):
        given = arguments(call)
        origin = names.of(field(call, "function")).rpartition(".")[2]
        if origin != "render_template_string" or len(given) != 1:
            continue
        template = template_of(code, given[0])
        if template is None or not template.values:
            continue
        values = [text_of(value) for value in template.values]
        is_plain = all(value.isidentifier() and not _MARKUP.search(value) for value in values)
        is_plain = is_plain and not any("{" in text or "}" in text for text in template.texts)
        holes = [f"{{{{ {value} }}}}" for value in values] + [""]
        content = "".join(t + h for t, h in zip(template.texts, holes, strict=True))
        text = literal(code, content, template.quote) if is_plain else None
        passed = "".join(f", {value}={value}" for value in dict.fromkeys(values))
        edits = (replaced(code, given[0], text + passed),) if text is not None else ()
        reason = (
            "The values reach the template as variables, so that Jinja escapes them and never "
            "reads them as a part of the template."
        )
        yield Instance(call, edits, reason)


def _origins(code: Code) -> Iterator[Instance]:
    """Yield CORS settings of FastAPI, Starlette and Flask that let every site in."""
    names = Names(code)
    added = names.adding("os")
    reason = (
        "Only the sites named in the environment variable `CORS_ORIGINS`, separated by commas, "
        f"may read answers; without it the program does not start.{names.asks_for('os')}"
    )
    quote = quote_in(code)
    new = 'os.environ["CORS_ORIGINS"].split(",")'.replace('"', quote)
    for call in calls(code):
        listed = field(call, "arguments")
        middleware = any(text_of(each) == "CORSMiddleware" for each in positional(call))
        is_flask = names.of(field(call, "function")) in {"flask_cors.CORS", "CORS"}
        if listed is None or has_splat(call) or not (middleware or is_flask):
            continue
        name = "origins" if is_flask else "allow_origins"
        value = keyword_value(call, name)
        if value is not None and _is_any(value):
            edit: TextEdit | None = replaced(code, value, new)
        elif value is None and is_flask and keyword(call, "resources") is None:
            edit = appended(code, listed, [f"{name}={new}"])
        else:
            continue
        yield Instance(call, (edit, *added) if edit and added is not None else (), reason)


def _is_any(value: Node) -> bool:
    if value.type == "list":
        return [string_value(each) for each in items(value)] == ["*"]
    return string_value(value) == "*"


def _timeouts(code: Code) -> Iterator[Instance]:
    """Yield calls of `requests` without a timeout."""
    names = Names(code)
    for call in calls(code):
        listed = field(call, "arguments")
        module, _, name = names.of(field(call, "function")).rpartition(".")
        if module != "requests" or name not in _VERBS or listed is None or has_splat(call):
            continue
        value = keyword_value(call, "timeout")
        reason = "A server that does not answer holds this call up for ten seconds at most."
        if value is None and method_of(call) in _VERBS:
            yield Instance(call, (appended(code, listed, ["timeout=10"]),), reason)
        elif value is not None and text_of(value) == "None":
            yield Instance(call, (replaced(code, value, "10"),), reason)


PATTERNS = (
    pattern("python-paths", r".*(path|traversal|file-inclusion)", (22, 23, 36, 73), PYTHON, _files),
    pattern("python-templates", r".*(template|ssti|xss)", (79, 94, 96, 1336), PYTHON, _templates),
    pattern("python-cors", r".*cors", (346, 942), PYTHON, _origins),
    pattern("python-timeouts", r"b113|.*timeout", (400, 1088), PYTHON, _timeouts),
)
