"""PHP: output that nobody escaped, objects from outside, and connections that nobody checks."""

from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.instances import PHP, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import appended, arguments, calls, replaced
from secdaemon.pipeline.routes.syntax import field, text_of, within

_OUTSIDE = ("$_GET[", "$_POST[", "$_REQUEST[", "$_COOKIE[")
_CHECKS = {
    "CURLOPT_SSL_VERIFYPEER": ("false", "0", "true"),
    "CURLOPT_SSL_VERIFYHOST": ("false", "0", "2"),
}
_SETTINGS = 3


def _echoes(code: Code) -> Iterator[Instance]:
    """Yield `echo` and `print` of what the request says, by itself or within a text."""
    reason = (
        "`htmlspecialchars` turns `<`, `&` and both quotes into text, so that the value cannot "
        "become markup."
    )
    for node in within(code.root, "echo_statement", "print_intrinsic"):
        for value in within(node, "subscript_expression"):
            if text_of(value).startswith(_OUTSIDE) and _is_output(value, node):
                new = f"htmlspecialchars({text_of(value)}, ENT_QUOTES, 'UTF-8')"
                yield Instance(value, (replaced(code, value, new),), reason)


def _is_output(value: Node, statement: Node) -> bool:
    """Return whether nothing but `.` and commas stand between a value and the output."""
    parent = value.parent
    while parent is not None and parent != statement:
        is_sum = parent.type == "binary_expression" and text_of(field(parent, "operator")) == "."
        if not is_sum and parent.type not in {"sequence_expression", "parenthesized_expression"}:
            return False
        parent = parent.parent
    return True


def _objects(code: Code) -> Iterator[Instance]:
    """Yield `unserialize` of any class."""
    reason = (
        "With `allowed_classes` off the data becomes arrays and plain values; no object is made "
        "and none of its methods runs."
    )
    for call in calls(code):
        listed = field(call, "arguments")
        if text_of(field(call, "function")) != "unserialize" or listed is None:
            continue
        if len(arguments(call)) == 1 and not _is_object(code, call):
            yield Instance(
                call, (appended(code, listed, ["['allowed_classes' => false]"]),), reason
            )


def _is_object(code: Code, call: Node) -> bool:
    """Return whether what a call returns is used as an object."""
    holder = call.parent
    name = field(holder, "left") if holder is not None else None
    if holder is not None and field(holder, "object") == call:
        return True
    return name is not None and f"{text_of(name)}->" in code.text


def _certificates(code: Code) -> Iterator[Instance]:
    """Yield curl handles that accept any certificate."""
    reason = (
        "curl checks the server's certificate and its name, so that nobody on the way can answer "
        "in its place."
    )
    for call in calls(code):
        given = arguments(call)
        if text_of(field(call, "function")) != "curl_setopt" or len(given) != _SETTINGS:
            continue
        off = _CHECKS.get(text_of(given[1]))
        if off is not None and text_of(given[2]).lower() in off[:2]:
            yield Instance(call, (replaced(code, given[2], off[2]),), reason)


PATTERNS = (
    pattern("php-echo", r".*(echo|xss|escap|printed-request)", (79, 80), PHP, _echoes),
    pattern("php-objects", r".*(unserialize|deseriali)", (502,), PHP, _objects),
    pattern("php-certificates", r".*(curl|ssl|cert)", (295, 319), PHP, _certificates),
)
