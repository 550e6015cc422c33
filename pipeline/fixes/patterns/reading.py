"""A text as patterns read it, unless it is more than people write."""

from tree_sitter import Node

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.fixes.patterns.model import Code

MAX_CHARS = 256 * 1024
_MAX_CHILDREN = 3_000
_MAX_DEPTH = 600
_MAX_NODES = 150_000


def read_code(grammar: str, text: str, *, whole: bool) -> Code | None:
    """Return a text and its tree; None for one that nobody wrote."""
    root = grammars.parse(grammar, text)
    return Code(grammar, text, root, whole) if _is_written(root) else None


def _is_written(root: Node) -> bool:
    """Return whether a tree is as deep and as broad as what people write, and no more."""
    level = [root]
    total = 0
    for _ in range(_MAX_DEPTH):
        if any(node.child_count > _MAX_CHILDREN for node in level):
            return False
        level = [child for node in level for child in node.children]
        total += len(level)
        if not level or total > _MAX_NODES:
            return not level
    return False
