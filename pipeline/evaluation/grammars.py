"""Code as tree-sitter reads it: one grammar a language, each loaded when it is first needed.

Languages are called as in `fixes.languages` and in fences' info strings.
"""

from functools import cache
from importlib import import_module
from typing import Any

import msgspec
from tree_sitter import Language, Node, Parser, Tree

from secdaemon.pipeline.fixes.languages import language_of


class Grammar(msgspec.Struct, frozen=True):
    """Where a grammar is, and whether its language has variables that values flow through."""

    module: str
    function: str = "language"
    flows: bool = True


_GRAMMARS = {
    "c": Grammar("tree_sitter_c"),
    "cpp": Grammar("tree_sitter_cpp"),
    "csharp": Grammar("tree_sitter_c_sharp"),
    "css": Grammar("tree_sitter_css", flows=False),
    "dockerfile": Grammar("tree_sitter_containerfile", flows=False),
    "go": Grammar("tree_sitter_go"),
    "groovy": Grammar("tree_sitter_groovy"),
    "html": Grammar("tree_sitter_html", flows=False),
    "java": Grammar("tree_sitter_java"),
    "javascript": Grammar("tree_sitter_javascript"),
    "json": Grammar("tree_sitter_json", flows=False),
    "kotlin": Grammar("tree_sitter_kotlin"),
    "objective-c": Grammar("tree_sitter_objc"),
    "php": Grammar("tree_sitter_php", "language_php"),
    "php fragment": Grammar("tree_sitter_php", "language_php_only"),
    "python": Grammar("tree_sitter_python"),
    "ruby": Grammar("tree_sitter_ruby"),
    "rust": Grammar("tree_sitter_rust"),
    "scala": Grammar("tree_sitter_scala"),
    "shell": Grammar("tree_sitter_bash"),
    "swift": Grammar("tree_sitter_swift"),
    "terraform": Grammar("tree_sitter_hcl", flows=False),
    "toml": Grammar("tree_sitter_toml", flows=False),
    "tsx": Grammar("tree_sitter_typescript", "language_tsx"),
    "typescript": Grammar("tree_sitter_typescript", "language_typescript"),
    "xml": Grammar("tree_sitter_xml", "language_xml", flows=False),
    "yaml": Grammar("tree_sitter_yaml", flows=False),
}
_PHP_TAG = "<?"
_UNLIKE = frozenset(("go.mod", "go.work"))
"""Files that are called Go and are not written in it."""


def grammar_of(language: str, code: str) -> str | None:
    """Return the name of the grammar that reads this code, None where there is none.

    PHP without its opening tag, as in a part of a file, is a text and no program to PHP itself.
    """
    if language == "php" and _PHP_TAG not in code:
        language = "php fragment"
    return language if language in _GRAMMARS else None


def grammar_at(path: str, code: str) -> str | None:
    """Return the name of the grammar that reads the code of a file, None where there is none."""
    name = path.lower().rpartition("/")[2]
    if name in _UNLIKE:
        return None
    return "tsx" if name.endswith(".tsx") else grammar_of(language_of(name), code)


def parse(grammar: str, code: str) -> Node:
    """Return the root of the code's syntax tree; what is not grammatical stands in error nodes."""
    return tree(grammar, code).root_node


def tree(grammar: str, code: str) -> Tree:
    """Return the code's syntax tree."""
    return Parser(_language(grammar)).parse(code.encode("utf-8", "replace"))


def errors(root: Node) -> int:
    """Return how many nodes are errors, or were missing and made up."""
    return sum(1 for node in nodes(root) if node.is_error or node.is_missing)


def nodes(root: Node) -> list[Node]:
    """Return the tree's nodes, each before its children and those in their order."""
    found: list[Node] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += reversed(node.children)
    return found


def flows(grammar: str) -> bool:
    """Return whether the grammar's language has variables."""
    return _GRAMMARS[grammar].flows


@cache
def keywords(grammar: str) -> frozenset[str]:
    """Return the words that the grammar itself spells out."""
    language = _language(grammar)
    words = (
        language.node_kind_for_id(kind)
        for kind in range(language.node_kind_count)
        if language.node_kind_is_visible(kind) and not language.node_kind_is_named(kind)
    )
    return frozenset(word for word in words if word and word.isidentifier() and word[0] != "_")


@cache
def _language(grammar: str) -> Language:
    found = _GRAMMARS[grammar]
    module: Any = import_module(found.module)
    return Language(getattr(module, found.function)())
