"""What is known of a route: its pattern, its methods, and the lines of its handler."""

from enum import IntEnum

import msgspec

MAX_SEGMENT = 200
"""Characters of a path segment, in a URL and in a pattern; longer ones match nothing."""


class Kind(IntEnum):
    """What a part of a pattern takes, the most specific first."""

    LITERAL = 0
    MIXED = 1
    """One segment by a regular expression."""
    PARAMETER = 2
    OPTIONAL = 3
    """One segment or none."""
    WHOLE = 4
    """All that is left, with its slashes, by a regular expression."""
    TAIL = 5
    """Any number of segments, none too."""
    UNKNOWN = 6
    """As TAIL, because the code does not say; a route with one is never certain."""


class Part(msgspec.Struct, frozen=True, gc=False):
    """One part of a pattern; `text` is the literal, or the expression of MIXED and WHOLE."""

    kind: Kind
    text: str = ""


Pattern = tuple[Part, ...]
UNKNOWN: Pattern = (Part(Kind.UNKNOWN),)


class Handler(msgspec.Struct, frozen=True, gc=False):
    """Where the code of a route is: repository-relative path with `/`, 1-based whole lines."""

    path: str
    first: int
    last: int


class Route(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One way to a handler; `methods` is empty where every method is answered."""

    framework: str
    methods: frozenset[str]
    pattern: Pattern
    handler: Handler | None
    """None where files are served and no code of the project answers."""
    order: int
    """The place in the order of registration, of one framework."""
    passes_on: bool = False
    """The handler may leave the request to a later route."""


class Routes(msgspec.Struct, frozen=True, gc=False):
    """The routes of one commit, and the base paths that its configuration names."""

    routes: tuple[Route, ...] = ()
    bases: tuple[str, ...] = ()


def show(pattern: Pattern) -> str:
    """Return a pattern as one reads it, whatever the framework: `/users/{}/...`."""
    names = {
        Kind.LITERAL: "{text}",
        Kind.MIXED: "{{{text}}}",
        Kind.PARAMETER: "{{}}",
        Kind.OPTIONAL: "{{}}?",
        Kind.WHOLE: "{{{text}}}",
        Kind.TAIL: "...",
        Kind.UNKNOWN: "(unknown)",
    }
    return "/" + "/".join(names[part.kind].format(text=part.text) for part in pattern)
