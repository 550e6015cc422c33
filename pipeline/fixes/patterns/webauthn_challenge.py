"""Passkeys: challenges that stay valid, that can be used twice, or that can be guessed."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import SCRIPTS, Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import Call, above, inside, number_of
from secdaemon.pipeline.fixes.patterns.jvm_edits import asks_for, importing
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import appended, between, replaced, words_in
from secdaemon.pipeline.fixes.patterns.webauthn_code import (
    LANGUAGES,
    calls_of,
    function_of,
    name_of,
)
from secdaemon.pipeline.routes.syntax import field, text_of

_SECONDS = 300
_BYTES, _LEAST = 32, 16
"""WebAuthn Level 3, section 13.4.3, asks for 16 bytes at least."""
_CHALLENGE = re.compile(
    r"(?<![a-z])(challenges?|nonces?|ceremon(y|ies)|webauthn|passkeys?|assertion|(registration|"
    r"authentication)-(request|options|state))(?![a-z])"
)
_LASTING = re.compile(
    r"(?<![a-z])(credential-(record|store|repository)|public-keys?|(store|save|add)-credentials?"
    r"|registered-credentials?|users?-(store|repository))(?![a-z])"
)
_REDIS = re.compile(
    r"(?i)(?:^|[._])(?:\w*(?:redis|jedis|lettuce|valkey)"
    r"(?:_?(?:client|template|commands|pool(?:ed)?|cluster|connection|conn|sync|db|api))*|rdb|r"
    r"|commands|sync)(?:\(\)|\.sync\(\)|\.opsForValue\(\))?$"
)
_DURATION = "java.time.Duration"


def _unlimited(code: Code) -> Iterator[Instance]:
    """A challenge that Redis keeps for ever."""
    for call in calls_of(code, "set"):
        if call.receiver is None or not _is_redis(code, call) or len(call.arguments) != 2:  # noqa: PLR2004
            continue
        if any(argument.name for argument in call.arguments) or not _is_challenge(code, call.node):
            continue
        edits = _limited(code, call)
        if edits is None:
            continue
        wants = asks_for(code, _DURATION) if "opsForValue" in call.on else ""
        yield Instance(
            call.node,
            edits,
            f"Redis drops the challenge after {_SECONDS} seconds, so a ceremony that was recorded "
            f"or left open cannot be finished later.{wants}",
        )


def _is_redis(code: Code, call: Call) -> bool:
    if _REDIS.search(call.on):
        return True
    is_client = bool(re.search(r"(?i)(?:^|[._])(?:client|cache|store|kv)$", call.on))
    imports = r"from\s+['\"](?:io)?redis['\"]|require\(['\"](?:io)?redis['\"]\)|^import redis"
    made = rf"{re.escape(call.on)}\s*=\s*(?:new Redis|createClient|redis\.(?:Redis|from_url))"
    return (
        is_client
        and bool(re.search(imports, code.text, re.MULTILINE))
        and bool(re.search(made, code.text))
    )


def _limited(code: Code, call: Call) -> tuple[TextEdit, ...] | None:
    """Return the edits that give a value its time; None where the client is not known."""
    value = call.arguments[1].value
    if call.listed is None:
        return None
    if code.grammar == "python":
        return (appended(code, call.listed, [f"ex={_SECONDS}"]),)
    if code.grammar in SCRIPTS:
        return _scripts(code, call)
    if "opsForValue" in call.on:
        added = importing(code, _DURATION)
        made = appended(code, call.listed, [f"Duration.ofSeconds({_SECONDS})"])
        return () if added is None else (made, *added)
    is_jedis = re.search(r"(?i)jedis", call.on) or "redis.clients.jedis" in code.text
    if not is_jedis and "io.lettuce" not in code.text:
        return ()
    return (
        replaced(code, call.word, "setex"),
        between(code, value.start_byte, value.start_byte, f"{_SECONDS}, "),
    )


def _scripts(code: Code, call: Call) -> tuple[TextEdit, ...]:
    """Return the edit in the words of the client that is imported; () where none is seen."""
    assert call.listed is not None
    if re.search(r"['\"]ioredis['\"]", code.text):
        return (appended(code, call.listed, ["'EX'", str(_SECONDS)]),)
    if re.search(r"['\"](?:redis|@redis/client)['\"]", code.text):
        return (appended(code, call.listed, [f"{{ EX: {_SECONDS} }}"]),)
    return ()


def _is_challenge(code: Code, node: Node) -> bool:
    """Whether a place is about challenges, by its own words, its function's or its class's."""
    function = function_of(node)
    outer = next(above(node, "class_declaration", "class_definition", "object_declaration"), None)
    said = [
        text_of(node)[:1_000],
        name_of(function),
        text_of(field(outer, "name")) if outer else "",
    ]
    words = words_in(*said)
    return bool(_CHALLENGE.search(words)) and not _LASTING.search(words)


def _reusable(code: Code) -> Iterator[Instance]:
    """A challenge that is read from Redis and stays there."""
    if not code.whole or re.search(r"(?i)\.(?:del|delete|unlink|getdel|expire)\s*\(", code.text):
        return
    for call in calls_of(code, "get"):
        if call.receiver is None or not _is_redis(code, call) or len(call.arguments) != 1:
            continue
        new = _taking(code, call)
        if new and _is_challenge(code, call.node):
            yield Instance(
                call.node,
                (replaced(code, call.word, new),),
                "The challenge is taken out of Redis as it is read, in one step, so it works once "
                "and an assertion that was recorded cannot be sent again; Redis has `GETDEL` from "
                "6.2 on.",
            )


def _taking(code: Code, call: Call) -> str:
    """Return what the client calls the read that removes; "" for an unknown client."""
    if code.grammar == "python" or re.search(r"['\"]ioredis['\"]", code.text):
        return "getdel"
    if code.grammar in SCRIPTS:
        return "getDel" if re.search(r"['\"](?:redis|@redis/client)['\"]", code.text) else ""
    if "opsForValue" in call.on:
        return "getAndDelete"
    if re.search(r"(?i)jedis", call.on):
        return "getDel"
    return "getdel" if re.search(r"import io\.lettuce\.", code.text) else ""


def _guessable(code: Code) -> Iterator[Instance]:
    """A challenge that is short, or made by a generator that can be guessed."""
    yield from _short(code)
    if code.grammar in SCRIPTS:
        yield from _script_random(code)
    if code.grammar == "python":
        yield from _python_random(code)


def _short(code: Code) -> Iterator[Instance]:
    names = ("randomBytes", "token_bytes", "token_urlsafe", "urandom", "ByteArray", "Uint8Array")
    for call in calls_of(code, *names):
        size = call.given(0)
        count = number_of(size)
        if size is None or count is None or not 0 < count < _LEAST or not _names_it(call.node):
            continue
        if call.name in {"ByteArray", "Uint8Array"} and not _is_filled(call.node):
            continue
        yield Instance(
            call.node,
            (replaced(code, size, str(_BYTES)),),
            f"The challenge has {_BYTES} random bytes instead of {count}, so nobody meets one "
            "twice or guesses the next.",
        )
    for node in inside(code.root, "array_creation_expression") if code.grammar == "java" else ():
        made = re.fullmatch(r"new byte\s*\[\s*(\d{1,2})\s*\]", text_of(node))
        is_short = made is not None and 0 < int(made[1]) < _LEAST
        if made and is_short and _names_it(node) and _is_filled(node):
            yield Instance(
                node,
                (replaced(code, node, f"new byte[{_BYTES}]"),),
                f"The challenge has {_BYTES} random bytes instead of {made[1]}, so nobody meets "
                "one twice or guesses the next.",
            )


def _is_filled(node: Node) -> bool:
    """Whether a generator fills the array: one for a length or a header is as long as it is."""
    parent = node.parent
    for _ in range(6):
        if parent is None or parent.type.endswith(("block", "_body")):
            return False
        if re.search(r"nextBytes|getRandomValues|randomFill", text_of(parent)[:500]):
            return True
        variable = next(
            (c for c in parent.named_children if c.type == "variable_declaration"), None
        )
        name = text_of(field(parent, "name") or variable).partition(":")[0].strip()
        if name.isidentifier():
            filled = rf"(?:nextBytes|getRandomValues|randomFill\w*)\(\s*{name}\s*[),]"
            return re.search(filled, text_of(function_of(node))) is not None
        parent = parent.parent
    return False


def _names_it(node: Node) -> bool:
    """Whether what the value is given to, or the function around it, is called a challenge."""
    function = name_of(function_of(node))
    if re.search(r"(?i)challenge(?:_?bytes)?$", function):
        return True
    parent = node.parent
    for _ in range(6):
        if parent is None or parent.type.endswith("block"):
            return False
        left = field(parent, "name") or field(parent, "left") or field(parent, "key")
        variable = next(
            (c for c in parent.named_children if c.type == "variable_declaration"), left
        )
        if variable is not None and re.search(r"(?i)challenge", text_of(variable)[:80]):
            return True
        parent = parent.parent
    return False


def _script_random(code: Code) -> Iterator[Instance]:
    for node in inside(code.root, "variable_declarator"):
        value, name = field(node, "value"), text_of(field(node, "name"))
        if value is None or not re.search(r"(?i)challenge", name):
            continue
        if not re.fullmatch(
            r"(?:Math\.random\(\)|Date\.now\(\))(?:\.toString\(\d*\)|\.(?:sub"
            r"string|slice|substr)\([\d, ]+\))*",
            text_of(value),
        ):
            continue
        yield Instance(
            node,
            (replaced(code, value, "crypto.randomBytes(32).toString('base64url')"),)
            if re.search(r"(?:import (?:\* as )?crypto from|const crypto = require)", code.text)
            else (
                replaced(
                    code,
                    value,
                    "Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(32)))"
                    ".toString('base64url')",
                ),
            ),
            "The challenge is 32 bytes of the system's random generator, which nobody can foresee.",
        )


def _python_random(code: Code) -> Iterator[Instance]:
    from secdaemon.pipeline.fixes.patterns.python_code import Names

    names = Names(code)
    for call in calls_of(code, "randbytes"):
        if call.on != "random" or not _names_it(call.node):
            continue
        added = names.adding("secrets")
        edits = (
            () if added is None else (replaced(code, call.node, "secrets.token_bytes(32)"), *added)
        )
        yield Instance(
            call.node,
            edits,
            "The challenge is 32 bytes of `secrets`, which nobody can foresee, as one can with "
            f"`random`.{names.asks_for('secrets')}",
        )


_WORDS = r"(webauthn|fido2?|passkey).*"

PATTERNS = (
    pattern(
        "webauthn-challenge-expiry",
        rf"{_WORDS}(expir|storage|ttl|timeout)|challenge.*(expir|storage|ttl|timeout)",
        (613, 294),
        LANGUAGES,
        _unlimited,
    ),
    pattern(
        "webauthn-challenge-once",
        rf"{_WORDS}(replay|reuse|single-use)|challenge.*(reuse|replay|single|delet)",
        (294, 613),
        LANGUAGES,
        _reusable,
    ),
    pattern(
        "webauthn-challenge-random",
        rf"{_WORDS}(random|entropy)|challenge.*(random|entropy|weak|length|short)",
        (330, 331, 338),
        LANGUAGES,
        _guessable,
    ),
)
