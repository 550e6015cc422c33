"""Passkeys: challenges that a map in memory keeps for ever.

The map belongs to the file alone, and everything that is done with it is seen: then each value goes
in with the time until which it holds, and comes out only before that time.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import SCRIPTS, Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import JVM, above, inside, named, says
from secdaemon.pipeline.fixes.patterns.jvm_edits import before, importing, is_free, step_of
from secdaemon.pipeline.fixes.patterns.model import Code, Grammar
from secdaemon.pipeline.fixes.patterns.python_code import Names
from secdaemon.pipeline.fixes.patterns.syntax import (
    begins_line,
    indent_of,
    inserted,
    replaced,
    words_in,
)
from secdaemon.pipeline.fixes.patterns.webauthn_code import call_of, function_of
from secdaemon.pipeline.fixes.patterns.webauthn_maps import (
    CHALLENGE,
    SECONDS,
    TIMED,
    Map,
    removes,
    uses_of,
)
from secdaemon.pipeline.routes.syntax import field, text_of

_MAX_MAPS = 400
_MAX_USES = 40
_KOTLIN_MAPS = "ConcurrentHashMap|HashMap|LinkedHashMap|mutableMapOf|hashMapOf"
_INSTANT, _MAP, _OPTIONAL = "java.time.Instant", "java.util.Map", "java.util.Optional"
_MINUTES = "5 * 60 * 1000"
_SIMPLE = re.compile(r"[\w.()\[\]]+")


def _kept(code: Code) -> Iterator[Instance]:
    """Maps of Java and Kotlin: the private fields and properties of a class."""
    kinds = ("property_declaration", "field_declaration")
    for declaration in inside(code.root, *kinds)[:_MAX_MAPS] if code.whole else ():
        typed = _typed(code, declaration)
        if typed is None or len(named(code.root).get(typed[0], ())) > _MAX_USES:
            continue
        name, edit = typed
        found = uses_of(code, declaration, name)
        if found is None or not found.puts:
            continue
        edits = _jvm_edits(code, found, edit)
        for node in (declaration, *(statement for statement, _ in found.puts)):
            yield Instance(node, edits, found.why)


def _typed(code: Code, declaration: Node) -> tuple[str, TextEdit] | None:
    """Return a map's name and the edit of its type, None for what is no private map of challenges.

    The type of the values is the last one between the angle brackets.
    """
    text = text_of(declaration)
    if code.grammar == "kotlin":
        pattern_ = (
            rf"private\s+val\s+(\w+)\s*=\s*(?:{_KOTLIN_MAPS})<\s*[\w.]+\s*,\s*([\w.<>?]+)>\(\)"
        )
    else:
        pattern_ = (
            r"private\s+(?:static\s+)?final\s+(?:static\s+)?(?:Map|ConcurrentMap|ConcurrentHashMap"
            r"|HashMap)<\s*[\w.]+\s*,\s*([\w.]+)\s*>\s+(\w+)\s*=\s*new\s+(?:Concurrent)?HashMap<>"
            r"\(\)\s*;"
        )
    found = re.fullmatch(pattern_, text)
    if found is None:
        return None
    name, kind = (found[1], 2) if code.grammar == "kotlin" else (found[2], 1)
    owner = next(above(declaration, "class_declaration", "object_declaration"), None)
    words = words_in(name, text_of(field(owner, "name")) if owner is not None else "")
    if owner is None or not CHALLENGE.search(words) or says(owner, TIMED):
        return None
    old = found[kind]
    new = f"Pair<{old}, Instant>" if code.grammar == "kotlin" else f"Map.Entry<{old}, Instant>"
    made = text[: found.start(kind)] + new + text[found.end(kind) :]
    return name, replaced(code, declaration, made)


def _jvm_edits(code: Code, found: Map, typed: TextEdit) -> tuple[TextEdit, ...]:
    names = (_INSTANT,) if code.grammar == "kotlin" else (_INSTANT, _MAP, _OPTIONAL)
    added = importing(code, *names)
    if added is None or not found.takes or not is_free(code, "held"):
        return ()
    edits = [typed, *added]
    for _, value in found.puts:
        said = text_of(value)
        if code.grammar == "kotlin":
            plain = said if _SIMPLE.fullmatch(said) else f"({said})"
            made = f"{plain} to Instant.now().plusSeconds({SECONDS})"
        else:
            made = f"Map.entry({said}, Instant.now().plusSeconds({SECONDS}))"
        edits.append(replaced(code, value, made))
    for node, key in found.takes:
        if code.grammar == "kotlin":
            read = f"{found.name}.remove({text_of(key)})" if found.reads_once else text_of(node)
            made = f"{read}?.takeIf {{ held -> Instant.now() < held.second }}?.first"
        else:
            read = f"{found.name}.remove({text_of(key)})" if found.reads_once else text_of(node)
            made = (
                f"Optional.ofNullable({read})"
                ".filter(held -> Instant.now().isBefore(held.getValue()))"
                ".map(Map.Entry::getKey).orElse(null)"
            )
        edits.append(replaced(code, node, made))
    return tuple(edits)


def _scripts(code: Code) -> Iterator[Instance]:
    """Maps and objects of a JavaScript module."""
    for declarator in inside(code.root, "variable_declarator")[:_MAX_MAPS] if code.whole else ():
        typed = _script_type(code, declarator)
        if typed is None:
            continue
        name = text_of(field(declarator, "name"))
        if len(named(code.root).get(name, ())) > _MAX_USES:
            continue
        found = uses_of(code, declarator, name)
        if found is None or not found.puts:
            continue
        edits = _script_edits(code, found, typed)
        for node in (declarator, *(statement for statement, _ in found.puts)):
            yield Instance(node, edits, found.why)


def _script_type(code: Code, declarator: Node) -> list[TextEdit] | None:
    """Return the edits of a map's type; None for what is no map of challenges of this module."""
    statement = declarator.parent
    name, value = field(declarator, "name"), field(declarator, "value")
    if statement is None or statement.parent != code.root or name is None or value is None:
        return None
    is_constant = text_of(statement).startswith("const ")
    is_shown = re.search(
        rf"(?:export\b[^\n]*|exports\b[^;]{{0,2000}})\b{re.escape(text_of(name))}\b", code.text
    )
    if not CHALLENGE.search(words_in(text_of(name))) or is_shown or not is_constant:
        return None
    if says(code.root, TIMED):
        return None
    made = re.fullmatch(r"new Map(?:<\s*\w+\s*,\s*([\w.]+)\s*>)?\(\)|\{\s*\}", text_of(value))
    annotated = field(declarator, "type")
    kind = re.fullmatch(r":\s*Record<\s*\w+\s*,\s*([\w.]+)\s*>", text_of(annotated))
    if made is None or (annotated is not None and kind is None):
        return None
    edits = []
    for node, old in ((value, made), (annotated, kind)):
        if node is not None and old is not None and old[1]:
            text = text_of(node)
            entry = f"{{ value: {old[1]}; expiresAt: number }}"
            edits.append(replaced(code, node, text[: old.start(1)] + entry + text[old.end(1) :]))
    return edits


