"""JavaScript and TypeScript: `child_process.exec` of command lines that values are pasted into."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.commands import words
from secdaemon.pipeline.fixes.patterns.instances import SCRIPTS, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.one_use import value_of
from secdaemon.pipeline.fixes.patterns.script_code import (
    Names,
    has_spread,
    method_of,
    value_in,
)
from secdaemon.pipeline.fixes.patterns.syntax import arguments, calls, replaced
from secdaemon.pipeline.fixes.patterns.templates import template_of
from secdaemon.pipeline.routes.syntax import field, text_of, within

_RUNS = {"exec": "execFile", "execSync": "execFileSync"}


def _command_lines(code: Code) -> Iterator[Instance]:
    """Yield `exec` and `execSync` of `child_process`, and `exec` made a promise."""
    names = Names(code)
    promised = _promised(code, names)
    for call in calls(code):
        called, given = field(call, "function"), arguments(call)
        if called is None or not given:
            continue
        origin = names.of(called)
        module, _, name = origin.rpartition(".")
        if not code.whole and called.type == "identifier" and name in _RUNS:
            module = module or "child_process"
        is_promise = text_of(called) in promised
        if not is_promise and (module != "child_process" or name not in _RUNS):
            continue
        edits = _edits(code, call, given[0])
        how = promised[text_of(called)] if is_promise else _renamed(code, called, names)
        new = "execFile" if is_promise else _RUNS[name]
        needs = (
            ""
            if code.whole or names.has("child_process") or called.type != "identifier"
            else (f" The module needs `{new}` of `child_process`.")
        )
        reason = (
            f"`{new}` starts the program with a list of arguments and without a shell, so that "
            f"nothing in an argument is read as another command.{needs}"
        )
        made = value_of(code, given[0])
        is_known = edits is not None and how is not None
        yield Instance(
            given[0],
            (*(edits or ()), *(how or ())) if is_known else (),
            reason,
            made,
            called,
        )


def _edits(code: Code, call: Node, first: Node) -> tuple[TextEdit, ...] | None:
    """Return the edits to the arguments; None where the line is more than words."""
    options = next((node for node in arguments(call)[1:] if node.type == "object"), None)
    if options is not None and (value_in(options, "shell") or has_spread(options)):
        return None
    more = arguments(call)[1:]
    unseen = more if method_of(call).endswith("Sync") else more[:-1]
    if any(map(_is_unseen, unseen)) or _is_called_options(
        [each for each in more if each.type == "identifier"]
    ):
        return None
    made = value_of(code, first)
    template = template_of(code, made or first)
    is_silent = _is_unread(call) and options is not None and "pipe" in text_of(options)
    split = words(code, template, is_silent=is_silent) if template is not None else None
    if split is None or (made is not None and _has_type(made)):
        return None
    listed = f"[{', '.join(split[1:])}]"
    if made is None:
        return (replaced(code, first, f"{split[0]}, {listed}"),)
    return replaced(code, made, listed), replaced(code, first, f"{split[0]}, {text_of(first)}")


def _is_unseen(given: Node) -> bool:
    """Return whether options are given that are not in sight: a shell may be one of them."""
    return given.type not in {"object", "arrow_function", "function_expression"}


def _is_called_options(given: list[Node]) -> bool:
    return any(re.search(r"(?i)opt(ion)?s|config|params|env$", text_of(each)) for each in given)


def _is_unread(call: Node) -> bool:
    """Return whether nobody takes what a call returns."""
    parent = call.parent
    if parent is not None and parent.type == "await_expression":
        parent = parent.parent
    return parent is not None and parent.type == "expression_statement"


def _has_type(value: Node) -> bool:
    """Return whether a variable is declared as text, which a list is not."""
    return value.parent is not None and field(value.parent, "type") is not None


def _renamed(code: Code, called: Node, names: Names) -> tuple[TextEdit, ...] | None:
    """Return the edits that call the sister without a shell, imported as the first one is."""
    last = field(called, "property") if called.type == "member_expression" else called
    if last is None or text_of(last) not in _RUNS:
        return None
    new = _RUNS[text_of(last)]
    added = () if last is not called else names.with_member("child_process", new)
    return None if added is None else (replaced(code, last, new), *added)


def _promised(code: Code, names: Names) -> dict[str, tuple[TextEdit, ...] | None]:
    """Return the variables that hold `promisify(exec)`, and the edits that make it `execFile`.

    None where the variable is called more than once: the other calls still want the shell.
    """
    found: dict[str, tuple[TextEdit, ...] | None] = {}
    for node in within(code.root, "variable_declarator"):
        name, value = field(node, "name"), field(node, "value")
        if name is None or value is None or value.type != "call_expression":
            continue
        made = arguments(value)
        is_promisify = names.of(field(value, "function")) in {"util.promisify", "promisify"}
        if is_promisify and len(made) == 1 and names.of(made[0]) == "child_process.exec":
            uses = [
                each for each in within(code.root, "identifier") if text_of(each) == text_of(name)
            ]
            is_single = len(uses) == 2  # noqa: PLR2004 - the declaration, and the call
            found[text_of(name)] = _renamed(code, made[0], names) if is_single else None
    return found


PATTERNS = (
    pattern(
        "script-commands",
        r".*(child-process|command|shell|exec|spawn)",
        (77, 78, 88),
        SCRIPTS,
        _command_lines,
    ),
)
