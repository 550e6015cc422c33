"""Ktor: nested `route`, transparent blocks, extension functions, Resources and Locations."""

import re

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.routes.graph import Graph
from secdaemon.pipeline.routes.jvm_names import JvmNames
from secdaemon.pipeline.routes.kotlin_calls import Call, Functions, call_of, calls_below
from secdaemon.pipeline.routes.model import Kind, Part, Pattern, Route
from secdaemon.pipeline.routes.patterns import HOLE, ktor, whole
from secdaemon.pipeline.routes.syntax import MAX_DEPTH, Ref, Sources, above, child, text_of, within

_WORD = r"\bio\.ktor\b|\bRoute\b|\bRouting\b|@Resource|@Location"
_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})
_STATIC = frozenset(
    {"staticResources", "staticFiles", "staticFileSystem", "staticZip", "static", "resources"}
)
_CLOSED = frozenset({"install", "webSocket", "webSocketRaw", "sse", "intercept", "environment"})
"""Calls in whose blocks no route stands."""

_HTTP = re.compile(r"HttpMethod\.(\w+)|HttpMethod\(\s*\"(\w+)\"|HttpMethod\.parse\(\"(\w+)\"")
_TYPE = re.compile(r"^(\w+)<([\w.]+)>")
_TAIL: Pattern = (Part(Kind.TAIL),)


class _Where(msgspec.Struct, frozen=True):
    """What a block adds to the routes in it."""

    node: object
    prefix: Pattern
    methods: tuple[str, ...] = ()
    receiver: str = ""
    """The class whose functions are called by name alone, in `with(...)`."""
    depth: int = 0

    def under(self, pattern: Pattern, methods: tuple[str, ...] = ()) -> "_Where":
        return msgspec.structs.replace(
            self,
            prefix=self.prefix + pattern,
            methods=methods or self.methods,
            depth=self.depth + 1,
        )


def routes(sources: Sources) -> list[Route]:
    """Return the routes of the Ktor applications."""
    if not any("io.ktor" in t for p, t in sources.texts.items() if p.endswith((".kt", ".kts"))):
        return []
    return _Ktor(sources).routes()


