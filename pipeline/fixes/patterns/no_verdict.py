"""Why flagged lines neither accept a credential nor hide a failure: for `already_right`."""

import re

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.flagged_code import (
    Site,
    is_telemetry,
    line_of,
    telemetry_of,
)
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    Call,
    above,
    declaration_around,
    declared,
    inside,
)
from secdaemon.pipeline.fixes.patterns.jvm_edits import statement_of
from secdaemon.pipeline.fixes.patterns.lasting import is_timed
from secdaemon.pipeline.fixes.patterns.webauthn_code import FUNCTIONS, function_of, name_of
from secdaemon.pipeline.routes.syntax import field, text_of

_CATCHES = ("catch_block", "catch_clause", "except_clause")
_TRIES = ("try_expression", "try_statement", "try_with_resources_statement")
_BRANCHES = (
    *("if_expression", "if_statement", "when_expression", "when_entry", "elvis_expression"),
    *("switch_statement", "switch_expression", "ternary_expression", "conditional_expression"),
    *("match_statement", "binary_expression"),
)
_LAMBDAS = ("lambda_literal", "lambda_expression", "arrow_function", "lambda")
_LEAVES = re.compile(r"\b(?:return|break|continue|yield|exit|pass)\b")
_VERDICT = re.compile(
    r"(?i)valid|verif|auth|check|log_?in|sign_?in|accept|allow|trust|assert|finish|complete"
    r"|^(?:is|has|can)_?[A-Z]"
)
_FINDS = re.compile(
    r"(?:find|get|load|read|lookup|list|fetch|take|retrieve|select|query|pop|consume)(?![a-z])"
)
_TAKES = frozenset(("getDel", "getdel", "getAndDelete"))
_COLUMNS = frozenset(
    (
        *("next", "getString", "getBytes", "getLong", "getInt", "getTimestamp", "getObject"),
        *("getBoolean", "wasNull"),
    )
)
_PLAIN = frozenset(
    (
        *("use", "let", "also", "add", "buildList", "buildSet", "mutableListOf", "mutableSetOf"),
        *("prepareStatement", "setString", "setBytes", "setLong", "setInt", "setObject"),
        *("getConnection", "trimIndent", "toInstant", "emptySet", "emptyList", "listOf"),
        *("fromJson", "readValue", "decodeFromString", "getResource", "executeQuery"),
    )
)
_WRITES = re.compile(r"(?i)\b(?:insert|update|delete\s+from|merge|alter|drop|create|grant)\b")
_CEREMONY = re.compile(
    r"(?i)challenge|ceremon|(?:assertion|registration|creation)_?[- ]?(?:req"
    r"|opt)|request|options"
)
_SIGNED_IN = re.compile(
    r"(?i)session|token|cookie|log(?:ged)?_?-?in|sign(?:ed)?_?-?in|user|auth(?!n)"
)
_ASIDE = frozenset(
    (
        *("setex", "psetex", "get", "del", "use", "getResource", "let", "also"),
        *("writeValueAsString", "encodeToString", "toJson", "readValue", "decodeFromString"),
        *("fromJson", "toJsonNode"),
    )
)
_MAKES = frozenset(("generateKey", "generateKeyPair", "genKeyPair"))
_SAYS = frozenset(("joinToString", "format", "writeValueAsString", "writeValueAsBytes"))
_PURE = _MAKES | _SAYS
_ANSWERS = frozenset(
    (
        *("getCredentialIdsForUsername", "getUserHandleForUsername", "getUsernameForUserHandle"),
        *("lookup", "lookupAll"),
    )
)
_REFUSED = re.compile(
    r"HttpStatusCode\.(?:BadRequest|Unauthorized|Forbidden|InternalServerError)"
    r"|HttpStatus\.(?:BAD_REQUEST|UNAUTHORIZED|FORBIDDEN)"
)
_REFUSING_RETURN = re.compile(
    r"return(?:@\w+)?(?:\s+(?:false|null|Optional\.empty\(\)"
    rf"|[\w.]*(?:call|ResponseEntity)\.\w+\([^\n]*(?:{_REFUSED.pattern}|unauthorized)[^\n]*))\s*;?"
)


