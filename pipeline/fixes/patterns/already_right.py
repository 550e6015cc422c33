"""Why flagged code is right as it is, for broad rules that cannot see it themselves.

A sentence is given only where the code itself shows what the rule asks for, or shows that the
flagged lines do nothing that the rule is about.
"""

import re
from collections.abc import Callable

from tree_sitter import Node

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.fixes.model import Flagged
from secdaemon.pipeline.fixes.patterns.flagged_code import MAX_QUOTE, Site, line_of
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    JVM,
    above,
    declaration_around,
    declared,
    inside,
    number_of,
)
from secdaemon.pipeline.fixes.patterns.jvm_nonces import fresh_nonce
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.webauthn_code import (
    LANGUAGES,
    function_of,
    name_of,
)
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.fixes.rule_families import words_of
from secdaemon.pipeline.routes.syntax import field, text_of

_MAX_CHARS = 256 * 1024
_MAX_DEPTH = 600
_GCM = re.compile(r"gcm|nonce-?reus|iv-?reus|static-iv|cbc")
_EXPIRY = re.compile(r"challenge.*(expir|storage|ttl|timeout)")
_BYPASS = re.compile(r"(webauthn|fido2?|passkey).*(bypass|validation)")
_ABOUT_CHALLENGES = re.compile(
    r"(?i)challenge|nonce|ceremon|assertion|registration|authenticat|session|credential|request"
)
_TELEMETRY = re.compile(
    r"(?i)(?:^|[._(\s!])(?:span|tracer|openTelemetry|otel|telemetry|meter|attributes|spanBuilder"
    r"|resource|AttributeKey|ServiceAttributes|ResourceAttributes|SpanAttributes|\w+Attributes"
    r"|logger|log)\b"
)
_TELEMETRY_CALLS = frozenset(
    (
        *("setAttribute", "setStatus", "recordException", "addEvent", "spanBuilder", "startSpan"),
        *("makeCurrent", "end", "setSpanKind", "getTracer", "stringKey", "longKey", "booleanKey"),
        *("put", "putAll", "of", "builder", "build", "create", "trace", "debug", "info", "warn"),
        *("error", "setParent", "storeInContext", "spanId", "traceId", "merge", "getDefault"),
    )
)
_TIMED = frozenset(("setex", "psetex", "setEx", "pSetEx"))
_TAKES = frozenset(("getDel", "getdel", "getAndDelete"))
_READS = frozenset(
    (
        *("executeQuery", "next", "getString", "getBytes", "getLong", "getInt", "getTimestamp"),
        *("getObject", "getBoolean", "wasNull", *_TAKES),
    )
)
_PLAIN = frozenset(
    (
        *("use", "let", "also", "add", "buildList", "mutableListOf", "mutableSetOf", "emptyList"),
        *("prepareStatement", "setString", "setBytes", "setLong", "setInt", "setObject"),
        *("getConnection", "trimIndent", "toInstant", "emptySet", "listOf", "getResource"),
        *("fromJson", "readValue", "decodeFromString", "getLogger"),
    )
)
_WRITES = re.compile(r"(?i)\b(?:insert|update|delete|merge|alter|drop|create|grant)\b")
_ASIDE = frozenset(
    (
        *("setex", "psetex", "get", "del", "use", "getResource", "let", "also"),
        *("writeValueAsString", "encodeToString", "toJson", "readValue", "decodeFromString"),
        *("fromJson", "toJsonNode"),
    )
)
_REDIS = re.compile(r"(?i)jedis|redis")
_FAILS = re.compile(
    r"\bthrow\b|HttpStatusCode\.(?:BadRequest|Unauthorized|Forbidden|InternalServerError)"
)
_MADE_HERE = re.compile(
    r"ByteBuffer\.(?:allocate|wrap)|ByteArrayOutputStream|mutableMapOf|linkedMapOf|mapOf|hashMapOf"
    r"|JSONObject|JsonObject|JsonArray|ObjectNode|createObjectNode|CBORObject|buildJsonObject"
    r"|StringBuilder|LinkedHashMap|HashMap|TreeMap|Properties|ArrayList|mutableListOf"
)


def sound(finding: Finding, flagged: Flagged) -> str | None:
    """Return why the flagged code is not weak, in one sentence with its evidence; else None.

    Never raises; None wherever it is not certain.
    """
    rule = words_of(finding.rule, finding.rule_name)
    checks = [check for asked, check in _CHECKS if asked.search(rule)]
    if not checks or flagged.line is None or len(flagged.text) > _MAX_CHARS:
        return None
    grammar = grammars.grammar_at(flagged.path, flagged.text)
    if grammar not in LANGUAGES:
        return None
    root = grammars.parse(grammar, flagged.text)
    if _is_deep(root):
        return None
    site = Site(Code(grammar, flagged.text, root, flagged.whole), flagged)
    return next((said for check in checks if (said := check(site))), None)


