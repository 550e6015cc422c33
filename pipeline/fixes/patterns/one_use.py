"""A variable that is given its value once and used once: both places can change together."""

from collections import Counter
from functools import lru_cache
from typing import NamedTuple

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import around
from secdaemon.pipeline.routes.syntax import field, text_of, within

FUNCTIONS = (
    "function_definition",
    "function_declaration",
    "function_expression",
    "arrow_function",
    "method_definition",
    "method_declaration",
    "func_literal",
)
_ASSIGNED = (
    "assignment",
    "assignment_expression",
    "variable_declarator",
    "short_var_declaration",
    "assignment_statement",
    "var_spec",
    "augmented_assignment",
    "augmented_assignment_expression",
)
_PLAIN = frozenset(("assignment", "variable_declarator", "short_var_declaration"))
_BLOCKS = ("block", "module", "program", "statement_block", "statement_list", "source_file")
_BOTH = 2
"""The assignment, and the use."""
_NAMES = ("identifier", "shorthand_property_identifier")


class Bindings(NamedTuple):
    """The names of a function, or of a file where there is none around."""

    uses: Counter[str]
    """How often each name stands there."""
    assigned: dict[str, list[Node]]
    """Where each name gets a value."""

    def only(self, name: str) -> Node | None:
        """Return the expression that a name is assigned, None unless it is assigned once."""
        found = self.assigned.get(name, [])
        return _value(found[0]) if len(found) == 1 else None


def bindings(code: Code, node: Node) -> Bindings:
    """Return the names of the innermost function around a node."""
    return _bindings(around(node, *FUNCTIONS) or code.root)


@lru_cache(maxsize=8)
def _bindings(scope: Node) -> Bindings:
    uses = Counter(text_of(each) for each in within(scope, *_NAMES))
    assigned: dict[str, list[Node]] = {}
    for each in within(scope, *_ASSIGNED):
        for name in _targets(each):
            assigned.setdefault(name, []).append(each)
    return Bindings(uses, assigned)


def value_of(code: Code, used: Node) -> Node | None:
    """Return the expression that a variable is assigned, seen from its only use; else None.

    None too where the value's own names are assigned between the two places, or where the
    assignment may not have happened.
    """
    if used.type != "identifier":
        return None
    known, name = bindings(code, used), text_of(used)
    assigned = known.assigned.get(name, [])
    value = known.only(name)
    if value is None or known.uses[name] != _BOTH or assigned[0].type not in _PLAIN:
        return None
    block = around(assigned[0], *_BLOCKS)
    if block is None or assigned[0].end_byte > used.start_byte:
        return None
    if not block.start_byte <= used.start_byte < block.end_byte:
        return None
    changed = (
        each
        for each_name in {text_of(node) for node in within(value, "identifier")}
        for each in known.assigned.get(each_name, [])
    )
    between = range(assigned[0].end_byte, used.start_byte)
    return None if any(each.start_byte in between for each in changed) else value


def _targets(node: Node) -> set[str]:
    left = field(node, "left") or field(node, "name")
    return {text_of(each) for each in within(left, "identifier")} if left is not None else set()


def _value(node: Node) -> Node | None:
    value = field(node, "right") or field(node, "value")
    if value is None or value.type != "expression_list":
        return value
    return value.named_children[0] if value.named_child_count == 1 else None
