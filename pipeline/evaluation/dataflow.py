"""Where values come from in a piece of code, for CodeBLEU's data-flow match.

Edges are those of Guo et al., GraphCodeBERT, 2021, arXiv:2009.08366, which CodeBLEU uses: a
variable that is assigned is computed from the variables on the other side, one that is used comes
from where it stood last. Names do not matter: variables are numbered in the order in which they
appear. Unlike the authors' extractors, one for each of seven languages, this is one reading for
all: the text from its beginning to its end, a loop once, both branches one after the other. Fields
of the syntax tree tell the two sides of an assignment, or their order where a grammar names none.
"""

from collections import Counter

from tree_sitter import Node

Edge = tuple[str, int, tuple[int, ...]]
"""(relation, variable, variables that it comes from), variables as numbers."""

_VARIABLES = frozenset(
    ("identifier", "variable_name", "simple_identifier", "shorthand_property_identifier")
)
_ASSIGNMENTS = frozenset(
    (
        "assignment",
        "assignment_expression",
        "assignment_statement",
        "augmented_assignment",
        "augmented_assignment_expression",
        "compound_assignment_expr",
        "const_spec",
        "default_parameter",
        "enhanced_for_statement",
        "for_in_clause",
        "for_in_statement",
        "for_range_loop",
        "for_statement",
        "foreach_statement",
        "init_declarator",
        "let_declaration",
        "named_expression",
        "operator_assignment",
        "property_declaration",
        "range_clause",
        "short_var_declaration",
        "typed_default_parameter",
        "val_definition",
        "var_definition",
        "var_spec",
        "variable_assignment",
        "variable_declarator",
    )
)
_TARGETS = ("left", "name", "declarator", "pattern")
_SOURCES = ("right", "value")


def edges(root: Node) -> Counter[Edge]:
    """Return the data-flow edges of a syntax tree, each with how often it stands there."""
    found: Counter[Edge] = Counter()
    numbers: dict[str, int] = {}
    waiting: list[tuple[Node, tuple[Node, Node] | None]] = [(root, None)]
    while waiting:
        node, sides = waiting.pop()
        if sides is not None:
            _assign(found, numbers, *sides)
        elif node.type in _VARIABLES:
            name = _name(node)
            if name in numbers:
                found[("comes from", numbers[name], (numbers[name],))] += 1
            else:
                numbers[name] = len(numbers)
        elif (sides := _sides(node)) is not None:
            target, source = sides
            rest = [child for child in node.children if child not in (target, source)]
            # Popped from the end: what is read, then the assignment, then the body of a loop.
            waiting += [(child, None) for child in reversed(rest)]
            waiting += [(node, sides), (source, None)]
        else:
            waiting += [(child, None) for child in reversed(node.children)]
    return found


def _assign(found: Counter[Edge], numbers: dict[str, int], target: Node, source: Node) -> None:
    given = [name for name in _names(source) if name in numbers]
    for name in _names(target):
        number = numbers.setdefault(name, len(numbers))
        found[("computed from", number, tuple(sorted({numbers[one] for one in given})))] += 1


def _sides(node: Node) -> tuple[Node, Node] | None:
    """Return the two sides of an assignment, None where the node is none."""
    if node.type not in _ASSIGNMENTS:
        return None
    target = next(filter(None, map(node.child_by_field_name, _TARGETS)), None)
    source = next(filter(None, map(node.child_by_field_name, _SOURCES)), None)
    if target is not None and source is None:
        after = node.named_children[node.named_children.index(target) + 1 :]
        source = after[-1] if after and node.type == "variable_declarator" else None
    if target is None and node.type != "for_statement":
        holding = [child for child in node.named_children if _names(child)]
        target = holding[0] if holding else None
        source = node.named_children[-1] if holding and node.named_children[-1] != target else None
    return None if target is None or source is None else (target, source)


def _names(node: Node) -> list[str]:
    """Return the variables in a node, in their order."""
    found: list[str] = []
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one.type in _VARIABLES:
            found.append(_name(one))
        else:
            waiting += reversed(one.children)
    return found


def _name(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
