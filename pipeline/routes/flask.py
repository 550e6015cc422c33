"""Flask: decorators, blueprints within blueprints, add_url_rule, MethodView, Flask-RESTful."""

from tree_sitter import Node

from secdaemon.pipeline.routes.model import Kind, Part, Pattern, Route
from secdaemon.pipeline.routes.patterns import flask, literal
from secdaemon.pipeline.routes.python_names import arguments
from secdaemon.pipeline.routes.python_web import VERBS, Key, PythonWeb, body_functions
from secdaemon.pipeline.routes.syntax import Ref, Sources, field, text_of

_WORD = r"\bflask|Blueprint|add_url_rule|register_blueprint|add_resource"
_CLASSES = ("Flask", "Quart", "APIFlask", "OpenAPI")
_PARTS = ("Blueprint", "APIBlueprint", "Api", "Namespace")


def routes(sources: Sources) -> list[Route]:
    """Return the routes of the Flask applications."""
    web = PythonWeb(sources, "flask", _WORD)
    if not web.files:
        return []
    prefixes = _routers(web)
    for each in web.decorated():
        path = each.positional[0] if each.positional else each.named.get("rule")
        if each.verb not in VERBS | {"route"} or path is None:
            continue
        pattern = flask(web.text(each.whole, path))
        for key in web.keys(each.owner):
            if each.definition.node.type == "class_definition":
                _views(web, key, pattern, each.whole, ())
                continue
            methods = ["GET"] if each.verb == "route" else [each.verb]
            methods = web.methods(each.named, each.whole, tuple(methods))
            web.graph.route((key, "inside"), pattern, methods, each.whole.handler())
    _calls(web, prefixes)
    web.bind(lambda key: (key, "inside"))
    return web.graph.linked()


def _routers(web: PythonWeb) -> dict[Key, Pattern]:
    """Return the prefix that each blueprint was made with; applications become roots.

    What a router holds hangs on (key, "inside"), since whoever registers a blueprint may replace
    the prefix that it was made with.
    """
    prefixes: dict[Key, Pattern] = {}
    for ref, _owner, name in web.calls(*_CLASSES, *_PARTS):
        positional, named = arguments(ref.node)
        if name in _CLASSES:
            web.graph.root(ref.key)
            web.graph.mount(ref.key, (ref.key, "inside"))
            static = literal(web.text(ref, named.get("static_url_path"), "/static"))
            web.graph.route(ref.key, (*static, Part(Kind.TAIL)), ("GET",), None)
            continue
        word = {"Api": "prefix", "Namespace": "path"}.get(name, "url_prefix")
        if name == "Namespace" and word not in named and positional:
            prefixes[ref.key] = flask(web.text(ref, positional[0]))
        else:
            prefixes[ref.key] = flask(web.text(ref, named.get(word)))
        if name == "Api" and positional:
            for parent in web.keys(ref.at(positional[0])):
                web.graph.mount((parent, "inside"), (ref.key, "inside"), prefixes[ref.key])
    return prefixes


def _calls(web: PythonWeb, prefixes: dict[Key, Pattern]) -> None:
    names = ("register_blueprint", "add_url_rule", "add_resource", "add_namespace", "init_app")
    for ref, owner, name in web.calls(*names):
        for key in web.keys(ref.at(owner)) if owner is not None else []:
            if name in {"register_blueprint", "add_namespace"}:
                _register(web, key, ref, prefixes)
            elif name == "add_url_rule":
                _rule(web, key, ref)
            elif name == "add_resource":
                _resource(web, key, ref)
            elif key in prefixes:
                for parent in web.keys(ref.at(each)) if (each := _first(ref)) else []:
                    web.graph.mount((parent, "inside"), (key, "inside"), prefixes[key])


def _first(call: Ref) -> Node | None:
    positional = arguments(call.node)[0]
    return positional[0] if positional else None


def _resource(web: PythonWeb, key: Key, ref: Ref) -> None:
    """`api.add_resource(Users, "/users", "/people")`."""
    positional = arguments(ref.node)[0]
    for path in positional[1:]:
        for cls in web.functions(ref.at(positional[0])):
            _views(web, key, flask(web.text(ref, path)), cls, ())


def _register(web: PythonWeb, key: Key, ref: Ref, prefixes: dict[Key, Pattern]) -> None:
    positional, named = arguments(ref.node)
    given = named.get("url_prefix") or named.get("path")
    if given is None and len(positional) > 1:
        given = positional[1]
    given = given if given is not None and not web.is_none(ref.at(given)) else None
    for child in web.keys(ref.at(positional[0])) if positional else []:
        prefix = prefixes.get(child, ()) if given is None else flask(web.text(ref, given))
        web.graph.mount((key, "inside"), (child, "inside"), prefix)


def _rule(web: PythonWeb, key: Key, ref: Ref) -> None:
    positional, named = arguments(ref.node)
    path = positional[0] if positional else named.get("rule")
    view = named.get("view_func") or (positional[2] if len(positional) > 2 else None)  # noqa: PLR2004 - rule, endpoint, view
    if path is None:
        return
    pattern = flask(web.text(ref, path))
    methods = tuple(web.methods(named, ref, ()))
    for cls in _view_classes(web, ref.at(view)) if view is not None else []:
        _views(web, key, pattern, cls, methods)
        return
    found = web.functions(ref.at(view)) if view is not None else []
    handler = (found[0] if len(found) == 1 else ref).handler()
    web.graph.route((key, "inside"), pattern, methods or ("GET",), handler)


def _view_classes(web: PythonWeb, view: Ref) -> list[Ref]:
    """Return the class of `Users.as_view("users")`, behind a name too."""
    found = []
    for origin in web.names.origins(view):
        function: Node | None = field(origin.node, "function")
        if function is not None and text_of(field(function, "attribute")) == "as_view":
            owner = field(function, "object")
            found += web.functions(origin.at(owner)) if owner is not None else []
    return found


def _views(web: PythonWeb, key: Key, pattern: Pattern, cls: Ref, only: tuple[str, ...]) -> None:
    """Add a class whose methods are called as the HTTP methods that they answer."""
    for name, function in body_functions(cls):
        verbs = (
            [name] if name in VERBS else [*(only or ("GET",))] if name == "dispatch_request" else []
        )
        if verbs and (not only or name.upper() in only or name == "dispatch_request"):
            web.graph.route((key, "inside"), pattern, verbs, function.handler())