def no_verdict(site: Site) -> str | None:
    """Return the sentence for lines that leave the verdict to others, or that give it rightly."""
    checks = (_rethrown, _only_telemetry, _only_reads, _kept_aside, _asked, _tested, _made)
    return next((said for check in checks if (said := check(site))), None)


def _decides(text: str) -> bool:
    """Whether a yes or a no stands in a text, or failures get lost in it."""
    found = re.search(r"\b(?:true|True|false|False|runCatching|getOrNull|getOrElse|ok|OK)\b", text)
    return found is not None


def _rethrown(site: Site) -> str | None:
    """Lines around other code, given as a parameter, that pass every exception on."""
    handlers = site.nodes(*_CATCHES)
    others = [call for call in site.calls() if not _is_within(call.node, handlers)]
    given = [call for call in others if not is_telemetry(call)]
    if not handlers or len(given) != 1 or _decides(site.text) or not _is_parameter(given[0]):
        return None
    thrown = [_throw(handler) for handler in handlers]
    if any(node is None for node in thrown) or thrown[0] is None or site.nodes(*_BRANCHES):
        return None
    return (
        f"every failure is passed on ({line_of(site, thrown[0])}), so what goes wrong in the code "
        "that runs inside cannot count as success."
    )


def _is_within(node: Node, rooms: list[Node]) -> bool:
    return any(r.start_byte <= node.start_byte and node.end_byte <= r.end_byte for r in rooms)


def _is_parameter(call: Call) -> bool:
    """Whether what is called is a parameter of a function around: `block()`, `chain.run()`."""
    name = call.on or call.name
    if not name.isidentifier() or _VERDICT.search(name) or _VERDICT.search(call.name):
        return False
    for function in above(call.node, *FUNCTIONS):
        parameters = (c for c in function.named_children if c.type.endswith("parameters"))
        if any(re.search(rf"\b{re.escape(name)}\b", text_of(each)) for each in parameters):
            return True
    return False


def _throw(handler: Node) -> Node | None:
    """Return the last statement of a handler where it throws, always and out of the function."""
    blocks = [c for c in handler.named_children if c.type in {"block", "statement_block"}]
    last = blocks[-1].named_children[-1] if blocks and blocks[-1].named_children else None
    if last is None or last.type not in {"throw_expression", "throw_statement", "raise_statement"}:
        return None
    around = next(above(handler, *_TRIES), None)
    outer = next(above(around, *_TRIES, *FUNCTIONS), None) if around is not None else None
    if around is None or (outer is not None and outer.type in _TRIES):
        return None
    finals = inside(around, "finally_block", "finally_clause")
    is_left = any(_LEAVES.search(text_of(room)) for room in (blocks[-1], *finals))
    return None if is_left else last


def _only_telemetry(site: Site) -> str | None:
    """Lines that only trace or log, on a way on which nothing is decided."""
    found = telemetry_of(site) if site.flagged.whole else None
    if found is None or _decides(site.text) or site.nodes(*_CATCHES, *_BRANCHES, *FUNCTIONS):
        return None
    if re.search(r"\breturn\b", site.text):
        return None
    for node in above(site.calls()[0].node, *_CATCHES, *_BRANCHES, *_LAMBDAS, *FUNCTIONS):
        if node.type in FUNCTIONS:
            return (
                f"{found} only records what happens, and no result of a verification passes "
                "through it."
            )
        if node.type not in _CATCHES or _throw(node) is None:
            return None
    return None


def _only_reads(site: Site) -> str | None:
    """A function that finds what is stored, and does nothing else."""
    here = site.calls()
    function = function_of(here[0].node) if here else None
    if function is None or function.has_error or not _only_finds(function):
        return None
    names = {call.name for call in site.calls_in(function)}
    text = text_of(function)
    if names & _TAKES and names <= _TAKES | _PLAIN - {"executeQuery"}:
        first = next(c for c in site.calls_in(function) if c.name in _TAKES)
        return (
            f"{line_of(site, first.node)} takes a stored request out of Redis, so that it works "
            "once; nothing is accepted here, and what it returns is still to be verified."
        )
    is_query = "executeQuery" in names and re.search(r"(?i)[\"\s]select\s", text)
    if not is_query or not names <= _COLUMNS | _PLAIN or _WRITES.search(text):
        return None
    first = next(c for c in site.calls_in(function) if c.name == "executeQuery")
    return (
        f"{line_of(site, first.node)} reads from the database: it accepts no credential, and what "
        "it returns is still to be verified."
    )


