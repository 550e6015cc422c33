"""Routers and what hangs on them: who is mounted where, and the routes that this makes."""

from collections.abc import Hashable, Iterable, Sequence

import msgspec

from secdaemon.pipeline.routes.model import UNKNOWN, Handler, Part, Pattern, Route

MAX_ROUTES = 20_000
_MAX_DEPTH = 20
_MAX_PARTS = 60


class _Entry(msgspec.Struct, frozen=True, gc=False):
    """A route on a router, or another router mounted there."""

    prefix: Pattern
    methods: frozenset[str] = frozenset()
    handler: Handler | None = None
    child: Hashable = None
    passes_on: bool = False


class Graph:
    """The routers of one framework; entries stand in the order in which they were added."""

    def __init__(self, framework: str) -> None:
        self._framework = framework
        self._entries: dict[Hashable, list[_Entry]] = {}
        self._roots: dict[Hashable, Pattern] = {}
        self._mounted: set[Hashable] = set()
        self._found: dict[tuple[object, ...], Route] = {}

    def root(self, node: Hashable, prefix: Pattern = ()) -> None:
        """Say that a router is an application, served at `prefix`."""
        self._roots.setdefault(node, prefix)

    def route(
        self,
        node: Hashable,
        prefix: Pattern,
        methods: Iterable[str],
        handler: Handler | None,
        *,
        passes_on: bool = False,
    ) -> None:
        """Add a route to a router; no methods are all methods."""
        upper = frozenset(method.upper() for method in methods)
        entry = _Entry(prefix, upper, handler, passes_on=passes_on)
        self._entries.setdefault(node, []).append(entry)

    def mount(self, parent: Hashable, child: Hashable, prefix: Pattern = ()) -> None:
        """Hang a router into another, beneath `prefix`."""
        self._entries.setdefault(parent, []).append(_Entry(prefix, child=child))
        self._mounted.add(child)

    def linked(self) -> list[Route]:
        """Return the routes of applications that none holds, and of routers that nobody mounts.

        The latter begin with an unknown part: they may well be served, and nobody knows where.
        """
        for node, prefix in self._roots.items():
            if node not in self._mounted:
                self._walk(node, prefix, (node,))
        for node in [*self._entries]:
            if node not in self._roots and node not in self._mounted:
                self._walk(node, UNKNOWN, (node,))
        return [*self._found.values()]

    def _walk(self, node: Hashable, prefix: Pattern, above: Sequence[Hashable]) -> None:
        for entry in self._entries.get(node, ()):
            if len(self._found) >= MAX_ROUTES:
                return
            pattern: tuple[Part, ...] = (*prefix, *entry.prefix)
            if len(pattern) > _MAX_PARTS:
                continue
            if entry.child is None:
                self._keep(entry, pattern)
            elif entry.child not in above and len(above) < _MAX_DEPTH:
                self._walk(entry.child, pattern, (*above, entry.child))

    def _keep(self, entry: _Entry, pattern: Pattern) -> None:
        key = (pattern, entry.methods, entry.handler)
        if key not in self._found:
            self._found[key] = Route(
                framework=self._framework,
                methods=entry.methods,
                pattern=pattern,
                handler=entry.handler,
                order=len(self._found),
                passes_on=entry.passes_on,
            )
