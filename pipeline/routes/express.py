"""Express: app, Router, mounted prefixes, route chains, path lists, regular expressions."""

from collections.abc import Iterator

from tree_sitter import Node

from secdaemon.pipeline.routes.graph import Graph
from secdaemon.pipeline.routes.model import Handler, Kind, Part, Pattern, Route
from secdaemon.pipeline.routes.patterns import express, whole
from secdaemon.pipeline.routes.script_modules import arguments
from secdaemon.pipeline.routes.script_names import (
    ENDINGS,
    FUNCTIONS,
    ScriptNames,
    pairs_of,
    parameters,
)
from secdaemon.pipeline.routes.syntax import Ref, Sources, above, field, text_of, within

_WORD = r"\bexpress\b|\bRouter\b|\b(?:app|router|server|api)\b"
_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "all"})
_CHAINED = _VERBS | {"use", "route", "param", "set", "enable", "disable", "engine"}
_NEXT = 3
"""Parameters of a handler that can pass a request on: request, response, next."""
_HOLDING = {"array", "call_expression"}
_TAIL: Pattern = (Part(Kind.TAIL),)
_PARAMETERS = {"formal_parameters", "arrow_function", "required_parameter"}


def routes(sources: Sources) -> list[Route]:
    """Return the routes of the Express applications."""
    if not any("express" in text for p, text in sources.texts.items() if p.endswith(ENDINGS)):
        return []
    return _Express(sources).routes()


