"""Which fixed version of a dependency to go to, by its ecosystem's ordering.

PyPI is ordered by `packaging` (PEP 440); packages of Debian and its relatives, Alpine and RPM by
dpkg's algorithm (deb-version(7)); npm, Go and crates.io by semantic versioning; the rest as Maven's
ComparableVersion does, as far as released versions need it.
"""

import re
from collections.abc import Iterable
from typing import Any

from packaging.version import InvalidVersion, Version

from secdaemon.pipeline.findings.model import Package, VersionRange

_TYPES = {
    "apk": ("alpine", "apk", "chainguard", "wolfi"),
    "cargo": ("cargo", "crates.io"),
    "composer": ("composer", "packagist"),
    "deb": ("deb", "debian", "ubuntu"),
    "gem": ("bundler", "gem", "gemspec", "rubygems"),
    "golang": ("go", "gobinary", "golang", "gomod"),
    "maven": ("gradle", "jar", "maven", "pom"),
    "npm": ("node-pkg", "npm", "pnpm", "yarn"),
    "nuget": ("dotnet-core", "nuget"),
    "pypi": ("pip", "pipenv", "poetry", "pypi", "python", "python-pkg", "uv"),
    "rpm": ("alma", "almalinux", "amazon", "fedora", "oracle", "redhat", "rocky", "rpm", "suse"),
}
_TYPE_OF = {word: name for name, words in _TYPES.items() for word in words}
_SYSTEM = frozenset(("apk", "deb", "rpm"))
_SEMANTIC = frozenset(("cargo", "golang", "npm"))
_DEB_SHAPE = re.compile(r"ubuntu|[+~]deb|^\d+:|-\d+(\.\d+)?build\d")
_APK_SHAPE = re.compile(r"-r\d+$")
_COORDINATE = re.compile(r"[\w-]+(\.[\w-]+)+:[\w.-]+")
_MAX_LENGTH = 200
_PRE_RELEASES = ("snapshot", "dev", "alpha", "a", "beta", "b", "milestone", "m", "pre", "rc", "cr")
_RELEASES = frozenset(("final", "ga", "release"))
_FLAVOURS = ("-jre", "-android")

Key = tuple[Any, ...]


def fixed_version(package: Package) -> str | None:
    """Return the version to upgrade to; None where no fixed version is known.

    It is the fix of the affected range that the installed version lies in; where the ranges do not
    say, the smallest fixed version above the installed one, which is that of the installed release
    branch if the branch has one. Never a downgrade: versions that cannot be compared count for
    nothing. Guava publishes two flavours of a version, and the installed one is kept.
    """
    installed = package.version or ""
    kind = package_kind(package)
    here = _key(installed, kind)
    if here is None:
        return None
    named = _above(here, kind, (r.fixed for r in package.ranges if _holds(r, here, kind)))
    stated = (*package.fixed_versions, *(r.fixed for r in package.ranges))
    found = named or _above(here, kind, stated)
    if found is None:
        return None
    flavour = next((name for name in _FLAVOURS if installed.endswith(name)), "")
    other = next((name for name in _FLAVOURS if found.endswith(name)), "")
    return found.removesuffix(other) + flavour if flavour and other else found


def is_system_package(package: Package) -> bool:
    """Return whether the package belongs to an operating system's distribution."""
    return package_kind(package) in _SYSTEM


def package_kind(package: Package) -> str:
    """Return the package's type as in a package URL (maven, npm, deb, …), "" where unknown."""
    purl = re.match(r"pkg:([a-z0-9.+-]+)/", package.purl or "")
    word = purl[1] if purl else (package.ecosystem or "").partition(":")[0].strip().lower()
    if word:
        return _TYPE_OF.get(word, "")
    if _DEB_SHAPE.search(package.version or ""):
        return "deb"
    if _APK_SHAPE.search(package.version or ""):
        return "apk"
    return "maven" if _COORDINATE.fullmatch(package.name) else ""


def _holds(affected: VersionRange, here: Key, kind: str) -> bool:
    """Return whether the range begins at or below the version; its end is compared elsewhere."""
    if affected.introduced in {None, "0"}:
        return True
    start = _key(affected.introduced or "", kind)
    return start is not None and bool(start <= here)


def _above(here: Key, kind: str, versions: Iterable[str | None]) -> str | None:
    """Return the smallest of the versions above `here`."""
    keyed = [(key, version) for version in versions if version and (key := _key(version, kind))]
    return min((pair for pair in keyed if pair[0] > here), default=(None, None))[1]


def _key(version: str, kind: str) -> Key | None:
    """Return what orders versions of one kind, None for text that is no version."""
    text = version.strip()
    if len(text) > _MAX_LENGTH or not re.search(r"\d", text):
        return None
    if kind == "pypi":
        try:
            return (Version(text),)
        except InvalidVersion:
            return None
    if kind in _SYSTEM:
        return _system_key(text)
    return _release_key(text, semantic=kind in _SEMANTIC)


def _release_key(text: str, *, semantic: bool) -> Key:
    """Return (release numbers without trailing zeros, what follows them)."""
    text = text.lower().lstrip("v")
    if semantic:
        text = text.partition("+")[0]
    match = re.match(r"\d+(?:\.\d+)*", text)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    rest = text[match.end() :] if match else text
    while numbers and numbers[-1] == 0:
        numbers.pop()
    pre = [(-1, 0, "")] if semantic and rest.startswith("-") else []
    tail = [*pre, *(_qualifier(token) for token in re.findall(r"\d+|[a-z]+", rest)), (0, 0, "")]
    if not pre:
        tail = [part for part in tail[:-1] if part != (0, 0, "")] + tail[-1:]
    return tuple(numbers), tuple(tail)


def _qualifier(token: str) -> tuple[int, int, str]:
    """Return a token's place: pre-releases below the release (0), all else above it."""
    if token.isdigit():
        return (3, int(token), "")
    if token in _PRE_RELEASES:
        return (-1, _PRE_RELEASES.index(token), "")
    if token in _RELEASES:
        return (0, 0, "")
    return (2, 0, token)


def _system_key(text: str) -> Key:
    """Return (epoch, upstream version, revision), each as dpkg compares it."""
    text = re.sub(r"_(alpha|beta|pre|rc)", r"~\1", text)
    epoch, colon, rest = text.partition(":")
    if not colon or not epoch.isdigit():
        epoch, rest = "0", text
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    return int(epoch), _system_parts(upstream), _system_parts(revision)


def _system_parts(text: str) -> Key:
    """Return alternating text and number, so that `~` sorts before the end and letters first."""
    parts: list[Any] = []
    for letters, digits in re.findall(r"(\D*)(\d*)", text):
        orders = [-1 if c == "~" else ord(c) + (0 if c.isalpha() else 256) for c in letters]
        parts += [(*orders, 0), int(digits or 0)]
    return (*parts, (0,))