def _script_edits(code: Code, found: Map, typed: list[TextEdit]) -> tuple[TextEdit, ...]:
    edits = list(typed)
    for _, value in found.puts:
        made = f"{{ value: {text_of(value)}, expiresAt: Date.now() + {_MINUTES} }}"
        edits.append(replaced(code, value, made))
    functions = [function_of(node) for node, _ in found.takes]
    if not found.takes or len({f.start_byte for f in functions if f}) != len(functions):
        return ()
    if not is_free(code, "held"):
        return ()
    for node, key in found.takes:
        holder = node.parent
        statement = holder.parent if holder is not None else None
        is_plain = holder is not None and holder.type == "variable_declarator"
        if not is_plain or statement is None or not begins_line(code, statement):
            return ()
        lines = [f"const held = {text_of(node)};"]
        if found.reads_once:
            is_map = node.type == "call_expression"
            gone = f".delete({text_of(key)})" if is_map else f"[{text_of(key)}]"
            lines.append(f"{'' if is_map else 'delete '}{found.name}{gone};")
        edits.append(before(code, statement, lines))
        edits.append(
            replaced(code, node, "held && held.expiresAt > Date.now() ? held.value : undefined")
        )
    return tuple(edits)


def _python(code: Code) -> Iterator[Instance]:
    """Dictionaries of a Python module."""
    for assignment in inside(code.root, "assignment")[:_MAX_MAPS] if code.whole else ():
        name, value = field(assignment, "left"), field(assignment, "right")
        statement = assignment.parent
        if name is None or value is None or statement is None or statement.parent != code.root:
            continue
        is_map = text_of(value) in {"{}", "dict()"} and field(assignment, "type") is None
        if not is_map or not CHALLENGE.search(words_in(text_of(name))) or says(code.root, TIMED):
            continue
        if len(named(code.root).get(text_of(name), ())) > _MAX_USES:
            continue
        found = uses_of(code, assignment, text_of(name))
        if found is None or not found.puts:
            continue
        edits = _python_edits(code, found)
        for node in (assignment, *(put for put, _ in found.puts)):
            yield Instance(node, edits, found.why)


