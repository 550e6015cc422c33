"""Passkeys: a signature counter that is stored without being compared, or compared too kindly.

WebAuthn Level 3, section 7.2: where either counter is not zero, the new one has to be greater.
What a library has compared already (`newCounter`, `new_sign_count`) is none of it.
"""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import above, inside, says
from secdaemon.pipeline.fixes.patterns.jvm_edits import before, is_simple_statement, step_of
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import begins_line, replaced
from secdaemon.pipeline.fixes.patterns.webauthn_code import LANGUAGES, function_of
from secdaemon.pipeline.routes.syntax import field, text_of

_COUNTER = re.compile(
    r"(?i)(?:\b|_|\.|get|new|stored|old|current|received|prev(?:ious)?|last|saved)"
    r"(?:sign(?:ature)?_?count(?:er)?|counter)(?:\(\))?$"
)
_AUTHENTICATORS = re.compile(r"(?i)webauthn|fido|passkey|credential|authenticator|auth_?data")
"""A file that says nothing of them counts something else."""
_PLAIN = re.compile(r"[\w.]+(?:\(\))?")
_NEW = re.compile(r"(?i)(?:auth(?:enticator)?_?data|parsed_?auth\w*|assertion)\w*[.]")
_CHECKED = re.compile(r"(?i)authenticationInfo|verification|result|new_?(?:counter|sign_count)")
_REJECTS = re.compile(
    r"\b(?:throw|raise|return (?:false|False|null|None)|fail|reject|abort)\b|\(4\d\d"
)
_COMPARED = re.compile(r"(?i)count(?:er)?(?:\(\))?\s*(?:<|>)|(?:<|>)=?\s*[\w.]*count")
_WHY = (
    "A counter that does not grow, unless both are zero, is refused before it is stored: two "
    "devices that count apart are a copied authenticator."
)


def _counters(code: Code) -> Iterator[Instance]:
    yield from _comparisons(code)
    yield from _stored(code)


def _comparisons(code: Code) -> Iterator[Instance]:
    """`new < stored` where an equal counter is a copy as well."""
    for node in inside(code.root, "binary_expression", "comparison_operator"):
        left, right = _sides(node)
        if left is None or right is None or not _is_pair(left, right):
            continue
        is_signed = re.search(r"(?i)sign(?:ature)?_?count", text_of(node))
        if not is_signed and not says(code.root, _AUTHENTICATORS):
            continue
        new, stored = text_of(left), text_of(right)
        if _is_refusal(node) and not _is_joined(node):
            made = _refused(code, new, stored)
            yield Instance(node, (replaced(code, node, made),), _WHY)


def _sides(node: Node) -> tuple[Node | None, Node | None]:
    """Return what stands before and behind a `<`."""
    signs = [text_of(child) for child in node.children if not child.is_named]
    sign = text_of(field(node, "operator")) or (signs[0] if len(signs) == 1 else "")
    named = node.named_children
    if sign != "<" or len(named) != 2:  # noqa: PLR2004
        return None, None
    return named[0], named[1]


def _is_pair(left: Node, right: Node) -> bool:
    texts = (text_of(left), text_of(right))
    return all(_PLAIN.fullmatch(text) and _COUNTER.search(text) for text in texts)


def _is_refusal(node: Node) -> bool:
    """Whether the comparison is all of a condition behind which the ceremony is refused."""
    parent = node.parent
    if parent is not None and parent.type == "parenthesized_expression":
        parent = parent.parent
    if parent is None or parent.type not in {"if_statement", "if_expression"}:
        return False
    body = field(parent, "consequence") or parent.named_children[-1]
    return bool(_REJECTS.search(text_of(body)[:600]))


def _is_joined(node: Node) -> bool:
    return node.parent is not None and node.parent.type in {"binary_expression", "boolean_operator"}


def _refused(code: Code, new: str, stored: str) -> str:
    """Return the condition under which the counters say that there is a copy."""
    if code.grammar == "python":
        return f"({new} or {stored}) and {new} <= {stored}"
    # Kotlin does not compare a Long with 0 for equality; the counters are never negative.
    return f"({new} > 0 || {stored} > 0) && {new} <= {stored}"


def _stored(code: Code) -> Iterator[Instance]:
    """`credential.signCount = authData.signCount` without a look at what was there."""
    kinds = ("assignment", "assignment_expression")
    for node in inside(code.root, *kinds):
        left, right = field(node, "left"), field(node, "right")
        if left is None or right is None or "." not in text_of(left):
            continue
        new, old = text_of(right), text_of(left)
        is_new = _PLAIN.fullmatch(new) and _COUNTER.search(new) and _NEW.search(new)
        if not is_new or _CHECKED.search(new) or not _COUNTER.search(old) or "this." in old:
            continue
        function = function_of(node)
        if function is None or says(function, _COMPARED) or _is_registration(function):
            continue
        statement = node if node.type == "assignment" else node.parent
        if code.grammar == "python" and statement is not None:
            statement = statement.parent
        if statement is None or not _stands(code, statement):
            continue
        edits = (before(code, statement, _guard(code, new, old)),)
        yield Instance(node, edits if begins_line(code, statement) else (), _WHY)


def _is_registration(function: Node) -> bool:
    name = text_of(field(function, "name"))
    return bool(re.search(r"(?i)regist|creat|enrol|attest", name))


def _stands(code: Code, statement: Node) -> bool:
    if code.grammar == "kotlin":
        return is_simple_statement(statement)
    return statement.type == "expression_statement" and not any(
        parent.type == "if_statement" and parent.end_byte == statement.end_byte
        for parent in above(statement, "if_statement", "statement_block", "block")
    )


def _guard(code: Code, new: str, old: str) -> list[str]:
    step = step_of(code)
    condition = _refused(code, new, old)
    said = "Signature counter did not increase"
    if code.grammar == "python":
        return [f"if {condition}:", f'{step}raise ValueError("{said}")']
    if code.grammar == "kotlin":
        return [f"if ({condition}) {{", f'{step}throw IllegalStateException("{said}")', "}"]
    if code.grammar == "java":
        return [f"if ({condition}) {{", f'{step}throw new IllegalStateException("{said}");', "}"]
    return [f"if ({condition}) {{", f"{step}throw new Error('{said}');", "}"]


_RULES = r"(webauthn|fido2?|passkey).*(counter|clone|sign-?count|replay)|sign(ature)?-?count"

PATTERNS = (pattern("webauthn-counter", _RULES, (287, 294), LANGUAGES, _counters),)
