"""Java and Kotlin on the web: cookies, sharing with other origins, and what an error says."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    JVM,
    Call,
    above,
    calls_of,
    inside,
    name_of,
    room_of,
    says,
)
from secdaemon.pipeline.fixes.patterns.jvm_edits import before, removed_statement, statement_of
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import READ_BY_SCRIPTS, begins_line, replaced
from secdaemon.pipeline.routes.syntax import field, text_of

_CAUGHT = r"(e|ex|err|cause|exception|error|t|throwable)"
_SAID = r"\??\.(?:message|localizedMessage|toString\(\)|stackTraceToString\(\))"
_TELLS = re.compile(_CAUGHT + _SAID + r'(?:!!|\s*\?:\s*"[^"]*"|\.orEmpty\(\))?')
_TELLS_WITHIN = re.compile(rf'"[^"$]*\$\{{?{_CAUGHT}(?:{_SAID})?\}}?[^"$]*"')
_WHY = {
    "secure": "The cookie goes over HTTPS only, so nobody on the way reads it.",
    "httpOnly": "Scripts of the page cannot read the cookie, so one injected script does not carry "
    "the session away.",
}
_SETTERS = {"setSecure": "secure", "setHttpOnly": "httpOnly", "secure": "secure"} | {
    "httpOnly": "httpOnly",
    "isSecure": "secure",
    "isHttpOnly": "httpOnly",
}
_MAX_COOKIES = 100
_COOKIE = re.compile(r"(?i)cookie")


def _switched_off(code: Code) -> Iterator[Instance]:
    """`setSecure(false)`, `.httpOnly(false)`, `cookie.secure = false`, `secure = false`."""
    for shown, value, flag in _off(code):
        if text_of(value) == "false" and not _is_for_scripts(code, value, flag):
            yield Instance(shown, (replaced(code, value, "true"),), _WHY[flag])


def _off(code: Code) -> Iterator[tuple[Node, Node, str]]:
    """Yield where a cookie's flag is set, with its value and the flag."""
    for call in calls_of(code, "setSecure", "setHttpOnly", "secure", "httpOnly"):
        given = call.given(0)
        if given is not None and _COOKIE.search(call.on):
            yield call.word, given, _SETTERS[call.name]
    for node in inside(code.root, "assignment") if code.grammar == "kotlin" else ():
        left, right = field(node, "left"), field(node, "right")
        owner, _, name = text_of(left).rpartition(".")
        is_cookie = _COOKIE.search(owner) or (not owner and _applied_to_cookie(node))
        if right is not None and name in _SETTERS and is_cookie:
            yield node, right, _SETTERS[name]
    for call in calls_of(code, "Cookie", "append"):
        if call.name == "append" and not call.on.endswith("cookies"):
            continue
        for argument in call.arguments:
            if argument.name in {"secure", "httpOnly"}:
                yield argument.value.parent or call.node, argument.value, argument.name


def _is_for_scripts(code: Code, node: Node, flag: str) -> bool:
    """Whether the page's own scripts have to read the cookie: a token against CSRF in it."""
    return flag == "httpOnly" and says(room_of(code, node), READ_BY_SCRIPTS)


def _applied_to_cookie(node: Node) -> bool:
    """Whether an assignment stands in the block of a `Cookie(…).apply`."""
    block = next(above(node, "lambda_literal"), None)
    outer = next(above(node, "call_expression"), None)
    return block is not None and bool(
        re.match(r"Cookie\([^{]*\)\.apply\s*\{", text_of(outer)[:300])
    )