def _is_deep(root: Node) -> bool:
    level = [root]
    for _ in range(_MAX_DEPTH):
        level = [child for node in level for child in node.children]
        if not level:
            return False
    return True


def _expires(site: Site) -> str | None:
    """A challenge that is stored with a time to live, or flagged lines that store none."""
    for call in site.calls():
        if call.name in _TIMED and len(call.arguments) == 3:  # noqa: PLR2004 - key, time, value
            time = call.arguments[1].value
            if number_of(time) is None or number_of(time):
                return (
                    f"the value is stored with a time to live ({line_of(site, call.node)}), after "
                    "which Redis drops it."
                )
        if call.name == "set" and re.search(
            r"SetParams(?:\.setParams\(\))?[\s\S]{0,40}\.p?ex\(|['\"](?:EX|PX)['\"]\s*,|\bEX:\s*"
            r"|\bex\s*=|Duration\.of\w+\(",
            text_of(call.listed)[:2_000],
        ):
            return (
                f"the value has a time to live ({line_of(site, call.node)}), after which "
                "Redis drops it."
            )
    return _stores_nothing(site)


def _stores_nothing(site: Site) -> str | None:
    """Lines of a build script, of telemetry, or that fill what was made in the same function."""
    if _ABOUT_CHALLENGES.search(site.text) is None:
        if site.flagged.path.endswith((".gradle.kts", ".gradle")):
            first = site.flagged.text.split("\n")[site.flagged.lines.start - 1].strip()
            return (
                f"{inline(first[:MAX_QUOTE])} configures the build, in which no challenge exists "
                "yet."
            )
        if found := _telemetry(site):
            return f"{found} describes the service to its telemetry and holds no challenge."
    return _local(site)


def _telemetry(site: Site) -> str | None:
    """Return the flagged line where every call in it is one of the telemetry's."""
    inside = site.calls()
    if not inside or any(call.name not in _TELEMETRY_CALLS for call in inside):
        return None
    if not all(_TELEMETRY.search(text_of(_outermost(call.node, site))) for call in inside):
        return None
    return line_of(site, inside[0].node)


def _outermost(node: Node, site: Site) -> Node:
    """Return the largest call around a node that does not reach the function's own body."""
    kinds = ("call_expression", "method_invocation", "call", "property_declaration")
    found = node
    for each in above(node, *kinds, "lambda_literal", "block", "statement_block"):
        if each.type not in kinds:
            break
        found = each
    return found


def _local(site: Site) -> str | None:
    """Values put into what was made in the same function: they live for one call."""
    puts = [call for call in site.calls() if call.name in {"put", "set", "add", "putString"}]
    if len(puts) != 1 or puts[0].receiver is None or site.code.grammar not in JVM:
        return None
    name = re.split(r"[.(\s]", puts[0].on)[0]
    function = function_of(puts[0].node)
    if function is None or not name.isidentifier():
        return None
    made = re.search(
        rf"(?:val|var|final|[\w<>\[\], ]+)\s+{re.escape(name)}(?:\s*:[^=\n]*)?\s*=\s*"
        rf"(?:new\s+)?[\w.]*(?:{_MADE_HERE.pattern})",
        text_of(function),
    )
    if made is None:
        if re.match(rf"(?:{_MADE_HERE.pattern})", puts[0].on):
            return (
                f"{line_of(site, puts[0].node)} fills what is made in the same expression; "
                "nothing is kept for a later request."
            )
        return None
    return (
        f"{inline(name)} is made in the same function ({inline(made[0].strip()[:MAX_QUOTE])}) and "
        "lives for one call; nothing is kept for a later request."
    )


def _no_verdict(site: Site) -> str | None:
    """Flagged lines that neither decide about a credential nor hide a failure."""
    checks = (_rethrown, _only_telemetry, _only_reads, _kept_aside, _asked, _tested)
    return next((said for check in checks if (said := check(site))), None)


def _rethrown(site: Site) -> str | None:
    """Lines around other code that pass every exception on."""
    handlers = site.nodes("catch_block", "catch_clause", "except_clause")
    if not handlers or _decides(site):
        return None
    thrown = [_throw(handler) for handler in handlers]
    if any(node is None for node in thrown) or thrown[0] is None:
        return None
    return (
        f"every failure is passed on ({line_of(site, thrown[0])}), so what goes wrong in the code "
        "that runs inside cannot count as success."
    )


def _throw(handler: Node) -> Node | None:
    """Return the last statement of a handler where it throws what was caught, always."""
    blocks = [c for c in handler.named_children if c.type in {"block", "statement_block"}]
    last = blocks[-1].named_children[-1] if blocks and blocks[-1].named_children else None
    if last is None or last.type not in {"throw_expression", "throw_statement", "raise_statement"}:
        return None
    leaves = inside(blocks[-1], "return_expression", "return_statement", "jump_expression")
    return None if leaves else last


