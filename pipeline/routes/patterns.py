"""The path syntaxes of the frameworks, read into one form.

Regular expressions come from the code at hand, which may be hostile: only those without nested
repetition are taken, and segments are short, so that matching stays quick.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from secdaemon.pipeline.routes.model import MAX_SEGMENT, UNKNOWN, Kind, Part, Pattern

ANY = "[^/]+"
HOLE = "\x00"
"""Stands in a path where the code does not say what is there."""

_Regex = Callable[[re.Match[str]], str]
_MAX_REPEATS = 3
_NESTED = re.compile(r"\((?:[^()\\]|\\.)*[*+}](?:[^()\\]|\\.)*\)[*+{]")
_REPEAT = re.compile(r"(?<!\\)(?:[*+]|\{\d*,\d*\})")
_BACK = re.compile(r"\\[1-9]|\(\?(?!:|=|!|<[A-Za-z]|P<)|\(\([^)]*\)")
_JS_NAMED = re.compile(r"\(\?<([A-Za-z]\w*)>")
_EXPRESS = re.compile(
    r":(?P<name>\w+)(?P<of>\((?:[^()\\]|\\.)*\))?(?P<many>[?*+])?|(?P<star>\*)(?:\w+)?"
)
_EXPRESS_OPTIONAL = re.compile(r"\{/([^{}*]*)\}")
_EXPRESS_TAIL = re.compile(r"(/?)\{(/?\*\w+)\}")
_ANYTHING = ("(.*)", "(*)")
_KTOR = re.compile(r"\{([^{}]*)\}")
_FLASK = re.compile(r"<(?:(?P<of>[A-Za-z_]\w*)(?:\((?P<args>[^)]*)\))?:)?(?P<name>\w+)>")
_STARLETTE = re.compile(r"\{\w+(?::(?P<of>\w+))?\}")
_FLASK_TYPES = {"int": r"\d+", "float": r"\d+\.\d+", "uuid": r"[0-9A-Fa-f-]{36}"}
_STARLETTE_TYPES = {"int": r"\d+", "float": r"\d+(?:\.\d+)?", "uuid": r"[0-9A-Fa-f-]{36}"}


@lru_cache(maxsize=4096)
def expression(text: str) -> re.Pattern[str] | None:
    """Return a regular expression that is safe to run, None where it is none or may be slow."""
    named = _JS_NAMED.sub(r"(?P<\1>", text)
    unsafe = (
        len(text) > MAX_SEGMENT
        or _NESTED.search(text)
        or _BACK.search(text)
        or len(_REPEAT.findall(text)) > _MAX_REPEATS
    )
    if unsafe:
        return None
    try:
        return re.compile(named)
    except (re.error, OverflowError, RecursionError):
        return None


def literal(text: str) -> Pattern:
    """Return a path without parameters."""
    return tuple(_plain(segment) for segment in text.split("/") if segment)


def whole(regex: str) -> Pattern:
    """Return a pattern for all that is left, as one regular expression."""
    return (Part(Kind.WHOLE, regex),) if expression(regex) else UNKNOWN


def express(path: str) -> Pattern:
    r"""Express 4 and 5: `:id`, `:id?`, `:id(\d+)`, `:from-:to`, `*rest`, `{*rest}`, `{/:id}`."""
    flat = _EXPRESS_OPTIONAL.sub(r"/\1?", _EXPRESS_TAIL.sub(r"\1\2", path))
    return tuple(_express_part(segment) for segment in _split(flat))


def _express_part(segment: str) -> Part:
    found = _EXPRESS.fullmatch(segment)
    anything = segment in _ANYTHING
    if found is not None:
        anything = bool(found["star"]) or found["many"] in {"*", "+"} or found["of"] in _ANYTHING
    if anything:
        return Part(Kind.TAIL)
    if found is not None:
        return Part(Kind.OPTIONAL) if found["many"] == "?" else _constrained(found["of"])
    if not set(segment) & set(":*?+()"):
        return _plain(segment)
    regex = _between(segment, _EXPRESS, lambda m: (m["of"] or ANY) if m["name"] else ".*")
    return _mixed(regex)


def ktor(path: str) -> Pattern:
    """Ktor: `{id}`, `{id?}`, `{rest...}`, `{...}`, `*`, `user-{id}`."""
    return tuple(_ktor_part(segment) for segment in _split(path))


def _ktor_part(segment: str) -> Part:
    found = _KTOR.fullmatch(segment)
    if found is not None:
        name = found[1]
        if name.endswith("..."):
            return Part(Kind.TAIL)
        return Part(Kind.OPTIONAL if name.endswith("?") else Kind.PARAMETER)
    if segment == "*":
        return Part(Kind.PARAMETER)
    if "{" in segment:
        return _mixed(_between(segment, _KTOR, lambda _m: ANY))
    return _plain(segment)


def flask(path: str) -> Pattern:
    """Werkzeug: `<id>`, `<int:id>`, `<path:rest>`, `<any(a,b):x>`, `v<int:n>`."""
    return tuple(_flask_part(segment) for segment in _split(path, "<>"))


def _flask_part(segment: str) -> Part:
    found = _FLASK.fullmatch(segment)
    if found is not None and found["of"] == "path":
        return Part(Kind.TAIL)
    if found is not None and found["of"] in {None, "string"}:
        return Part(Kind.PARAMETER)
    if "<" not in segment:
        return _plain(segment)
    regex = _between(segment, _FLASK, _flask_regex)
    return Part(Kind.PARAMETER) if regex == ANY else _mixed(regex)


def _flask_regex(found: re.Match[str]) -> str:
    if found["of"] == "any":
        choices = (choice.strip(" '\"") for choice in (found["args"] or "").split(","))
        return "(?:" + "|".join(re.escape(choice) for choice in choices) + ")"
    return _FLASK_TYPES.get(found["of"] or "", ANY)


def starlette(path: str) -> Pattern:
    """FastAPI and Starlette: `{id}`, `{id:int}`, `{rest:path}`."""
    return tuple(_starlette_part(segment) for segment in _split(path, "{}"))


def _starlette_part(segment: str) -> Part:
    found = _STARLETTE.fullmatch(segment)
    if found is not None and found["of"] == "path":
        return Part(Kind.TAIL)
    if found is not None and found["of"] in {None, "str"}:
        return Part(Kind.PARAMETER)
    if "{" not in segment:
        return _plain(segment)
    return _mixed(_between(segment, _STARLETTE, lambda m: _STARLETTE_TYPES.get(m["of"] or "", ANY)))


def spring(path: str) -> Pattern:
    r"""Spring: `{id}`, `{id:\d+}`, `{*rest}`, `*`, `**`, `*.json`, `?`."""
    return tuple(_spring_part(segment) for segment in _split(path, "{}"))


def _spring_part(segment: str) -> Part:
    if segment == "**" or re.fullmatch(r"\{\*\w+\}", segment):
        return Part(Kind.TAIL)
    if segment == "*" or re.fullmatch(r"\{\w+\}", segment):
        return Part(Kind.PARAMETER)
    found = re.fullmatch(r"\{\w+:(.+)\}", segment)
    if found is not None:
        return Part(Kind.TAIL) if found[1] == ".*" else _mixed(found[1])
    if not set(segment) & set("{}*?"):
        return _plain(segment)
    token = re.compile(r"\{\w+(?::(?P<of>[^{}]*(?:\{[^{}]*\}[^{}]*)*))?\}|(?P<any>\*)|(?P<one>\?)")
    return _mixed(_between(segment, token, _spring_regex))


def _spring_regex(found: re.Match[str]) -> str:
    if found["one"]:
        return "[^/]"
    return "[^/]*" if found["any"] else f"(?:{found['of'] or ANY})"


def _plain(segment: str) -> Part:
    """Return a literal; one with a hole in it is a segment by expression, or unknown."""
    if segment == HOLE:
        return Part(Kind.UNKNOWN)
    if HOLE in segment:
        return _mixed(re.escape(segment).replace(re.escape(HOLE), ANY).replace(HOLE, ANY))
    return Part(Kind.LITERAL, segment)


def _constrained(of: str | None) -> Part:
    return Part(Kind.PARAMETER) if of is None else _mixed(of[1:-1])


def _mixed(regex: str) -> Part:
    return Part(Kind.MIXED, regex) if expression(regex) else Part(Kind.PARAMETER)


def _between(segment: str, token: re.Pattern[str], regex: _Regex) -> str:
    """Return an expression for a segment: what tokens stand for, the rest as it is."""
    made, at = "", 0
    for found in token.finditer(segment):
        made += re.escape(segment[at : found.start()]) + regex(found)
        at = found.end()
    made += re.escape(segment[at:])
    return made.replace(re.escape(HOLE), ANY).replace(HOLE, ANY)


def _split(path: str, brackets: str = "()") -> list[str]:
    """Return the segments; a slash within brackets parts nothing."""
    segments, depth = [""], 0
    for letter in path:
        depth = max(0, depth + (letter == brackets[0]) - (letter == brackets[1]))
        if letter == "/" and not depth:
            segments.append("")
        else:
            segments[-1] += letter
    return [segment for segment in segments if segment]
