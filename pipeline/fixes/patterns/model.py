"""A code pattern: a weakness as a shape of the syntax tree, and the edits that mend it."""

from collections.abc import Callable
from typing import Literal

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit

Grammar = Literal["c", "go", "java", "javascript", "kotlin", "php", "python", "tsx", "typescript"]
"""As in `evaluation.grammars`."""


class Code(msgspec.Struct, frozen=True):
    """A text and its syntax tree."""

    grammar: str
    text: str
    root: Node
    whole: bool = True
    """Whether it is a whole file; a part of one gets no import, and has none that could be asked
    for."""


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One instance of the weakness; `node` is the smallest one that shows all of it."""

    node: Node
    captures: dict[str, Node] = {}


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """A weakness in some languages; `find` alone decides where it is, never the rule's name."""

    name: str
    """Such as `sql-parameters`."""
    rules: str
    """A regular expression over a finding's rule id and name, in lower case with `-` between words
    (`rule_families` splits them so)."""
    cwes: frozenset[str]
    """The weaknesses that it may be; a rule's words or one of its CWEs has to fit."""
    grammars: tuple[Grammar, ...]
    find: Callable[[Code], tuple[Match, ...]]
    """Every instance in a text; a text may be a part of a file, with errors in its tree."""
    mend: Callable[[Code, Match], tuple[TextEdit, ...]]
    """The edits that end this instance, () where it cannot be mended without guessing. Imports that
    they need are among them where the text is whole."""
    reason: Callable[[Code, Match], str]
    """What changes and why that ends it, one or two sentences about this instance."""
