"""A project's files in memory, and the fixes of one package in them."""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from xml.etree import ElementTree as ET

import msgspec
import pytest

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.findings.model import Category, Finding, Package, Severity
from secdaemon.pipeline.fixes.manifests.choose import fixes_for
from secdaemon.pipeline.fixes.model import Fix


class Tree:
    """Files in memory, as a checkout shows them."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)

    @property
    def paths(self) -> Sequence[str]:
        """Every file, in git's order."""
        return tuple(sorted(self.texts))

    def read(self, path: str) -> str | None:
        """Return a file's text."""
        return self.texts.get(path)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a scan says of a package."""

    name: str
    installed: str
    version: str
    ecosystem: str | None
    path: str | None
    image: str | None = None


Mended = Callable[[Mapping[str, str], Asked], tuple[Fix, ...]]


def finding(asked: Asked) -> Finding:
    """Return the finding of a scanner."""
    return Finding(
        tool="osv",
        rule="GHSA-aaaa-bbbb-cccc",
        severity=Severity.HIGH,
        message="m",
        category=Category.DEPENDENCY,
        aliases=("GHSA-aaaa-bbbb-cccc", "CVE-2024-1000"),
        package=Package(name=asked.name, ecosystem=asked.ecosystem, version=asked.installed),
        path=asked.path,
        target=asked.image,
    )


def reads(path: str, text: str) -> bool:
    """Return whether a file is grammatical, by Python's own readers where there are some."""
    try:
        if path.endswith(".json"):
            json.loads(text)
        elif path.endswith((".toml", "Pipfile")):
            tomllib.loads(text)
        elif path.endswith(".xml"):
            ET.fromstring(text)
    except (ValueError, RecursionError, ET.ParseError):
        return False
    grammar = grammars.grammar_at(path, text)
    return grammar is None or not grammars.parse(grammar, text).has_error


def mended(texts: Mapping[str, str], asked: Asked) -> tuple[Fix, ...]:
    """Return the fixes, of which each is shown to be one.

    The text before is the file's and weak, the one after is neither that nor broken, and what is
    mended is not mended again.
    """
    fixes = fixes_for(finding(asked), asked.version, Tree(texts))
    for fix in fixes:
        assert fix.approach == "dependency_upgrade"
        assert fix.before == texts[fix.path]
        assert fix.is_weak is not None
        assert fix.is_weak(fix.before)
        assert not fix.is_weak(fix.after)
        assert reads(fix.path, fix.after) or not reads(fix.path, fix.before)
        again = fixes_for(finding(asked), asked.version, Tree({**texts, fix.path: fix.after}))
        assert all(other.path != fix.path for other in again)
    return fixes


@pytest.fixture(name="mend")
def _mend() -> Mended:
    return mended


@pytest.fixture(name="asked")
def _asked() -> type[Asked]:
    return Asked