def _left_open(code: Code) -> Iterator[Instance]:
    """A servlet's cookie that is sent without the flags, and Ktor's session cookie."""
    for call in calls_of(code, "addCookie")[:_MAX_COOKIES]:
        name = name_of(call.given(0))
        statement = statement_of(call.node)
        room = text_of(room_of(code, call.node))
        if not name or statement is None or len(call.arguments) != 1:
            continue
        missing = [
            setter
            for setter, short in (("setSecure", "secure"), ("setHttpOnly", "isHttpOnly"))
            if not re.search(rf"\b{re.escape(name)}\s*\.\s*(?:{setter}\b|{short}\s*=)", room)
        ]
        is_made = re.search(rf"\b{re.escape(name)}\s*=\s*(?:new\s+)?(?:[\w.]*\.)?Cookie\(", room)
        if is_made is not None and READ_BY_SCRIPTS.search(room[is_made.end() :][:80]):
            missing = [setter for setter in missing if setter != "setHttpOnly"]
        if not missing or is_made is None or ".apply" in room:
            continue
        end = ";" if code.grammar == "java" else ""
        lines = [f"{name}.{_assigned(code, setter)}{end}" for setter in missing]
        reason = " ".join(_WHY[_SETTERS[setter]] for setter in missing)
        yield Instance(call.node, (before(code, statement, lines),), reason)
    yield from _sessions(code)


def _assigned(code: Code, setter: str) -> str:
    if code.grammar == "java":
        return f"{setter}(true)"
    return {"setSecure": "secure = true", "setHttpOnly": "isHttpOnly = true"}[setter]


def _sessions(code: Code) -> Iterator[Instance]:
    """Ktor's `cookie<Session>("name") { … }` says nothing of HTTPS unless told."""
    for call in calls_of(code, "cookie"):
        is_typed = re.match(r"cookie\s*<", text_of(call.node))
        if code.grammar != "kotlin" or not is_typed or call.block is None or call.receiver:
            continue
        inside = call.block.named_children
        if re.search(r"\bsecure\s*=", text_of(call.block)) or not inside:
            continue
        first = inside[0]
        if first.type == "lambda_parameters" or not begins_line(code, first):
            continue
        yield Instance(call.node, (before(code, first, ["cookie.secure = true"]),), _WHY["secure"])


def _same_site(code: Code) -> Iterator[Instance]:
    """`SameSite=None`, with which the cookie goes along with every other site's request."""
    reason = (
        "Other sites' requests no longer carry the cookie, so they cannot act in the user's name."
    )
    for call in calls_of(code, "sameSite"):
        given = call.given(0)
        if given is not None and text_of(given) == '"None"' and _COOKIE.search(call.on):
            yield Instance(call.word, (replaced(code, given, '"Lax"'),), reason)
    for node in inside(code.root, "assignment") if code.grammar == "kotlin" else ():
        left, right = field(node, "left"), field(node, "right")
        named = re.sub(r"\s", "", text_of(left))
        is_none = right is not None and text_of(right).lower() == '"none"'
        if right is not None and is_none and named.endswith('extensions["SameSite"]'):
            yield Instance(node, (replaced(code, right, '"Lax"'),), reason)


def _shared(code: Code) -> Iterator[Instance]:
    """Credentials for every origin that asks."""
    reason = (
        "Requests of any site are answered, but without the user's cookies, so another site cannot "
        "read what only the user may. Where one site needs them, name it in the list of hosts."
    )
    for call in calls_of(code, "anyHost"):
        block = next(above(call.node, "lambda_literal"), None)
        if block is None or call.arguments:
            continue
        for node in inside(block, "assignment"):
            if re.fullmatch(r"allowCredentials\s*=\s*true", text_of(node)):
                edits = (removed_statement(code, node),)
                yield Instance(node, edits, reason, source=call.node)
    for call in calls_of(code, "allowCredentials", "setAllowCredentials"):
        given = call.given(0)
        chain = _chain(call.node)
        room = chain if "rigin" in chain else text_of(room_of(code, call.node))
        is_any = re.search(
            r"(?:allowedOriginPatterns|setAllowedOriginPatterns|addAllowedOriginPattern"
            r"|allowedOrigins|addAllowedOrigin|setAllowedOrigins)\(\s*(?:(?:List\.of|listOf"
            r"|Arrays\.asList|Collections\.singletonList)\()?\s*\"\*\"",
            room,
        )
        if given is not None and text_of(given) == "true" and is_any:
            yield Instance(call.word, (replaced(code, given, "false"),), reason)


