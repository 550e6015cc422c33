"""OSV-Scanner's JSON, versions 1 and 2; vulnerabilities follow the OSV schema (ossf.github.io)."""

from typing import Any

import msgspec

from secdaemon.pipeline.findings import severity
from secdaemon.pipeline.findings.cvss import base_score, vector_of
from secdaemon.pipeline.findings.document import Document, decoded, raw_items, raw_members
from secdaemon.pipeline.findings.gather import Gatherer, Results, UnusableError
from secdaemon.pipeline.findings.identifiers import cwes_in, package_url, purl_type
from secdaemon.pipeline.findings.model import Category, Finding, Package, VersionRange
from secdaemon.pipeline.findings.paths import clean_path
from secdaemon.pipeline.findings.shape import (
    mapping,
    mappings,
    number,
    sequence,
    text,
    unique,
    word,
    words,
)

TOOL = "osv"
_PREFERRED = ("CVSS_V3", "CVSS_V4", "CVSS_V2")
_MAX_REFERENCES = 20


def recognise(document: Document) -> bool:
    """Results with a source and packages; without any, the configuration that it always echoes."""
    if not document.has("results"):
        return False
    results = raw_items(document.members["results"])
    if results:
        return any({"source", "packages"} <= set(raw_members(raw)) for raw in results[:20])
    return document.has("experimental_config") or set(document.members) == {"results"}


def parse(document: Document, gather: Gatherer) -> Results:
    """Every vulnerability of every package; licence violations are none."""
    gather.scanned_by(TOOL)
    for position, raw in enumerate(raw_items(document.members["results"])):
        result = raw_members(raw)
        source = mapping(decoded(result.get("source")))
        for place, package in enumerate(raw_items(result.get("packages"))):
            pointer = f"/results/{position}/packages/{place}"
            _read_package(raw_members(package), source, pointer, gather)
    return gather.results()


def _read_package(
    members: dict[str, msgspec.Raw], source: dict[str, Any], pointer: str, gather: Gatherer
) -> None:
    native = mapping(decoded(members.get("package")))
    groups = mappings(decoded(members.get("groups")))

    def read(vulnerability: dict[str, Any], place: str) -> Finding:
        finding = _finding(vulnerability, native, groups, source)
        return msgspec.structs.replace(finding, sources=gather.source(place, TOOL))

    gather.each(raw_items(members.get("vulnerabilities")), f"{pointer}/vulnerabilities", read)


def _finding(
    vulnerability: dict[str, Any],
    native: dict[str, Any],
    groups: list[dict[str, Any]],
    source: dict[str, Any],
) -> Finding:
    identifier = text(vulnerability.get("id"))
    if not identifier:
        msg = "it has no id"
        raise UnusableError(msg)
    group = next((g for g in groups if identifier in words(g.get("ids"))), {})
    specific = mapping(vulnerability.get("database_specific"))
    vector, score = _rating(vulnerability, group)
    own = text(specific.get("severity"))
    details = text(vulnerability.get("details"))
    return Finding(
        tool=TOOL,
        rule=identifier,
        severity=severity.first_known(severity.from_word(own), severity.from_score(score)),
        native_severity=own,
        score=score,
        cvss=vector,
        message=text(vulnerability.get("summary")) or (details or identifier).split("\n")[0],
        help=details,
        references=_references(vulnerability),
        category=Category.DEPENDENCY,
        cwes=cwes_in((*words(specific.get("cwe_ids")), *_affected_cwes(vulnerability))),
        aliases=_aliases(identifier, vulnerability, group),
        package=_package(vulnerability, native),
        path=clean_path(source.get("path")),
        suppression=_set_aside(identifier, group),
    )


