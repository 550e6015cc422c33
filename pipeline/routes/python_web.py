"""What Flask and FastAPI share: routers that are values, mounted into one another by calls."""

import re
from collections.abc import Callable, Hashable, Iterator

from tree_sitter import Node

from secdaemon.pipeline.routes.graph import Graph
from secdaemon.pipeline.routes.python_names import PythonNames, arguments
from secdaemon.pipeline.routes.syntax import Code, Ref, Sources, above, field, text_of, within

VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "trace"})
Key = tuple[str, int, int]
_DECORATOR = r"@[\w.]+\.(?:route|get|post|put|patch|delete|head|options|api_route)\("
"""In a file that takes its router from another and does not name the framework."""


class Decorated:
    """A decorator that is a call of a method of some value, and what it stands on."""

    def __init__(self, ref: Ref, call: Node) -> None:
        function = field(call, "function")
        assert function is not None
        self.verb = text_of(field(function, "attribute"))
        self.owner = ref.at(field(function, "object") or function)
        self.positional, self.named = arguments(call)
        self.whole = ref
        self.definition = ref.at(field(ref.node, "definition") or ref.node)


class PythonWeb:
    """A walk over the Python files that speak of one framework."""

    def __init__(self, sources: Sources, framework: str, word: str) -> None:
        self.names = PythonNames(sources)
        self.graph = Graph(framework)
        spoken = re.compile(word)
        texts = (text for path, text in sources.texts.items() if path.endswith(".py"))
        known = any(spoken.search(text) for text in texts)
        self.files = sources.of("py", word=f"{word}|{_DECORATOR}") if known else []

    def calls(self, *names: str) -> Iterator[tuple[Ref, Node | None, str]]:
        """Calls of these functions or methods: (call, the value it is a method of, name)."""
        for code in self.files:
            for node in within(code.root, "call"):
                function = field(node, "function")
                if function is None:
                    continue
                name = text_of(field(function, "attribute") or function).rpartition(".")[2]
                if name in names:
                    for _round in self._rounds(Ref(code, node)):
                        yield Ref(code, node), field(function, "object"), name

    def _rounds(self, ref: Ref) -> Iterator[None]:
        """Once for each item of the list that a call is done for, else once."""
        loop = next(above(ref.node, "for_statement"), None)
        items = field(loop, "right") if loop is not None else None
        found = self.names.origins(ref.at(items)) if items is not None else []
        if loop is None or len(found) != 1 or found[0].node.type not in {"list", "tuple", "set"}:
            yield
            return
        for item in found[0].node.named_children:
            self.names.rounds[loop.id] = found[0].at(item)
            self.names.forget()
            yield
        self.names.rounds.pop(loop.id, None)
        self.names.forget()

    def decorated(self) -> Iterator[Decorated]:
        """Decorators such as `@app.get("/x")`, in the order of the text."""
        for code in self.files:
            for node in within(code.root, "decorated_definition"):
                for decorator in node.named_children:
                    call = decorator.named_children[0] if decorator.named_children else None
                    if decorator.type != "decorator" or call is None or call.type != "call":
                        continue
                    function = field(call, "function")
                    if function is not None and function.type == "attribute":
                        yield Decorated(Ref(code, node), call)

    def keys(self, ref: Ref) -> list[Key]:
        """Return what identifies the routers that an expression may be."""
        kinds = {"string", "integer", "none", "true", "false", "function_definition", "module"}
        return list(
            dict.fromkeys(
                each.key for each in self.names.origins(ref) if each.node.type not in kinds
            )
        )

    def bind(self, of: Callable[[Key], Hashable] = lambda key: key) -> None:
        """Hang what functions do to a router parameter on the routers that they are called with."""
        for code in self.files:
            for node in within(code.root, "call"):
                self._bind(code, node, of)

    def _bind(self, code: Code, node: Node, of: Callable[[Key], Hashable]) -> None:
        function = field(node, "function")
        positional, named = arguments(node)
        if function is None or not (positional or named):
            return
        for found in self.names.origins(Ref(code, function)):
            if found.node.type != "function_definition":
                continue
            parameters = field(found.node, "parameters")
            own = (
                [each for each in parameters.named_children if text_of(each) != "self"]
                if (parameters)
                else []
            )
            by_name = {text_of(each).partition(":")[0].strip(): each for each in own}
            pairs = [*zip(positional, own, strict=False)]
            pairs += [(value, by_name[name]) for name, value in named.items() if name in by_name]
            for value, parameter in pairs:
                for key in self.keys(Ref(code, value)):
                    if key != found.at(parameter).key:
                        self.graph.mount(of(key), of(found.at(parameter).key))

    def functions(self, ref: Ref) -> list[Ref]:
        """Return the functions and classes that an expression names, with their decorators."""
        kinds = {"function_definition", "class_definition"}
        return [whole(each) for each in self.names.origins(ref) if each.node.type in kinds]

    def methods(self, named: dict[str, Node], ref: Ref, default: tuple[str, ...]) -> list[str]:
        """Return the `methods=` of a registration."""
        if "methods" not in named:
            return [*default]
        return [text for text in self.names.strings(ref.at(named["methods"])) if text.isalpha()]

    def is_none(self, ref: Ref) -> bool:
        """Say whether an expression is None."""
        return {each.node.type for each in self.names.origins(ref)} == {"none"}

    def text(self, ref: Ref, node: Node | None, default: str = "") -> str:
        """Return an argument's text, the default where there is none."""
        return default if node is None else self.names.string(ref.at(node))


def whole(ref: Ref) -> Ref:
    """Return a definition with its decorators."""
    parent = ref.node.parent
    return ref.at(parent) if parent is not None and parent.type == "decorated_definition" else ref


def body_functions(cls: Ref) -> Iterator[tuple[str, Ref]]:
    """The methods of a class itself: (name, definition with decorators)."""
    inner = cls.node
    if inner.type == "decorated_definition":
        inner = field(inner, "definition") or inner
    for node in within(inner, "function_definition"):
        if next(above(node, "class_definition"), None) == inner:
            yield text_of(field(node, "name")), whole(cls.at(node))
