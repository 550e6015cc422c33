"""Patterns whose instances are found together with their edits."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.model import Code, Grammar, Match, Pattern

_MAX_INSTANCES = 1_000
SOURCE = "source"
CALLED = "called"
"""The captures of where else a match shows; a finding at their lines is about it as well."""
C: tuple[Grammar, ...] = ("c",)
GO: tuple[Grammar, ...] = ("go",)
PHP: tuple[Grammar, ...] = ("php",)
PYTHON: tuple[Grammar, ...] = ("python",)
SCRIPTS: tuple[Grammar, ...] = ("javascript", "typescript", "tsx")


class Instance(msgspec.Struct, frozen=True):
    """One instance of a weakness, what ends it, and why that does."""

    node: Node
    edits: tuple[TextEdit, ...]
    """() where it cannot be mended without guessing."""
    reason: str
    source: Node | None = None
    """Where it shows besides, such as the assignment of a query that is run later."""
    called: Node | None = None
    """What is called, where the node is an argument: a callback beside it is none of the match."""


_Find = Callable[[Code], Iterator[Instance]]


def pattern(
    name: str,
    rules: str,
    cwes: Iterable[int],
    grammars: tuple[Grammar, ...],
    instances: _Find,
) -> Pattern:
    """Return the pattern whose instances a function gives; `cwes` are their numbers."""

    def of(code: Code, match: Match) -> Instance:
        return _by_place(instances, code)[match.node.start_byte, match.node.end_byte]

    return Pattern(
        name=name,
        rules=rules,
        cwes=frozenset(f"CWE-{number}" for number in cwes),
        grammars=grammars,
        find=lambda code: tuple(map(_match, _by_place(instances, code).values())),
        mend=lambda code, match: of(code, match).edits,
        reason=lambda code, match: of(code, match).reason,
    )


@lru_cache(maxsize=4)
def _by_place(instances: _Find, code: Code) -> dict[tuple[int, int], Instance]:
    """Return the instances by where they are; few are remembered, since each keeps a tree."""
    found = islice(instances(code), _MAX_INSTANCES)
    return {(each.node.start_byte, each.node.end_byte): each for each in found}


def _match(found: Instance) -> Match:
    captures = {SOURCE: found.source, CALLED: found.called}
    return Match(node=found.node, captures={name: n for name, n in captures.items() if n})
