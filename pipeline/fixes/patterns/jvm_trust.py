"""Java and Kotlin: checks of a server's certificate that say yes to everybody."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.instances import Instance, pattern
from secdaemon.pipeline.fixes.patterns.jvm_code import (
    JVM,
    Call,
    calls_of,
    declared,
    inside,
    name_of,
    room_of,
    uses,
)
from secdaemon.pipeline.fixes.patterns.jvm_edits import is_simple_statement, removed_statement
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import between, replaced
from secdaemon.pipeline.routes.syntax import field, text_of

_SETTERS = (
    "hostnameVerifier",
    "setHostnameVerifier",
    "setDefaultHostnameVerifier",
    "setSSLHostnameVerifier",
    "sslHostnameVerifier",
)
_YES = re.compile(
    r"(?:HostnameVerifier\s*)?[({]?\s*\(?\s*(?:[\w.]+\s+)?\w+\s*,\s*(?:[\w.]+\s+)?\w+\s*\)?\s*->\s*"
    r"(?:true|\{\s*return\s+true;\s*\})\s*[)}]?"
    r"|(?:NoopHostnameVerifier|SSLConnectionSocketFactory|SSLSocketFactory)\.(?:INSTANCE"
    r"|ALLOW_ALL_HOSTNAME_VERIFIER)|ALLOW_ALL_HOSTNAME_VERIFIER|(?:new\s+)?NoopHostnameVerifier\(\)"
    r"|(?:new\s+)?AllowAllHostnameVerifier\(\)"
)
_NAMES = (
    "The certificate's name is compared with the host again, so a certificate of another site no "
    "longer passes for this one."
)
_ROOTS = (
    "The system's own roots decide which certificate is good, as they do where no trust manager is "
    "given, so a certificate that anybody made is refused."
)
_INIT_ARGUMENTS = 3


def _hosts(code: Code) -> Iterator[Instance]:
    """A verifier of host names that says yes: it goes, and the default one is back."""
    for call in calls_of(code, *_SETTERS):
        said = text_of(call.block) if call.block is not None else text_of(call.given(0))
        if not _YES.fullmatch(said.strip()):
            continue
        yield Instance(call.word, _without(code, call), _NAMES)
    for node in inside(code.root, "assignment") if code.grammar == "kotlin" else ():
        left, right = text_of(field(node, "left")), text_of(field(node, "right"))
        is_set = left.rpartition(".")[2] in {"hostnameVerifier", "defaultHostnameVerifier"}
        if is_set and _YES.fullmatch(right.strip()):
            edits = (removed_statement(code, node),) if is_simple_statement(node) else ()
            yield Instance(node, edits, _NAMES)


def _without(code: Code, call: Call) -> tuple[TextEdit, ...]:
    """Return the edit that takes a call out of a chain, or away where it stands alone."""
    parent = call.node.parent
    if parent is not None and parent.type == "expression_statement":
        return (
            (removed_statement(code, parent),) if not _is_builder(call) else _unchained(code, call)
        )
    if is_simple_statement(call.node) and not _is_builder(call):
        return (removed_statement(code, call.node),)
    return _unchained(code, call)


def _is_builder(call: Call) -> bool:
    return call.receiver is not None and "(" in call.on


def _unchained(code: Code, call: Call) -> tuple[TextEdit, ...]:
    if call.receiver is None or "(" not in call.on:
        return ()
    return (between(code, call.receiver.end_byte, call.node.end_byte, ""),)


def _managers(code: Code) -> Iterator[Instance]:
    """`init(null, trustAll, …)` with managers made here that look at nothing."""
    for call in calls_of(code, "init"):
        managers = call.given(1)
        if len(call.arguments) != _INIT_ARGUMENTS or managers is None:
            continue
        if _is_open(text_of(managers)):
            yield Instance(call.node, (replaced(code, managers, "null"),), _ROOTS)
            continue
        found = _local(code, call, name_of(managers) or _only(text_of(managers)))
        if found is None:
            continue
        declaration, others = found
        edits: tuple[TextEdit, ...] = ()
        if not others:
            edits = (replaced(code, managers, "null"), removed_statement(code, declaration))
        yield Instance(call.node, edits, _ROOTS, source=declaration)


def _only(text: str) -> str:
    """Return the name of the only trust manager in an array, "" for all else."""
    found = re.fullmatch(
        r"(?:new TrustManager\s*\[\]\s*\{|arrayOf(?:<TrustManager>)?\()\s*(\w+)\s*[})]", text
    )
    return found[1] if found else ""


def _local(code: Code, call: Call, name: str) -> tuple[Node, bool] | None:
    """Return the local that holds trust managers which look at nothing, and if others use it."""
    room = room_of(code, call.node)
    for node in inside(room, "property_declaration", "local_variable_declaration"):
        pair = declared(code, node)
        if not name or pair is None or pair[0] != name or not _is_open(text_of(pair[1])):
            continue
        return node, len(uses(room, name)) > 2  # noqa: PLR2004 - declared and used
    return None


def _is_open(text: str) -> bool:
    """Whether trust managers are made in an expression whose check of servers is empty."""
    return bool(
        re.search(r"X509(?:Extended)?TrustManager", text)
        and re.search(
            r"(?:void|fun)\s+checkServerTrusted\s*\([^)]*\)\s*(?:throws\s+[\w.]+\s*)?"
            r"(?::\s*Unit\s*)?(?:\{\s*(?://[^\n]*\s*)?\}|=\s*Unit\b)",
            text,
        )
    )


_RULES = (
    r".*(hostname-?verif|trust-?manager|trust-?all|allow-?all|certificate|insecure-?(ssl|tls|trust|"
    r"hostname)|ssl-?(valid|verif))|.*x509"
)

PATTERNS = (
    pattern("jvm-any-host", _RULES, (295, 297), JVM, _hosts),
    pattern("jvm-any-certificate", _RULES, (295,), JVM, _managers),
)
