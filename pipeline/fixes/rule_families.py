"""What we know of the families of rules that scanners report (`embedded/rule_families/`)."""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Literal, get_args

import msgspec

from secdaemon.pipeline.findings.model import Category as FindingKind

Domain = Literal[
    "workflows",
    "code",
    "input",
    "crypto",
    "memory",
    "web",
    "mobile",
    "secrets",
    "containers",
    "kubernetes",
    "data",
    "stores",
    "logs",
    "cloud",
    "networks",
    "quality",
]
"""A domain is a file of its name."""

Cloud = Literal["alibaba", "aws", "azure", "google"]

_EVERY: tuple[Domain, ...] = get_args(Domain)
_ASKED: Mapping[FindingKind, tuple[Domain, ...]] = MappingProxyType(
    {
        FindingKind.CODE: _EVERY,
        FindingKind.CONFIGURATION: (
            "containers",
            "kubernetes",
            "workflows",
            "data",
            "stores",
            "logs",
            "cloud",
            "networks",
            "secrets",
            "quality",
        ),
        FindingKind.SECRET: ("secrets",),
        FindingKind.WEB: ("web", "code", "input", "crypto"),
        FindingKind.DEPENDENCY: (),
    }
)
"""Which domains may answer a kind of finding, in this order: a bucket's title speaks of secrets
and policies too, and only a domain keeps it from the words of another."""
_CLOUD: frozenset[Domain] = frozenset(("data", "stores", "logs", "cloud", "networks"))
_SPEAKS_OF_CLOUD = re.compile(
    r"(?<![a-z0-9])(aws|azure|gcp|google|ali(cloud|baba)|terraform|cloud-?formation|bicep|pulumi|tf"
    r"|ckv2?|avd|open-?api)(?![a-z])"
)
_LONGEST = 600
"""Of a name; what is longer is prose."""
_OPAQUE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One family: the words it is known by, its CWE, why it matters, and what to do."""

    words: tuple[str, ...]
    """Regular expressions, matched at the beginning of a word of a rule's id and name; numbers
    are ZAP's ids."""
    cwe: str = ""
    """`CWE-<number>`; empty where the rule is about no weakness, which `about` then says."""
    about: str = ""
    """What a rule is about that reports no weakness: "readability", "names"."""
    why: str
    remedy: str
    clouds: dict[Cloud, str] = {}
    """The remedy where the settings have other names in each provider's resources."""
    misnamed: tuple[str, ...] = ()
    """CWEs that scanners name for such a rule and that do not fit it."""
    broad: bool = False
    """Its words stand in other families' rules too: a scanner's own CWE counts for more."""


def family_of(*names: str | None, kind: FindingKind = FindingKind.CODE) -> Family | None:
    """Return the first family that a rule's id, name or other words speak of.

    A UUID is no words. `kind` decides which domains are asked; of rules about code, only those
    that name a provider or a template language are looked up among the clouds'.
    """
    telling = (name[:_LONGEST] for name in names if name and not _OPAQUE.fullmatch(name.strip()))
    words = words_of(*telling)
    clouds = kind is FindingKind.CONFIGURATION or _SPEAKS_OF_CLOUD.search(words) is not None
    for domain in _ASKED[kind]:
        if domain in _CLOUD and not clouds:
            continue
        for pattern, family in _patterns(domain):
            if pattern.search(words):
                return family
    return None


def words_of(*names: str | None) -> str:
    """Return `unsafeEval.rule_1` and further names as `unsafe-eval-rule-1-…`."""
    return "-".join(_words(name) for name in names if name)


def families() -> tuple[Family, ...]:
    """Return all families, domain by domain."""
    return tuple(family for domain in _EVERY for family in families_of(domain))


@cache
def families_of(domain: Domain) -> tuple[Family, ...]:
    """Return the families of a domain, the special before the general."""
    import yaml

    folder = resources.files("secdaemon.pipeline.embedded") / "rule_families"
    text = folder / f"{domain}.yaml"
    return msgspec.convert(yaml.safe_load(text.read_text(encoding="utf-8")), tuple[Family, ...])


@cache
def _patterns(domain: Domain) -> tuple[tuple[re.Pattern[str], Family], ...]:
    return tuple((re.compile("|".join(map(_pattern, f.words))), f) for f in families_of(domain))


def _pattern(word: str) -> str:
    """Return the word at the beginning of words; a number is a rule's id and stands first."""
    return rf"^{word}(?!\d)" if word.isdigit() else rf"(?<![a-z0-9])(?:{word})"


def _words(name: str) -> str:
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name)
    return re.sub(r"[^a-z0-9]+", "-", split.lower())