def _only_finds(function: Node) -> bool:
    """Whether a function is called a search, gives no yes or no and hides no failure."""
    name, text = name_of(function), text_of(function)
    head = text.partition("{")[0].partition("=")[0]
    is_answer = re.search(r"(?i)\bbool(?:ean)?\b", head) or _decides(text)
    is_search = _FINDS.match(name) and not _VERDICT.search(name)
    return bool(is_search) and not is_answer and not inside(function, *_CATCHES)


def _asked(site: Site) -> str | None:
    """Lines of a `CredentialRepository`, which Yubico's `RelyingParty` asks while it verifies."""
    here = site.calls()
    function = function_of(here[0].node) if here else None
    owner = next(above(here[0].node, "class_declaration"), None) if function else None
    if function is None or owner is None or _decides(text_of(function)):
        return None
    if any(function_of(call.node) != function for call in here) or function.has_error:
        return None
    name, header = name_of(function), text_of(owner).partition("{")[0]
    is_yubico = not site.flagged.whole or "com.yubico.webauthn" in site.flagged.text
    is_answer = name in _ANSWERS and re.search(r"\bCredentialRepository\b", header)
    if not is_answer or not is_yubico or inside(function, *_CATCHES):
        return None
    if name == "lookup" and not re.search(
        r"(?i)(?:==|equals\(|=\s*:?\??\s*\"?,?|filter\b[^\n]*)\s*\w*\.?user_?handle"
        r"|user_?handle(?:\(\))?\s*(?:==|\.equals\(|=\s*\?)",
        text_of(function).partition(")")[2],
    ):
        return None
    return (
        f"`{name}` only answers what `RelyingParty` asks through `CredentialRepository` while it "
        f"verifies ({line_of(site, function)}); the verdict is the library's."
    )


def _kept_aside(site: Site) -> str | None:
    """Lines that only put a ceremony's request into Redis for a time, or take it out for good."""
    here = site.calls()
    names = {call.name for call in here}
    function = function_of(here[0].node) if here else None
    around = f"{name_of(function)} {site.text}"
    is_request = _CEREMONY.search(around) and not _SIGNED_IN.search(around)
    if not names or not names <= _ASIDE or _decides(site.text) or not is_request:
        return None
    if not re.search(r"(?i)jedis|redis", site.text) or site.nodes(*_CATCHES, *_BRANCHES):
        return None
    stored = [call for call in here if call.name in {"setex", "psetex"}]
    if stored and all(is_timed(site, call) for call in stored):
        return (
            f"{line_of(site, stored[0].node)} puts a ceremony's request aside for a limited time; "
            "nothing is accepted here."
        )
    gone = [call for call in here if call.name == "del"]
    read = [call for call in here if call.name == "get"]
    is_same = len(gone) == len(read) == 1 and text_of(gone[0].listed) == text_of(read[0].listed)
    if not stored and is_same and gone[0].node.start_byte > read[0].node.start_byte:
        return (
            f"a ceremony's request is taken out and removed ({line_of(site, gone[0].node)}), so "
            "that a later use finds none; nothing is accepted here, and what is returned is still "
            "to be verified."
        )
    return None


