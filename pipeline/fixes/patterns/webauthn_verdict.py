"""Passkeys: a verification whose failure counts as success, or whose result nobody looks at."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import SCRIPTS, Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    JVM,
    declaration_around,
    declared,
    inside,
    named,
)
from secdaemon.pipeline.fixes.patterns.jvm_edits import (
    after,
    removed_statement,
    statement_of,
    step_of,
)
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import begins_line, replaced
from secdaemon.pipeline.fixes.patterns.webauthn_code import (
    LANGUAGES,
    calls_of,
    function_of,
    name_of,
    room_of,
)
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import field, text_of

_VERIFIES = re.compile(r"(?i)verif|valid|authenticat|check|assert|^is[A-Z]\w*(?:allowed|trusted)")
_INVERSE = re.compile(
    r"(?i)invalid|expir|revok|block|lock|exist|missing|fail|error|health|availab|suspicious|limit"
    r"|needs|requires|stale|dupl"
)
"""Questions to which yes is the careful answer, or that let nobody in."""
_SUCCESS = frozenset(("true", "True"))
_CATCHES = ("catch_block", "catch_clause", "except_clause")
_RETURNS = ("return_expression", "return_statement")
_DEBUG = re.compile(
    r"(?i)(?:BuildConfig\.)?(?:DEBUG|IS_DEBUG|isDebug|debugMode|debug|testMode|isTest|devMode"
    r"|skip_?(?:verification|validation|auth|checks?)|bypass\w*|disable_?(?:verification|validation"
    r"|auth))"
    r"|(?:this|self|settings|config|app\.config)\.(?:debug|testMode|test_mode|DEBUG|skip\w+|bypass\w+)"
    r"|process\.env\.NODE_ENV\s*(?:!==?\s*['\"]production|===?\s*['\"](?:development|test))['\"]"
    r"|process\.env\.\w*(?:DEBUG|SKIP|BYPASS|DISABLE)\w*(?:\s*===?\s*['\"](?:true|1)['\"])?"
)
_SCRIPT_CHECKS = ("verifyRegistrationResponse", "verifyAuthenticationResponse")


def _ways_around(code: Code) -> Iterator[Instance]:
    yield from _caught(code)
    yield from _skipped(code)


def _caught(code: Code) -> Iterator[Instance]:
    """`catch (e: Exception) { return true }` in what verifies."""
    for handler in inside(code.root, *_CATCHES):
        function = function_of(handler)
        if not _lets_in(name_of(function)):
            continue
        for node in inside(handler, *_RETURNS):
            value = node.named_children[0] if node.named_children else None
            if value is None or text_of(value) not in _SUCCESS or function_of(node) != function:
                continue
            new = "False" if code.grammar == "python" else "false"
            yield Instance(
                node,
                (replaced(code, value, new),),
                f"{inline(name_of(function))} says no when the check itself fails: an exception "
                "that an attacker can provoke is no longer a way in.",
            )


def _skipped(code: Code) -> Iterator[Instance]:
    """`if (DEBUG) return true` at the head of what verifies."""
    for node in inside(code.root, "if_statement", "if_expression"):
        function = function_of(node)
        condition = field(node, "condition")
        if condition is None or not _lets_in(name_of(function)):
            continue
        said = text_of(condition).strip("() ").removeprefix("!!")
        has_else = field(node, "alternative") is not None or any(
            child.type == "else" for child in node.children
        )
        if not _DEBUG.fullmatch(said) or has_else or not _is_success(node, condition):
            continue
        edits = (removed_statement(code, node),) if begins_line(code, node) else ()
        yield Instance(
            node,
            edits,
            f"The way around the check under {inline(said)} is gone, so a setting that reaches "
            "production cannot switch the verification off.",
        )


def _lets_in(name: str) -> bool:
    return bool(_VERIFIES.search(name)) and not _INVERSE.search(name)


def _is_success(node: Node, condition: Node) -> bool:
    """Whether all that a condition leads to is `return true`."""
    body = [c for c in node.named_children if c.start_byte >= condition.end_byte]
    inner = body[0] if len(body) == 1 else None
    for _ in range(3):
        if inner is not None and inner.type in {"block", "statement_block"}:
            inner = inner.named_children[0] if len(inner.named_children) == 1 else None
    if inner is None or inner.type not in _RETURNS or not inner.named_children:
        return False
    return text_of(inner.named_children[0]) in _SUCCESS


def _ignored(code: Code) -> Iterator[Instance]:
    """The result of `@simplewebauthn/server` without a look at `verified`."""
    for call in calls_of(code, *_SCRIPT_CHECKS):
        waited = call.node.parent
        holder = waited.parent if waited is not None and waited.type == "await_expression" else None
        statement = holder.parent if holder is not None else None
        if holder is None or statement is None or holder.type != "variable_declarator":
            continue
        name = field(holder, "name")
        room = room_of(code, call.node)
        if name is None or name.type != "identifier" or _is_seen(room, text_of(name)):
            continue
        lines = _refusal(code, room, text_of(name))
        yield Instance(
            statement,
            (after(code, statement, lines),),
            "The ceremony ends unless `verified` is true: the library says no by this value, and "
            "throws on some failures only.",
        )


def _is_seen(room: Node, name: str) -> bool:
    """Whether `verified` is read, or the result goes where it may be."""
    for node in named(room).get(name, ()):
        parent = node.parent
        if parent is None or parent.type == "variable_declarator":
            if parent is not None and field(parent, "value") == node:
                return True
            continue
        member = text_of(field(parent, "property")) if parent.type == "member_expression" else ""
        if member in {"", "verified"}:
            return True
    return False


def _refusal(code: Code, room: Node, name: str) -> list[str]:
    """Return the guard: an answer where the function has an Express response, else an error."""
    given = text_of(field(room, "parameters"))
    step, head = step_of(code), f"if (!{name}.verified) {{"
    if re.search(r"\bres\b", given):
        return [
            head,
            f"{step}res.status(401).json({{ error: 'Verification failed' }});",
            f"{step}return;",
            "}",
        ]
    return [head, f"{step}throw new Error('Verification failed');", "}"]


def _unread(code: Code) -> Iterator[Instance]:
    """Yubico's `finishAssertion` without a look at `isSuccess`."""
    for call in calls_of(code, "finishAssertion"):
        declaration = declaration_around(call.node)
        found = declared(code, declaration) if declaration is not None else None
        room = room_of(code, call.node)
        if declaration is None or found is None or statement_of(call.node) != declaration:
            continue
        if not re.search(r"(?i)(?:rp|party)(?:\(\))?$", call.on) or len(call.arguments) != 1:
            continue
        name = found[0]
        if re.search(rf"\b{re.escape(name)}\s*\??\.(?:isSuccess|success)\b", text_of(room)):
            continue
        if _is_handed_on(room, name):
            continue
        yield Instance(
            declaration,
            (after(code, declaration, _success(code, name)),),
            f"The sign-in goes on only where {inline(name)} is a success; any other result ends "
            "it.",
        )


