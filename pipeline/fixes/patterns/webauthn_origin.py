"""Passkeys: an origin that is compared by a part of it, or with what the request says itself."""

import re
from collections.abc import Iterator
from functools import lru_cache

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import SCRIPTS, Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import Call, inside
from secdaemon.pipeline.fixes.patterns.model import Code, Grammar
from secdaemon.pipeline.fixes.patterns.syntax import appended, replaced
from secdaemon.pipeline.fixes.patterns.webauthn_code import (
    CEREMONY,
    LANGUAGES,
    call_of,
    calls_of,
    literal,
    options,
)
from secdaemon.pipeline.routes.syntax import field, text_of

_PARTLY = ("startsWith", "endsWith", "includes", "contains", "startswith", "endswith")
_LISTS = ("some", "any", "anyMatch")
_ORIGIN = re.compile(r"(?i)(?:^|[._\"'\[(])(?:\w*origin)(?:\(\))?[\"'\])]*$")
_FULL = re.compile(r"https?://[^/*?#\s]+")
_TOLD = re.compile(
    r"(?i)(?:req|request|ctx|c|call|event)\b[\w.?]*(?:\.headers?\b|\.get\(|\.hostname|\.host\b)"
    r"[\w.?\[\]()'\" ]*|`\$\{req\.protocol\}://\$\{req\.(?:get\('host'\)|headers\.host)\}`"
)
_EXPECTED = {
    "expectedOrigin": re.compile(r"(?i)(?:expected|rp|allowed|app|web)?_?origins?$"),
    "expected_origin": re.compile(r"(?i)(?:expected|rp|allowed|app|web)?_?origins?$"),
    "expectedRPID": re.compile(r"(?i)(?:expected_?)?rp_?id$"),
    "expected_rp_id": re.compile(r"(?i)(?:expected_?)?rp_?id$"),
}
_VERIFIERS = frozenset(("verifyRegistrationResponse", "verifyAuthenticationResponse"))
_WHOLE = (
    "The origin has to be equal as a whole, scheme, host and port, so an address that only begins "
    "or ends like ours, or holds it, is refused."
)


def _parts(code: Code) -> Iterator[Instance]:
    """A prefix, a suffix or a part of the origin in the place of all of it."""
    if not CEREMONY.search(code.text) and not re.search(r"(?i)client_?data", code.text):
        return
    for call in calls_of(code, *_PARTLY):
        expected = call.given(0)
        if call.receiver is None or expected is None or len(call.arguments) != 1:
            continue
        negated = text_of(call.receiver).startswith("!")
        origin = text_of(call.receiver).lstrip("!").strip()
        if not _is_origin(origin):
            continue
        listed = _listed(code, call, text_of(expected))
        if listed is not None and not re.search(r"(?i)origins?(?:\(\))?$", listed[1]):
            # What it holds may be the ends of origins, or hosts.
            continue
        if listed is not None:
            new = _contains(code, listed[1], origin)
            yield Instance(listed[0], (replaced(code, listed[0], new),), _WHOLE)
        elif _is_full(expected) and not _is_compared(call.node):
            yield Instance(call.node, _equal(code, call, (origin, expected), negated), _WHOLE)
    if code.grammar == "python":
        yield from _within(code)


def _is_origin(text: str) -> bool:
    return bool(_ORIGIN.search(text)) and "?" not in text and "\n" not in text


def _is_full(expected: Node) -> bool:
    """Whether what is compared with is a whole origin, as far as its name or text says."""
    said = literal(expected)
    return bool(_FULL.fullmatch(said)) if said is not None else _is_origin(text_of(expected))


def _is_compared(node: Node) -> bool:
    parent = node.parent
    return parent is not None and (
        parent.type in {"binary_expression", "comparison_operator"}
        and bool(re.search(r"[=!]=", text_of(field(parent, "operator")) or "=="))
        and text_of(field(parent, "operator")) not in {"&&", "||", "and", "or"}
    )


def _equal(code: Code, call: Call, pair: tuple[str, Node], negated: bool) -> tuple[TextEdit, ...]:
    """Return the edit that compares for equality, a `!` before it taken in."""
    origin, expected = pair[0], text_of(pair[1])
    if code.grammar == "java":
        return (replaced(code, call.node, f"{origin}.equals({expected})"),)
    node = call.node
    parent = call.node.parent
    is_not = parent is not None and parent.type in {"unary_expression", "not_operator"}
    if parent is not None and is_not:
        node, negated = parent, True
    sign = "!=" if negated else "=="
    sign += "=" if code.grammar in SCRIPTS else ""
    return (replaced(code, node, f"{origin} {sign} {expected}"),)


def _listed(code: Code, call: Call, element: str) -> tuple[Node, str] | None:
    """Return the search in a list of origins that a comparison with one of them is in."""
    node: Node | None = call.node.parent
    for _ in range(6):
        if node is None:
            return None
        if code.grammar == "python" and node.type == "generator_expression":
            return _generated(node, call.node, element)
        outer = call_of(node)
        if outer is not None and outer.name in _LISTS and outer.receiver is not None:
            return _searched(code, outer, call.node, element)
        node = node.parent
    return None


