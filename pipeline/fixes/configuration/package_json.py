"""package.json: dependencies of any version, and from places without TLS.

Which version is installed stands in the lock file, which is not read here: a range is narrowed only
where this very file names a narrower one for the same package.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from secdaemon.pipeline.fixes.configuration import documents, json_text
from secdaemon.pipeline.fixes.configuration.documents import ROOT
from secdaemon.pipeline.fixes.configuration.guarded import guarded
from secdaemon.pipeline.fixes.configuration.model import Kind, Repair, Weakness
from secdaemon.pipeline.fixes.configuration.yaml_document import Node
from secdaemon.pipeline.fixes.configuration.yaml_edit import Place
from secdaemon.pipeline.fixes.quote import inline

_SECTIONS = ("dependencies", "devDependencies", "optionalDependencies")
_PINS = ("overrides", "resolutions", *_SECTIONS)
_OPEN = re.compile(r"\s*(|\*|x|X|latest|next|>=?\s*\d[^<|\s]*)\s*")
_NARROW = re.compile(r"[~^]?\d+\.\d+\.\d+(-[\w.]+)?")
_PLAIN = re.compile(
    r"(?P<scheme>git|git\+http|http)://(?P<host>github\.com|gitlab\.com|bitbucket\.org"
    r"|codeload\.github\.com|registry\.npmjs\.org|registry\.yarnpkg\.com)(?=[/:]|$)",
    re.IGNORECASE,
)
"""Hosts that are known to answer over TLS."""
_SECURE = {"git": "git+https", "git+http": "git+https", "http": "https"}
_PIPED = re.compile(r"\b(curl|wget)\b[^|;&]*\|\s*(sudo\s+)?(ba|z|da)?sh\b")
_INSTALL = ("install", "postinstall", "preinstall", "prepare")


def _read(text: str) -> Node | None:
    """Return the root of a package's description."""
    document = json_text.read_json(text)
    root = document.roots[0] if document else None
    if root is None or root.get("lockfileVersion") is not None:
        return None
    is_package = any(root.get(name) is not None for name in (*_SECTIONS, "scripts"))
    return root if is_package else None


@lru_cache(maxsize=8)
def _weaknesses(text: str) -> tuple[Weakness, ...]:
    root = _read(text)
    if root is None:
        return ()
    found = [
        _weakness(check, place, node, weight)
        for place, node in _dependencies(root)
        for check, weight, pattern in (
            ("open-range", 0.5, _OPEN.fullmatch),
            ("plain-source", 0.9, _PLAIN.match),
        )
        if pattern(node.value)
    ]
    registry = root.get("publishConfig", "registry")
    if registry is not None and _PLAIN.match(registry.value):
        found.append(_weakness("plain-source", (*ROOT, "publishConfig", "registry"), registry, 0.9))
    for name in _INSTALL:
        script = root.get("scripts", name)
        if script is not None and _PIPED.search(script.value):
            found.append(_weakness("piped-script", (*ROOT, "scripts", name), script, 1.0))
    return tuple(found)


def _weakness(check: str, place: Place, node: Node, weight: float) -> Weakness:
    where = "/".join(place[1:])
    return Weakness(check=check, where=where, line=node.line, end_line=node.end_line, weight=weight)


def _dependencies(root: Node) -> Iterator[tuple[Place, Node]]:
    for section in _SECTIONS:
        listed = root.get(section)
        for key, node in listed.pairs if listed else ():
            if node.kind == "scalar" and node.style:
                yield (*ROOT, section, key.value), node


def _encrypt(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    for place, node in _sources(text):
        found = _PLAIN.match(node.value)
        if weakness.where == "/".join(place[1:]) and found:
            return _repaired(
                documents.rewrite(text, place, _with_tls),
                f"{inline(place[-1], 80)} comes from {inline(found['host'], 80)} over TLS, so that "
                "nobody on the path puts other code in its place.",
            )
    return ()


def _with_tls(raw: str) -> str:
    """Return a JSON string that begins with a scheme in the clear with the secure one instead."""
    scheme, colon, rest = raw.removeprefix('"').partition(":")
    return f'"{_SECURE[scheme.lower()]}{colon}{rest}' if scheme.lower() in _SECURE else raw


def _sources(text: str) -> Iterator[tuple[Place, Node]]:
    root = _read(text)
    if root is not None:
        yield from _dependencies(root)
        registry = root.get("publishConfig", "registry")
        if registry is not None:
            yield (*ROOT, "publishConfig", "registry"), registry


def _narrow(text: str, weakness: Weakness) -> tuple[Repair, ...]:
    """Return the file with the one narrow range that it names elsewhere for the package."""
    root = _read(text)
    place = next((p for p, _ in _sources(text) if weakness.where == "/".join(p[1:])), None)
    if root is None or place is None:
        return ()
    name = place[-1]
    ranges = {
        node.value
        for section in _PINS
        if (node := root.get(section, name)) is not None and _NARROW.fullmatch(node.value)
    }
    if len(ranges) != 1:
        return ()
    version = ranges.pop()
    return _repaired(
        documents.put(text, place, version),
        f"{inline(name, 80)} takes {inline(version, 40)}, which this file asks for elsewhere, and "
        "no longer whatever is published next.",
    )


def _repaired(after: str | None, reason: str) -> tuple[Repair, ...]:
    return (Repair(after=after, reason=reason),) if after else ()


def _recognises(path: str, text: str) -> bool:
    return path.lower().rpartition("/")[2] == "package.json" and _read(text) is not None


KIND = Kind(
    name="package.json",
    language="json",
    recognises=_recognises,
    weaknesses=_weaknesses,
    rules={
        r"piped|curl.*(bash|sh)\b|install.*script": "piped-script",
        r"plain.?text|insecure.?(url|protocol|source|registry)|http.?(url|dependency)"
        r"|git.?protocol": "plain-source",
        r"package-dependencies-check|unpinned|wildcard|loose.?version": "open-range",
    },
    mends=guarded(_weaknesses, {"open-range": _narrow, "plain-source": _encrypt}),
)
"""Rules of Semgrep (`json.npm.security`) and, by their words, of others."""
