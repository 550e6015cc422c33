"""Scans in shapes that are recognised and not read: better named than passed over in silence."""

import re
from collections.abc import Sequence

import msgspec

from secdaemon.pipeline.findings.document import Document, raw_items, raw_members

_OBJECTS: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("semgrep-api", "semgrep", frozenset({"vulns", "hasMore"})),
    ("semgrep-api", "semgrep", frozenset({"findings", "deployment"})),
    ("gitlab-report", "gitlab", frozenset({"version", "vulnerabilities", "scan"})),
    ("grype-json", "grype", frozenset({"matches", "descriptor"})),
    ("npm-audit", "npm", frozenset({"auditReportVersion", "vulnerabilities"})),
    ("bandit-json", "bandit", frozenset({"results", "metrics", "generated_at"})),
    ("dependency-check-json", "dependency-check", frozenset({"reportSchema", "dependencies"})),
    ("snyk-json", "snyk", frozenset({"vulnerabilities", "packageManager"})),
    ("cyclonedx-vulnerabilities", "cyclonedx", frozenset({"bomFormat", "vulnerabilities"})),
    ("sonarqube-api", "sonarqube", frozenset({"issues", "paging"})),
    ("kics-json", "kics", frozenset({"kics_version", "queries"})),
    ("gosec-json", "gosec", frozenset({"Golang errors", "Issues"})),
    ("pip-audit-json", "pip-audit", frozenset({"dependencies", "fixes"})),
    ("detect-secrets-baseline", "detect-secrets", frozenset({"plugins_used", "results"})),
    ("brakeman-json", "brakeman", frozenset({"scan_info", "warnings"})),
    ("trivy-operator-report", "trivy", frozenset({"apiVersion", "kind", "report"})),
)
_ITEMS: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("github-code-scanning-api", "github", frozenset({"rule", "tool", "most_recent_instance"})),
    ("github-dependabot-api", "github", frozenset({"security_advisory", "dependency"})),
    ("github-secret-scanning-api", "github", frozenset({"secret_type", "locations_url"})),
    ("trufflehog-json", "trufflehog", frozenset({"SourceMetadata", "DetectorName"})),
    ("zizmor-json", "zizmor", frozenset({"ident", "determinations", "locations"})),
)
_LISTS: tuple[tuple[str, str, str, frozenset[str]], ...] = (
    ("semgrep-api", "semgrep", "findings", frozenset({"rule_name", "repository"})),
    ("zap-api", "zap", "alerts", frozenset({"pluginId", "alert"})),
    ("tfsec-json", "tfsec", "results", frozenset({"long_id", "rule_provider"})),
)
"""Lists under a name that says little: what their first item holds says which they are."""
_XML_ROOTS = (
    ("OWASPZAPReport", "zap-xml", "zap"),
    ("nmaprun", "nmap-xml", "nmap"),
    ("NessusClientData_v2", "nessus-xml", "nessus"),
    ("issues burpVersion", "burp-xml", "burp"),
    ("BugCollection", "spotbugs-xml", "spotbugs"),
    ("checkstyle", "checkstyle-xml", "checkstyle"),
)
_SCANNERS_SUITE = re.compile(
    rb"<testsuite\b[^>]{0,500}\bname=\"(?:(?P<bandit>bandit)|(?P<semgrep>semgrep results)"
    rb"|(?P<checkov>[a-z_]{3,40} scan))\""
)
"""JUnit's XML as these write it; that of a test run is no scan."""
_XML_START = re.compile(rb"\s*<(?:\?xml|[A-Za-z!])")


def unsupported_json(document: Document) -> tuple[str, str] | None:
    """The format's and the tool's name, where a JSON document is such a scan."""
    members = set(document.members)
    if "runs" in members and str(document.value("version")).startswith(("1.", "0.")):
        return "sarif-" + str(document.value("version"))[:10], _sarif_tool(document)
    for name, tool, marks in _OBJECTS:
        if marks <= members:
            return name, tool
    for name, tool, member, marks in _LISTS:
        if marks <= _first(raw_items(document.members.get(member))):
            return name, tool
    first = _first(document.items) or members
    return next(((name, tool) for name, tool, marks in _ITEMS if marks <= first), None)


def _first(items: Sequence[msgspec.Raw]) -> set[str]:
    """The names of the first item's members."""
    return set(raw_members(items[0])) if items else set()


def _sarif_tool(document: Document) -> str:
    """SARIF 1.0 names its tool at `runs[0].tool.name`."""
    runs = raw_items(document.members["runs"])
    tool = raw_members(raw_members(runs[0]).get("tool")) if runs else {}
    name = bytes(tool["name"]).decode().strip('"') if "name" in tool else "unknown"
    return name.lower()[:60]


def unsupported_xml(data: bytes) -> tuple[str, str] | None:
    """The format's and the tool's name, where the text is such a scan in XML."""
    head = data[:4096]
    if not _XML_START.match(head):
        return None
    for root, name, tool in _XML_ROOTS:
        if b"<" + root.encode() in head:
            return name, tool
    suite = _SCANNERS_SUITE.search(head)
    return ("junit-xml", str(suite.lastgroup)) if suite else None
