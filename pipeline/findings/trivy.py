"""Trivy's own JSON: schema 2, the list of targets before it, and the Kubernetes reports."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from secdaemon.pipeline.findings import severity
from secdaemon.pipeline.findings.advisory_text import versions
from secdaemon.pipeline.findings.cvss import base_score, vector_of
from secdaemon.pipeline.findings.document import (
    Document,
    decoded,
    each_object,
    raw_items,
    raw_members,
)
from secdaemon.pipeline.findings.gather import Gatherer, Results, UnusableError
from secdaemon.pipeline.findings.identifiers import advisories_in, cwes_in, package_url
from secdaemon.pipeline.findings.model import Category, Finding, Package
from secdaemon.pipeline.findings.paths import clean_path
from secdaemon.pipeline.findings.shape import (
    code,
    line,
    mapping,
    mappings,
    number,
    text,
    unique,
    word,
    words,
)

TOOL = "trivy"
_KUBERNETES_PARTS = ("Resources", "Vulnerabilities", "Misconfigurations", "Findings")
_RATERS = ("nvd", "ghsa", "redhat")
_MODIFIED = "ExperimentalModifiedFindings"
_MAX_REFERENCES = 20


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    """What was scanned: an image, a Kubernetes resource, or a file."""

    name: str | None
    kind: str | None
    is_os: bool
    image: str | None
    resource: str | None
    version: str | None

    @property
    def target(self) -> str | None:
        """The image or resource, or the operating system's line in a file-system scan."""
        return self.image or self.resource or (self.name if self.is_os else None)

    @property
    def path(self) -> str | None:
        """The file, where the target is one."""
        return None if self.is_os or self.resource else clean_path(self.name)


def recognise(document: Document) -> bool:
    """A report of schema 2, a Kubernetes report, or the older list of targets."""
    if document.is_list:
        first = mapping(document.first_item())
        return "Target" in first and bool({"Vulnerabilities", "Type", "Class"} & set(first))
    is_kubernetes = document.has("ClusterName") and any(map(document.has, _KUBERNETES_PARTS))
    return is_kubernetes or document.has("SchemaVersion", "ArtifactName") or _has_targets(document)


def _has_targets(document: Document) -> bool:
    results = raw_items(document.members.get("Results"))
    return any("Target" in raw_members(raw) for raw in results[:20])


def parse(document: Document, gather: Gatherer) -> Results:
    """Vulnerabilities, failed checks and secrets of every target; licences are no findings."""
    gather.scanned_by(TOOL)
    version = word(mapping(document.value("Trivy")).get("Version"))
    for pointer, raw, image, resource in _targets(document):
        members = raw_members(raw)
        kind = text(decoded(members.get("Class"))) or ""
        native = text(decoded(members.get("Type")))
        target = _Target(
            name=text(decoded(members.get("Target"))),
            kind=native,
            is_os=kind == "os-pkgs",
            image=image,
            resource=resource,
            version=version,
        )
        _read_target(members, pointer, target, gather)
    return gather.results()


def _targets(document: Document) -> Iterator[tuple[str, msgspec.Raw, str | None, str | None]]:
    """Every target with its pointer, and the image or Kubernetes resource that it is of."""
    for position, raw in enumerate(document.items):
        yield f"/{position}", raw, None, None
    is_image = text(document.value("ArtifactType")) == "container_image"
    image = text(document.value("ArtifactName")) if is_image else None
    for position, raw in enumerate(raw_items(document.members.get("Results"))):
        yield f"/Results/{position}", raw, image, None
    if not document.has("ClusterName"):
        return
    for part in _KUBERNETES_PARTS:
        for place, resource in enumerate(raw_items(document.members.get(part))):
            members = raw_members(resource)
            names = (text(decoded(members.get(k))) for k in ("Namespace", "Kind", "Name"))
            name = "/".join(found for found in names if found)
            for position, raw in enumerate(raw_items(members.get("Results"))):
                yield f"/{part}/{place}/Results/{position}", raw, None, name or None


def _read_target(
    members: dict[str, msgspec.Raw], pointer: str, target: _Target, gather: Gatherer
) -> None:
    readers = {
        "Vulnerabilities": partial(_vulnerability, target=target, gather=gather),
        "Misconfigurations": partial(_misconfiguration, target=target, gather=gather),
        "Secrets": partial(_secret, target=target, gather=gather),
    }
    for part, read in readers.items():
        gather.each(raw_items(members.get(part)), f"{pointer}/{part}", read)
    pointer += f"/{_MODIFIED}"
    read_ignored = partial(_ignored, target=target, gather=gather)
    for place, entry in each_object(raw_items(members.get(_MODIFIED)), pointer):
        if text(mapping(entry).get("Type")) != "license":
            gather.one(entry, place, read_ignored)


