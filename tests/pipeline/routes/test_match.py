"""URL to route: specificity, methods, base paths, and no guess where several may answer."""

from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.routes.discover import routes_of
from secdaemon.pipeline.routes.match import Matcher, rank_of, segments_of
from secdaemon.pipeline.routes.model import Handler, Kind, Part, Pattern, Route, Routes
from secdaemon.pipeline.routes.patterns import (
    HOLE,
    express,
    expression,
    flask,
    ktor,
    literal,
    spring,
    starlette,
)

FLASK = """
from flask import Flask
app = Flask(__name__)

@app.route("/users/<name>")
def user(name):
    return name

@app.route("/users/<name>/keys", methods=["POST"])
def keys(name):
    return name
"""


def route(pattern: Pattern, line: int, *methods: str, framework: str = "ktor") -> Route:
    """Return a route whose handler is one line."""
    return Route(
        framework=framework,
        methods=frozenset(methods),
        pattern=pattern,
        handler=Handler("a.kt", line, line),
        order=line,
    )


def line_of(matcher: Matcher, method: str | None, url: str) -> int | None:
    """Return the line of the handler that is found."""
    found = matcher.find(method, url)
    return found.route.handler.first if found and found.route.handler else None


def test_the_most_specific_route_first() -> None:
    """Literal before parameter before tail, whatever their order."""
    patterns = ("/a/{rest...}", "/a/{id}", "/a/b", "/a/{id?}")
    matcher = Matcher(Routes(tuple(route(ktor(p), n, "GET") for n, p in enumerate(patterns, 1))))
    assert line_of(matcher, "GET", "http://h/a/b") == 3
    assert line_of(matcher, "GET", "http://h/a/c") == 2
    assert line_of(matcher, "GET", "http://h/a/c/d") == 1
    assert line_of(matcher, "GET", "http://h/a") == 4


def test_several_candidates_give_no_guess() -> None:
    """Two services of a repository with the same path: nothing."""
    two = Routes((route(ktor("/a"), 1, "GET"), route(ktor("/a"), 2, "GET")))
    assert Matcher(two).find("GET", "http://h/a") is None


def test_methods_tell_routes_apart() -> None:
    """A method of its own is better than any method; another method is no route."""
    routes = Routes((route(spring("/a"), 1), route(spring("/a"), 2, "POST")))
    matcher = Matcher(routes)
    assert line_of(matcher, "POST", "http://h/a") == 2
    assert line_of(matcher, "put", "http://h/a") == 1
    only = Matcher(Routes((route(spring("/a"), 2, "POST"),)))
    assert only.find("GET", "http://h/a") is None


def test_a_base_path_shows_in_the_urls() -> None:
    """A proxy's prefix is believed where two routes are met beneath it and none without it."""
    routes = routes_of({"app.py": FLASK})
    urls = ["http://h/proxy/users/ann", "http://h/proxy/users/ann/keys", "http://h/robots.txt"]
    found = Matcher(routes, urls).find("GET", urls[0])
    assert found is not None
    assert found.how == "base path"
    assert found.words == "flask GET /users/{}"
    assert Matcher(routes, urls[:1]).find("GET", urls[0]) is None
    assert Matcher(routes, [*urls, "http://h/users/ann"]).find("GET", urls[0]) is None


def test_an_unknown_prefix_is_told_by_the_end() -> None:
    """A router that nobody is seen to mount is found by its literal end, and said to be so."""
    text = "from fastapi import APIRouter\nr = APIRouter()\n@r.get('/jobs/{id}')\ndef f(id): ...\n"
    matcher = Matcher(routes_of({"a.py": text}))
    found = matcher.find("GET", "http://h/x/y/jobs/4")
    assert found is not None
    assert found.how == "unknown prefix"
    assert matcher.find("GET", "http://h/x/y/4") is None


def test_syntaxes() -> None:
    """Each framework's forms are read into the same parts."""
    kinds = {
        express("/a/:id/:rest*"): (Kind.LITERAL, Kind.PARAMETER, Kind.TAIL),
        express("/a/{*rest}"): (Kind.LITERAL, Kind.TAIL),
        express("/a/:from-:to"): (Kind.LITERAL, Kind.MIXED),
        ktor("/a/{id?}"): (Kind.LITERAL, Kind.OPTIONAL),
        ktor("{...}"): (Kind.TAIL,),
        flask("/<path:rest>"): (Kind.TAIL,),
        flask("/<int(min=1):id>"): (Kind.MIXED,),
        starlette("/{id}/{rest:path}"): (Kind.PARAMETER, Kind.TAIL),
        spring("/**/x"): (Kind.TAIL, Kind.LITERAL),
        spring("/{id:[0-9]{2}}"): (Kind.MIXED,),
        literal(f"/{HOLE}/x"): (Kind.UNKNOWN, Kind.LITERAL),
    }
    for pattern, expected in kinds.items():
        assert tuple(part.kind for part in pattern) == expected


def test_slow_expressions_are_refused() -> None:
    """What may run for ever on a long path is not run at all."""
    assert expression("(a+)+") is None
    assert expression("(?:a*)*b") is None
    assert expression(".*.*.*.*x") is None
    assert expression("(") is None
    assert expression(r"v\d+") is not None


@given(st.lists(st.text(min_size=1, max_size=20), max_size=6))
def test_a_literal_matches_itself(names: list[str]) -> None:
    """A path of literals is matched by itself, with and without a last slash."""
    segments = tuple(name.replace("/", "_") for name in names)
    pattern = tuple(Part(Kind.LITERAL, name) for name in segments)
    assert rank_of(pattern, segments) == (Kind.LITERAL,) * len(segments)


@given(st.text(max_size=300), st.text(max_size=60))
def test_anything_may_be_asked(url: str, path: str) -> None:
    """No URL and no pattern raises; tails match every path."""
    segments = segments_of(url)
    for read in (express, ktor, flask, starlette, spring, literal):
        pattern = read(path)
        if segments is not None:
            rank_of(pattern, segments)
    if segments is not None:
        assert rank_of((Part(Kind.TAIL),), segments) is not None
