"""SARIF 2.1.0 of any tool (OASIS Standard, 27 March 2020); section numbers below are its own."""

from typing import Any

import msgspec

from secdaemon.pipeline.findings import severity
from secdaemon.pipeline.findings.advisory_text import Advisory, advisory_in
from secdaemon.pipeline.findings.document import Document, decoded, raw_items, raw_members
from secdaemon.pipeline.findings.gather import Gatherer, Results, UnusableError
from secdaemon.pipeline.findings.identifiers import advisories_in, cwes_in, tool_name
from secdaemon.pipeline.findings.model import Category, Finding, Severity
from secdaemon.pipeline.findings.sarif_places import Places, code_flow, edits, fingerprints
from secdaemon.pipeline.findings.sarif_plain import PlainResults
from secdaemon.pipeline.findings.sarif_rules import Rule, Rules, rules_of
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

_ABSENT = msgspec.Raw()
_NOT_FAILED = frozenset({"pass", "notApplicable"})
_CONFIGURATION_TOOLS = frozenset({"checkov", "kics", "tfsec", "terrascan", "dockle", "hadolint"})


def recognise(document: Document) -> bool:
    """An object of version 2.1 with runs; drafts of 2.1.0 call themselves 2.1.0-rtm or -beta."""
    return document.has("runs") and str(document.value("version")).startswith("2.")


def parse(document: Document, gather: Gatherer) -> Results:
    """Every result of every run."""
    for position, members in enumerate(_runs(document.members["runs"])):
        if members != _NOTHING:
            _read_run(members, f"/runs/{position}", gather)
    return gather.results()


class _Members(msgspec.Struct, gc=False, rename="camel"):
    """What is read of a run, its results sliced and undecoded in the same pass."""

    results: list[msgspec.Raw] = []
    invocations: msgspec.Raw = _ABSENT
    tool: msgspec.Raw = _ABSENT
    taxonomies: msgspec.Raw = _ABSENT
    properties: msgspec.Raw = _ABSENT
    original_uri_base_ids: msgspec.Raw = _ABSENT
    artifacts: msgspec.Raw = _ABSENT


_RUNS = msgspec.json.Decoder(list[_Members])
_NAMES = dict(zip(_Members.__struct_fields__, _Members.__struct_encode_fields__, strict=True))


_NOTHING = _Members()


def _runs(raw: msgspec.Raw) -> list[_Members]:
    """The runs; nothing in what is no object."""
    try:
        return _RUNS.decode(raw)
    except msgspec.ValidationError:
        return [_members(raw_members(item)) for item in raw_items(raw)]


def _members(found: dict[str, msgspec.Raw]) -> _Members:
    """The same of a run whose results are no list, or of what is no object."""
    named = {ours: found[name] for ours, name in _NAMES.items() if name in found}
    return msgspec.structs.replace(
        _NOTHING, **{**named, "results": raw_items(found.get("results"))}
    )


def _value(raw: msgspec.Raw) -> Any:
    return None if raw is _ABSENT else decoded(raw)


def _read_run(members: _Members, pointer: str, gather: Gatherer) -> None:
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

    def __init__(self, members: _Members, gather: Gatherer) -> None:
        self._gather = gather
        self._invocations = _value(members.invocations)
        tool = mapping(_value(members.tool))
        self._rules: Rules = rules_of(tool, _value(members.taxonomies))
        driver = mapping(tool.get("driver"))
        self.tool = tool_name(text(driver.get("name")))
        self._version = word(driver.get("semanticVersion")) or word(driver.get("version"))
        image = text(mapping(_value(members.properties)).get("imageName"))
        self.bases = _value(members.original_uri_base_ids)
        self._places = Places(bases=self.bases, artifacts=_value(members.artifacts), image=image)

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
            cwes=unique((*_cwes(result), *rule.cwes)),
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


def _cwes(result: dict[str, Any]) -> tuple[str, ...]:
    """CWEs that the result itself names: its properties and its taxa (section 3.27.8)."""
    properties = mapping(result.get("properties"))
    stated = (*words(properties.get("cwe")), *words(properties.get("tags")))
    taxa = mappings(result.get("taxa"))
    named = [t for t in taxa if text(mapping(t.get("toolComponent")).get("name")) == "CWE"]
    return cwes_in((*stated, *(f"CWE-{number}" for t in named if (number := _bare(t.get("id"))))))


def _bare(identifier: Any) -> str | None:
    found = word(identifier)
    return found.upper().removeprefix("CWE-") if found else None


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