def _ignored(entry: dict[str, Any], pointer: str, *, target: _Target, gather: Gatherer) -> Finding:
    """A result that a .trivyignore or VEX file took out (`--show-suppressed`)."""
    kinds = {"misconfiguration": _misconfiguration, "secret": _secret}
    read = kinds.get(text(entry.get("Type")) or "", _vulnerability)
    finding = read(
        mapping(entry.get("Finding")), f"{pointer}/Finding", target=target, gather=gather
    )
    status = text(entry.get("Status")) or "ignored"
    statement = text(entry.get("Statement"))
    reason = f"{status}: {statement}" if statement else status
    return msgspec.structs.replace(finding, suppression=reason)


def _vulnerability(
    native: dict[str, Any], pointer: str, *, target: _Target, gather: Gatherer
) -> Finding:
    identifier = text(native.get("VulnerabilityID"))
    if not identifier:
        msg = "it has no VulnerabilityID"
        raise UnusableError(msg)
    vector, score = _rating(native)
    own = text(native.get("Severity"))
    status = text(native.get("Status"))
    return Finding(
        tool=TOOL,
        tool_version=target.version,
        rule=identifier,
        severity=severity.first_known(severity.from_word(own), severity.from_score(score)),
        native_severity=own,
        score=score,
        cvss=vector,
        message=text(native.get("Title")) or identifier,
        help=text(native.get("Description")),
        references=_references(native),
        category=Category.DEPENDENCY,
        cwes=cwes_in(words(native.get("CweIDs"))),
        aliases=unique((identifier, *advisories_in(words(native.get("VendorIDs"))))),
        package=_package(native, target),
        path=clean_path(native.get("PkgPath")) or target.path,
        target=target.target,
        suppression=f"status {status}" if status == "not_affected" else None,
        sources=gather.source(pointer, TOOL),
    )


def _package(native: dict[str, Any], target: _Target) -> Package | None:
    name = text(native.get("PkgName"))
    if not name:
        return None
    version = word(native.get("InstalledVersion"))
    stated = text(mapping(native.get("PkgIdentifier")).get("PURL"))
    return Package(
        name=name,
        ecosystem=target.kind,
        version=version,
        purl=stated or package_url(target.kind, name, version),
        fixed_versions=versions(text(native.get("FixedVersion")) or ""),
    )


def _rating(native: dict[str, Any]) -> tuple[str | None, float | None]:
    """The vector of the source that the severity is from, else of the best-known others."""
    rated = mapping(native.get("CVSS"))
    source = text(native.get("SeveritySource")) or ""
    for name in (source, *_RATERS, *rated):
        rating = mapping(rated.get(name))
        for version in ("V3", "V40", "V2"):
            vector = vector_of(text(rating.get(f"{version}Vector")))
            if vector:
                score = base_score(vector)
                return vector, number(rating.get(f"{version}Score")) if score is None else score
    return None, None


def _references(native: dict[str, Any]) -> tuple[str, ...]:
    primary = text(native.get("PrimaryURL"))
    listed = words(native.get("References"))
    return unique((*((primary,) if primary else ()), *listed))[:_MAX_REFERENCES]


def _misconfiguration(
    native: dict[str, Any], pointer: str, *, target: _Target, gather: Gatherer
) -> Finding:
    rule = text(native.get("ID")) or text(native.get("AVDID"))
    if not rule:
        msg = "it has no ID"
        raise UnusableError(msg)
    cause = mapping(native.get("CauseMetadata"))
    own = text(native.get("Severity"))
    status = text(native.get("Status")) or "FAIL"
    return Finding(
        tool=TOOL,
        tool_version=target.version,
        rule=rule,
        rule_name=text(native.get("Title")),
        severity=severity.from_word(own),
        native_severity=own,
        message=text(native.get("Message")) or text(native.get("Title")) or rule,
        help=text(native.get("Resolution")) or text(native.get("Description")),
        references=_references(native),
        category=Category.CONFIGURATION,
        path=target.path,
        line=line(cause.get("StartLine")),
        end_line=line(cause.get("EndLine")),
        snippet=_code(cause),
        target=target.target or text(cause.get("Resource")),
        suppression=None if status == "FAIL" else f"status {status}",
        sources=gather.source(pointer, TOOL),
    )


def _code(cause: dict[str, Any]) -> str | None:
    rows = mappings(mapping(cause.get("Code")).get("Lines"))
    return code("\n".join(row["Content"] for row in rows if isinstance(row.get("Content"), str)))


def _secret(native: dict[str, Any], pointer: str, *, target: _Target, gather: Gatherer) -> Finding:
    """A secret; Trivy masks it since 0.28, and its neighbours on the line may be secrets too."""
    rule = text(native.get("RuleID"))
    if not rule:
        msg = "it has no RuleID"
        raise UnusableError(msg)
    match = code(native.get("Match"))
    own = text(native.get("Severity"))
    return Finding(
        tool=TOOL,
        tool_version=target.version,
        rule=rule,
        rule_name=text(native.get("Title")),
        severity=severity.from_word(own),
        native_severity=own,
        message=text(native.get("Title")) or rule,
        category=Category.SECRET,
        cwes=("CWE-798",),
        path=target.path,
        line=line(native.get("StartLine")),
        end_line=line(native.get("EndLine")),
        snippet=gather.secrets.placeholder(rule, match) if match else None,
        target=target.target,
        sources=gather.source(pointer, TOOL),
    )
