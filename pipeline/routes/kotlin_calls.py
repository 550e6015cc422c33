"""Calls in Kotlin's syntax tree, and the functions with a Route to which they lead."""

import re
from collections import Counter
from collections.abc import Iterator

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.routes.syntax import Code, Ref, above, child, field, text_of, within

_ROUTE = frozenset({"Route", "Routing", "RootRoute", "RoutingBuilder", "RoutingRoot"})
_BEFORE_BRACKET = re.compile(r"\b(\w+)\(")
_DECLARED_AND_CALLED = 2
_BLOCK = ("annotated_lambda", "lambda_literal")
_CLASSES = ("class_declaration", "object_declaration")


class Call(msgspec.Struct, frozen=True):
    """One call: `receiver.name<type>(arguments) block`."""

    ref: Ref
    name: str
    receiver: str
    arguments: tuple[Node, ...]
    block: Node | None
    type: str = ""

    @property
    def has_path(self) -> bool:
        """Whether the first argument may be a path, and is no function."""
        if not self.arguments:
            return False
        first = self.arguments[0]
        return first.type not in {"callable_reference", "lambda_literal", "anonymous_function"}


def call_of(ref: Ref) -> Call | None:
    """Return the call that a node is; `get<X> { }` is a comparison to the grammar."""
    node = ref.node
    if node.type == "binary_expression":
        return _compared(ref)
    if node.type != "call_expression" or not node.named_children:
        return None
    block = child(node, *_BLOCK)
    callee = node.named_children[0]
    given = child(node, "value_arguments")
    kinds = child(node, "type_arguments")
    if callee.type == "call_expression" and given is None:
        given = child(callee, "value_arguments")
        kinds = child(callee, "type_arguments")
        callee = callee.named_children[0]
    name, receiver = text_of(callee), ""
    if callee.type == "navigation_expression" and len(callee.named_children) > 1:
        receiver = text_of(callee.named_children[0]).partition("@")[0]
        name = text_of(callee.named_children[-1])
    elif callee.type != "identifier":
        return None
    items = given.named_children if given is not None else []
    # A named argument has its name first: `path = "/x"`.
    values = [each.named_children[-1] for each in items if each.named_children]
    lambdas = [each for each in values if each.type == "lambda_literal"]
    if block is None and lambdas:
        block, values = lambdas[-1], [each for each in values if each != lambdas[-1]]
    kind = text_of(kinds).strip("<>") if kinds is not None else ""
    return Call(ref, name, receiver, tuple(values), block, kind)


def _compared(ref: Ref) -> Call | None:
    left, right = field(ref.node, "left"), field(ref.node, "right")
    if left is None or right is None or left.type != "binary_expression":
        return None
    name, kind = field(left, "left"), field(left, "right")
    operators = [text_of(field(each, "operator")) for each in (left, ref.node)]
    if operators not in (["<", ">"], ["", ""]) or name is None or kind is None:
        return None
    if right.type != "lambda_literal" or name.type != "identifier":
        return None
    return Call(ref, text_of(name), "", (), right, text_of(kind))


def calls_below(ref: Ref) -> Iterator[Call]:
    """The calls of a block in their order, without those within calls."""
    waiting = [*reversed(ref.node.children)]
    while waiting:
        node = waiting.pop()
        call = call_of(ref.at(node))
        if call is not None:
            yield call
        elif node.type not in {"function_declaration", "class_declaration"}:
            waiting += reversed(node.children)