def _searched(code: Code, outer: Call, inner: Node, element: str) -> tuple[Node, str] | None:
    if code.grammar == "kotlin":
        block = outer.block
        if block is None or block.named_children[-1] != inner:
            return None
        given = text_of(block.named_children[0]) if len(block.named_children) > 1 else "it"
        return (outer.node, outer.on) if given == element else None
    function = outer.given(0)
    body = field(function, "body") if function is not None else None
    names = field(function, "parameters") if function is not None else None
    names = names or (field(function, "parameter") if function is not None else None)
    if body != inner or text_of(names).strip("() ").split(":")[0] != element:
        return None
    return outer.node, outer.on.removesuffix(".stream()")


def _generated(node: Node, inner: Node, element: str) -> tuple[Node, str] | None:
    """Return `any(origin.startswith(o) for o in origins)`."""
    clauses = [c for c in node.named_children if c.type in {"for_in_clause", "if_clause"}]
    outer = node.parent
    if field(node, "body") != inner or len(clauses) != 1 or call_of(outer) is None:
        return None
    is_one = text_of(field(clauses[0], "left")) == element
    is_any = text_of(field(outer, "function")) == "any" if outer is not None else False
    return (outer, text_of(field(clauses[0], "right"))) if is_one and is_any and outer else None


def _contains(code: Code, listed: str, origin: str) -> str:
    if code.grammar == "java":
        return f"{listed}.contains({origin})"
    return f"{listed}.includes({origin})" if code.grammar in SCRIPTS else f"{origin} in {listed}"


def _within(code: Code) -> Iterator[Instance]:
    """Python's `EXPECTED_ORIGIN in origin`."""
    for node in inside(code.root, "comparison_operator"):
        sides = node.named_children
        sign = " ".join(text_of(c) for c in node.children if not c.is_named or c.type == "not in")
        if len(sides) != 2 or sign not in {"in", "not in"}:  # noqa: PLR2004
            continue
        if _is_full(sides[0]) and _is_origin(text_of(sides[1])):
            new = "==" if sign == "in" else "!="
            made = f"{text_of(sides[1])} {new} {text_of(sides[0])}"
            yield Instance(node, (replaced(code, node, made),), _WHOLE)


def _told(code: Code) -> Iterator[Instance]:
    """An expected origin or RP id that the request brings along."""
    for name, value in options(code):
        if name not in _EXPECTED or not _TOLD.fullmatch(text_of(value)[:300]):
            continue
        constant = _constant(code, _EXPECTED[name])
        pair = value.parent
        is_short = constant == name and pair is not None and pair.type == "pair"
        place = pair if is_short and pair is not None else value
        edits = (replaced(code, place, constant),) if constant else ()
        yield Instance(
            value.parent or value,
            edits,
            f"`{name}` is the configured value instead of what the request says, which an attacker "
            "writes: a ceremony of another site is refused.",
        )


def _missing(code: Code) -> Iterator[Instance]:
    """A verification that is not told which origin and RP id are ours."""
    for call in calls_of(code, *_VERIFIERS):
        listed = call.given(0)
        if listed is None or listed.type != "object" or "..." in text_of(listed):
            continue
        keys = {text_of(field(c, "key") or c) for c in listed.named_children}
        missing = [k for k in ("expectedOrigin", "expectedRPID") if k not in keys]
        if not missing:
            continue
        values = [(key, _constant(code, _EXPECTED[key])) for key in missing]
        edits: tuple[TextEdit, ...] = ()
        if all(value for _, value in values):
            new = [key if key == value else f"{key}: {value}" for key, value in values]
            edits = (appended(code, listed, new),)
        names = " and ".join(f"`{key}`" for key in missing)
        yield Instance(
            call.node,
            edits,
            f"{names} say which site a credential is for, so one that was made for another site "
            "is refused.",
        )


@lru_cache(maxsize=16)
def _constant(code: Code, name: re.Pattern[str]) -> str:
    """Return the only constant of the module of such a name, "" for none or several."""
    found = []
    for node in code.root.named_children:
        inner = field(node, "declaration") if node.type == "export_statement" else node
        for each in inner.named_children if inner is not None else ():
            if each.type == "variable_declarator" and text_of(inner).startswith("const"):
                found.append(text_of(field(each, "name")))
            elif each.type == "assignment":
                found.append(text_of(field(each, "left")))
    named = [each for each in found if name.fullmatch(each)]
    return named[0] if len(named) == 1 else ""


_WORDS = r"(webauthn|fido2?|passkey).*(origin|rp-?id|relying|domain)|origin-?(check|valid|compar)"
_SERVERS: tuple[Grammar, ...] = (*SCRIPTS, "python")

PATTERNS = (
    pattern("webauthn-origin-whole", rf"{_WORDS}|weak-origin", (346, 1385, 20), LANGUAGES, _parts),
    pattern("webauthn-origin-configured", _WORDS, (346, 1385), _SERVERS, _told),
    pattern("webauthn-origin-expected", _WORDS, (346, 1385), SCRIPTS, _missing),
)
