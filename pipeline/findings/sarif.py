"""SARIF 2.1.0 of any tool (OASIS Standard, 27 March 2020); section numbers below are its own."""

from typing import Any

import msgspec

from secdaemon.pipeline.findings import severity
from secdaemon.pipeline.findings.advisory_text import Advisory, advisory_in
from secdaemon.pipeline.findings.document import Document, decoded
from secdaemon.pipeline.findings.gather import Gatherer, Results, UnusableError
from secdaemon.pipeline.findings.identifiers import advisories_in, cwes_in, tool_name
from secdaemon.pipeline.findings.model import Category, Finding, Severity
from secdaemon.pipeline.findings.sarif_log import NOTHING, Log, Run, log_of, value
from secdaemon.pipeline.findings.sarif_places import Places, code_flow, edits, fingerprints
from secdaemon.pipeline.findings.sarif_plain import PlainResults
from secdaemon.pipeline.findings.sarif_rules import Rule, rules_of
from secdaemon.pipeline.findings.secret_scans import hide_in_text, is_secret_rule, secret_kind
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

_NOT_FAILED = frozenset({"pass", "notApplicable"})
_CONFIGURATION_TOOLS = frozenset({"checkov", "kics", "tfsec", "terrascan", "dockle", "hadolint"})


def recognise(document: Document) -> bool:
    """An object of version 2.1 with runs; drafts of 2.1.0 call themselves 2.1.0-rtm or -beta."""
    return document.has("runs") and str(document.value("version")).startswith("2.")


def parse(document: Document, gather: Gatherer) -> Results:
    """Every result of every run."""
    return parse_log(log_of(document), gather)


def parse_log(log: Log, gather: Gatherer) -> Results:
    """The same of a log that is sliced already."""
    for position, members in enumerate(log.runs):
        if members != NOTHING:
            _read_run(members, f"/runs/{position}", gather)
    return gather.results()


def _read_run(members: Run, pointer: str, gather: Gatherer) -> None:
    run = _Run(members, gather)
    gather.complaints += run.failures()
    results = members.results
    if not results or run.tool != "unknown":
        gather.scanned_by(run.tool)
    plain = PlainResults(gather, run.finding, run.bases)
    pointer = f"{pointer}/results/"
    for position, result in enumerate(results):
        place = f"{pointer}{position}"
        found = plain.finding(result, place)
        if found is None:
            gather.one(decoded(result), place, run.finding)
        else:
            gather.add_finished(found)


class _Run:
    """One run: what its results refer to."""

    def __init__(self, members: Run, gather: Gatherer) -> None:
        self._gather = gather
        self._invocations = value(members.invocations)
        driver = members.tool.driver
        self._rules = rules_of(members.tool, value(members.taxonomies))
        self.tool = tool_name(text(value(driver.name)))
        self._version = word(value(driver.semantic_version)) or word(value(driver.version))
        image = text(mapping(value(members.properties)).get("imageName"))
        self.bases = value(members.original_uri_base_ids)
        self._places = Places(bases=self.bases, artifacts=value(members.artifacts), image=image)

    def failures(self) -> int:
        """How many errors the scanner itself reports about its run (section 3.20)."""
        count = 0
        for invocation in mappings(self._invocations):
            notes = mappings(invocation.get("toolExecutionNotifications"))
            errors = sum(note.get("level") == "error" for note in notes)
            count += errors or (invocation.get("executionSuccessful") is False)
        return count

    def finding(self, result: dict[str, Any], pointer: str) -> Finding:
        """One result (section 3.27)."""
        rule = self._rules.of(result)
        message = _message(result, rule)
        if not message:
            msg = "it has neither a message nor a rule"
            raise UnusableError(msg)
        tool = self._tool_of(rule)
        places = self._places.of(result)
        advisory = advisory_in(message)
        level = _severity(result, rule, advisory)
        finding = Finding(
            tool=tool,
            tool_version=self._version,
            rule=rule.id or "unnamed",
            rule_name=rule.name,
            severity=level[0],
            native_severity=level[1],
            score=_score(result, rule),
            cvss=rule.cvss,
            message=message,
            help=rule.help,
            references=rule.references,
            confidence=rule.precision,
            category=_category(tool, rule, advisory),
            cwes=unique((*_cwes(result, self._rules.weaknesses(result)), *rule.cwes)),
            aliases=_aliases(rule, advisory),
            package=advisory.package if advisory else None,
            places=places[1:],
            edits=edits(result, self._places),
            flow=code_flow(result, self._places),
            fingerprints=fingerprints(
                result.get("partialFingerprints"), result.get("fingerprints")
            ),
            baseline=text(result.get("baselineState")),
            suppression=_suppression(result),
            sources=self._gather.source(pointer, tool),
        )
        finding = self._places.placed(finding, places, result)
        return self._hidden(finding) if finding.category is Category.SECRET else finding

    def _tool_of(self, rule: Rule) -> str:
        """The driver's name; Checkov's rules are told by their ids where a run has no tool."""
        if self.tool == "unknown" and rule.id.startswith(("CKV_", "CKV2_")):
            return "checkov"
        return self.tool

    def _hidden(self, finding: Finding) -> Finding:
        """The finding of a secret without the secret: see `secret_scans`."""
        secrets, kind = self._gather.secrets, secret_kind(finding.rule)
        quoted, bare = finding.snippet, finding.tool == "gitleaks"
        snippet = secrets.placeholder(kind, quoted, everywhere=bare) if quoted else None
        commit = {k: v for k, v in finding.fingerprints.items() if k == "commitSha"}
        return msgspec.structs.replace(
            finding,
            message=hide_in_text(finding.message, kind, secrets),
            help=hide_in_text(finding.help, kind, secrets) if finding.help else None,
            snippet=snippet,
            fingerprints=commit,
            edits=(),
        )


