"""A flagged place in code that is parsed: what lies in it, and how its lines are quoted."""

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.model import Flagged
from secdaemon.pipeline.fixes.patterns.jvm_code import Call, inside
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.webauthn_code import calls
from secdaemon.pipeline.fixes.quote import inline

MAX_QUOTE = 120


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
