"""Gitleaks' own JSON, version 8 (capitals) and version 7 (`offender`)."""

from typing import Any

from secdaemon.pipeline.findings.document import Document
from secdaemon.pipeline.findings.gather import Gatherer, Results, UnusableError
from secdaemon.pipeline.findings.model import Category, Finding, Severity
from secdaemon.pipeline.findings.paths import clean_path
from secdaemon.pipeline.findings.shape import code, line, mapping, text, word

TOOL = "gitleaks"
_KEPT_AS_PRINTS = (("Fingerprint", "fingerprint"), ("Commit", "commitSha"), ("commit", "commitSha"))


def recognise(document: Document) -> bool:
    """A list of leaks; Gitleaks alone writes an empty list where it found nothing."""
    if not document.is_list:
        return False
    if not document.items:
        return True
    first = mapping(document.first_item())
    return {"RuleID", "File"} <= set(first) or {"offender", "rule"} <= set(first)


def parse(document: Document, gather: Gatherer) -> Results:
    """Every leak; the secret itself, the author and the commit's message stay behind."""
    gather.scanned_by(TOOL)

    def read(leak: dict[str, Any], pointer: str) -> Finding:
        return _finding(leak, pointer, gather)

    gather.each(list(document.items), "", read)
    return gather.results()


def _finding(leak: dict[str, Any], pointer: str, gather: Gatherer) -> Finding:
    rule = text(leak.get("RuleID")) or text(leak.get("rule"))
    if not rule:
        msg = "it has no rule"
        raise UnusableError(msg)
    start = line(leak.get("StartLine")) or line(leak.get("lineNumber"))
    prints = {name: found for key, name in _KEPT_AS_PRINTS if (found := word(leak.get(key)))}
    return Finding(
        tool=TOOL,
        rule=rule,
        rule_name=text(leak.get("Description")),
        severity=Severity.HIGH,
        message=text(leak.get("Description")) or f"{rule} found",
        category=Category.SECRET,
        cwes=("CWE-798",),
        path=clean_path(leak.get("File")) or clean_path(leak.get("file")),
        line=start,
        end_line=line(leak.get("EndLine")) or start,
        column=line(leak.get("StartColumn")),
        end_column=line(leak.get("EndColumn")),
        snippet=_snippet(leak, rule, gather),
        fingerprints=prints,
        sources=gather.source(pointer, TOOL),
    )


def _snippet(leak: dict[str, Any], rule: str, gather: Gatherer) -> str | None:
    """The matched line with a placeholder for the secret; only that where they do not fit."""
    secret = code(leak.get("Secret")) or code(leak.get("offender"))
    match = code(leak.get("Match")) or code(leak.get("line"))
    if not secret:
        return gather.secrets.placeholder(rule, match, everywhere=True) if match else None
    placeholder = gather.secrets.placeholder(rule, secret, everywhere=True)
    if match and secret in match:
        return match.replace(secret, placeholder)
    return placeholder
