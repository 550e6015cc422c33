"""A map of challenges in a source file, and everything that is done with it.

A map can be changed only where all its uses are seen: values that go in, values that come out,
values that are taken away.
"""

import re

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.jvm_code import Call, named
from secdaemon.pipeline.fixes.patterns.jvm_edits import is_simple_statement
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.webauthn_code import call_of
from secdaemon.pipeline.routes.syntax import field, text_of

CHALLENGE = re.compile(
    r"(?<![a-z])(challenges?|nonces?|ceremon(y|ies)|(registration|authentication|assertion)-"
    r"(requests?|options|states?)|(pending|in-flight)-(registrations?|assertions?|requests?)"
    r"|(pending|creation|request)-options)(?![a-z])"
)
TIMED = re.compile(
    r"(?i)expir|ttl|created_?at|timestamp|currentTimeMillis|clean_?up|evict|Caffeine|CacheBuilder"
    r"|setTimeout|timeToLive|lru|time\.time|monotonic|\bInstant\b"
)
"""Words of code that knows of time already."""
SECONDS = 300
_LATE = (
    "Each challenge holds for five minutes, so a ceremony that was recorded or left open cannot be "
    "finished later."
)
_ONCE = (
    "Each challenge holds for five minutes and is taken out as it is read, so an assertion that "
    "was recorded cannot be sent again and a ceremony that was left open ends."
)


class Map(msgspec.Struct, frozen=True):
    """A map of challenges and what is done with it."""

    name: str
    declaration: Node
    puts: tuple[tuple[Node, Node], ...]
    """The statements that put a value in, each with the value."""
    takes: tuple[tuple[Node, Node], ...]
    """The expressions that read a value, each with the key."""
    is_emptied: bool
    """Whether a value is taken away anywhere."""

    @property
    def reads_once(self) -> bool:
        """Whether the only read may take the value away: nothing else does, or reads it again."""
        return not self.is_emptied and len(self.takes) == 1

    @property
    def why(self) -> str:
        """What the new code does, and against what."""
        return _ONCE if self.reads_once else _LATE


def uses_of(code: Code, declaration: Node, name: str) -> Map | None:
    """Return what is done with a map; None where anything else is done than putting and taking."""
    puts, takes, is_emptied = [], [], False
    for node in named(code.root).get(name, ()):
        if _within(declaration, node):
            continue
        target = _member_of_this(node)
        if _is_dropped(target):
            is_emptied = True
        elif (put := _put(target)) is not None:
            puts.append(put)
        elif (taken := _take(target)) is not None:
            takes.append(taken)
            is_emptied = is_emptied or removes(taken[0])
        else:
            return None
    return Map(name, declaration, tuple(puts), tuple(takes), is_emptied)


def removes(node: Node) -> bool:
    """Return whether a read takes the value away."""
    call = call_of(node)
    return call is not None and call.name in {"remove", "pop"}


def _within(outer: Node, node: Node) -> bool:
    return outer.start_byte <= node.start_byte < outer.end_byte


def _member_of_this(node: Node) -> Node:
    """Return `this.name` for the name in it."""
    parent = node.parent
    is_own = parent is not None and re.fullmatch(rf"this\.{text_of(node)}", text_of(parent))
    return parent if parent is not None and is_own else node


def _indexed(target: Node) -> tuple[Node, Node] | None:
    """Return `map[key]` and its key."""
    parent = target.parent
    if parent is None or parent.type not in {
        *("index_expression", "subscript_expression", "subscript"),
    }:
        return None
    inside = parent.named_children
    return (parent, inside[1]) if len(inside) == 2 and inside[0] == target else None  # noqa: PLR2004


def _called(target: Node) -> Call | None:
    """Return the method that is called on a map."""
    node = target.parent
    for _ in range(2):
        call = call_of(node)
        if call is not None:
            return call if call.receiver == target else None
        node = node.parent if node is not None else None
    return None


def _put(target: Node) -> tuple[Node, Node] | None:
    """Return the statement that puts a value in at a use of the map, and the value."""
    indexed = _indexed(target)
    if indexed is not None:
        statement = indexed[0].parent
        if statement is None or statement.type not in {"assignment", "assignment_expression"}:
            return None
        right = field(statement, "right")
        is_left = field(statement, "left") == indexed[0]
        if not is_left or right is None or text_of(field(statement, "operator")) not in {"", "="}:
            return None
        return _statement(statement, right)
    call = _called(target)
    if call is None or call.name not in {"put", "set"} or len(call.arguments) != 2:  # noqa: PLR2004
        return None
    return _statement(call.node, call.arguments[1].value)


def _statement(node: Node, value: Node) -> tuple[Node, Node] | None:
    parent = node.parent
    if parent is not None and parent.type == "expression_statement":
        return parent, value
    is_one = is_simple_statement(node) or (parent is not None and parent.type == "block")
    return (node, value) if is_one else None


def _take(target: Node) -> tuple[Node, Node] | None:
    """Return the expression that reads a value at a use of the map, and the key."""
    indexed = _indexed(target)
    if indexed is not None:
        parent = indexed[0].parent
        is_left = parent is not None and field(parent, "left") == indexed[0]
        is_written = is_left and parent is not None and parent.type.startswith("assignment")
        return None if is_written else indexed
    call = _called(target)
    if call is None or call.name not in {"get", "remove", "pop"} or not call.arguments:
        return None
    parent = call.node.parent
    if parent is None or parent.type == "expression_statement" or is_simple_statement(call.node):
        return None
    is_one = len(call.arguments) == 1 or (
        call.name in {"pop", "get"} and text_of(call.arguments[-1].value) == "None"
    )
    return (call.node, call.arguments[0].value) if is_one else None


def _is_dropped(target: Node) -> bool:
    """Whether a value, or all of them, is only taken away."""
    indexed = _indexed(target)
    if indexed is not None:
        holder = indexed[0].parent
        return holder is not None and text_of(holder).startswith(("delete ", "del "))
    call = _called(target)
    if call is None or call.name not in {"remove", "delete", "clear", "pop"}:
        return False
    parent = call.node.parent
    is_awaited = parent is not None and parent.type == "expression_statement"
    return is_awaited or is_simple_statement(call.node)
