"""Packages in the prose of SARIF messages.

SARIF has no place for a package, so that each dependency scanner has its own sentence for it. One
pattern a sentence; a scanner's name decides nothing, since tools copy each other's.
"""

import re

import msgspec

from secdaemon.pipeline.findings.identifiers import advisories_in, package_url
from secdaemon.pipeline.findings.model import Package
from secdaemon.pipeline.findings.shape import unique

_SENTENCES = (
    re.compile(
        r"\APackage: (?P<name>[^\n]{1,300})\nInstalled Version: (?P<version>[^\n]{0,200})\n"
        r"Vulnerability (?P<ids>[^\n]{1,100})\nSeverity: (?P<severity>\w{1,20})\n"
        r"Fixed Version: ?(?P<fixed>[^\n]{0,300})"
    ),
    re.compile(
        r"\APackage '(?P<name>[^'\n]{1,300})@(?P<version>[^@'\n]{1,200})' is vulnerable to "
        r"(?P<ids>[^\n]{1,1000})"
    ),
    re.compile(
        r"\AA (?P<severity>\w{1,20}) vulnerability in (?P<ecosystem>[\w.-]{1,40}) package: "
        r"(?P<name>[^,\n]{1,300}), version (?P<version>\S{1,200}) was found"
    ),
)
_STARTS = ("Package", "A ")


class Advisory(msgspec.Struct, frozen=True, kw_only=True):
    """What a sentence says about a package, its severity and the advisory's ids."""

    package: Package
    severity: str | None
    ids: tuple[str, ...]


def advisory_in(message: str) -> Advisory | None:
    """The package that a dependency scanner's message is about; None for any other message."""
    if not message.startswith(_STARTS):
        return None
    for sentence in _SENTENCES:
        match = sentence.match(message)
        if match:
            return _advisory({name: value or "" for name, value in match.groupdict().items()})
    return None


def _advisory(found: dict[str, str]) -> Advisory:
    ecosystem = found.get("ecosystem") or None
    name, version = found["name"].strip(), found["version"].strip() or None
    return Advisory(
        package=Package(
            name=name,
            ecosystem=ecosystem,
            version=version,
            purl=package_url(ecosystem, name, version),
            fixed_versions=versions(found.get("fixed", "")),
        ),
        severity=found.get("severity") or None,
        ids=advisories_in((found.get("ids", ""),)),
    )


def versions(listed: str) -> tuple[str, ...]:
    """The versions in a list with commas, as Trivy writes them: one a release branch."""
    return unique(part.strip() for part in listed.split(",") if part.strip())
