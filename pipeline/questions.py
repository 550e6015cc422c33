"""The user's turn of an example: the scanner's report, with all that comes from outside quoted."""

import re

from secdaemon.pipeline.context import WINDOW, Context
from secdaemon.pipeline.findings.model import Finding, Package
from secdaemon.pipeline.fixes.languages import NONE
from secdaemon.pipeline.fixes.model import Fix
from secdaemon.pipeline.fixes.quote import fenced, inline, quoted

_MESSAGE = 900
_HELP = 700
_MAX_NAMED = 6
_NOISE = re.compile(
    r"(Package|Installed Version|Severity|Fixed Version|Link): |(Fixed Version|Severity):$"
    r"|Vulnerability (CVE|GHSA|DSA|TEMP)-\S+$|.*sg\.run/pro|Resource: |<img\b"
)


def question_of(
    finding: Finding, place: str, shown: Context | str, language: str, fix: Fix | None
) -> str:
    """Return the report of a finding, with the code that is shown and the way that is wanted."""
    title, other = finding.rule_name, other_file(finding, fix)
    at = f" of {other}" if other else ""
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
        *([f"Flow: {inline(' > '.join(finding.flow), 400)}"] if finding.flow[1:] else []),
        *([f"Code below: {_extent(shown)}{at}"] if isinstance(shown, Context) else []),
        *([f"Wanted: {fix.choice}"] if fix and fix.choice else []),
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


def other_file(finding: Finding, fix: Fix | None) -> str:
    """Return the name of the file that changes where it is none of the finding's own, else ""."""
    return inline(fix.path, 300) if fix is not None and fix.path != finding.path else ""


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
