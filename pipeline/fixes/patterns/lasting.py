"""Why a challenge that a rule takes for one kept for ever is not: for `already_right`."""

import re
from collections.abc import Iterator
from math import prod

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.flagged_code import (
    MAX_QUOTE,
    Site,
    line_of,
    telemetry_of,
)
from secdaemon.pipeline.fixes.patterns.jvm_code import JVM, Call, above
from secdaemon.pipeline.fixes.patterns.webauthn_code import (
    calls,
    function_of,
    literal,
    uses_of_name,
)
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import field, text_of

_MOST_SECONDS = 3_600
"""A ceremony is over in minutes; what is kept for longer is not short-lived."""
_TIMED = {"setex": 1, "setEx": 1, "psetex": 1_000, "pSetEx": 1_000}
"""Redis's commands with a time to live -> how many of its units are a second."""
_STORES = re.compile(
    r"(?i)(?:p?set|put|add|save|store|insert|persist|cache|write|publish|send|emit|register|h?m?set"
    r"|append|push|execute|update|upsert|remember|keep)(?![a-z])|(?-i:(?:set|put|add|save|store"
    r"|insert|persist|cache|write|publish|send|emit|register|append|push|execute|update)[A-Z])"
)
_PER_SECOND = {
    "Millis": 1_000.0,
    "Milliseconds": 1_000.0,
    "Seconds": 1.0,
    "Minutes": 1 / 60,
    "Hours": 1 / 3_600,
    "Days": 1 / 86_400,
}
_SPAN = re.compile(r"(?:\w+\.)*Duration\.of(Millis|Seconds|Minutes|Hours|Days)\((.*)\)", re.DOTALL)
_UNIT = re.compile(r"(?:\w+\.)*TimeUnit\.(MILLISECONDS|SECONDS|MINUTES|HOURS|DAYS)")
_NAMED_TIME = re.compile(
    r"(?i)(?:ttl|expir|timeout|lifetime|validity|max_?age)\w*(?:\(\))?$|(?:seconds|minutes)$"
)
_ABOUT_CHALLENGES = re.compile(
    r"(?i)challenge|nonce|ceremon|assertion|registration|authenticat|session|credential|request"
)
_MADE_HERE = (
    r"(?:new\s+)?(?:java\.util\.|java\.io\.)?(?:ByteArrayOutputStream|mutableMapOf|linkedMapOf"
    r"|mapOf|hashMapOf|JSONObject|JsonObject|JsonArray|ObjectNode|StringBuilder|LinkedHashMap"
    r"|HashMap|TreeMap|Properties|ArrayList|mutableListOf|\w+\.createObjectNode"
    r"|ByteBuffer\.allocate)\s*(?:<[^()]{0,80}>)?\s*\("
)
_WRITTEN_OUT = frozenset(
    ("encodeToString", "writeValueAsString", "writeValueAsBytes", "toJson", "String", "stringify")
)


def expires(site: Site) -> str | None:
    """Return the sentence for challenges with a time to live, or for lines that store none."""
    function = function_of(site.calls()[0].node) if site.calls() else None
    if function is not None and re.search(r"\.persist\(", text_of(function)):
        return None
    stores = [c for c in site.calls() if c.name in _TIMED or _STORES.match(c.name)]
    kinds = ("assignment", "assignment_expression")
    is_indexed = any("[" in text_of(field(node, "left")) for node in site.nodes(*kinds))
    if stores and not is_indexed and all(_is_timed(site, call) for call in stores):
        return (
            f"the value is stored with a time to live ({line_of(site, stores[0].node)}), after "
            "which Redis drops it."
        )
    return None if is_indexed and not _is_build(site) else _stores_nothing(site)


def is_timed(site: Site, call: Call) -> bool:
    """Return whether a call stores something in Redis for an hour at most."""
    return _is_timed(site, call)


def _is_timed(site: Site, call: Call) -> bool:
    if call.name in _TIMED:
        given = call.arguments[1].value if len(call.arguments) == 3 else None  # noqa: PLR2004
        return given is not None and _is_short(site, text_of(given), _TIMED[call.name])
    if call.name != "set":
        return False
    times = list(_times(call))
    return len(times) == 1 and _is_short(site, *times[0])


def _times(call: Call) -> Iterator[tuple[str, float]]:
    """Yield the times that a `set` gives its value, each with its units in a second."""
    for argument in call.arguments:
        if argument.name in {"ex", "px"}:
            yield text_of(argument.value), 1 if argument.name == "ex" else 1_000
    values = [argument.value for argument in call.arguments if not argument.name]
    for at, value in enumerate(values[:-1]):
        if literal(value) in {"EX", "PX"}:
            yield text_of(values[at + 1]), 1 if literal(value) == "EX" else 1_000
    if len(values) > 2:  # noqa: PLR2004 - key and value
        yield from _last_times(call, values)


