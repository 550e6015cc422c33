"""Semgrep's own JSON (`semgrep scan --json`; its schema is semgrep_output_v1.atd)."""

from typing import Any

from secdaemon.pipeline.findings import severity
from secdaemon.pipeline.findings.document import Document, raw_items, raw_members
from secdaemon.pipeline.findings.gather import Gatherer, Results, UnusableError
from secdaemon.pipeline.findings.identifiers import advisories_in, cwes_in, package_url
from secdaemon.pipeline.findings.model import Category, Edit, Finding, Package
from secdaemon.pipeline.findings.paths import clean_path
from secdaemon.pipeline.findings.regex_fix import applied
from secdaemon.pipeline.findings.secret_scans import is_secret_rule, secret_kind
from secdaemon.pipeline.findings.shape import (
    code,
    line,
    mapping,
    mappings,
    sequence,
    text,
    unique,
    word,
    words,
)

TOOL = "semgrep"
_WITHHELD = "requires login"
_MAX_STEPS = 100


def recognise(document: Document) -> bool:
    """Results with check ids; without any result, the lists that only Semgrep writes."""
    results = raw_items(document.members.get("results"))
    if not document.has("results", "errors"):
        return False
    if not results:
        return document.has("paths") or document.has("version")
    return any("check_id" in raw_members(raw) for raw in results[:20])


def parse(document: Document, gather: Gatherer) -> Results:
    """Every result; those marked `nosemgrep` are suppressed."""
    gather.scanned_by(TOOL)
    errors = mappings(document.value("errors"))
    gather.complaints += sum(text(e.get("level")) not in {"info", "warn"} for e in errors)
    version = word(document.value("version"))

    def read(result: dict[str, Any], pointer: str) -> Finding:
        return _finding(result, pointer, version, gather)

    gather.each(raw_items(document.members["results"]), "/results", read)
    return gather.results()


def _finding(
    result: dict[str, Any], pointer: str, version: str | None, gather: Gatherer
) -> Finding:
    extra = mapping(result.get("extra"))
    metadata = mapping(extra.get("metadata"))
    rule = text(result.get("check_id"))
    message = text(extra.get("message")) or text(metadata.get("message")) or rule
    if not rule or not message:
        msg = "it has no check_id"
        raise UnusableError(msg)
    start, end = mapping(result.get("start")), mapping(result.get("end"))
    package = _package(extra, metadata)
    is_secret = is_secret_rule(TOOL, rule)
    native = text(extra.get("severity"))
    is_ignored = extra.get("is_ignored") is True or result.get("is_ignored") is True
    return Finding(
        tool=TOOL,
        tool_version=version,
        rule=rule,
        severity=severity.from_word(native),
        native_severity=native,
        message=message,
        references=words(metadata.get("references")) or words(metadata.get("source")),
        confidence=text(metadata.get("confidence")),
        category=_category(is_secret, package),
        cwes=cwes_in(words(metadata.get("cwe"))),
        aliases=advisories_in((rule, *words(metadata.get("sca-vuln-database-identifier")))),
        package=package,
        path=clean_path(result.get("path")),
        line=line(start.get("line")),
        end_line=line(end.get("line")) or line(start.get("line")),
        column=line(start.get("col")),
        end_column=line(end.get("col")),
        snippet=_snippet(extra, rule, is_secret, gather),
        edits=() if is_secret else _edits(result, extra),
        flow=_flow(extra),
        fingerprints=_fingerprints(extra),
        suppression="nosemgrep" if is_ignored else None,
        sources=gather.source(pointer, TOOL),
    )


def _category(is_secret: bool, package: Package | None) -> Category:
    if is_secret:
        return Category.SECRET
    return Category.DEPENDENCY if package else Category.CODE


def _snippet(extra: dict[str, Any], rule: str, is_secret: bool, gather: Gatherer) -> str | None:
    """The code; Semgrep withholds it from users who are not logged in."""
    found = code(extra.get("lines"))
    if not found or found == _WITHHELD:
        return None
    return gather.secrets.placeholder(secret_kind(rule), found) if is_secret else found


def _fingerprints(extra: dict[str, Any]) -> dict[str, str]:
    found = text(extra.get("fingerprint"))
    return {"matchBasedId/v1": found} if found and found != _WITHHELD else {}


def _edits(result: dict[str, Any], extra: dict[str, Any]) -> tuple[Edit, ...]:
    """The autofix as an edit: `fix` replaces the matched range, `fix_regex` its whole lines."""
    fix = extra.get("fix")
    path = clean_path(result.get("path"))
    start, end = mapping(result.get("start")), mapping(result.get("end"))
    first = line(start.get("line"))
    if path is None or first is None:
        return ()
    last = line(end.get("line")) or first
    if isinstance(fix, str):
        columns = line(start.get("col")), line(end.get("col"))
        return (_edit(path, (first, last), columns, fix),)
    fixed = _by_regex(extra, last - first + 1)
    return () if fixed is None else (_edit(path, (first, last), (1, fixed[1]), fixed[0]),)


def _edit(
    path: str, lines: tuple[int, int], columns: tuple[int | None, int | None], new: str
) -> Edit:
    return Edit(
        path=path,
        start_line=lines[0],
        start_column=columns[0],
        end_line=lines[1],
        end_column=columns[1],
        text=new,
    )


def _by_regex(extra: dict[str, Any], count: int) -> tuple[str, int] | None:
    """What `fix_regex` makes of the quoted lines, and the column behind their last one.

    Older versions tell a fix in this form, which they apply to the lines of the match with Python's
    `re`; later ones write the outcome as `fix`.
    """
    fix = mapping(extra.get("fix_regex"))
    native, pattern, new = extra.get("lines"), fix.get("regex"), fix.get("replacement")
    if not (isinstance(native, str) and isinstance(pattern, str) and isinstance(new, str)):
        return None
    quoted = native.removesuffix("\n")
    rows = quoted.split("\n")
    if len(rows) != count or quoted == _WITHHELD:
        return None
    fixed = applied(quoted, pattern, new, line(fix.get("count")) or 0)
    return None if fixed is None else (fixed, len(rows[-1]) + 1)


def _package(extra: dict[str, Any], metadata: dict[str, Any]) -> Package | None:
    """The dependency of a supply-chain result, with the versions that fix it."""
    match = mapping(mapping(extra.get("sca_info")).get("dependency_match"))
    found = mapping(match.get("found_dependency"))
    name = text(found.get("package"))
    if not name:
        return None
    ecosystem, version = text(found.get("ecosystem")), word(found.get("version"))
    fixes = (fix.get(name) for fix in mappings(metadata.get("sca-fix-versions")))
    return Package(
        name=name,
        ecosystem=ecosystem,
        version=version,
        purl=package_url(ecosystem, name, version),
        fixed_versions=unique(fixed for fix in fixes if (fixed := word(fix))),
    )


def _flow(extra: dict[str, Any]) -> tuple[str, ...]:
    """Source, steps and sink of a taint trace, whose nesting differs between versions."""
    trace = mapping(extra.get("dataflow_trace"))
    steps: list[str] = []
    for part in ("taint_source", "intermediate_vars", "taint_sink"):
        pending: list[Any] = [trace.get(part)]
        while pending and len(steps) < _MAX_STEPS:
            item = pending.pop(0)
            place = mapping(mapping(item).get("location")) or mapping(item)
            path, start = clean_path(place.get("path")), mapping(place.get("start"))
            if path and (number := line(start.get("line"))):
                steps.append(f"{path}:{number}")
            else:
                pending[:0] = sequence(item)[:_MAX_STEPS]
    return unique(steps)
