"""Checkov's own JSON: an object, or a list with one object a framework."""

from functools import partial
from typing import Any

import msgspec

from secdaemon.pipeline.findings import severity
from secdaemon.pipeline.findings.advisory_text import versions
from secdaemon.pipeline.findings.cvss import vector_of
from secdaemon.pipeline.findings.document import Document, decoded, raw_items, raw_members
from secdaemon.pipeline.findings.gather import Gatherer, Results, UnusableError
from secdaemon.pipeline.findings.identifiers import advisories_in, cwes_in
from secdaemon.pipeline.findings.model import Category, Finding, Package
from secdaemon.pipeline.findings.paths import clean_path
from secdaemon.pipeline.findings.secret_scans import is_secret_rule, secret_kind
from secdaemon.pipeline.findings.shape import (
    code,
    line,
    mapping,
    number,
    sequence,
    text,
    unique,
    word,
    words,
)

TOOL = "checkov"


def recognise(document: Document) -> bool:
    """A framework's report, a list of them, or the bare summary of a run that checked nothing."""
    if document.is_list:
        found = (raw_members(raw) for raw in document.items[:20])
        return any({"check_type", "results"} <= set(members) for members in found)
    return document.has("check_type", "results") or document.has("checkov_version", "failed")


def parse(document: Document, gather: Gatherer) -> Results:
    """Failed checks; skipped ones as suppressed; passed ones are no findings."""
    gather.scanned_by(TOOL)
    if not document.is_list:
        _read_report(document.members, "", gather)
    for position, raw in enumerate(document.items):
        _read_report(raw_members(raw), f"/{position}", gather)
    return gather.results()


def _read_report(report: dict[str, msgspec.Raw], pointer: str, gather: Gatherer) -> None:
    results = raw_members(report.get("results"))
    summary = mapping(decoded(report.get("summary")))
    version = word(summary.get("checkov_version"))
    kind = text(decoded(report.get("check_type"))) or ""
    gather.complaints += len(sequence(decoded(results.get("parsing_errors"))))
    for name in ("failed_checks", "skipped_checks"):
        read = partial(
            _finding, kind=kind, version=version, gather=gather, skipped=name == "skipped_checks"
        )
        gather.each(raw_items(results.get(name)), f"{pointer}/results/{name}", read)


def _finding(
    check: dict[str, Any],
    pointer: str,
    *,
    kind: str,
    version: str | None,
    gather: Gatherer,
    skipped: bool,
) -> Finding:
    rule = text(check.get("check_id"))
    if not rule:
        msg = "it has no check_id"
        raise UnusableError(msg)
    details = mapping(check.get("vulnerability_details"))
    name = text(check.get("check_name"))
    lines = sequence(check.get("file_line_range"))
    native = text(check.get("severity")) or text(details.get("severity"))
    is_secret = kind == "secrets" or is_secret_rule(TOOL, rule)
    snippet = _snippet(check)
    if is_secret and snippet:
        snippet = gather.secrets.placeholder(secret_kind(name or rule), snippet)
    return Finding(
        tool=TOOL,
        tool_version=version,
        rule=rule,
        rule_name=name,
        severity=severity.from_word(native),
        native_severity=native,
        score=number(details.get("cvss")),
        cvss=vector_of(text(details.get("vector"))),
        message=text(details.get("description")) or name or rule,
        help=text(check.get("description")),
        references=unique(u for k in ("guideline",) if (u := text(check.get(k)))),
        category=_category(is_secret, details),
        cwes=cwes_in(words(details.get("cwe"))),
        aliases=advisories_in((text(details.get("id")) or "",)),
        package=_package(details),
        path=clean_path(check.get("repo_file_path")) or clean_path(check.get("file_path")),
        line=line(lines[0]) if lines else None,
        end_line=line(lines[-1]) if lines else None,
        snippet=snippet,
        target=text(check.get("resource")),
        suppression=_reason(check) if skipped else None,
        sources=gather.source(pointer, TOOL),
    )


def _category(is_secret: bool, details: dict[str, Any]) -> Category:
    if is_secret:
        return Category.SECRET
    return Category.DEPENDENCY if details else Category.CONFIGURATION


def _reason(check: dict[str, Any]) -> str:
    comment = text(mapping(check.get("check_result")).get("suppress_comment"))
    return f"skipped: {comment}" if comment else "skipped"


def _snippet(check: dict[str, Any]) -> str | None:
    """The block's lines, which come as [number, text] pairs."""
    rows = (sequence(row) for row in sequence(check.get("code_block")))
    return code("".join(row[1] for row in rows if len(row) > 1 and isinstance(row[1], str)))


def _package(details: dict[str, Any]) -> Package | None:
    name = text(details.get("package_name"))
    if not name:
        return None
    fixed = text(details.get("lowest_fixed_version")) or ""
    return Package(
        name=name,
        ecosystem=text(details.get("package_type")),
        version=word(details.get("package_version")),
        fixed_versions=unique((*versions(fixed), *words(details.get("fixed_versions")))),
    )
