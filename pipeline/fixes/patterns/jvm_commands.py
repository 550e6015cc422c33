"""Java and Kotlin: commands that are put together to one line, run from a list of arguments."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    JVM,
    Part,
    call_of,
    calls_of,
    declared,
    function_of,
    inside,
    letters_of,
    name_of,
    parts_of,
    uses,
)
from secdaemon.pipeline.fixes.patterns.jvm_edits import removed_statement
from secdaemon.pipeline.fixes.patterns.jvm_types import type_of
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import between, replaced
from secdaemon.pipeline.routes.syntax import text_of

_SHELLS = frozenset(("sh", "bash", "/bin/sh", "/bin/bash", "/usr/bin/bash", "/usr/bin/env"))
_OF_A_SHELL = re.compile(r"[|&;<>$`*?~#'\"\\()\[\]{}!%=\n]")
_MAX_ARGUMENTS = 20


def _commands(code: Code) -> Iterator[Instance]:
    yield from _lines(code)
    yield from _shells(code)


def _lines(code: Code) -> Iterator[Instance]:
    """`Runtime.exec` of one text, which is cut at every space in it."""
    for call in calls_of(code, "exec"):
        if len(call.arguments) != 1 or not _is_runtime(call.receiver):
            continue
        words = _words(code, call.arguments[0].value)
        if words is None:
            continue
        edits: tuple[TextEdit, ...] = ()
        if words and words[0].strip('"') not in _SHELLS:
            edits = (replaced(code, call.node, f"{_builder(code)}({', '.join(words)}).start()"),)
        yield Instance(
            call.node,
            edits,
            "The program gets its arguments as a list, so a value with spaces in it stays one "
            "argument and cannot bring along others.",
        )


def _is_runtime(receiver: Node | None) -> bool:
    made = call_of(receiver)
    is_made = made is not None and made.name == "getRuntime" and made.on.endswith("Runtime")
    return is_made or text_of(receiver) in {"runtime", "rt"}


def _builder(code: Code) -> str:
    return "new ProcessBuilder" if code.grammar == "java" else "ProcessBuilder"


def _shells(code: Code) -> Iterator[Instance]:
    """`sh -c` with a value in the line."""
    for call in calls_of(code, "ProcessBuilder", "arrayOf", "listOf", "asList", "of", "command"):
        given = [argument.value for argument in call.arguments]
        found = _line_of(given)
        if found is None:
            continue
        first, last = given[0], given[2]
        line, declaration = _line_in(code, last)
        words = _words(code, line)
        if words is None:
            continue
        edits = [between(code, first.start_byte, last.end_byte, ", ".join(words))]
        if declaration is not None:
            edits.append(removed_statement(code, declaration))
        yield Instance(call.node, tuple(edits) if words else (), _NO_SHELL, source=declaration)
    for node in inside(code.root, "array_initializer"):
        found = _line_of(node.named_children)
        words = _words(code, node.named_children[2]) if found else None
        if words is None:
            continue
        first, last = node.named_children[0], node.named_children[2]
        edit = between(code, first.start_byte, last.end_byte, ", ".join(words))
        yield Instance(node, (edit,) if words else (), _NO_SHELL)


def _line_in(code: Code, node: Node) -> tuple[Node, Node | None]:
    """Return a line and, where it is a local that nothing else uses, its declaration."""
    name, function = name_of(node), function_of(node)
    if not name or function is None or len(uses(function, name)) != 2:  # noqa: PLR2004
        return node, None
    for each in inside(function, "property_declaration", "local_variable_declaration"):
        found = declared(code, each)
        if found is not None and found[0] == name:
            return found[1], each
    return node, None


_NO_SHELL = (
    "The program is run without a shell and gets its arguments as a list, so nothing in a value is "
    "read as a command."
)


def _line_of(given: list[Node]) -> Node | None:
    """Return the shell's line in `"sh", "-c", line`."""
    if len(given) != 3 or letters_of(given[1]) != "-c":  # noqa: PLR2004
        return None
    return given[2] if letters_of(given[0]) in _SHELLS else None


def _words(code: Code, node: Node) -> list[str] | None:
    """Return the arguments of a line as expressions, () where a shell is needed for it.

    None for a line without a value in it.
    """
    parts = parts_of(node)
    if parts is None or all(part.is_letters for part in parts):
        return None
    words: list[list[Part]] = [[]]
    for part in parts:
        if not part.is_letters:
            if not re.fullmatch(r"[\w.()]+", part.text):
                return []
            words[-1].append(part)
            continue
        if _OF_A_SHELL.search(part.text):
            return []
        first, *others = re.split(r"\s+", part.text)
        words[-1] += [Part(True, first)] if first else []
        words += [[Part(True, other)] if other else [] for other in others]
    held = [word for word in words if word]
    is_known = bool(held) and all(part.is_letters for part in held[0])
    if not is_known or len(held) > _MAX_ARGUMENTS:
        return []
    return [_expression(code, word, node) for word in held]


def _expression(code: Code, word: list[Part], line: Node) -> str:
    if len(word) == 1 and word[0].is_letters:
        return f'"{word[0].text}"'
    if len(word) == 1:
        value, kind = word[0].text, type_of(code, word[0].text, line)
        if kind in {"", "String", "var"}:
            return value
        return f"{value}.toString()" if code.grammar == "kotlin" else f"String.valueOf({value})"
    if code.grammar == "java":
        texts = [f'"{part.text}"' if part.is_letters else part.text for part in word]
        return " + ".join(texts if '"' in texts[0] + texts[1] else ['""', *texts])
    made = ""
    for at, part in enumerate(word):
        follows = word[at + 1].text[:1] if at + 1 < len(word) else ""
        is_short = part.text.isidentifier() and not re.match(r"\w", follows)
        made += (
            part.text if part.is_letters else (f"${part.text}" if is_short else f"${{{part.text}}}")
        )
    return f'"{made}"'


_RULES = (
    r"(os-?)?command-?(line|inject|exec)|runtime-?exec|process-?builder|shell-?(inject|exec)|exec-?(use|"
    r"inject)|.*(tainted-)?(system|command)-?(command|string)|dangerous-(exec|command|system)"
)

PATTERNS = (pattern("jvm-command", _RULES, (78, 77, 88), JVM, _commands),)