def _tested(site: Site) -> str | None:
    """Yubico's `finishAssertion` whose result is tested next, and whose failures refuse."""
    text = site.flagged.text
    if "RelyingParty" not in text and "com.yubico.webauthn" not in text:
        return None
    others = [c for c in site.calls() if c.name != "finishAssertion" and _VERDICT.search(c.name)]
    called = [call for call in site.calls() if call.name == "finishAssertion"]
    if others or len(called) != 1 or called[0].node.has_error:
        return None
    call = called[0]
    declaration = declaration_around(call.node)
    found = declared(site.code, declaration) if declaration is not None else None
    if declaration is None or found is None or statement_of(call.node) != declaration:
        return None
    if re.search(r"\brunCatching\b|\brecover|getOrElse", text_of(function_of(call.node))):
        return None
    test = declaration.next_named_sibling
    is_test = test is not None and _is_test(test, found[0])
    handlers = [
        handler
        for around in above(call.node, *_TRIES)
        if function_of(around) == function_of(call.node)
        for handler in around.named_children
        if handler.type in _CATCHES
    ]
    if test is None or not is_test or not all(map(_refuses_last, handlers)):
        return None
    return (
        "`finishAssertion` verifies challenge, origin, RP id and signature, and what "
        f"follows depends on its result ({line_of(site, test)})."
    )


def _is_test(node: Node, name: str) -> bool:
    """Whether a condition is the result itself, and its other side refuses."""
    if node.type == "expression_statement" and node.named_children:
        node = node.named_children[0]
    if node.type not in {"if_expression", "if_statement"}:
        return False
    condition = field(node, "condition")
    if condition is None:
        return False
    said = re.sub(r"\s", "", text_of(condition)).strip("()")
    said = said if said.count("(") == said.count(")") else f"{said})"
    branches = [c for c in node.named_children if c.start_byte >= condition.end_byte]
    success = rf"{re.escape(name)}\.(?:isSuccess|success)(?:\(\))?"
    if re.fullmatch(success, said):
        return len(branches) == 2 and _refuses(branches[1], is_last=_is_last(node))  # noqa: PLR2004
    if re.fullmatch(rf"!{success}", said):
        return bool(branches) and _refuses(branches[0], is_last=False)
    return False


def _is_last(node: Node) -> bool:
    """Whether nothing comes after a statement in its function or lambda."""
    for _ in range(8):
        parent = node.parent
        if parent is None or parent.type in {*FUNCTIONS, *_LAMBDAS}:
            return True
        if parent.type in _CATCHES or parent.type.startswith(("for", "while", "do_")):
            return False
        follows = node.next_named_sibling
        while follows is not None and follows.type in {*_CATCHES, "finally_block"}:
            follows = follows.next_named_sibling
        if follows is not None and not follows.type.endswith("comment"):
            return False
        node = parent
    return False


def _refuses(branch: Node, *, is_last: bool) -> bool:
    """Whether the last of a branch's statements ends the request with a no."""
    last = branch
    while last.type in {"block", "statement_block", "expression_statement"} and last.named_children:
        last = last.named_children[-1]
    if last.type in {"throw_expression", "throw_statement"}:
        return True
    said = text_of(last)
    if last.type in {"return_expression", "return_statement"}:
        return _REFUSING_RETURN.fullmatch(said) is not None
    return is_last and last.type == "call_expression" and bool(_REFUSED.search(said))


def _refuses_last(handler: Node) -> bool:
    blocks = [c for c in handler.named_children if c.type == "block"]
    around = next(above(handler, *_TRIES), None)
    if not blocks or around is None or inside(blocks[-1], *_BRANCHES[:6]):
        return False
    return _refuses(blocks[-1], is_last=_is_last(around))


def _made(site: Site) -> str | None:
    """One line that makes a key, or writes a value as text, and nothing else."""
    here = site.calls()
    names = {call.name for call in here}
    returned = re.fullmatch(r"\s*return\s+([\w.]+)\.(\w+)\([^\n]*\s*;?\s*", site.text)
    if not returned or not names <= _PURE or returned[2] not in names or _decides(site.text):
        return None
    if site.nodes(*_BRANCHES) or re.search(r"\?:|\?\.|&&|\|\|", site.text):
        return None
    function = function_of(here[0].node)
    if site.flagged.whole and (function is None or _VERDICT.search(name_of(function))):
        return None
    kinds = (*_CATCHES, *_BRANCHES)
    if next(above(here[0].node, *kinds), None) is not None:
        return None
    does = "makes a new key" if returned[2] in _MAKES else "writes a value as text"
    return (
        f"{line_of(site, here[0].node)} {does}: no credential is accepted or refused in this line."
    )