def _chain(node: Node) -> str:
    """Return the text of the whole chain of calls that a call is in."""
    parent = node.parent
    while parent is not None and parent.type in {
        *("method_invocation", "call_expression", "navigation_expression"),
    }:
        node, parent = parent, parent.parent
    return text_of(node)


def _told(code: Code) -> Iterator[Instance]:
    """An exception's words or stack in the answer to a request."""
    reason = (
        "The caller learns that it failed and no more; what failed is in the log, where the names "
        "of classes, files and queries help nobody to attack."
    )
    for call in calls_of(code, "respond", "respondText"):
        leak = _leak(call)
        statement = statement_of(call.node)
        if leak is None or not call.on.endswith("call") or statement is None:
            continue
        value, name = leak
        logged = _logged(code, call, name)
        edits = [replaced(code, value, _kept(value))]
        if logged is None:
            yield Instance(call.node, (), reason)
            continue
        if logged:
            edits.append(before(code, statement, [logged]))
        yield Instance(call.node, tuple(edits), reason)


def _leak(call: Call) -> tuple[Node, str] | None:
    """Return the expression that tells of an exception, and the exception's name."""
    kinds = ("navigation_expression", "string_literal", "binary_expression", "call_expression")
    for argument in call.arguments:
        for node in (argument.value, *inside(argument.value, *kinds)):
            found = _TELLS.fullmatch(text_of(node)) or _TELLS_WITHIN.fullmatch(text_of(node))
            if found is not None:
                return node, found[1]
    return None


def _kept(value: Node) -> str:
    """Return what is left of a message without the exception in it."""
    said = (
        text_of(value).strip('"').partition("$")[0].rstrip(" :-,(") if "$" in text_of(value) else ""
    )
    return f'"{said}"' if re.fullmatch(r"[A-Z][\w ']{5,60}", said) else '"Request failed"'


def _logged(code: Code, call: Call, name: str) -> str | None:
    """Return the line that logs the exception, "" where it is logged; None without a logger."""
    room = text_of(room_of(code, call.node))
    if re.search(rf"\b(?:log|logger|LOG|LOGGER)\.\w+\([^\n]*\b{re.escape(name)}\b", room):
        return ""
    found = re.search(r"\bva[lr]\s+(log|logger|LOG|LOGGER)\b", code.text)
    return f'{found[1]}.error("Request failed", {name})' if found else None


def _printed(code: Code) -> Iterator[Instance]:
    """`e.printStackTrace(response.getWriter())`."""
    for call in calls_of(code, "printStackTrace"):
        given = call.given(0)
        if given is None or not re.search(
            r"(?i)resp\w*\.(?:getWriter\(\)|writer)$", text_of(given)
        ):
            continue
        yield Instance(
            call.node,
            (replaced(code, given, ""),),
            "The stack trace goes to the server's error output instead of the answer, where it "
            "named classes, files and versions to whoever caused the error.",
        )


_COOKIES = (
    r".*cookie.*(secure|flag|http-?only|unsafe|setting|config)|.*(in-?secure|unsafe|missing|without)"
    r".*cookie|.*(http-?only|secure-flag)|missing-(httponly|secure)"
)

PATTERNS = (
    pattern("jvm-cookie-flags", _COOKIES, (614, 1004, 319), JVM, _switched_off),
    pattern("jvm-cookie-open", _COOKIES, (614, 1004), JVM, _left_open),
    pattern("jvm-cookie-same-site", r".*same-?site", (1275,), JVM, _same_site),
    pattern("jvm-cors-credentials", r".*cors|.*any-?host|.*origin", (942, 346, 183), JVM, _shared),
    pattern(
        "jvm-error-told",
        r".*(stack-?trace|(error|exception)-?(message|leak|disclos|detail|expos|in-response)"
        r"|information-?(leak|expos|"
        r"disclos)|verbose-error)",
        (209, 200, 497, 210),
        ("kotlin",),
        _told,
    ),
    pattern(
        "jvm-stack-printed",
        r".*(stack-?trace|print-?stack|information-?(leak|expos|disclos)|active-debug)",
        (209, 200, 497, 489),
        JVM,
        _printed,
    ),
)
