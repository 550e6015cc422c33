"""Python: command lines that a shell reads."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.commands import words
from secdaemon.pipeline.fixes.patterns.instances import PYTHON, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.one_use import value_of
from secdaemon.pipeline.fixes.patterns.python_code import (
    Names,
    has_splat,
    keyword,
    keyword_value,
    positional,
)
from secdaemon.pipeline.fixes.patterns.syntax import arguments, calls, replaced, without
from secdaemon.pipeline.fixes.patterns.templates import template_of
from secdaemon.pipeline.routes.syntax import field, text_of

_RUNS = frozenset(("run", "call", "check_call", "check_output", "Popen"))
_DECODED = re.compile(r"WEXITSTATUS|WIFEXITED|waitstatus|>>\s*8|\b256\b")
"""What is done with the status of a process as `os.system` tells it."""
_WHY = "so that nothing in an argument is read as another command."


def _shell_calls(code: Code) -> Iterator[Instance]:
    """Yield calls of `subprocess` with `shell=True`."""
    names = Names(code)
    for call in calls(code):
        module, _, name = names.of(field(call, "function")).rpartition(".")
        shell, given = keyword(call, "shell"), positional(call)
        if module != "subprocess" or name not in _RUNS or shell is None:
            continue
        if text_of(keyword_value(call, "shell")) != "True" or len(given) != 1 or has_splat(call):
            continue
        if keyword(call, "executable") is not None:
            # It names the shell here, and would name the program without one.
            yield Instance(call, (), "")
            continue
        made = value_of(code, given[0]) or given[0]
        edits = _as_list(code, made)
        reason = f"The program is started with a list of arguments and without a shell, {_WHY}"
        source = None if made == given[0] else made
        yield Instance(
            call, (*edits, without(code, shell)) if edits is not None else (), reason, source
        )


def _as_list(code: Code, made: Node) -> tuple[TextEdit, ...] | None:
    """Return the edit that makes a command line a list, () where it is one; None if it cannot."""
    if made.type == "list":
        return ()
    if made.parent is not None and field(made.parent, "type") is not None:
        return None
    listed = _list(code, made)
    return None if listed is None else (replaced(code, made, listed),)


def _list(code: Code, made: Node) -> str | None:
    template = template_of(code, made)
    split = words(code, template) if template is not None else None
    return None if split is None else f"[{', '.join(split)}]"


def _system_calls(code: Code) -> Iterator[Instance]:
    """Yield `os.system` and `os.popen(…).read()`."""
    names = Names(code)
    for call in calls(code):
        origin, given = names.of(field(call, "function")), arguments(call)
        if origin not in {"os.system", "os.popen"} or len(given) != 1:
            continue
        made = value_of(code, given[0]) or given[0]
        listed, added = _list(code, made), names.adding("subprocess")
        target = call if origin == "os.system" else _read_of(call)
        reason = (
            f"`subprocess.run` starts the program with a list of arguments and without a shell, "
            f"{_WHY} A program that is missing raises `FileNotFoundError` now."
            f"{names.asks_for('subprocess')}"
        )
        source = None if made == given[0] else made
        is_typed = made.parent is not None and field(made.parent, "type") is not None
        is_decoded = origin == "os.system" and _DECODED.search(code.text)
        if listed is None or added is None or target is None or is_typed or is_decoded:
            yield Instance(call, (), reason, source)
            continue
        command = listed if source is None else text_of(given[0])
        new = (
            _run(call, command)
            if origin == "os.system"
            else (
                f"subprocess.run({command}, stdout=subprocess.PIPE, text=True, check=False).stdout"
            )
        )
        edits = (replaced(code, target, new), *added)
        if source is not None:
            edits = (replaced(code, made, listed), *edits)
        yield Instance(call, edits, reason, source)


def _run(call: Node, command: str) -> str:
    """Return the call in the place of `os.system`; its status is a number only where it is used."""
    parent = call.parent
    is_statement = parent is not None and parent.type == "expression_statement"
    return f"subprocess.run({command}, check=False)" + ("" if is_statement else ".returncode")


def _read_of(call: Node) -> Node | None:
    """Return `os.popen(…).read()` around a call of `os.popen`."""
    parent = call.parent
    outer = parent.parent if parent is not None else None
    if parent is None or outer is None or text_of(field(parent, "attribute")) != "read":
        return None
    return outer if outer.type == "call" and not arguments(outer) else None


_RULES = r"b60[245]|.*(shell|subprocess|command|os-system|system-call|popen|exec)"
_CWES = (77, 78, 88)
PATTERNS = (
    pattern("python-shell", _RULES, _CWES, PYTHON, _shell_calls),
    pattern("python-system", _RULES, _CWES, PYTHON, _system_calls),
)