class _Ktor:
    def __init__(self, sources: Sources) -> None:
        self._names = JvmNames(sources, _WORD)
        files = [code for code in self._names.files if code.path.endswith((".kt", ".kts"))]
        self._files = files
        self._functions = Functions(files)
        self._graph = Graph("ktor")

    def routes(self) -> list[Route]:
        self._graph.root("")
        for function in self._functions.routing:
            body = child(function.node, "function_body")
            if body is not None:
                self._block(function.at(body), _Where(node=function.key, prefix=()))
        for code in self._files:
            for node in within(code.root, "call_expression"):
                call = call_of(Ref(code, node))
                if call is not None and call.name == "routing" and call.block is not None:
                    self._block(call.ref.at(call.block), _Where(node="", prefix=()))
        return self._graph.linked()

    def _block(self, ref: Ref, where: _Where) -> None:
        if where.depth > MAX_DEPTH:
            return
        for call in calls_below(ref):
            self._call(call, where)

    def _call(self, call: Call, where: _Where) -> None:
        """Take one call in a routing block."""
        own = call.receiver in {"", "this"} or self._functions.is_route(call.ref, call.receiver)
        if call.type and own and call.name in _VERBS | {"resource", "handle"}:
            self._typed(call, where)
        elif own and call.name in _VERBS:
            path = self._pattern(call) if call.has_path else ()
            self._answer(call, where.under(path, (call.name,)))
        elif own and call.name == "handle":
            self._answer(call, where)
        elif own and call.name in {"route", "createRouteFromPath"}:
            self._below(call, where.under(self._pattern(call), _methods(call)))
        elif own and call.name == "method":
            self._below(call, where.under((), _methods(call)))
        elif own and call.name in _STATIC and call.arguments:
            self._graph.route(
                where.node, where.prefix + self._pattern(call) + _TAIL, ("GET",), None
            )
        elif call.name not in _CLOSED and call.name != "routing":
            self._other(call, where)

    def _other(self, call: Call, where: _Where) -> None:
        """Follow one of the project's own functions, and look into any other block."""
        receiver = self._functions.class_of(call.ref, call.receiver) or where.receiver
        found = self._functions.find(call, receiver)
        for function in found:
            self._graph.mount(where.node, function.key, where.prefix)
        if call.name in {"with", "run", "apply"}:
            subject = call.receiver or (text_of(call.arguments[0]) if call.arguments else "")
            named = self._functions.class_of(call.ref, subject)
            where = msgspec.structs.replace(where, receiver=named or where.receiver)
        self._below(call, where.under(()))

    def _below(self, call: Call, where: _Where) -> None:
        if call.block is not None:
            self._block(call.ref.at(call.block), where)

    def _answer(self, call: Call, where: _Where) -> None:
        """Add a route: its block is the handler, or the function that it names."""
        handler = call.ref
        if call.block is None:
            if not call.arguments:
                return
            named = self._functions.named(text_of(call.arguments[-1]), call.ref)
            handler = named or call.ref
        elif told := self._functions.handed_on(call.ref.at(call.block)):
            handler = told
        self._graph.route(where.node, where.prefix, where.methods, handler.handler())

    def _typed(self, call: Call, where: _Where) -> None:
        """`get<Articles.Id> { }`, and `post<Body>("/path") { body -> }`."""
        methods = (call.name,) if call.name in _VERBS else ()
        if call.has_path and call.arguments:
            self._answer(call, where.under(self._pattern(call), methods))
            return
        resource = self._resource(call.type)
        if resource is None:
            if call.name in _VERBS:
                self._answer(call, where.under((), methods))
            return
        inside = where.under(resource, methods)
        if call.name == "resource":
            self._below(call, inside)
        else:
            self._answer(call, inside)

    def _resource(self, name: str, depth: int = 0) -> Pattern | None:
        """Return the path of an annotated class, its parent's before it."""
        known = [
            (cls, path)
            for cls in self._names.classes.get(name.rpartition(".")[2], [])
            if (path := self._annotated(cls)) is not None and _qualified(cls).endswith(name)
        ]
        if len(known) != 1 or depth > MAX_DEPTH:
            return None
        cls, path = known[0]
        kinds = {text_of(each) for each in within(_constructor(cls.node), "user_type")}
        for outer in above(cls.node, "class_declaration", "object_declaration"):
            parent = text_of(outer.child_by_field_name("name"))
            above_it = self._resource(_qualified(cls.at(outer)), depth + 1)
            if above_it is not None and (parent in kinds or not kinds or _old(cls.node)):
                return above_it + path
        for kind in sorted(kinds):
            above_it = self._resource(kind, depth + 1)
            if above_it is not None:
                return above_it + path
        return path

    def _annotated(self, cls: Ref) -> Pattern | None:
        modifiers = child(cls.node, "modifiers")
        for node in within(modifiers, "annotation") if modifiers is not None else []:
            if re.match(r"@(?:Resource|Location)\b", text_of(node)):
                values = within(node, "value_argument")
                return (
                    ktor(self._names.string(cls.at(values[0].named_children[-1]))) if values else ()
                )
        return None

    def _pattern(self, call: Call) -> Pattern:
        if not call.arguments:
            return ()
        value = call.arguments[0]
        regex = re.match(r"Regex\(", text_of(value)) or text_of(value).endswith(".toRegex()")
        if regex:
            strings = within(value, "string_literal", "multiline_string_literal")
            text = self._names.string(call.ref.at(strings[0])) if strings else HOLE
            return whole(text if text.startswith("/") else f"/{text}")
        return ktor(self._names.string(call.ref.at(value)))


def _constructor(cls: Node) -> Node:
    return child(cls, "primary_constructor") or cls.children[0]


def _old(cls: Node) -> bool:
    """Say whether a class is of Locations, where being inside is enough."""
    return "@Location" in text_of(child(cls, "modifiers"))


def _qualified(cls: Ref) -> str:
    outer = [
        text_of(each.child_by_field_name("name")) for each in above(cls.node, "class_declaration")
    ]
    return ".".join(["", *reversed(outer), text_of(cls.node.child_by_field_name("name"))])


def _methods(call: Call) -> tuple[str, ...]:
    given = " ".join(text_of(each) for each in call.arguments)
    return tuple(next(filter(None, found)) for found in _HTTP.findall(given))
