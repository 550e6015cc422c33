"""Spring Boot's application.yml and application.properties: actuator, sessions, error pages.

https://docs.spring.io/spring-boot/appendix/application-properties/index.html
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

import msgspec

from secdaemon.pipeline.fixes.configuration.guarded import guarded
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair, Weakness
from secdaemon.pipeline.fixes.configuration.yaml_document import Node, read_yaml
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place, remove, rewrite

_FILE = re.compile(
    r"(?:^|/)(?:application|bootstrap)(?:-(?P<profile>[\w-]+))?\.(?:properties|ya?ml)$",
    re.IGNORECASE,
)
_AT_THE_DESK = re.compile(r"(^|-)(dev|development|local|test|tests|it|ci)($|-)", re.IGNORECASE)
_LINE = re.compile(
    r"^[ \t]*(?P<key>[\w.\[\]-]+)[ \t]*[=:][ \t]*(?P<value>[^\n]*?)[ \t]*$", re.MULTILINE
)
_MAX_CHARS = 256 * 1024
_TELLING = frozenset(
    (
        "auditevents", "beans", "caches", "conditions", "configprops", "env", "flyway", "heapdump",
        "httpexchanges", "httptrace", "integrationgraph", "jolokia", "liquibase", "logfile",
        "loggers", "mappings", "quartz", "scheduledtasks", "sessions", "shutdown", "startup",
        "threaddump", "trace",
    )
)  # fmt: skip
"""Endpoints of the actuator that show secrets, memory and inner workings, or change them."""
_EXPOSURE = "management.endpoints.web.exposure.include"


class _Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A property whose value is insecure, and the one that is not."""

    is_weak: Callable[[str], bool]
    value: str
    reason: str
    weight: float


