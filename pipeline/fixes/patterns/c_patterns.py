"""C: text copied without a limit into an array of the same function, and formats from outside."""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import C, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import (
    arguments,
    around,
    calls,
    indent_of,
    inserted,
    replaced,
)
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import field, text_of, within

_COPIES = {"gets": 1, "strcat": 2, "strcpy": 2}
_PRINTS = {"printf": 0, "fprintf": 1, "syslog": 1}


def _overflows(code: Code) -> Iterator[Instance]:
    """Yield `gets`, `strcpy`, `strcat` and `sprintf`; mended where the size is in sight."""
    for call in calls(code):
        name, given = text_of(field(call, "function")), arguments(call)
        is_copy = _COPIES.get(name) == len(given)
        if not is_copy and not (name == "sprintf" and len(given) > 1):
            continue
        to = text_of(given[0])
        is_literal = name in {"strcpy", "strcat"} and given[1].type == "string_literal"
        is_known = _is_array(call, given[0]) and _is_unread(code, call, name)
        edits = _limited(code, call, name) if is_known else ()
        reason = (
            f"At most `sizeof({to})` bytes are written, so that a longer text is cut instead of "
            f"overwriting what follows {inline(to, 60)}."
        )
        if not is_literal:
            yield Instance(call, edits, reason)


def _is_unread(code: Code, call: Node, name: str) -> bool:
    """Return whether a call's other result is never looked at, and its function is declared."""
    is_statement = call.parent is not None and call.parent.type == "expression_statement"
    has_print = "<stdio.h>" in code.text or not code.whole
    return {
        "sprintf": has_print,
        "strcpy": has_print and is_statement,
        "gets": is_statement,
    }.get(name, True)


def _limited(code: Code, call: Node, name: str) -> tuple[TextEdit, ...]:
    given = [text_of(each) for each in arguments(call)]
    to = given[0]
    if name == "sprintf":
        rest = ", ".join(given[1:])
        return (replaced(code, call, f"snprintf({to}, sizeof({to}), {rest})"),)
    if name == "strcpy":
        return (replaced(code, call, f'snprintf({to}, sizeof({to}), "%s", {given[1]})'),)
    if name == "strcat":
        left = f"sizeof({to}) - strlen({to}) - 1"
        return (replaced(code, call, f"strncat({to}, {given[1]}, {left})"),)
    statement = call.parent
    block = statement.parent if statement is not None else None
    if statement is None or block is None or block.type != "compound_statement":
        return ()
    # Unlike `gets`, `fgets` keeps the end of the line.
    line = f"\n{indent_of(code, statement)}{to}[strcspn({to}, \"\\n\")] = '\\0';"
    has_strings = "<string.h>" in code.text or not code.whole
    new = f"fgets({to}, sizeof({to}), stdin)"
    edits = (replaced(code, call, new), inserted(code, statement.end_byte, line))
    return edits if has_strings else ()


def _is_array(call: Node, target: Node) -> bool:
    """Return whether a name is declared once in the function, as an array of characters."""
    function = around(call, "function_definition")
    if function is None or target.type != "identifier":
        return False
    return text_of(target) in _arrays(function)


@lru_cache(maxsize=4)
def _arrays(function: Node) -> frozenset[str]:
    """Return the arrays of characters of a function, by names that mean nothing else in it."""
    kinds = ("array_declarator", "pointer_declarator", "init_declarator")
    declared = within(function, *kinds)
    names = [text_of(field(each, "declarator")) for each in declared]
    for parameter in within(function, "parameter_declaration"):
        names += map(text_of, within(parameter, "identifier"))
    often = Counter(names)
    return frozenset(
        name
        for each in declared
        if often[name := text_of(field(each, "declarator"))] == 1 and _is_text(each)
    )


def _is_text(declared: Node) -> bool:
    kind = around(declared, "declaration")
    is_char = kind is not None and text_of(field(kind, "type")) == "char"
    return is_char and declared.type == "array_declarator"


def _formats(code: Code) -> Iterator[Instance]:
    """Yield `printf` and its like with a variable for a format and nothing else."""
    for call in calls(code):
        name, given = text_of(field(call, "function")), arguments(call)
        at = _PRINTS.get(name)
        if at is None or len(given) != at + 1:
            continue
        text = given[at]
        if text.type in {"string_literal", "concatenated_string"} or text_of(text).isupper():
            continue
        reason = (
            f"The format is a constant now; a `%n` or `%s` in {inline(text_of(text), 60)} is "
            "printed instead of reading and writing memory."
        )
        yield Instance(call, (replaced(code, text, f'"%s", {text_of(text)}'),), reason)


PATTERNS = (
    pattern(
        "c-overflows",
        r".*(gets|strcpy|strcat|sprintf|buffer|overflow|string-copy|unsafe-function|unbounded)",
        (119, 120, 121, 242, 676, 787),
        C,
        _overflows,
    ),
    pattern("c-format", r".*((?<!in)format|printf)", (134,), C, _formats),
)
