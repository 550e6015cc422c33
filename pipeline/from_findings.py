"""A finding as a training example: the scanner's report is the question, the answer is ours."""

import hashlib
import re

import msgspec

from secdaemon.pipeline.context import WINDOW, Context
from secdaemon.pipeline.examples import Example, conversation
from secdaemon.pipeline.findings.model import Category, Finding, Package
from secdaemon.pipeline.fixes.advice import Advice, advise
from secdaemon.pipeline.fixes.categories import category_of
from secdaemon.pipeline.fixes.changes import describe
from secdaemon.pipeline.fixes.languages import NONE, language_of
from secdaemon.pipeline.fixes.quote import fenced, inline, quoted
from secdaemon.pipeline.fixes.scanner_edit import Applied, apply_edits

TASK = "fix_generation"

_QUALITY = {"scanner_fix": "high", "dependency_upgrade": "medium", "advice": "low"}
_MESSAGE = 900
_HELP = 700
_SNIPPET = 4_000
_MAX_NAMED = 6
_QUOTES = "'\"`{},;:"
_NAMED = re.compile(r"'[^'\n]{2,120}'|\"[^\"\n]{2,120}\"|`[^`\n]{2,120}`|\S+[\w\]][.\[]\w\S*")
_NOISE = re.compile(
    r"(Package|Installed Version|Severity|Fixed Version|Link): |(Fixed Version|Severity):$"
    r"|Vulnerability (CVE|GHSA|DSA|TEMP)-\S+$|.*sg\.run/pro|Resource: "
)


def example_of(finding: Finding, code: Context | None, quality_weight: float) -> Example:
    """Return the example of one finding.

    Args:
        finding: redacted and neutralised, as the parsers leave it.
        code: what `context.code_around` gave for it, if anything.
        quality_weight: the weight of an example with a checked fix; others weigh 1.

    Findings of one package are one group; so are those of one file, and those of one rule where
    there is no file. The answer names the place, so that answers differ where findings do.
    """
    category = category_of(finding)
    language = "http" if finding.url and not finding.path else language_of(finding.path or "")
    place = place_of(finding)
    advice = advise(finding, category)
    applied = None if finding.package else apply_edits(finding, code)
    shown = applied.before if applied else (finding.snippet or "")[:_SNIPPET]
    if code is not None and applied is None:
        shown = code.text
    if finding.package is not None:
        shown = ""
    seen = code if code is not None and shown == code.text else None
    approach = "scanner_fix" if applied else advice.approach
    return Example(
        id=f"finding-{finding.id or _digest(finding)}",
        messages=conversation(
            _question(finding, place, seen or shown, language),
            _answer(finding, advice, place, applied, language),
        ),
        group=_group(finding),
        weight=quality_weight if applied else 1.0,
        metadata={
            "source": "project",
            "task": TASK,
            "finding": finding.id,
            "tool": finding.tool,
            "rule": finding.rule,
            "severity": finding.severity.value,
            "advisory": _advisory(finding),
            "cwe": advice.cwe,
            "category": category,
            "language": language,
            "approach": approach,
            "quality": _QUALITY[approach],
            **({"context": seen.kind} if seen else {}),
        },
    )


def place_of(finding: Finding) -> str:
    """Return where a finding is, in our words with its names between backticks."""
    if finding.package is not None:
        return _package_place(finding, finding.package)
    parts = []
    if finding.url:
        parts.append(inline(f"{finding.method or 'GET'} {finding.url}", 300))
        if finding.parameter:
            parts.append(f"parameter {inline(finding.parameter)}")
    if finding.path:
        parts.append(inline(finding.path, 300))
        parts += _lines(finding)
    if finding.target and not (finding.url or "").startswith(finding.target):
        within = "in " if parts else ""
        parts.append(f"{within}{inline(finding.target, 300)}")
    return ", ".join(parts) or f"the place that {inline(finding.rule)} reports"


def _lines(finding: Finding) -> list[str]:
    if finding.line is None:
        return []
    last = finding.end_line or finding.line
    lines = f"lines {finding.line} to {last}" if last > finding.line else f"line {finding.line}"
    column = f" from column {finding.column}" if (finding.column or 1) > 1 else ""
    return [lines + column]


def _package_place(finding: Finding, package: Package) -> str:
    where = [
        f"{inline(package.name)} {inline(package.version)}"
        if package.version
        else inline(package.name)
    ]
    if finding.path:
        where.append(f"in {inline(finding.path, 300)}")
    if finding.target:
        where.append(f"{'of' if finding.path else 'in'} the image {inline(finding.target, 300)}")
    return " ".join(where)


def _group(finding: Finding) -> str:
    if finding.package is not None:
        return f"package:{finding.package.name.lower()}"
    if finding.path and not finding.url:
        return f"path:{finding.path}"
    return f"rule:{finding.tool}:{finding.rule}"


def _advisory(finding: Finding) -> str:
    """Return the id under which every scanner knows the advisory; "" for other findings."""
    if finding.package is None:
        return ""
    cves = sorted(alias for alias in finding.aliases if alias.startswith("CVE-"))
    return (*cves, finding.rule)[0]


