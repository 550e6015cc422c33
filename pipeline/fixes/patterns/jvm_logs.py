"""Java and Kotlin: secrets that are written to the log."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import JVM, Call, calls_of, inside, parts_of
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import between, replaced, words_in
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import text_of

_LEVELS = ("trace", "debug", "info", "warn", "error", "v", "d", "i", "w", "e", "println", "fine")
_LOGGERS = re.compile(r"(?i)^(?:this\.)?(?:_?log(?:ger)?|timber|android\.util\.log|system\.out)$")
_SECRET = re.compile(
    r"(?<![a-z])(pass-?(word|wd|phrase|code)|passwd|pwd|secret|(access|refresh|auth|id|bearer|reset|"
    r"csrf|session|api|jwt|device|push|fcm)-token|token|api-?key|private-?key|client-secret|otp|"
    r"challenge|assertion|pin|cvv|session-id)$"
)
_HIDDEN = "[hidden]"


def _secrets(code: Code) -> Iterator[Instance]:
    for call in calls_of(code, *_LEVELS):
        if not _LOGGERS.match(call.on):
            continue
        for argument in call.arguments:
            named = _named(argument.value)
            if not named:
                continue
            names = inline(", ".join(dict.fromkeys(text for _, text in named)), 100)
            edits = tuple(edit for node, _ in named for edit in _hidden(code, call, node))
            yield Instance(
                argument.value,
                edits,
                f"The log no longer holds {names}: more people and programs read it than may know "
                "that.",
            )


def _named(value: Node) -> list[tuple[Node, str]]:
    """Return the values in a message whose names say that they are secrets."""
    if value.type in {"identifier", "navigation_expression", "field_access", "method_invocation"}:
        return [(value, text_of(value))] if _is_secret(text_of(value)) else []
    parts = parts_of(value)
    if parts is None:
        return []
    secret = {p.text for p in parts if not p.is_letters and _is_secret(p.text)}
    kinds = (
        "interpolation",
        "identifier",
        "navigation_expression",
        "field_access",
        "method_invocation",
        "string_literal",
    )
    found = []
    for node in inside(value, *kinds):
        text = text_of(node).removeprefix("$").removeprefix("{").removesuffix("}").strip()
        is_part = node.type == "interpolation" or _is_operand(node)
        if text in secret and is_part:
            found.append((node, text))
        if node.type == "string_literal":
            found += [
                (node, name) for name in secret if re.search(rf"\${name}(?!\w)", text_of(node))
            ]
    return found


def _is_operand(node: Node) -> bool:
    parent = node.parent
    return parent is not None and parent.type in {"binary_expression", "value_argument"}


def _is_secret(text: str) -> bool:
    last = re.sub(r"\(\)$", "", text.strip())
    return re.fullmatch(r"[\w.?!]+", last) is not None and bool(
        _SECRET.search(words_in(last).strip("-"))
    )


def _hidden(code: Code, call: Call, node: Node) -> list[TextEdit]:
    if node.type == "interpolation":
        return [replaced(code, node, _HIDDEN)]
    if node.type != "string_literal":
        return [replaced(code, node, f'"{_HIDDEN}"')]
    text = text_of(node)
    edits = []
    for found in re.finditer(r"\$([A-Za-z_]\w*)", text):
        if _is_secret(found[1]) and (found.start() == 0 or text[found.start() - 1] != "\\"):
            before = len(text[: found.start()].encode())
            start = node.start_byte + before
            end = start + len(found[0].encode())
            edits.append(between(code, start, end, _HIDDEN))
    return list(dict.fromkeys(edits))


PATTERNS = (
    pattern(
        "jvm-log-secret",
        r".*(log|logging|logger).*(secret|token|password|credential|sensitive|pii)|.*(sensitive|"
        r"secret|credential|password|token).*log|.*logg(ing|er)-(sensitive|secret|credential)|"
        r"insecure-log|android.*log",
        (532, 312, 215),
        JVM,
        _secrets,
    ),
)
