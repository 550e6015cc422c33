"""Statements, imports and layout of Java and Kotlin: where a line can go, and how it gets there."""

import re
from collections.abc import Iterable
from functools import lru_cache

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.jvm_code import BLOCKS, CLASSES, MAX_ABOVE, inside
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import begins_line, between, indent_of, inserted
from secdaemon.pipeline.routes.syntax import child, field, text_of

_PASSED = frozenset(
    (
        *("call_expression", "navigation_expression", "value_argument", "value_arguments"),
        *("method_invocation", "argument_list", "object_creation_expression", "field_access"),
        *("property_declaration", "variable_declarator", "local_variable_declaration"),
        *("expression_statement", "return_expression", "return_statement", "throw_expression"),
        *("throw_statement", "assignment", "assignment_expression", "parenthesized_expression"),
        *("as_expression", "cast_expression", "unary_expression"),
    )
)
"""What evaluates all that it holds, once: a line before it comes before what it holds."""


_OF_A_FILE = frozenset(
    ("package_header", "import", "function_declaration", "class_declaration", "object_declaration")
)
"""What stands beside a property of a Kotlin file, where no statement may stand."""


def statement_of(node: Node) -> Node | None:
    """Return the statement that evaluates a node once and always; None where there is none.

    A node behind a condition, in a loop's head or in the body of an expression has none: a line
    put before would run at another time than the node.
    """
    for _ in range(MAX_ABOVE):
        parent = node.parent
        if parent is None:
            return None
        if parent.type == "source_file" and any(c.type in _OF_A_FILE for c in parent.children):
            return None
        if parent.type in BLOCKS:
            return node
        if parent.type not in _PASSED:
            return None
        node = parent
    return None


def before(code: Code, statement: Node, lines: Iterable[str]) -> TextEdit:
    """Return the edit that puts statements before one, laid out as it is."""
    if begins_line(code, statement):
        joint = f"\n{indent_of(code, statement)}"
    else:
        joint = " " if code.grammar == "java" else "; "
    return inserted(code, statement.start_byte, "".join(line + joint for line in lines))


def after(code: Code, statement: Node, lines: Iterable[str]) -> TextEdit:
    """Return the edit that puts statements after one, laid out as it is."""
    if begins_line(code, statement):
        joint = f"\n{indent_of(code, statement)}"
    else:
        joint = " " if code.grammar == "java" else "; "
    return inserted(code, statement.end_byte, "".join(joint + line for line in lines))


def removed_statement(code: Code, statement: Node) -> TextEdit:
    """Return the edit that takes a statement away, with its line where it has one for itself."""
    data = code.text.encode("utf-8", "replace")
    start, end = statement.start_byte, statement.end_byte
    rest = re.match(rb"[ \t]*(?:\n|$)", data[end : end + 200])
    if begins_line(code, statement) and rest is not None:
        start = data.rfind(b"\n", 0, start) + 1
        end += rest.end()
    return between(code, start, end, "")


def is_simple_statement(statement: Node) -> bool:
    """Whether nothing of a statement's value is used: it stands for what it does."""
    if statement.type == "expression_statement":
        return True
    parent = statement.parent
    if parent is None or parent.type not in BLOCKS:
        return False
    if statement.type not in {"call_expression", "assignment"}:
        return False
    return parent.type != "lambda_literal" or parent.named_children[-1] != statement


@lru_cache(maxsize=16)
def is_free(code: Code, name: str) -> bool:
    """Whether no word of the text is this name."""
    return not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", code.text)


def imported(code: Code) -> list[tuple[Node, str]]:
    """Return the imports with their dotted names; static ones and renamed ones are left out."""
    found = []
    for node in inside(code.root, "import", "import_declaration"):
        text = re.sub(r"\s+", " ", text_of(node)).strip(" ;")
        name = re.fullmatch(r"import ([\w.]+(?:\.\*)?)", text)
        if name and node.is_named:
            found.append((node, name[1]))
    return found


def knows(code: Code, dotted: str) -> bool:
    """Whether a class's simple name means it here, as far as a part of a file can tell."""
    if not code.whole:
        return True
    package = dotted.rpartition(".")[0]
    names = {name for _, name in imported(code)}
    return dotted in names or f"{package}.*" in names


def importing(code: Code, *dotted: str) -> tuple[TextEdit, ...] | None:
    """Return the edits that import classes; None where a simple name means something else.

    A part of a file gets none: where its imports are is not known.
    """
    if not code.whole:
        return ()
    known = imported(code)
    names = {name for _, name in known}
    needed = []
    for each in sorted(set(dotted)):
        package, _, simple = each.rpartition(".")
        if each in names or f"{package}.*" in names:
            continue
        if any(name.rpartition(".")[2] == simple for name in names) or _declares(code, simple):
            return None
        needed.append(each)
    if not known and needed:
        return (_first_imports(code, needed),)
    # Of edits at one place the last one comes first in the text.
    return tuple(_import(code, known, each) for each in reversed(needed))


def _declares(code: Code, simple: str) -> bool:
    return any(text_of(field(node, "name")) == simple for node in inside(code.root, *CLASSES))


def _line(code: Code, dotted: str) -> str:
    return f"import {dotted}{';' if code.grammar == 'java' else ''}"


def _import(code: Code, known: list[tuple[Node, str]], dotted: str) -> TextEdit:
    later = next((node for node, name in known if name > dotted), None)
    if later is not None:
        return inserted(code, later.start_byte, f"{_line(code, dotted)}\n")
    return inserted(code, known[-1][0].end_byte, f"\n{_line(code, dotted)}")


def _first_imports(code: Code, dotted: list[str]) -> TextEdit:
    lines = "\n".join(_line(code, each) for each in dotted)
    package = child(code.root, "package_header", "package_declaration")
    if package is not None:
        return inserted(code, package.end_byte, f"\n\n{lines}")
    first = next((n for n in code.root.named_children if not n.type.endswith("comment")), None)
    return inserted(code, first.start_byte if first is not None else 0, f"{lines}\n\n")


def asks_for(code: Code, *dotted: str) -> str:
    """Return the words that tell what a part of a file has to import, "" for a whole file."""
    if code.whole:
        return ""
    return f" The file needs {' and '.join(f'`import {each}`' for each in dotted)}."


def step_of(code: Code) -> str:
    """Return by how much the text indents, four spaces where it does nowhere."""
    found = re.findall(r"^(\t| {2,8})(?=[^\s*])", code.text[:50_000], re.MULTILINE)
    if "\t" in found[:1]:
        return "\t"
    widths = sorted({len(each) for each in found if each != "\t"})
    steps = [wide - narrow for narrow, wide in zip([0, *widths], widths, strict=False)]
    smallest = min((step for step in steps if step > 1), default=4)
    return " " * min(smallest, 4)