def _digest(finding: Finding) -> str:
    return hashlib.sha256(msgspec.json.encode(finding, order="deterministic")).hexdigest()[:32]


def _question(finding: Finding, place: str, shown: Context | str, language: str) -> str:
    """Return the user's turn: the report, with all that comes from outside quoted or fenced."""
    title = finding.rule_name
    named = f" ({inline(title)})" if title and title not in {finding.rule, finding.message} else ""
    rows = [
        f"Rule: {inline(finding.rule)}{named}",
        f"Severity: {_severity(finding)}",
        f"Place: {place}",
        *_others(finding),
        *([f"Weakness: {', '.join(finding.cwes[:_MAX_NAMED])}"] if finding.cwes else []),
        *([f"Advisories: {inline(', '.join(finding.aliases), 300)}"] if finding.aliases else []),
        *(_package_rows(finding.package) if finding.package else []),
        *([f"Attack: {inline(finding.attack, 200)}"] if finding.attack else []),
        *([f"Evidence: {inline(finding.evidence, 300)}"] if finding.evidence else []),
        *([f"Flow: {inline(' > '.join(finding.flow), 400)}"] if finding.flow else []),
        *([f"Code below: {_extent(shown)}"] if isinstance(shown, Context) else []),
    ]
    parts = [
        f"{finding.tool} reports a finding in this project. Explain it and give the fix.",
        "\n".join(f"- {row}" for row in rows),
    ]
    message, text = _prose(finding)
    if message:
        parts.append(quoted(message, _MESSAGE))
    if text:
        parts.append(f"The rule's own text:\n\n{quoted(text, _HELP)}")
    code = shown.text if isinstance(shown, Context) else shown
    if code.strip():
        parts.append(fenced(code, "" if language == NONE else language))
    return "\n\n".join(parts)


def _extent(code: Context) -> str:
    """Return which unit is shown and which lines of the file it is."""
    lines = f"lines {code.first_line} to {code.last_line}"
    if code.kind == WINDOW:
        return lines
    return f"{code.kind}{f' {inline(code.name, 80)}' if code.name else ''}, {lines}"


def _severity(finding: Finding) -> str:
    score = "" if finding.score is None else f" ({finding.score:g})"
    return finding.severity.value + score


def _others(finding: Finding) -> list[str]:
    """Return the row of further places, at most six of them by name."""
    named = []
    for place in finding.places[:_MAX_NAMED]:
        where = place.url or place.path or place.target or ""
        named.append(inline(f"{where}:{place.line}" if place.line else where, 200))
    left = len(finding.places) - len(named)
    return [f"Also at: {', '.join(named)}{f' and {left} more' if left else ''}"] if named else []


def _package_rows(package: Package) -> list[str]:
    rows = [f"Package: {inline(package.name)}"]
    if package.ecosystem:
        rows.append(f"Ecosystem: {inline(package.ecosystem)}")
    rows.append(f"Installed: {inline(package.version or 'unknown')}")
    fixed = ", ".join(package.fixed_versions)
    rows.append(f"Fixed in: {inline(fixed, 300) if fixed else 'no version that is known'}")
    return rows


def _prose(finding: Finding) -> tuple[str, str]:
    """Return the message, and of the rule's text what the message does not say already.

    Trivy's tables go, since the rows above say it, and since its rule's text names the package of
    another finding now and then, as Checkov's names the resource; so does Semgrep's advertisement.
    """
    message = [line for line in finding.message.splitlines() if not _NOISE.match(line)]
    said = {"".join(line.split()) for line in message}
    text = [
        line
        for line in (finding.help or "").splitlines()
        if not _NOISE.match(line) and (not line.strip() or "".join(line.split()) not in said)
    ]
    return "\n".join(message).strip(), "\n".join(text).strip()


def _subject(finding: Finding) -> str:
    """Return which of several settings at one place a configuration finding is about."""
    named = _NAMED.search(finding.message) if finding.category is Category.CONFIGURATION else None
    name = named[0].strip(_QUOTES) if named else ""
    return f", about {inline(name, 120)}" if name and name not in (finding.path or "") else ""


def _answer(
    finding: Finding, advice: Advice, place: str, applied: Applied | None, language: str
) -> str:
    rule = "" if finding.package else f" (rule {inline(finding.rule)}{_subject(finding)})"
    others = len(finding.places)
    more = f", and {others} more place{'' if others == 1 else 's'}" if others else ""
    parts = [
        f"**Weakness:** {advice.weakness}",
        f"**Where:** {place[:1].upper() + place[1:]}{more}{rule}.",
        f"**Why it matters:** {advice.why}",
        f"**Fix:** {advice.remedy}",
    ]
    if applied is not None:
        changed = describe(applied.before, applied.after)
        parts[-1] = f"**Fix:** {changed}. The code with the fix in it:"
        parts.append(fenced(applied.after, "" if language == NONE else language))
    return "\n\n".join(parts)
