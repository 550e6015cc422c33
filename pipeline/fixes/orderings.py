"""Versions in the order of their ecosystem.

The orders are univers's; where it departs from the ecosystem, the text is brought into a form that
it orders rightly, and `tests/pipeline/fixes/test_orderings.py` shows the difference.
"""

import re
from functools import lru_cache
from typing import Any

import msgspec
from univers import versions as schemes

_SCHEMES = {
    "apk": schemes.AlpineLinuxVersion,
    "cargo": schemes.SemverVersion,
    "composer": schemes.NugetVersion,
    "deb": schemes.DebianVersion,
    "gem": schemes.RubygemsVersion,
    "golang": schemes.GolangVersion,
    "maven": schemes.MavenVersion,
    "npm": schemes.SemverVersion,
    "nuget": schemes.NugetVersion,
    "pypi": schemes.PypiVersion,
    "rpm": schemes.RpmVersion,
}
_SEMANTIC = frozenset(("cargo", "golang", "npm"))
_SYSTEM = frozenset(("apk", "deb", "rpm"))
_PRINTABLE = re.compile(r"(?=.*\d)[!-~]{1,200}")
_NUMBERS = re.compile(r"v?\d+(?:\.\d+){0,2}(?:[-+][0-9A-Za-z.+-]+)?")
_GO_SHORT = re.compile(r"(\d+\.\d+)(?=(?:rc|beta)\d)")
_GO_PSEUDO = re.compile(r"[.-]\d{14}-[0-9a-f]{12}$")
_PRE_RELEASE = re.compile(
    r"(?<![a-z])(?:alpha|beta|milestone|rc|cr|snapshot|pre|preview|dev|eap?|[abm](?=[.-]?\d))"
    r"(?![a-z])"
)
_COMPOSER = re.compile(
    r"v?(\d+(?:\.\d+){0,3})(?:[.-]?(dev|alpha|a|beta|b|rc|patch|pl|p)[.-]?(\d*))?", re.IGNORECASE
)
_COMPOSER_STAGES = {"a": "alpha", "b": "beta"}


class Ordered(msgspec.Struct, frozen=True, eq=False):
    """A version that can be compared with others of its kind.

    Only `<` of the library is used: the others are inherited, and wrong, for Alpine.
    """

    value: Any

    def __lt__(self, other: "Ordered") -> bool:
        return bool(self.value < other.value)


@lru_cache(maxsize=4096)
def ordered(text: str, kind: str) -> Ordered | None:
    """Return what orders a version among those of a kind, None for text that is no version.

    `kind` is a package URL's type; an unknown one orders as Maven, which knows the most shapes.
    """
    text = text.strip()
    if not _PRINTABLE.fullmatch(text):
        return None
    shaped = _shaped(text, kind)
    if shaped is None:
        return None
    try:
        return Ordered(_SCHEMES.get(kind, schemes.MavenVersion)(shaped))
    except (ValueError, TypeError):
        return None


def is_below(version: str, other: str, kind: str) -> bool | None:
    """Return whether a version sorts before another one, None where either is no version."""
    left, right = ordered(version, kind), ordered(other, kind)
    return None if left is None or right is None else left < right


def is_pre_release(text: str, kind: str) -> bool:
    """Return whether a version comes before a release, by its ecosystem's own signs.

    Distributions have none: what they publish is released. Nor is a commit of a Go module without
    tags, `v0.0.0-20220314234659-1baeb1ce4c0b`.
    """
    if kind in _SYSTEM:
        return False
    if kind == "pypi":
        found = ordered(text, kind)
        return found is not None and bool(found.value.value.is_prerelease)
    plain = text.lower().partition("+")[0]
    if kind == "golang" and _GO_PSEUDO.search(plain):
        return False
    if kind in _SEMANTIC | {"nuget"} and "-" in plain:
        return True
    if kind == "gem":
        return bool(re.search(r"[a-z]", plain))
    return bool(_PRE_RELEASE.search(plain))


def _shaped(text: str, kind: str) -> str | None:
    """Return the version in the form that the library orders as the ecosystem does."""
    if kind in _SEMANTIC:
        text = _GO_SHORT.sub(r"\1.0-", text) if kind == "golang" else text
        text = text.partition("+")[0]
        return text if _NUMBERS.fullmatch(text) else None
    if kind == "composer":
        return _composer(text)
    if kind not in _SCHEMES or kind == "maven":
        text = text.lower().removeprefix("v") if kind != "maven" else text.lower()
        text = re.sub(r"(?<![a-z])release(?![a-z])", "ga", text)
        return re.sub(r"\.(?=[a-z])", "-", text)
    return text


def _composer(text: str) -> str | None:
    """Return a Composer version in NuGet's form, which also has four numbers.

    A patch level stands above its release, which neither form has: it becomes a fifth number, that
    of the last place, in thousandths.
    """
    match = _COMPOSER.fullmatch(text)
    if match is None:
        return None
    numbers = ([*match[1].split("."), "0", "0", "0"])[:4]
    stage, count = (match[2] or "").lower(), match[3] or "0"
    level = int(count) if stage in {"patch", "pl", "p"} else 0
    numbers[3] = str(int(numbers[3]) * 1000 + min(level, 999))
    if not stage or stage in {"patch", "pl", "p"}:
        return ".".join(numbers)
    order = {"dev": "0", "alpha": "1", "beta": "2", "rc": "3"}[_COMPOSER_STAGES.get(stage, stage)]
    return f"{'.'.join(numbers)}-{order}.{int(count)}"
