"""A request's handler: method-aware, the most specific route first, no guess among several."""

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

import msgspec

from secdaemon.pipeline.routes.model import MAX_SEGMENT, Kind, Part, Pattern, Route, Routes, show
from secdaemon.pipeline.routes.patterns import expression, literal

_MAX_SEGMENTS = 40
_END = (-1,)
"""Ranks a pattern that ends before one that has an optional part left."""
_HEAD_IS_GET = frozenset({"express", "flask", "spring"})
_FIRST_WINS = frozenset({"express", "fastapi"})
_CASELESS = frozenset({"express"})
_ENOUGH = 2
"""Routes that must be met beneath a base path before it is believed."""


class Found(msgspec.Struct, frozen=True, gc=False):
    """The route of a request, and how it was found: `exact`, `base path` or `unknown prefix`."""

    route: Route
    how: str

    @property
    def words(self) -> str:
        """The route as metadata name it: framework, methods, pattern."""
        methods = ",".join(sorted(self.route.methods)) or "ANY"
        return f"{self.route.framework} {methods} {show(self.route.pattern)}"


class _Candidate(msgspec.Struct, frozen=True, gc=False):
    route: Route
    rank: tuple[int, ...]

    @property
    def certain(self) -> bool:
        return Kind.UNKNOWN not in self.rank


class Matcher:
    """The routes of a commit against the requests of a scan."""

    def __init__(self, routes: Routes, urls: Iterable[str] = ()) -> None:
        """Take all URLs of the scan: a base path that the code does not name shows in them."""
        self._routes = routes.routes
        self._bases = [tuple(p.text for p in literal(base)) for base in routes.bases]
        self._bases = [base for base in self._bases if base]
        asked = {segments for url in urls if (segments := segments_of(url)) is not None}
        self._inferred = self._infer(asked)

    def find(self, method: str | None, url: str) -> Found | None:
        """Return the one route that answers, None where none or several may."""
        segments = segments_of(url)
        if segments is None:
            return None
        verb = (method or "GET").upper()
        for base in (*self._bases, ()):
            if segments[: len(base)] != base:
                continue
            candidates = self._candidates(verb, segments[len(base) :])
            certain = [each for each in candidates if each.certain]
            if certain:
                found = self._choose(certain, candidates)
                return Found(found, "base path" if base else "exact") if found else None
        base = self._inferred
        if base and segments[: len(base)] == base:
            candidates = self._candidates(verb, segments[len(base) :])
            certain = [each for each in candidates if each.certain]
            found = self._choose(certain, candidates) if certain else None
            return Found(found, "base path") if found else None
        return self._by_end(self._candidates(verb, segments))

    def _candidates(self, verb: str, segments: tuple[str, ...]) -> list[_Candidate]:
        return [
            _Candidate(route, (*rank, *_END))
            for route in self._routes
            if _answers(route, verb)
            and not _is_middleware(route)
            and (rank := rank_of(route.pattern, segments, caseless=route.framework in _CASELESS))
            is not None
        ]

    def _choose(self, certain: list[_Candidate], every: list[_Candidate]) -> Route | None:
        best = min(certain, key=lambda each: (each.rank, not each.route.methods))
        level = (best.rank, not best.route.methods)
        equal = [each for each in certain if (each.rank, not each.route.methods) == level]
        rivals = [
            each
            for each in every
            if not each.certain
            and each.rank.count(Kind.LITERAL) >= max(1, best.rank.count(Kind.LITERAL))
        ]
        handlers = {each.route.handler for each in [*equal, *rivals]}
        if len(handlers) > 1 and best.route.framework not in _FIRST_WINS:
            return None
        chosen = best.route
        if chosen.framework in _FIRST_WINS:
            if rivals and len(handlers) > 1:
                return None
            first = _first(certain, best)
            if first is None:
                return None
            chosen = first
        return chosen if chosen.handler else None

    def _by_end(self, candidates: list[_Candidate]) -> Found | None:
        """Return the route whose prefix nobody knows, where its end alone tells it."""
        told = [each for each in candidates if Kind.LITERAL in each.rank]
        if not told:
            return None
        most = max(each.rank.count(Kind.LITERAL) for each in told)
        best = [each for each in told if each.rank.count(Kind.LITERAL) == most]
        fewest = min(len(each.rank) for each in best)
        best = [each for each in best if len(each.rank) == fewest]
        first = min(each.rank for each in best)
        best = [each for each in best if each.rank == first]
        if len({each.route.handler for each in best}) != 1 or best[0].route.handler is None:
            return None
        return Found(best[0].route, "unknown prefix")

    def _infer(self, asked: set[tuple[str, ...]]) -> tuple[str, ...]:
        """Return a first segment beneath which alone the code's routes are met, or nothing."""
        met: dict[str, set[Route]] = {}
        for segments in asked:
            if self._bases or not segments:
                continue
            if self._literal(segments):
                return ()
            for route in self._literal(segments[1:]):
                met.setdefault(segments[0], set()).add(route)
        enough = [name for name, routes in met.items() if len(routes) >= _ENOUGH]
        return (enough[0],) if len(enough) == 1 else ()

    def _literal(self, segments: tuple[str, ...]) -> list[Route]:
        """Return the routes that match with a literal segment, whatever the method."""
        return [
            route
            for route in self._routes
            if (rank := rank_of(route.pattern, segments, caseless=route.framework in _CASELESS))
            and Kind.LITERAL in rank
            and Kind.UNKNOWN not in rank
        ]