def _message(result: dict[str, Any], rule: Rule) -> str | None:
    """The message's text, or its rule's string with the arguments put in (section 3.11)."""
    message = mapping(result.get("message"))
    found = text(message.get("text")) or text(message.get("markdown"))
    if not found and (named := text(message.get("id"))):
        found = rule.messages.get(named)
    if not found:
        return rule.summary or rule.id or None
    for position, argument in enumerate(sequence(message.get("arguments"))[:20]):
        found = found.replace("{" + str(position) + "}", word(argument) or "")
    return text(found)


def _severity(
    result: dict[str, Any], rule: Rule, advisory: Advisory | None
) -> tuple[Severity, str | None]:
    """The normalised and the native severity: the tool's own word first, then score, then level."""
    properties = mapping(result.get("properties"))
    own = next(
        (w for k in ("severity", "issue_severity") if (w := text(properties.get(k)))), None
    ) or (advisory.severity if advisory else None)
    level = text(result.get("level")) or rule.level or "warning"
    scored = word(properties.get("security-severity")) or rule.security_severity
    found = severity.first_known(
        severity.from_word(own),
        severity.from_either(scored),
        severity.from_word(rule.severity),
        severity.from_word(level),
    )
    return found, own or rule.severity or level


def _score(result: dict[str, Any], rule: Rule) -> float | None:
    stated = mapping(result.get("properties")).get("security-severity")
    found = next(
        (s for v in (stated, rule.security_severity) if (s := number(v)) is not None), None
    )
    found = rule.score if rule.score is not None else found
    return found if found is not None and 0 <= found <= 10 else None  # noqa: PLR2004 - CVSS's scale


def _cwes(result: dict[str, Any], taxa: tuple[str, ...]) -> tuple[str, ...]:
    """CWEs that the result itself names: in its properties and as its taxa."""
    properties = mapping(result.get("properties"))
    stated = (*words(properties.get("cwe")), *words(properties.get("tags")))
    return cwes_in((*stated, *taxa))


def _aliases(rule: Rule, advisory: Advisory | None) -> tuple[str, ...]:
    named = advisory.ids if advisory else ()
    return unique((*advisories_in((rule.id, *rule.deprecated_ids)), *named))


def _category(tool: str, rule: Rule, advisory: Advisory | None) -> Category:
    if is_secret_rule(tool, rule.id, rule.name, rule.tags):
        return Category.SECRET
    if advisory or advisories_in((rule.id,)):
        return Category.DEPENDENCY
    if tool in _CONFIGURATION_TOOLS or rule.name == "Misconfiguration":
        return Category.CONFIGURATION
    return Category.WEB if tool == "zap" else Category.CODE


def _suppression(result: dict[str, Any]) -> str | None:
    """Why it is suppressed, if it is.

    A suppression without a status is accepted (section 3.35.3); one under review or rejected leaves
    the result alone, whatever others say, since the spec then calls the result not suppressed.
    """
    kind = text(result.get("kind"))
    if kind in _NOT_FAILED:
        return f"the scanner reports it as {kind}"
    if text(result.get("baselineState")) == "absent":
        return "the scanner reports it as gone since its baseline"
    stated = mappings(result.get("suppressions"))
    if not stated or any(text(s.get("status")) in {"underReview", "rejected"} for s in stated):
        return None
    reason = next((found for s in stated if (found := text(s.get("justification")))), None)
    how = text(stated[0].get("kind")) or "external"
    return f"{how}: {reason}" if reason else how
