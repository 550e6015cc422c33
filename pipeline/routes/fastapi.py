"""FastAPI and Starlette: apps, APIRouter with its prefix, include_router, mount, Route, Mount."""

from secdaemon.pipeline.routes.model import Kind, Part, Pattern, Route
from secdaemon.pipeline.routes.patterns import starlette
from secdaemon.pipeline.routes.python_names import arguments
from secdaemon.pipeline.routes.python_web import VERBS, Key, PythonWeb, body_functions
from secdaemon.pipeline.routes.syntax import MAX_DEPTH, Ref, Sources, text_of

_WORD = r"\bfastapi\b|\bstarlette\b|APIRouter|include_router|add_api_route"
_TAIL: Pattern = (Part(Kind.TAIL),)


def routes(sources: Sources) -> list[Route]:
    """Return the routes of the FastAPI and Starlette applications."""
    web = PythonWeb(sources, "fastapi", _WORD)
    if not web.files:
        return []
    prefixes = _routers(web)
    for each in web.decorated():
        if each.verb not in VERBS | {"api_route", "route"}:
            continue
        path = each.positional[0] if each.positional else each.named.get("path")
        methods = (
            [each.verb] if each.verb in VERBS else web.methods(each.named, each.whole, ("GET",))
        )
        if path is None:
            continue
        pattern = starlette(web.text(each.whole, path))
        for key in web.keys(each.owner):
            web.graph.route(key, prefixes.get(key, ()) + pattern, methods, each.whole.handler())
    _calls(web, prefixes)
    web.bind()
    return web.graph.linked()


def _routers(web: PythonWeb) -> dict[Key, Pattern]:
    """Return each router's own prefix; applications become roots."""
    prefixes: dict[Key, Pattern] = {}
    for ref, _owner, name in web.calls("FastAPI", "Starlette", "APIRouter"):
        _positional, named = arguments(ref.node)
        if name == "APIRouter":
            prefixes[ref.key] = starlette(web.text(ref, named.get("prefix")))
        else:
            web.graph.root(ref.key)
        if "routes" in named:
            _listed(web, ref.key, ref.at(named["routes"]), prefixes.get(ref.key, ()))
    return prefixes


def _calls(web: PythonWeb, prefixes: dict[Key, Pattern]) -> None:
    names = ("include_router", "mount", "add_api_route", "add_route")
    for ref, owner, name in web.calls(*names):
        positional, named = arguments(ref.node)
        positional = positional or [named[word] for word in ("path", "router") if word in named]
        if owner is None or not positional:
            continue
        for key in web.keys(ref.at(owner)):
            own = prefixes.get(key, ())
            if name == "include_router":
                prefix = own + starlette(web.text(ref, named.get("prefix")))
                for child in web.keys(ref.at(positional[0])):
                    web.graph.mount(key, child, prefix)
            elif name == "mount":
                app = positional[1] if len(positional) > 1 else named.get("app")
                prefix = own + starlette(web.text(ref, positional[0]))
                if app is not None:
                    _mounted(web, key, ref.at(app), prefix)
            else:
                end = positional[1] if len(positional) > 1 else named.get("endpoint")
                pattern = own + starlette(web.text(ref, positional[0]))
                _endpoint(web, key, pattern, ref.at(end) if end else None, ref)


def _mounted(web: PythonWeb, key: Key, app: Ref, prefix: Pattern) -> None:
    if "StaticFiles" in text_of(app.node):
        if prefix:
            web.graph.route(key, prefix + _TAIL, ("GET",), None)
        return
    for child in web.keys(app):
        web.graph.mount(key, child, prefix)


def _endpoint(web: PythonWeb, key: Key, pattern: Pattern, end: Ref | None, call: Ref) -> None:
    found = web.functions(end) if end is not None else []
    methods = web.methods(arguments(call.node)[1], call, ("GET",))
    classes = [each for each in found if each.node.type == "class_definition"]
    for cls in classes:
        for name, function in body_functions(cls):
            if name in VERBS:
                web.graph.route(key, pattern, (name,), function.handler())
    if not classes:
        handler = (found[0] if len(found) == 1 else call).handler()
        web.graph.route(key, pattern, methods, handler)


def _listed(web: PythonWeb, key: Key, routes_: Ref, prefix: Pattern, depth: int = 0) -> None:
    """Take a `routes=[Route(...), Mount(...)]` list."""
    for found in web.names.origins(routes_):
        for item in found.node.named_children if found.node.type == "list" else []:
            name = text_of(item.child_by_field_name("function")).rpartition(".")[2]
            positional, named = arguments(item)
            if name not in {"Route", "Mount"} or not positional or depth > MAX_DEPTH:
                continue
            at = found.at(item)
            pattern = prefix + starlette(web.text(at, positional[0]))
            second = positional[1] if len(positional) > 1 else None
            if name == "Route":
                end = second or named.get("endpoint")
                _endpoint(web, key, pattern, at.at(end) if end else None, at)
            elif "routes" in named:
                _listed(web, key, at.at(named["routes"]), pattern, depth + 1)
            elif (app := second or named.get("app")) is not None:
                _mounted(web, key, at.at(app), pattern)