def _is_handed_on(room: Node, name: str) -> bool:
    """Whether the whole result is given to others, who may look at it."""
    for node in named(room).get(name, ()):
        parent = node.parent
        if parent is not None and parent.type in {
            *_RETURNS,
            *("value_argument", "argument_list", "assignment", "assignment_expression"),
        }:
            return True
    return False


def _success(code: Code, name: str) -> list[str]:
    if code.grammar == "kotlin":
        return [f'check({name}.isSuccess) {{ "Assertion was not verified" }}']
    return [
        f"if (!{name}.isSuccess()) {{",
        f'{step_of(code)}throw new IllegalStateException("Assertion was not verified");',
        "}",
    ]


def _unbound(code: Code) -> Iterator[Instance]:
    """A `CredentialRepository.lookup` that finds a credential whoever it belongs to."""
    for function in inside(code.root, "function_declaration", "method_declaration"):
        if name_of(function) != "lookup" or not re.search(
            r"Optional<\s*RegisteredCredential\s*>", text_of(function)[:2_000]
        ):
            continue
        head, body = _halves(function)
        if body is None or not re.search(r"\buserHandle\b", head):
            continue
        if re.search(r"(?i)user_?handle|\bfilter\b", text_of(body)):
            continue
        value = _result(body)
        edits: tuple[TextEdit, ...] = ()
        if value is not None:
            test = "it.userHandle == userHandle"
            if code.grammar == "java":
                test = "credential -> credential.getUserHandle().equals(userHandle)"
            tail = f".filter {{ {test} }}" if code.grammar == "kotlin" else f".filter({test})"
            edits = (replaced(code, value, text_of(value) + tail),)
        yield Instance(
            function,
            edits,
            "A credential is found only for the user handle that the assertion names, so nobody "
            "signs in to an account with a credential of another one.",
        )


def _halves(function: Node) -> tuple[str, Node | None]:
    body = field(function, "body") or next(
        (c for c in function.named_children if c.type == "function_body"), None
    )
    if body is None:
        return "", None
    length = body.start_byte - function.start_byte
    return (function.text or b"")[:length].decode("utf-8", "replace"), body


def _result(body: Node) -> Node | None:
    """Return the only value of a function, where a call can be put behind it."""
    values = [n.named_children[0] for n in inside(body, *_RETURNS) if n.named_children]
    first = body.named_children[0] if body.named_children else None
    if not values and body.type == "function_body" and first is not None and first.type != "block":
        values = [first]
    kinds = {"call_expression", "method_invocation"}
    return values[0] if len(values) == 1 and values[0].type in kinds else None


_WORDS = r"(webauthn|fido2?|passkey).*"

PATTERNS = (
    pattern(
        "webauthn-way-around",
        rf"{_WORDS}(bypass|valid|(?<!user-)verif|catch|exception|fail|credential|debug|skip)"
        r"|auth.*bypass|fail-?open|exception.*(auth|true)|debug.*(auth|bypass)",
        (285, 287, 288, 489, 636, 755),
        LANGUAGES,
        _ways_around,
    ),
    pattern(
        "webauthn-result-ignored",
        rf"{_WORDS}(bypass|valid|(?<!user-)verif|result|ignor|unchecked|credential)",
        (285, 287, 252, 347),
        SCRIPTS,
        _ignored,
    ),
    pattern(
        "webauthn-success-unread",
        rf"{_WORDS}(bypass|valid|(?<!user-)verif|result|ignor|unchecked|success)",
        (287, 252, 347),
        JVM,
        _unread,
    ),
    pattern(
        "webauthn-credential-owner",
        rf"{_WORDS}(bypass|valid|bind|owner|handle|lookup|credential)",
        (285, 287, 639),
        JVM,
        _unbound,
    ),
)
