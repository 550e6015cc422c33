"""A flagged place in code that is parsed: what lies in it, and how its lines are quoted."""

import re

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.model import Flagged
from secdaemon.pipeline.fixes.patterns.jvm_code import Call, inside
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.webauthn_code import calls
from secdaemon.pipeline.fixes.quote import inline

MAX_QUOTE = 120
_TRACES = re.compile(
    r"(?:[\w.]+\.)?(?:span|tracer|openTelemetry|otel|spanBuilder|AttributeKey"
    r"|Resource\.(?:create|builder|getDefault)|Attributes\.(?:of|builder)"
    r"|(?:Service|Resource|Span)Attributes)\b"
)
_LOGS = re.compile(r"(?i)^(?:this\.)?_?log(?:ger)?$")
_TRACING = frozenset(
    (
        *("setAttribute", "setStatus", "recordException", "addEvent", "spanBuilder", "startSpan"),
        *("makeCurrent", "end", "setSpanKind", "getTracer", "stringKey", "longKey", "booleanKey"),
        *("put", "putAll", "of", "builder", "build", "create", "setParent", "storeInContext"),
        *("spanId", "traceId", "merge", "getDefault"),
    )
)
_LOGGING = frozenset(("trace", "debug", "info", "warn", "error"))


class Site(msgspec.Struct, frozen=True):
    """A flagged place and the code around it."""

    code: Code
    flagged: Flagged

    def nodes(self, *kinds: str) -> list[Node]:
        """Return the nodes that begin in the flagged lines, in the order of the text."""
        lines = self.flagged.lines
        return [
            node
            for node in inside(self.code.root, *kinds)
            if node.start_point.row + 1 in lines and node.end_point.row + 1 in lines
        ]

    def calls(self) -> list[Call]:
        """Return the calls that lie in the flagged lines."""
        lines = self.flagged.lines
        return [
            call
            for call in calls(self.code)
            if call.word.start_point.row + 1 in lines and call.node.end_point.row + 1 in lines
        ]

    def calls_in(self, room: Node) -> list[Call]:
        """Return the calls that lie in a node."""
        return [
            call
            for call in calls(self.code)
            if room.start_byte <= call.node.start_byte and call.node.end_byte <= room.end_byte
        ]

    @property
    def text(self) -> str:
        """The flagged lines."""
        rows = self.flagged.text.split("\n")
        return "\n".join(rows[self.flagged.lines.start - 1 : self.flagged.lines.stop - 1])


def line_of(site: Site, node: Node) -> str:
    """Return a node's first line with its number, where the text is a whole file."""
    row = site.flagged.text.split("\n")[node.start_point.row].strip()[:MAX_QUOTE]
    at = f"line {node.start_point.row + 1}, " if site.flagged.whole else ""
    return f"{at}{inline(row)}"


def telemetry_of(site: Site) -> str | None:
    """Return the flagged line where every call in the lines is one of the telemetry's."""
    found = site.calls()
    return line_of(site, found[0].node) if found and all(map(is_telemetry, found)) else None


def is_telemetry(call: Call) -> bool:
    """Return whether a call traces or logs."""
    if call.name in _LOGGING and _LOGS.match(call.on):
        return True
    return call.name in _TRACING and _TRACES.match(f"{call.on}.{call.name}") is not None
