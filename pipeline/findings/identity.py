"""What makes two results the same: where a result stands, and what it is across scans."""

import hashlib
import re
from collections.abc import Iterable, Iterator

import msgspec

from secdaemon.pipeline.findings.model import Category, Finding

PlaceKey = tuple[str | int | None, ...]
_NUMBERED = re.compile(r"(<secret:[a-z0-9-]+):\d+>")
_ID_BYTES = 16


def place_key(finding: Finding) -> PlaceKey:
    """Equal for the same result of one tool in two files of one artifact."""
    package = finding.package
    return (
        finding.tool,
        finding.rule,
        finding.path,
        finding.line,
        finding.column,
        finding.end_line,
        finding.target,
        finding.url,
        finding.method,
        finding.parameter,
        package.name if package else None,
        package.version if package else None,
        squeezed(finding.message),
    )


def squeezed(text: str | None) -> str:
    """The text with every run of white space as one space, and without secrets' numbers."""
    if not text:
        return ""
    # A printable text has no white space but spaces.
    is_single = text.isprintable() and "  " not in text and text.strip() is text
    single = text if is_single else " ".join(text.split())
    return _NUMBERED.sub(r"\1>", single) if "<secret:" in single else single


class Identities:
    """Gives out ids; findings that are alike are told apart by their order."""

    def __init__(self) -> None:
        """Start without any."""
        self._given: set[str] = set()
        self._again: dict[str, int] = {}

    def of(self, content: str) -> str:
        """The id of the next finding of this content."""
        base = _hash(content)
        before = len(self._given)
        self._given.add(base)
        if len(self._given) > before:
            return base
        self._again[base] = count = self._again.get(base, 1) + 1
        return _hash(f"{base}\n{count}")


def identified(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings with their ids."""
    identities = Identities()
    for finding in findings:
        yield msgspec.structs.replace(finding, id=identities.of(content(finding)))


def content(finding: Finding) -> str:
    """What stays the same when lines move.

    A dependency is its package, version and advisory wherever it is found; anything else is its
    tool, rule and place, with the code in the place of the line where the scan quotes it.
    """
    package = finding.package
    if finding.category is Category.DEPENDENCY and package:
        advisory = min(finding.aliases, default=finding.rule)
        return "\n".join(["dependency", package.name.lower(), package.version or "", advisory])
    where = squeezed(finding.snippet) or str(finding.line)
    place = (finding.path, finding.target, finding.url, finding.method, finding.parameter)
    parts = [finding.tool, finding.rule, *(part or "" for part in place), where]
    return "\n".join([*parts, squeezed(finding.message)])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()[:_ID_BYTES].hex()