class _Express:
    def __init__(self, sources: Sources) -> None:
        self._names = ScriptNames(sources)
        self._graph = Graph("express")
        self._files = sources.of(*ENDINGS, word=_WORD)

    def routes(self) -> list[Route]:
        for code in self._files:
            calls = within(code.root, "call_expression")
            # The text's order, and within a chain the order of its calls.
            calls.sort(key=lambda node: (node.start_byte, node.end_byte))
            for node in calls:
                if text_of(field(node, "function")) == "express":
                    self._graph.root(Ref(code, node).key)
                for _round in self._rounds(Ref(code, node)):
                    self._call(Ref(code, node))
        return self._graph.linked()

    def _rounds(self, ref: Ref) -> Iterator[None]:
        """Run a call once for each item of a list that it is done for, else once."""
        for function in above(ref.node, "arrow_function", "function_expression"):
            call = function.parent.parent if function.parent is not None else None
            callee = field(call, "function") if call is not None else None
            names = parameters(function)
            if callee is None or text_of(field(callee, "property")) != "forEach" or not names:
                continue
            items = field(callee, "object")
            yield from self._each(ref.at(names[0][1]), ref.at(items) if items else None)
            return
        for loop in above(ref.node, "for_in_statement"):
            left, items = field(loop, "left"), field(loop, "right")
            if left is not None and items is not None:
                yield from self._each(ref.at(left), ref.at(items))
                return
        yield

    def _each(self, variable: Ref, items: Ref | None) -> Iterator[None]:
        found = self._names.origins(items) if items is not None else []
        lists = [each for each in found if each.node.type == "array"]
        if len(lists) != 1:
            yield
            return
        for item in lists[0].node.named_children:
            pairs = _taken_apart(variable, lists[0].at(item))
            self._names.assumed.update(pairs)
            self._names.forget()
            yield
            for key in pairs:
                self._names.assumed.pop(key)
        self._names.forget()

    def _call(self, ref: Ref) -> None:
        function, given = field(ref.node, "function"), arguments(ref.node)
        if function is None or not given:
            return
        verb, owner = text_of(field(function, "property")), field(function, "object")
        if owner is not None and verb == "use":
            self._use(ref, owner, given)
        elif owner is not None and verb in _VERBS:
            paths, router = self._chain(ref, owner)
            if paths is None and len(given) > 1:
                paths, given = self._paths(ref.at(given[0])), given[1:]
            for key in self._routers(ref.at(router)) if paths else []:
                for path in paths or []:
                    self._route(key, path, verb, ref, given[-1])
        if owner is None or verb not in {"use", *_VERBS}:
            self._bind(ref, function, given)

    def _chain(self, ref: Ref, owner: Node) -> tuple[list[Pattern] | None, Node]:
        """Return what a chain of calls begins with: its `route(path)`, and the router."""
        paths = None
        while owner.type == "call_expression" and (function := field(owner, "function")):
            name, inner = text_of(field(function, "property")), field(function, "object")
            if inner is None or name not in _CHAINED:
                break
            if name == "route":
                paths = self._paths(ref.at(arguments(owner)[0])) if arguments(owner) else None
            owner = inner
        return paths, owner

    def _routers(self, ref: Ref) -> list[tuple[str, int, int]]:
        """Return what identifies the apps and routers that an expression may be."""
        found = [self._begun(each) for each in self._names.origins(ref)]
        return list(dict.fromkeys(each.key for each in found if _is_router(each.node)))

    def _begun(self, ref: Ref) -> Ref:
        """Return what a chain such as `Router().get(...)` begins with; itself where it is none."""
        if ref.node.type != "call_expression" or _is_router(ref.node):
            return ref
        function = field(ref.node, "function")
        owner = field(function, "object") if function is not None else None
        if owner is None or text_of(field(ref.node, "function", "property")) not in _CHAINED:
            return ref
        start = ref.at(self._chain(ref, ref.node)[1])
        return start if _is_router(start.node) else ref

    def _paths(self, ref: Ref) -> list[Pattern]:
        """Return the patterns of a path, a list of them, or a regular expression."""
        made: list[Pattern] = []
        for found in self._names.origins(ref):
            if found.node.type == "array":
                for item in found.node.named_children:
                    made += self._paths(found.at(item))
            elif found.node.type == "regex":
                regex = text_of(field(found.node, "pattern")).replace("\\/", "/")
                loose = regex if regex.endswith("$") else f"{regex}.*"
                loose = loose if loose.startswith("^") else f".*{loose}"
                made.append(whole(loose.removeprefix("^").removesuffix("$")))
            elif found.node.type not in FUNCTIONS:
                text = self._names.string(found)
                if text.startswith(("/", "*", "\x00")) or not text:
                    made.append(express(text))
        return made or ([express("\x00")] if ref.node.type == "identifier" else [])

    def _use(self, ref: Ref, owner: Node, given: list[Node]) -> None:
        owner = self._chain(ref, owner)[1]
        prefixes: list[Pattern] = [()]
        first = self._names.origins(ref.at(given[0]))
        kinds = {"string", "template_string", "binary_expression", "regex"}
        listed = len(given) > 1 and first and first[0].node.type == "array"
        listed = listed and bool(self._paths(ref.at(given[0])))
        if (first and first[0].node.type in kinds) or listed or (not first and len(given) > 1):
            prefixes, given = self._paths(ref.at(given[0])), given[1:]
        items = [
            e for node in given for e in (node.named_children if node.type == "array" else [node])
        ]
        for parent in self._routers(ref.at(owner)):
            for prefix in prefixes:
                for item in items:
                    for child in self._routers(ref.at(item)):
                        self._graph.mount(parent, child, prefix)
                    if prefix and "static(" in text_of(item):
                        self._graph.route(parent, prefix + _TAIL, ("GET",), None)

    def _route(
        self, key: tuple[str, int, int], path: Pattern, verb: str, ref: Ref, last: Node
    ) -> None:
        methods = () if verb == "all" else (verb,)
        handler, passes_on = self._handler(ref, ref.at(last))
        if passes_on and verb == "all" and "route(" in text_of(field(ref.node, "function")):
            # `route(path).all(check).get(answer)`: a check before the answers of the chain.
            return
        self._graph.route(key, path, methods, handler, passes_on=passes_on)

    def _handler(self, call: Ref, last: Ref, depth: int = 0) -> tuple[Handler, bool]:
        """Return the lines that answer: a named function's own, else those of the registration."""
        node, inner = last.node, arguments(last.node)
        if node.type in FUNCTIONS:
            if told := self._forwarded(last):
                return told.handler(), len(parameters(node)) >= _NEXT
            simple = text_of(field(call.node, "function", "object")).isidentifier()
            at = call if simple or node.start_point.row == call.node.start_point.row else last
            return at.handler(), len(parameters(node)) >= _NEXT
        wraps = node.type == "call_expression" and inner and not _binds_this(node)
        if node.type == "array" and node.named_child_count:
            inner, wraps = node.named_children, True
        if wraps and depth < _NEXT and self._is_function(last.at(inner[-1])):
            return self._handler(call, last.at(inner[-1]), depth + 1)
        found = [each for each in self._names.origins(last) if each.node != node]
        if len(found) == 1 and found[0].node.type in FUNCTIONS:
            return found[0].handler(), len(parameters(found[0].node)) >= _NEXT
        if len(found) == 1 and found[0].node.type in _HOLDING and depth < _NEXT:
            return self._handler(found[0], found[0], depth + 1)
        return call.handler(), True

    def _forwarded(self, ref: Ref) -> Ref | None:
        """Return the function to which `(req, res) => users.list(req, res)` hands everything."""
        body = field(ref.node, "body")
        if body is None or body.type != "call_expression" or len(arguments(body)) < _NEXT - 1:
            return None
        names = [name.partition(":")[0] for name, _ in parameters(ref.node)]
        if [text_of(each) for each in arguments(body)] != names[: len(arguments(body))]:
            return None
        function = field(body, "function")
        found = self._names.origins(ref.at(function)) if function is not None else []
        return found[0] if len(found) == 1 and found[0].node.type in FUNCTIONS else None

    def _is_function(self, ref: Ref) -> bool:
        kinds = {*FUNCTIONS, "call_expression"}
        return ref.node.type in FUNCTIONS or any(
            each.node.type in kinds for each in self._names.origins(ref)
        )

    def _bind(self, ref: Ref, function: Node, given: list[Node]) -> None:
        """Hang what a function does to a router parameter on what it is called with."""
        values = [(place, self._routers(ref.at(node))) for place, node in enumerate(given)]
        if not any(keys for _place, keys in values):
            return
        for found in self._names.origins(ref.at(function)):
            names = parameters(found.node) if found.node.type in FUNCTIONS else []
            for place, keys in values:
                for key in keys if place < len(names) else []:
                    if key != found.at(names[place][1]).key:
                        self._graph.mount(key, found.at(names[place][1]).key)