class Functions:
    """The functions of a commit's Kotlin files, by name."""

    def __init__(self, files: list[Code]) -> None:
        self._by_name: dict[str, list[Ref]] = {}
        self._imports: dict[str, set[str]] = {}
        self._packages: dict[str, str] = {}
        self._before_brackets = Counter[str]()
        """How often a name stands before a bracket, as where it is declared and called."""
        self.routing: list[Ref] = []
        """Those that are given a Route, as receiver or as parameter."""
        for code in files:
            self._packages[code.path] = _package(code)
            self._before_brackets.update(_BEFORE_BRACKET.findall(text_of(code.root)))
            self._imports[code.path] = {
                text_of(node).removeprefix("import").partition(" as ")[0].strip()
                for node in within(code.root, "import")
            }
            for node in within(code.root, "function_declaration"):
                self._by_name.setdefault(text_of(field(node, "name")), []).append(Ref(code, node))
                if _is_routing(node):
                    self.routing.append(Ref(code, node))
        self._routing = {each.key for each in self.routing}

    def find(self, call: Call, receiver: str) -> list[Ref]:
        """Return the routing function that a call leads to, none where several may be meant."""
        known = [each for each in self._by_name.get(call.name, []) if each.key in self._routing]
        known = [each for each in known if each.node not in above(call.ref.node, each.node.type)]
        if len(known) > 1 and receiver:
            known = [each for each in known if _class_of(each.node) == receiver]
        return self._near(known, call.ref.code, call.name)

    def _near(self, known: list[Ref], code: Code, name: str) -> list[Ref]:
        if len(known) < 2:  # noqa: PLR2004 - one is no choice
            return known
        imported, package = self._imports[code.path], self._packages[code.path]
        tests = (
            lambda each: each.code.path == code.path,
            lambda each: f"{self._packages[each.code.path]}.{name}" in imported,
            lambda each: self._packages[each.code.path] == package,
            lambda each: f"{self._packages[each.code.path]}.*" in imported,
        )
        for test in tests:
            if found := [each for each in known if test(each)]:
                return found if len(found) == 1 else []
        return []

    def named(self, text: str, ref: Ref) -> Ref | None:
        """Return the function of a reference such as `::list` or `users::list`."""
        owner, _, name = text.rpartition("::")
        known = self._by_name.get(name.strip(), []) if "::" in text else []
        if len(known) > 1 and owner:
            kind = self.class_of(ref, owner) or owner
            known = [each for each in known if _class_of(each.node) == kind]
        found = self._near(known, ref.code, name)
        return found[0] if len(found) == 1 else None

    def handed_on(self, block: Ref) -> Ref | None:
        """Return the function to which a handler such as `{ borrow(call) }` leaves everything.

        None where it does more, and where the function is called elsewhere too.
        """
        bodies = within(block.node, "lambda_literal")
        steps = (
            [e for e in bodies[0].named_children if e.type != "lambda_parameters"] if bodies else []
        )
        call = call_of(block.at(steps[0])) if len(steps) == 1 else None
        if call is None or call.block is not None:
            return None
        if "call" not in {call.receiver, *(text_of(each) for each in call.arguments)}:
            return None
        known = [each for each in self._by_name.get(call.name, []) if each.key not in self._routing]
        places = self._before_brackets[call.name]
        return known[0] if len(known) == 1 and places == _DECLARED_AND_CALLED else None

    def is_route(self, ref: Ref, name: str) -> bool:
        """Say whether a name is a Route parameter of the function at hand."""
        for function in above(ref.node, "function_declaration"):
            given = child(function, "function_value_parameters")
            for each in within(given, "parameter") if given is not None else []:
                known, _, kind = text_of(each).partition(":")
                if known.strip() == name and kind.strip() in _ROUTE:
                    return True
        return False

    def class_of(self, ref: Ref, subject: str) -> str:
        """Return the class of `Users(...)`, of an object, or of a variable; nothing if unknown."""
        name = re.match(r"\w+", subject)
        if name is None:
            return ""
        if name[0][:1].isupper():
            return name[0]
        shape = rf"\b{name[0]}\s*(?::\s*([A-Z]\w*)|(?:by|=)\s*(?:inject<([A-Z]\w*)>|([A-Z]\w*)\())"
        found = re.search(shape, text_of(ref.code.root))
        return next(filter(None, found.groups()), "") if found else ""


def _package(code: Code) -> str:
    header = child(code.root, "package_header")
    return text_of(header).removeprefix("package").strip()


def _is_routing(node: Node) -> bool:
    """Say whether a function is given a Route: `fun Route.users()`, `fun users(route: Route)`."""
    before = text_of(node).partition("(")[0].rpartition("fun")[2]
    kinds = [text_of(each) for each in node.children if each.type == "user_type"]
    receiver = before.strip().rpartition(".")[0].rpartition(".")[2]
    if receiver in _ROUTE and kinds:
        return True
    given = child(node, "function_value_parameters")
    parameters = within(given, "parameter") if given is not None else []
    return any(text_of(each).partition(":")[2].strip() in _ROUTE for each in parameters)


def _class_of(node: Node) -> str:
    outer = next(above(node, *_CLASSES), None)
    return text_of(field(outer, "name")) if outer is not None else ""