def _decides(site: Site) -> bool:
    """Whether a yes or a no stands in the flagged lines."""
    return bool(
        re.search(r"\b(?:true|True|false|False)\b|\brunCatching\b|\bgetOrNull\b", site.text)
    )


def _only_telemetry(site: Site) -> str | None:
    if _decides(site) or site.nodes("catch_block", "catch_clause", "if_expression"):
        return None
    if site.nodes("return_expression", "return_statement", "function_declaration"):
        return None
    found = _telemetry(site)
    if found is None:
        return None
    return f"{found} only records what happens, and no result of a verification passes through it."


def _only_reads(site: Site) -> str | None:
    """Lines that read rows of a database and do nothing else."""
    names = {call.name for call in site.calls()}
    if not names & _READS or not names <= _READS | _PLAIN or _decides(site):
        return None
    if site.nodes("catch_block", "catch_clause") or _WRITES.search(site.text):
        return None
    first = next(call for call in site.calls() if call.name in _READS)
    if first.name in _TAKES:
        return (
            f"{line_of(site, first.node)} takes a stored request out of Redis, so that it works "
            "once; nothing is accepted here, and what it returns is still to be verified."
        )
    return (
        f"{line_of(site, first.node)} reads from the database: it accepts no credential, and what "
        "it returns is still to be verified."
    )


def _asked(site: Site) -> str | None:
    """Lines of a `CredentialRepository`, which Yubico's `RelyingParty` asks while it verifies."""
    inside_it = site.calls()
    function = function_of(inside_it[0].node) if inside_it else None
    owner = next(above(inside_it[0].node, "class_declaration"), None) if function else None
    if function is None or owner is None or _decides(site):
        return None
    name, header = name_of(function), text_of(owner).partition("{")[0]
    is_answer = name in _ANSWERS and re.search(r"\bCredentialRepository\b", header)
    body = text_of(function).partition(")")[2]
    if not is_answer or (name == "lookup" and not re.search(r"(?i)user_?handle", body)):
        return None
    if site.nodes("catch_block", "catch_clause", "class_declaration"):
        return None
    return (
        f"`{name}` only answers what `RelyingParty` asks through `CredentialRepository` while it "
        f"verifies ({line_of(site, function)}); the verdict is the library's."
    )


def _kept_aside(site: Site) -> str | None:
    """Lines that only put a ceremony's request into Redis for a time, or take it out for good."""
    names = {call.name for call in site.calls()}
    if not names or not names <= _ASIDE or _decides(site) or not _REDIS.search(site.text):
        return None
    if site.nodes("catch_block", "catch_clause"):
        return None
    if names & _TIMED:
        put = next(call for call in site.calls() if call.name in _TIMED)
        return (
            f"{line_of(site, put.node)} puts a ceremony's request aside for a limited time; "
            "nothing is accepted here."
        )
    if {"get", "del"} <= names:
        gone = next(call for call in site.calls() if call.name == "del")
        return (
            f"a ceremony's request is taken out and removed ({line_of(site, gone.node)}), so that "
            "a later use finds none; nothing is accepted here, and what is returned is still to be "
            "verified."
        )
    return None


def _tested(site: Site) -> str | None:
    """Yubico's `finishAssertion` whose result is tested, and whose failures end the request."""
    for call in site.calls():
        function = function_of(call.node)
        declaration = declaration_around(call.node)
        found = declared(site.code, declaration) if declaration is not None else None
        if call.name != "finishAssertion" or function is None or found is None:
            continue
        tests = [
            node
            for node in inside(function, "if_expression", "if_statement")
            if node.start_byte > call.node.end_byte and _is_test(node, found[0])
        ]
        handlers = inside(function, "catch_block", "catch_clause")
        if len(tests) == 1 and all(_FAILS.search(text_of(handler)) for handler in handlers):
            return (
                "`finishAssertion` verifies challenge, origin, RP id and signature, and what "
                f"follows depends on its result ({line_of(site, tests[0])})."
            )
    return None


def _is_test(node: Node, name: str) -> bool:
    """Whether a condition is the result itself, and its other side refuses."""
    said = text_of(field(node, "condition")).strip("() ")
    body = text_of(node)
    if re.fullmatch(rf"{re.escape(name)}\.(?:isSuccess|success)", said):
        return bool(re.search(r"\belse\b", body)) and bool(
            _FAILS.search(body.rpartition("else")[2])
        )
    if re.fullmatch(rf"!\s*{re.escape(name)}\.(?:isSuccess|success)", said):
        return bool(re.search(r"\b(?:throw|return)\b", body))
    return False


_ANSWERS = frozenset(
    (
        *("getCredentialIdsForUsername", "getUserHandleForUsername", "getUsernameForUserHandle"),
        *("lookup", "lookupAll"),
    )
)
_CHECKS: tuple[tuple[re.Pattern[str], Callable[[Site], str | None]], ...] = (
    (_GCM, fresh_nonce),
    (_EXPIRY, _expires),
    (_BYPASS, _no_verdict),
)
