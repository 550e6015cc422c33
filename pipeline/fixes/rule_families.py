"""What we know about the families of rules that scanners report (`embedded/rule_families.yaml`)."""

import re
from functools import cache
from importlib import resources

import msgspec


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One family: the words it is known by, its CWE, why it matters, and what to do."""

    words: tuple[str, ...]
    """Regular expressions, matched at the beginning of a word of a rule's id and name; numbers
    are ZAP's ids."""
    cwe: str
    why: str
    remedy: str
    broad: bool = False
    """Its words stand in other families' rules too: a scanner's own CWE counts for more."""


def family_of(*names: str | None) -> Family | None:
    """Return the first family that a rule's id, name or other words speak of."""
    words = "-".join(_words(name) for name in names if name)
    for pattern, family in _families():
        if pattern.search(words):
            return family
    return None


@cache
def families() -> tuple[Family, ...]:
    """Return all families, the special before the general."""
    import yaml

    text = resources.files("secdaemon.pipeline.embedded").joinpath("rule_families.yaml")
    return msgspec.convert(yaml.safe_load(text.read_text(encoding="utf-8")), tuple[Family, ...])


@cache
def _families() -> tuple[tuple[re.Pattern[str], Family], ...]:
    return tuple((re.compile("|".join(map(_pattern, f.words))), f) for f in families())


def _pattern(word: str) -> str:
    """Return the word at the beginning of words; a number is a rule's id and stands first."""
    return rf"^{word}(?!\d)" if word.isdigit() else rf"(?<![a-z0-9])(?:{word})"


def _words(name: str) -> str:
    """Return `unsafeEval.rule_1` as `unsafe-eval-rule-1`."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name)
    return re.sub(r"[^a-z0-9]+", "-", split.lower())