def _first(certain: list[_Candidate], best: _Candidate) -> Route | None:
    """Return what a framework takes that asks its routes in order; None where it may pass on."""
    same = [
        each
        for each in certain
        if each.route.framework == best.route.framework and each.route.handler
    ]
    if len({each.route.framework for each in certain}) > 1 or not same:
        return None if len({each.route.framework for each in certain}) > 1 else best.route
    ordered = sorted(same, key=lambda each: each.route.order)
    for each in ordered:
        if each.rank == best.rank:
            return best.route if each is best or not each.route.passes_on else None
        wide = {Kind.TAIL, Kind.WHOLE} & set(each.rank)
        if wide and each.route.passes_on:
            continue
        return None if each.route.passes_on else each.route
    return best.route


def _is_middleware(route: Route) -> bool:
    """Say whether a route takes everything in order to pass it on, as `app.all("*", check)`."""
    return (
        route.passes_on
        and all(part.kind is Kind.TAIL for part in route.pattern[-1:])
        and not any(part.kind is Kind.LITERAL for part in route.pattern)
    )


def _answers(route: Route, verb: str) -> bool:
    if not route.methods:
        return verb != "OPTIONS" or route.handler is not None
    return verb in route.methods or (
        verb == "HEAD" and "GET" in route.methods and route.framework in _HEAD_IS_GET
    )


def segments_of(url: str) -> tuple[str, ...] | None:
    """Return the path segments of a URL, decoded, without path parameters such as jsessionid.

    Empty ones are dropped, so that trailing and doubled slashes change nothing. None for what is
    no URL, and where a segment leaves its folder or is too long.
    """
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    segments = [unquote(part.partition(";")[0]) for part in path.split("/")]
    kept = tuple(part for part in segments if part)
    if len(kept) > _MAX_SEGMENTS or any(len(part) > MAX_SEGMENT or part == ".." for part in kept):
        return None
    return kept


def rank_of(
    pattern: Pattern, segments: tuple[str, ...], *, caseless: bool = False
) -> tuple[int, ...] | None:
    """Return how specifically a pattern matches, part by part, lower first; None where it fails."""
    if not pattern:
        return None if segments else ()
    part, rest = pattern[0], pattern[1:]
    if part.kind in {Kind.TAIL, Kind.UNKNOWN}:
        return _rank_of_many(part, rest, segments, caseless)
    if part.kind is Kind.WHOLE:
        regex = expression(part.text)
        hit = regex and not rest and regex.fullmatch("/" + "/".join(segments)[: 4 * MAX_SEGMENT])
        return (part.kind,) if hit else None
    if segments and _takes(part, segments[0], caseless):
        below = rank_of(rest, segments[1:], caseless=caseless)
        if below is not None:
            return (part.kind, *below)
    if part.kind is Kind.OPTIONAL:
        below = rank_of(rest, segments, caseless=caseless)
        return None if below is None else (*below, Kind.OPTIONAL)
    return None


def _rank_of_many(
    part: Part, rest: Pattern, segments: tuple[str, ...], caseless: bool
) -> tuple[int, ...] | None:
    if sum(each.kind >= Kind.TAIL for each in rest) > 1:
        return None
    for taken in range(len(segments) + 1):
        below = rank_of(rest, segments[taken:], caseless=caseless)
        if below is not None:
            return (part.kind, *below)
    return None


def _takes(part: Part, segment: str, caseless: bool) -> bool:
    if part.kind is Kind.LITERAL:
        return part.text == segment or (caseless and part.text.lower() == segment.lower())
    if part.kind is Kind.MIXED:
        regex = expression(part.text)
        return regex is not None and regex.fullmatch(segment) is not None
    return True