def _is_router(node: Node) -> bool:
    if node.type in {"call_expression", "new_expression"}:
        made = text_of(field(node, "function") or field(node, "constructor"))
        return made == "express" or made.rpartition(".")[2] in {"Router", "PromiseRouter"}
    return node.parent is not None and (
        node.type in {"required_parameter", "optional_parameter"}
        or (node.type == "identifier" and node.parent.type in _PARAMETERS)
    )


def _binds_this(node: Node) -> bool:
    return text_of(field(node, "function", "property")) == "bind"


def _taken_apart(variable: Ref, item: Ref) -> dict[tuple[str, int, int], Ref]:
    """Return what each name of a loop's variable is: `x`, `[path, router]`, `{ path, router }`."""
    node = field(variable.node, "pattern") or variable.node
    pairs = {variable.key: item}
    if node.type == "array_pattern" and item.node.type == "array":
        for name, value in zip(node.named_children, item.node.named_children, strict=False):
            pairs[variable.at(name).key] = item.at(value)
    if node.type == "object_pattern" and item.node.type == "object":
        values = dict(pairs_of(item.node))
        for name in node.named_children:
            key = text_of(field(name, "key") or name)
            if key in values:
                pairs[variable.at(field(name, "value") or name).key] = item.at(values[key])
    return pairs