def _set_aside(identifier: str, group: dict[str, Any]) -> str | None:
    """Why the scanner itself leaves the vulnerability out of its table, if it does.

    A group counts as called unless its call analysis says of none of its ids that it is
    (`GroupInfo.IsCalled` of OSV-Scanner); distributions call some of theirs unimportant.
    """
    stated = group.get("experimental_analysis") or group.get("experimentalAnalysis")
    analysis = mapping(stated)
    if mapping(analysis.get(identifier)).get("unimportant") is True:
        return "the distribution calls it unimportant"
    called = [mapping(entry).get("called") for entry in analysis.values()]
    if called and all(answer is False for answer in called):
        return "the scanner found that the code is not called"
    return None


def _rating(
    vulnerability: dict[str, Any], group: dict[str, Any]
) -> tuple[str | None, float | None]:
    """The vector and its score; without one, the group's score where that is its alone."""
    stated = {text(s.get("type")): s for s in mappings(vulnerability.get("severity"))}
    kind = next((name for name in _PREFERRED if name in stated), None)
    vector = vector_of(text(stated[kind].get("score"))) if kind else None
    score = base_score(vector)
    if score is None and len(words(group.get("ids"))) == 1:
        score = number(group.get("max_severity"))
    return vector, score


def _aliases(
    identifier: str, vulnerability: dict[str, Any], group: dict[str, Any]
) -> tuple[str, ...]:
    """Its id and aliases, and its group's where the group is of this advisory alone."""
    grouped = words(group.get("aliases")) if len(words(group.get("ids"))) == 1 else ()
    return unique((identifier, *words(vulnerability.get("aliases")), *grouped))


def _references(vulnerability: dict[str, Any]) -> tuple[str, ...]:
    listed = mappings(vulnerability.get("references"))
    return unique(url for r in listed if (url := text(r.get("url"))))[:_MAX_REFERENCES]


def _affected_cwes(vulnerability: dict[str, Any]) -> tuple[str, ...]:
    found = (mapping(a.get("database_specific")) for a in mappings(vulnerability.get("affected")))
    return unique(
        cwe
        for specific in found
        for entry in mappings(specific.get("cwes"))
        if (cwe := text(entry.get("cweId")))
    )


def _package(vulnerability: dict[str, Any], native: dict[str, Any]) -> Package | None:
    """The package, with the branches of the advisory that are of this package and no other.

    One advisory often covers several packages with different fixes.
    """
    name = text(native.get("name"))
    if not name:
        return None
    ecosystem, version = text(native.get("ecosystem")), word(native.get("version"))
    ranges = [
        branch
        for affected in mappings(vulnerability.get("affected"))
        if _is_same(mapping(affected.get("package")), name, ecosystem)
        for span in mappings(affected.get("ranges"))
        if text(span.get("type")) != "GIT"
        for branch in _branches(span)
    ]
    return Package(
        name=name,
        ecosystem=ecosystem or None,
        version=version or word(native.get("commit")),
        purl=package_url(ecosystem, name, version),
        fixed_versions=unique(branch.fixed for branch in ranges if branch.fixed),
        ranges=tuple(dict.fromkeys(ranges)),
    )


def _is_same(package: dict[str, Any], name: str, ecosystem: str | None) -> bool:
    other = text(package.get("ecosystem"))
    alike = purl_type(other) == purl_type(ecosystem) or other == ecosystem or not ecosystem
    return text(package.get("name")) == name and alike


def _branches(span: dict[str, Any]) -> list[VersionRange]:
    """The events of a range as pairs: each `introduced` opens a branch (OSV schema, `events`)."""
    branches: list[VersionRange] = []
    opened: str | None = None
    for event in sequence(span.get("events")):
        if start := word(mapping(event).get("introduced")):
            opened = start
        fixed, last = word(mapping(event).get("fixed")), word(mapping(event).get("last_affected"))
        if fixed or last:
            branches.append(VersionRange(introduced=opened, fixed=fixed, last_affected=last))
            opened = None
    if opened is not None:
        branches.append(VersionRange(introduced=opened))
    return branches