def _last_times(call: Call, values: list[Node]) -> Iterator[tuple[str, float]]:
    """Yield the times in the last argument: Jedis's parameters, an object, a span, a unit."""
    last = text_of(values[-1])[:500]
    if re.match(r"(?:new\s+)?(?:\w+\.)*SetParams\b", last):
        for name, time in re.findall(r"\.(p?ex)\(([^()]*)\)", last):
            yield time, 1 if name == "ex" else 1_000
    elif last.startswith("{"):
        for name, time in re.findall(r"\b(EX|PX):\s*([^,}]+)", last):
            yield time, 1 if name == "EX" else 1_000
    elif "opsForValue" in call.on:
        unit = _UNIT.fullmatch(last)
        if _SPAN.fullmatch(last):
            yield last, 1
        elif unit and len(values) == 4:  # noqa: PLR2004 - key, value, time, unit
            yield text_of(values[2]), _PER_SECOND[unit[1].title()]


def _is_short(site: Site, text: str, per_second: float, depth: int = 3) -> bool:
    """Whether a time is more than nothing and an hour at most, or a setting of such a name."""
    text = re.sub(r"(?<=\d)_(?=\d)|(?<=\d)[lL]\b", "", text.strip())
    if re.fullmatch(r"\d{1,9}(?:\s*\*\s*\d{1,9}){0,4}", text):
        time = prod(int(number) for number in re.findall(r"\d+", text))
        return 0 < time <= _MOST_SECONDS * per_second
    span = _SPAN.fullmatch(text)
    if span and depth:
        return _is_short(site, span[2], _PER_SECOND[span[1]], depth - 1)
    converted = re.fullmatch(r"TimeUnit\.([A-Z]+)\.to(?:Seconds|Millis)\((.*)\)", text, re.DOTALL)
    if converted and depth and converted[1].title() in _PER_SECOND:
        return _is_short(site, converted[2], _PER_SECOND[converted[1].title()], depth - 1)
    if not re.fullmatch(r"[\w.]+(?:\(\))?", text) or not depth or text[:1].isdigit():
        return False
    name = text.removesuffix("()").rpartition(".")[2]
    given = re.findall(
        rf"(?<![\w.]){re.escape(name)}(?:\s*:\s*[\w?]+)?\s*=(?!=)\s*([^;\n]+?)\s*,?\s*(?:;|//|\n|$)",
        site.flagged.text,
    )
    if given:
        return all(_is_short(site, each, per_second, depth - 1) for each in given)
    return _NAMED_TIME.search(text) is not None


def _is_build(site: Site) -> bool:
    return site.flagged.path.endswith((".gradle.kts", ".gradle"))


def _stores_nothing(site: Site) -> str | None:
    """Lines of a build script, of telemetry, or that fill what was made in the same function."""
    if _ABOUT_CHALLENGES.search(site.text) is None:
        if _is_build(site):
            first = site.flagged.text.split("\n")[site.flagged.lines.start - 1].strip()
            return (
                f"{inline(first[:MAX_QUOTE])} configures the build, in which no challenge exists "
                "yet."
            )
        if (found := telemetry_of(site)) and not re.search(r"(?i)\blog(?:ger)?\b", site.text):
            return f"{found} describes the service to its telemetry and holds no challenge."
    return _local(site)


def _local(site: Site) -> str | None:
    """Values put into what was made in the same function, from where nothing stores it."""
    puts = [call for call in site.calls() if call.name in {"put", "set", "add", "putString"}]
    if len(puts) != 1 or puts[0].receiver is None or site.code.grammar not in JVM:
        return None
    function = function_of(puts[0].node)
    if function is None or function.has_error or not text_of(field(function, "name")):
        return None
    if re.match(_MADE_HERE, puts[0].on):
        name, made = "", re.match(_MADE_HERE, puts[0].on)
    else:
        name = re.split(r"[.(\s]", puts[0].on)[0]
        made = re.search(
            rf"\b(?:val|var|final|[\w<>\[\], ]+)\s+{re.escape(name)}(?:\s*:[^=\n]*)?\s*="
            rf"\s*{_MADE_HERE}",
            text_of(function),
        )
    if made is None or not _is_handed_back(site, function, name, puts[0].node):
        return None
    what = inline(name) if name else line_of(site, puts[0].node)
    return (
        f"{what} is made in this call and only handed back to the caller; nothing is stored here "
        "for a later request."
    )


def _is_handed_back(site: Site, function: Node, name: str, put: Node) -> bool:
    """Whether nothing in a function stores what is made in it, or gives it to others."""
    for call in calls(site.code):
        is_here = function.start_byte <= call.node.start_byte < function.end_byte
        if not is_here or not (call.name in _TIMED or _STORES.match(call.name)):
            continue
        root = re.split(r"[.(\s]", call.on)[0]
        if root != name and not (not name and re.match(_MADE_HERE, call.on)):
            return False
    nodes = uses_of_name(function, name) if name else [put]
    for node in nodes:
        for outer in above(node, "value_arguments", "argument_list"):
            given = next((c for c in calls(site.code) if c.listed == outer), None)
            if outer.start_byte < function.start_byte:
                break
            if given is None or given.name not in _WRITTEN_OUT:
                return False
    kinds = ("assignment", "assignment_expression")
    return not any(
        next(above(node, *kinds, "lambda_literal", "lambda_expression"), None) is not None
        for node in nodes
    )
