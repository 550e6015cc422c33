"""Source files as syntax trees, and how far anybody goes to understand them."""

import math
import re
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tree_sitter import Node

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.routes.model import Handler

MAX_DEPTH = 24
"""Names that lead to names, and blocks within blocks, that are followed."""

_GRAMMAR = {
    "py": "python",
    "js": "javascript",
    "mjs": "javascript",
    "cjs": "javascript",
    "jsx": "javascript",
    "ts": "typescript",
    "mts": "typescript",
    "cts": "typescript",
    "java": "java",
    "kt": "kotlin",
    "kts": "kotlin",
}
_STEPS = 2_000_000


class TooMuchError(Exception):
    """The code leads round in more circles than anybody follows, or the time is over."""


class Code(NamedTuple):
    """One file, parsed; `path` is repository-relative."""

    path: str
    root: Node


class Ref(NamedTuple):
    """A node, and the file in which its names mean something."""

    code: Code
    node: Node

    @property
    def key(self) -> tuple[str, int, int]:
        """The same for the same place."""
        return (self.code.path, self.node.start_byte, self.node.end_byte)

    def at(self, node: Node) -> "Ref":
        """Another node of the same file."""
        return Ref(self.code, node)

    def handler(self) -> Handler:
        """The lines of the node."""
        end = self.node.end_point
        last = end.row if end.column == 0 and end.row > self.node.start_point.row else end.row + 1
        return Handler(self.code.path, self.node.start_point.row + 1, last)


class Sources:
    """The texts of a commit's files, each parsed when it is first needed."""

    def __init__(
        self, texts: Mapping[str, str], until: float = math.inf, steps: int = _STEPS
    ) -> None:
        """Take path -> text, and the monotonic time after which nothing is parsed any more."""
        self.texts = texts
        self._until = until
        self._parsed: dict[str, Code] = {}
        self._steps = steps

    def spend(self) -> None:
        """Count one step of understanding.

        Raises:
            TooMuchError: there were too many, or the time is over.
        """
        self._steps -= 1
        if self._steps < 0 or (not self._steps % 1024 and time.monotonic() > self._until):
            msg = "too many names that lead to names"
            raise TooMuchError(msg)

    def code(self, path: str) -> Code:
        """Return a file's tree; the path is one of `texts`.

        Raises:
            TooMuchError: the time is over.
        """
        if path not in self._parsed:
            if time.monotonic() > self._until:
                msg = "no time is left"
                raise TooMuchError(msg)
            grammar = _GRAMMAR[path.rpartition(".")[2]]
            self._parsed[path] = Code(path, grammars.parse(grammar, self.texts[path]))
        return self._parsed[path]

    def of(self, *endings: str, word: str = "") -> list[Code]:
        """Return the files of these endings whose text has a word (an expression), parsed."""
        having = re.compile(word)
        return [
            self.code(path)
            for path, text in self.texts.items()
            if path.rpartition(".")[2] in endings and having.search(text)
        ]


def text_of(node: Node | None) -> str:
    """Return a node's text, nothing for no node."""
    return "" if node is None or node.text is None else node.text.decode(errors="replace")


def field(node: Node, *names: str) -> Node | None:
    """Return the node that a path of field names leads to."""
    found: Node | None = node
    for name in names:
        found = found.child_by_field_name(name) if found is not None else None
    return found


def above(node: Node, *kinds: str) -> Iterator[Node]:
    """The nodes of some kinds around a node, from the inside out."""
    parent = node.parent
    while parent is not None:
        if parent.type in kinds:
            yield parent
        parent = parent.parent


def within(root: Node, *kinds: str) -> list[Node]:
    """Return the nodes of some kinds in a tree, in the order of the text."""
    return [node for node in grammars.nodes(root) if node.type in kinds]


def child(node: Node, *kinds: str) -> Node | None:
    """Return the first child of some kinds."""
    return next((each for each in node.children if each.type in kinds), None)