@lru_cache(maxsize=4)
def _clock(code: Code) -> tuple[TextEdit, ...] | None:
    """Return the import of the clock, None where its name or the new variable's is taken."""
    added = Names(code).adding("time")
    return None if added is None or not is_free(code, "held_until") else tuple(added)


def _python_edits(code: Code, found: Map) -> tuple[TextEdit, ...]:
    added = _clock(code)
    if added is None or not found.takes:
        return ()
    edits = list(added)
    for _, value in found.puts:
        edits.append(replaced(code, value, f"({text_of(value)}, time.monotonic() + {SECONDS})"))
    for node, key in found.takes:
        holder = node.parent
        left = field(holder, "left") if holder is not None else None
        statement = holder.parent if holder is not None else None
        if holder is None or left is None or left.type != "identifier" or statement is None:
            return ()
        if holder.type != "assignment" or not begins_line(code, statement):
            return ()
        call = call_of(node)
        is_soft = call is not None and (call.name == "get" or len(call.arguments) > 1)
        default = ", (None, 0.0)" if is_soft else ""
        is_popped = found.reads_once or removes(node)
        if is_soft or is_popped:
            read = f"{found.name}.{'pop' if is_popped else 'get'}({text_of(key)}{default})"
        else:
            read = text_of(node)
        made = f"{text_of(left)}, held_until = {read}"
        step, indent = step_of(code), indent_of(code, statement)
        late = f"{text_of(left)} = None" if is_soft else f"raise KeyError({text_of(key)})"
        edits.append(replaced(code, holder, made))
        edits.append(
            inserted(
                code,
                statement.end_byte,
                f"\n{indent}if time.monotonic() >= held_until:\n{indent}{step}{late}",
            )
        )
    return tuple(edits)


_RULES = (
    r"(webauthn|fido2?|passkey).*(expir|storage|ttl|replay|reuse)"
    r"|challenge.*(expir|storage|ttl|reuse|replay|memory)"
)
_PYTHON: tuple[Grammar, ...] = ("python",)

PATTERNS = (
    pattern("webauthn-challenge-map", _RULES, (613, 294), JVM, _kept),
    pattern("webauthn-challenge-module-map", _RULES, (613, 294), SCRIPTS, _scripts),
    pattern("webauthn-challenge-dictionary", _RULES, (613, 294), _PYTHON, _python),
)
