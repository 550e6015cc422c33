"""Which fixed version of a dependency to go to, by its ecosystem's ordering (`fixes.orderings`)."""

import re
from collections.abc import Iterable

from secdaemon.pipeline.findings.model import Package, VersionRange
from secdaemon.pipeline.fixes.orderings import is_below, is_pre_release, ordered

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
_DEB_SHAPE = re.compile(r"ubuntu|[+~]deb|^\d+:|-\d+(\.\d+)?build\d")
_APK_SHAPE = re.compile(r"-r\d+$")
_COORDINATE = re.compile(r"[\w-]+(\.[\w-]+)+:[\w.-]+")
_BOUND = re.compile(r"\s*(>=|~>|==?|\^)?\s*([^\s<>=~^]{1,200})\s*")
_FLAVOUR = re.compile(r"[.-](jre\d*|android|jdk\d+)$")
_MAX_STATED = 500
_TWINS = frozenset(("android", "jre"))
"""Guava's flavours: each version has both, and advisories name one."""


def fixed_version(package: Package) -> str | None:
    """Return the version to upgrade to; None where no fixed version is known.

    It is the smallest of the advisory's fixed versions above the installed one that lies in none of
    the affected ranges: where the installed release branch has a fix, that is it, since a branch is
    an interval of its ecosystem's order. Never a downgrade, never a pre-release of a project that
    runs a release, and of a version's flavours (guava's -jre and -android) the installed one.
    Versions that cannot be compared count for nothing.
    """
    kind, installed = package_kind(package), (package.version or "").strip()
    if ordered(installed, kind) is None:
        return None
    best: str | None = None
    for stated in _stated(package, kind):
        version = _in_flavour(stated, installed) if kind in {"", "maven"} else stated
        if version is None or not is_below(installed, stated, kind):
            continue
        if is_pre_release(stated, kind) and not is_pre_release(installed, kind):
            continue
        if any(_affects(affected, stated, kind) for affected in package.ranges):
            continue
        if best is None or is_below(version, best, kind):
            best = version
    return best


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


def _stated(package: Package, kind: str) -> list[str]:
    """Return the fixed versions that are named, without the operators of some data bases.

    RubyGems' advisories state what is not affected as `~> 5.2.4, >= 5.2.4.3`: such a branch is no
    version of its own where another bound lies on it.
    """
    texts = (*package.fixed_versions, *(r.fixed or "" for r in package.ranges))[:_MAX_STATED]
    bounds = [(match[1], match[2]) for text in texts if (match := _BOUND.fullmatch(text))]
    versions = [version for _, version in bounds]
    return [
        version
        for operator, version in dict.fromkeys(bounds)
        if operator != "~>" or not _has_bound_on(version, versions, kind)
    ]


def _has_bound_on(branch: str, versions: Iterable[str], kind: str) -> bool:
    near = branch.rpartition(".")[0] + "."
    return any(v.startswith(near) and is_below(branch, v, kind) for v in versions)


def _affects(affected: VersionRange, version: str, kind: str) -> bool:
    """Return whether a version lies in a range, as the OSV schema evaluates its events.

    A range without an end affects all that follow. Of a bound that is no version nothing is known:
    then it does not count, so that a start is open and an end says nothing.
    """
    start = affected.introduced
    if start not in {None, "0"} and is_below(version, start or "", kind):
        return False
    if affected.fixed is not None:
        return bool(is_below(version, affected.fixed, kind))
    if affected.last_affected is not None:
        return is_below(affected.last_affected, version, kind) is False
    return True


def _in_flavour(stated: str, installed: str) -> str | None:
    """Return a version in the installed one's flavour, None where it is not known to have it."""
    wanted, found = _FLAVOUR.search(installed), _FLAVOUR.search(stated)
    name, other = wanted[1] if wanted else "", found[1] if found else ""
    if name == other:
        return stated
    if found and other in _TWINS and name in _TWINS | {""}:
        return stated[: found.start(1)] + (name or "jre")
    return None
