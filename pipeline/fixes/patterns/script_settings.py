"""JavaScript and TypeScript: options that switch a protection off, and broken algorithms."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.instances import SCRIPTS, Instance, pattern
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.script_code import (
    Names,
    has_spread,
    method_of,
    owner_of,
    pairs,
    string_value,
    value_in,
)
from secdaemon.pipeline.fixes.patterns.syntax import (
    NO_SECRET,
    PASSWORDS,
    READ_BY_SCRIPTS,
    appended,
    arguments,
    around,
    calls,
    inserted,
    quote_in,
    replaced,
    without,
    words_in,
)
from secdaemon.pipeline.routes.syntax import field, text_of, within

_CHECKS = {"rejectUnauthorized": "false", "strictSSL": "false", "insecure": "true"}
_OLD_TLS = frozenset(("SSLv3", "TLSv1", "TLSv1.1"))
_BROKEN = frozenset(("md4", "md5", "sha1"))
_COOKIE = {"httpOnly": "true", "secure": "true", "sameSite": '"lax"'}
_COOKIE_REASON = (
    "`httpOnly` keeps the cookie from scripts, `secure` off plain HTTP, and `sameSite` from "
    "requests that other sites start."
)
_SESSION_REASON = (
    f"{_COOKIE_REASON} Where a proxy ends TLS, Express has to be told by `trust proxy`, or it "
    "sends no such cookie."
)
_FIXED = re.compile(
    r"(?<![a-z])(md-?[45]|sha-?1|git|blob|websocket|accept|totp|hotp|ha[12]|pwned|hibp|torrent|oauth"
    r"|uuid|iv|key|aes|des3?|cipher(iv)?|checksum|expected)(sum|s|hash|digest)?(?![a-z])"
)
"""What says which digest, or how long a one, others want."""
_COOKIE_VALUE = 2


def _certificates(code: Code) -> Iterator[Instance]:
    """Yield TLS options that accept any certificate."""
    for each in within(code.root, "object"):
        for name, entry, value in pairs(each):
            if name not in _CHECKS or text_of(value) != _CHECKS[name] or name == "insecure":
                continue
            reason = (
                f"With `{name}` on, a connection fails unless the server's certificate is valid, "
                "so that nobody on the way can answer in its place."
            )
            yield Instance(entry, (replaced(code, value, "true"),), reason)
    for node in within(code.root, "assignment_expression"):
        left, right = field(node, "left"), field(node, "right")
        name = text_of(left).removeprefix("process.env")
        if right is None or "NODE_TLS_REJECT_UNAUTHORIZED" not in name[:34]:
            continue
        if text_of(right).strip("'\"`") == "0":
            quote = text_of(right)[:1].strip("0")
            reason = (
                "Node checks certificates again in the whole process; a private authority belongs "
                "into `NODE_EXTRA_CA_CERTS`."
            )
            yield Instance(node, (replaced(code, right, f"{quote}1{quote}"),), reason)


def _old_protocols(code: Code) -> Iterator[Instance]:
    """Yield `minVersion` below TLS 1.2."""
    for each in within(code.root, "object"):
        for name, entry, value in pairs(each):
            if name == "minVersion" and string_value(value) in _OLD_TLS:
                quote = text_of(value)[-1]
                reason = "TLS 1.2 is the oldest version without a known break of the protocol."
                yield Instance(entry, (replaced(code, value, f"{quote}TLSv1.2{quote}"),), reason)


def _hashes(code: Code) -> Iterator[Instance]:
    """Yield MD5 and SHA-1 of `crypto`; mended unless a password is hashed."""
    names = Names(code)
    for call in calls(code):
        given, origin = arguments(call), names.of(field(call, "function"))
        known = {"crypto.createHash", "crypto.createHmac", "createHash", "createHmac"}
        first = string_value(given[0]) if given else None
        if origin not in known or first is None or first.lower().replace("-", "") not in _BROKEN:
            continue
        statement = around(call, "lexical_declaration", "return_statement", "expression_statement")
        function = around(call, "function_declaration", "method_definition")
        name = text_of(field(function, "name")) if function is not None else ""
        quote = text_of(given[0])[-1]
        about = words_in(text_of(statement or call), name)
        beside = about.replace(words_in(first), "", 1)
        is_kept = (
            PASSWORDS.search(about)
            or NO_SECRET.search(about)
            or _FIXED.search(beside)
            or origin.endswith("Hmac")
        )
        edits = () if is_kept else (replaced(code, given[0], f"{quote}sha256{quote}"),)
        old = "SHA-1" if "sha" in first.lower() else "MD5"
        reason = f"Two inputs with one {old} digest can be made; for SHA-256 nobody knows how."
        yield Instance(call, edits, reason)


def _cookies(code: Code) -> Iterator[Instance]:
    """Yield `res.cookie(…)` whose options leave out a protection or switch it off."""
    for call in calls(code):
        given, listed = arguments(call), field(call, "arguments")
        if method_of(call) != "cookie" or listed is None or len(given) < _COOKIE_VALUE:
            continue
        is_answer = re.match(r"(res|response|reply)\b", owner_of(call))
        if not is_answer or any(node.type == "spread_element" for node in given):
            continue
        if READ_BY_SCRIPTS.search(text_of(given[0])):
            continue
        if len(given) == _COOKIE_VALUE:
            options = f"{{ {', '.join(f'{k}: {v}' for k, v in _COOKIE.items())} }}"
            yield Instance(call, (appended(code, listed, [options]),), _COOKIE_REASON)
        elif given[2].type == "object":
            yield from _cookie_options(code, call, given[2])


def _session_cookies(code: Code) -> Iterator[Instance]:
    """Yield the options of `express-session` and `cookie-session`."""
    names = Names(code)
    reason = _COOKIE_REASON if "trust proxy" in code.text else _SESSION_REASON
    for call in calls(code):
        given, origin = arguments(call), names.of(field(call, "function"))
        is_seen = origin in {"express-session", "cookie-session"}
        is_like = not code.whole and origin in {"session", "cookieSession"}
        if not (is_seen or is_like) or len(given) != 1 or given[0].type != "object":
            continue
        if origin in {"cookie-session", "cookieSession"}:
            yield from _cookie_options(code, call, given[0], reason)
            continue
        cookie = value_in(given[0], "cookie")
        if cookie is not None and cookie.type == "object":
            yield from _cookie_options(code, call, cookie, reason)
        elif cookie is None and not has_spread(given[0]):
            entry = f"cookie: {{ {', '.join(f'{k}: {v}' for k, v in _COOKIE.items())} }}"
            yield Instance(call, (appended(code, given[0], [entry]),), reason)


def _cookie_options(
    code: Code, call: Node, options: Node, reason: str = _COOKIE_REASON
) -> Iterator[Instance]:
    entries = {name: value for name, _, value in pairs(options)}
    short = {text_of(each) for each in within(options, "shorthand_property_identifier")}
    off = {"false", "undefined", "null"}
    wrong = [n for n in _COOKIE if n in entries and text_of(entries[n]) in off]
    missing = [n for n in _COOKIE if n not in entries and n not in short]
    if has_spread(options) or not (wrong or missing):
        return
    edits = [
        replaced(code, entries[name], _COOKIE[name].replace('"', quote_in(code))) for name in wrong
    ]
    if missing:
        edits.append(appended(code, options, [f"{name}: {_COOKIE[name]}" for name in missing]))
    yield Instance(call, tuple(edits), reason)


def _origins(code: Code) -> Iterator[Instance]:
    """Yield `cors()` that lets every site in."""
    names = Names(code)
    reason = (
        "Only the sites named in the environment variable `CORS_ORIGINS`, separated by commas, "
        "may read answers; without it none may."
    )
    quote = quote_in(code)
    allowed = 'origin: (process.env.CORS_ORIGINS ?? "").split(",")'.replace('"', quote)
    for call in calls(code):
        given, called = arguments(call), field(call, "function")
        origin = names.of(called)
        if origin != "cors" or field(call, "arguments") is None:
            continue
        if not names.has("cors") and code.whole:
            continue
        if not given:
            listed = field(call, "arguments")
            edit = replaced(code, listed, f"({{ {allowed} }})") if listed is not None else None
            yield Instance(call, (edit,) if edit else (), reason)
        elif given[0].type == "object" and not has_spread(given[0]):
            value = value_in(given[0], "origin")
            if value is not None and (string_value(value) == "*" or text_of(value) == "true"):
                new = allowed.removeprefix("origin: ")
                yield Instance(call, (replaced(code, value, new),), reason)


def _unsigned_tokens(code: Code) -> Iterator[Instance]:
    """Yield `jwt.verify` that accepts tokens without a signature beside signed ones."""
    names = Names(code)
    for call in calls(code):
        if names.of(field(call, "function")) not in {"jsonwebtoken.verify", "jwt.verify"}:
            continue
        for each in within(call, "pair"):
            listed = field(each, "value")
            if text_of(field(each, "key")) != "algorithms" or listed is None:
                continue
            entries = [node for node in listed.named_children if node.type == "string"]
            unsigned = [n for n in entries if (string_value(n) or "").lower() == "none"]
            if not unsigned:
                continue
            edits = (without(code, unsigned[0]),) if len(entries) > len(unsigned) == 1 else ()
            reason = (
                "A token with the algorithm `none` has no signature, so that anybody can write "
                "one; only signed tokens are accepted now."
            )
            yield Instance(call, edits, reason)


def _headers(code: Code) -> Iterator[Instance]:
    """Yield the making of an Express application that imports `helmet` and never uses it."""
    names = Names(code)
    if not names.has("helmet"):
        return
    local = next((n for n in ("helmet",) if names.is_bound(n)), "")
    if not local or any(names.of(field(call, "function")) == "helmet" for call in calls(code)):
        return
    for node in within(code.root, "variable_declarator"):
        value, name = field(node, "value"), field(node, "name")
        if value is None or name is None or node.parent is None:
            continue
        if value.type == "call_expression" and names.of(field(value, "function")) == "express":
            end = ";" if text_of(node.parent).endswith(";") else ""
            line = f"\n{text_of(name)}.use({local}()){end}"
            reason = (
                "`helmet()` sets the security headers, and `X-Powered-By` goes, before any route "
                "answers."
            )
            yield Instance(node, (inserted(code, node.parent.end_byte, line),), reason)


PATTERNS = (
    pattern(
        "script-certificates",
        r".*(reject-unauthorized|cert|tls-verif|ssl-verif|insecure-(request|tls)|bypass-tls)",
        (295, 297),
        SCRIPTS,
        _certificates,
    ),
    pattern("script-tls-version", r".*(tls|ssl)", (326, 327, 757), SCRIPTS, _old_protocols),
    pattern(
        "script-hashes",
        r".*(md5|sha-?1(?!\d)|hash|weak-crypto|broken-crypto)",
        (327, 328),
        SCRIPTS,
        _hashes,
    ),
    pattern("script-cookies", r".*cookie", (614, 1004, 1275), SCRIPTS, _cookies),
    pattern(
        "script-session-cookies",
        r".*(cookie|session)",
        (614, 1004, 1275, 522),
        SCRIPTS,
        _session_cookies,
    ),
    pattern("script-cors", r".*cors", (346, 942), SCRIPTS, _origins),
    pattern("script-jwt", r".*(jwt|jws)", (345, 347, 287), SCRIPTS, _unsigned_tokens),
    pattern(
        "script-headers", r".*(helmet|security-header|x-powered-by)", (693, 16), SCRIPTS, _headers
    ),
)