_SETTINGS = {
    "server.error.includestacktrace": _Setting(
        is_weak=lambda value: value in {"always", "on_param", "on-param", "on-trace-param"},
        value="never",
        reason="An error page no longer shows callers the stack of the server's code.",
        weight=0.4,
    ),
    "server.servlet.session.cookie.httponly": _Setting(
        is_weak=lambda value: value == "false",
        value="true",
        reason="The session cookie is HttpOnly, so that a script in the page cannot read it.",
        weight=0.6,
    ),
    "server.servlet.session.cookie.secure": _Setting(
        is_weak=lambda value: value == "false",
        value="true",
        reason="The session cookie is Secure, so that the browser never sends it over plain HTTP.",
        weight=0.6,
    ),
    "spring.h2.console.enabled": _Setting(
        is_weak=lambda value: value == "true",
        value="false",
        reason="The console, which runs any SQL that its visitor types, is not served; turn it on "
        "in the profile of the developer's own machine.",
        weight=0.9,
    ),
}
_CHECKS = {
    "server.error.includestacktrace": "stack-trace",
    "server.servlet.session.cookie.httponly": "cookie-http-only",
    "server.servlet.session.cookie.secure": "cookie-secure",
    "spring.h2.console.enabled": "database-console",
}


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A property as a file has it, at `place` in YAML, at `start` to `end` in properties."""

    key: str
    """With dots, in lower case and without dashes: all spellings that Spring binds alike."""
    value: str
    line: int
    place: Place = ()
    start: int = 0
    end: int = 0


def _entries(text: str) -> tuple[_Entry, ...]:
    """Return the properties of a text; it is YAML where every line of its own could not be one."""
    return tuple(_of_properties(text)) if _is_properties(text) else tuple(_of_yaml(text))


def _is_properties(text: str) -> bool:
    lines = (line.strip() for line in text.split("\n"))
    return all("=" in line for line in lines if line and line[0] not in "#!")


def _of_properties(text: str) -> Iterator[_Entry]:
    if len(text) > _MAX_CHARS or "\\\n" in text:
        return
    line, at = 1, 0
    for found in _LINE.finditer(text):
        line, at = line + text.count("\n", at, found.start("key")), found.start("key")
        yield _Entry(
            key=_plain(found["key"]),
            value=found["value"],
            line=line,
            start=found.start("value"),
            end=found.end("value"),
        )


def _of_yaml(text: str) -> Iterator[_Entry]:
    document = read_yaml(text)
    waiting: list[tuple[Place, Node]] = [
        ((str(at),), root) for at, root in enumerate(document.roots if document else ())
    ]
    while waiting:
        place, node = waiting.pop()
        if node.kind == "scalar" and node.tag is None:
            key = _plain(".".join(place[1:]))
            yield _Entry(key=key, value=node.value, line=node.line, place=place)
        below = [((*place, key.value), value) for key, value in node.pairs]
        below += [((*place, str(at)), item) for at, item in enumerate(node.items)]
        waiting += reversed(below)


def _plain(key: str) -> str:
    return key.replace("-", "").replace("_", "").lower()


@lru_cache(maxsize=8)
def _weaknesses(text: str) -> tuple[Weakness, ...]:
    return tuple(weakness for weakness, _ in _found(text))


def _found(text: str) -> Iterator[tuple[Weakness, _Entry]]:
    seen: dict[str, int] = {}
    for entry in _entries(text):
        setting = _SETTINGS.get(entry.key)
        exposed = entry.key == _EXPOSURE or re.fullmatch(rf"{_EXPOSURE}\.?\[?\d+\]?", entry.key)
        seen[entry.key] = seen.get(entry.key, 0) + 1
        check, weight = "", 0.0
        if setting is not None and setting.is_weak(entry.value.strip().lower()):
            check, weight = _CHECKS[entry.key], setting.weight
        elif exposed and _exposes(entry.value):
            check, weight = "actuator-exposed", 1.0
        if check:
            where = entry.key if seen[entry.key] == 1 else f"{entry.key} #{seen[entry.key]}"
            lines = {"line": entry.line, "end_line": entry.line}
            yield Weakness(check=check, where=where, weight=weight, **lines), entry


def _names(value: str) -> list[str]:
    return [name.strip() for name in value.strip("\"'").split(",")]


def _exposes(value: str) -> bool:
    """Return whether all endpoints are served, or one of those that tell."""
    return any(name == "*" or _plain(name) in _TELLING for name in _names(value))


def _set(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    for found, entry in _found(text):
        if found == weakness:
            setting = _SETTINGS[entry.key]
            return _repaired(_written(text, entry, setting.value), setting.reason)
    return ()


def _hide(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the file with the endpoints that tell nothing; health where none of them is left."""
    entry = next((entry for found, entry in _found(text) if found == weakness), None)
    if entry is None:
        return ()
    kept = [n for n in _names(entry.value) if n != "*" and _plain(n) not in _TELLING]
    reason = (
        "The actuator serves what tells nothing over HTTP; what shows the environment, the memory "
        "or the inner workings, and what changes them, stays inside."
    )
    is_item = entry.key != _EXPOSURE
    if is_item and not kept and entry.place:
        others = [e for e in _entries(text) if e.key.startswith(_EXPOSURE)]
        if len(others) > 1:
            return _repaired(remove(text, entry.place), reason)
    return _repaired(_written(text, entry, ",".join(kept) or "health"), reason)


def _written(text: str, entry: _Entry, value: str) -> str | None:
    if entry.place:
        return rewrite(text, entry.place, lambda raw: _quoted(raw, value))
    return text[: entry.start] + value + text[entry.end :]


def _quoted(raw: str, value: str) -> str:
    """Return a value for YAML: a word needs no quotes, a list of words keeps what it had."""
    quote = raw[0] if raw[:1] in {'"', "'"} and not value.isalpha() else ""
    return f"{quote}{value}{quote}"


def _repaired(after: str | None, reason: str) -> tuple[Repair, ...]:
    return (Repair(after=after, reason=reason),) if after else ()


def _recognises(path: str, text: str) -> bool:
    found = _FILE.search(path)
    return (
        found is not None
        and not _AT_THE_DESK.search(found["profile"] or "")
        and any(
            entry.key.startswith(("management.", "server.", "spring.")) for entry in _entries(text)
        )
    )


KIND = Kind(
    name="Spring Boot",
    language="yaml",
    recognises=_recognises,
    weaknesses=_weaknesses,
    rules={
        r"actuator": "actuator-exposed",
        r"stack-?_?trace": "stack-trace",
        r"h2-?_?console": "database-console",
        r"http-?_?only": "cookie-http-only",
        r"(cookie|session).*secure|insecure.*cookie": "cookie-secure",
    },
    mends=guarded(
        _weaknesses, {"actuator-exposed": _hide, **dict.fromkeys(_CHECKS.values(), _set)}
    ),
)
"""Rules of Semgrep (`java.spring.security.audit`) and, by their words, of others."""
