"""Each scanner's own JSON: what becomes of its fields."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from secdaemon.pipeline.findings.model import (
    Category,
    Edit,
    FileKind,
    Parsed,
    Severity,
    Source,
    VersionRange,
)

Read = Callable[[Any], Parsed]
Sample = Callable[[str], Any]


def test_semgrep(read: Read, sample: Sample) -> None:
    """A Semgrep result keeps its rule, place, code, weakness, fix and fingerprint."""
    found = read(sample("semgrep-json")).findings[0]
    assert (found.tool, found.rule, found.severity) == ("semgrep", "r1", Severity.HIGH)
    assert (found.path, found.line, found.column, found.end_column) == ("src/app.py", 3, 5, 20)
    assert found.snippet == "    run(user_input)"
    assert found.cwes == ("CWE-78",)
    assert found.fingerprints == {"matchBasedId/v1": "abc123_0"}
    assert found.sources == (Source("scan.json", "/results/0", "semgrep"),)
    fix = "run(clean(user_input))"
    place = {"start_line": 3, "start_column": 5, "end_line": 3, "end_column": 20}
    assert found.edits == (Edit(path="src/app.py", text=fix, **place),)


def test_semgrep_without_login(read: Read, sample: Sample) -> None:
    """What Semgrep withholds from users without a login is no code and no fingerprint."""
    scan = sample("semgrep-json")
    scan["results"][0]["extra"] |= {"lines": "requires login", "fingerprint": "requires login"}
    found = read(scan).findings[0]
    assert found.snippet is None
    assert found.fingerprints == {}


def test_semgrep_ignored_results_are_suppressed(read: Read, sample: Sample) -> None:
    """A `nosemgrep` comment suppresses, and the scanner's own errors are told."""
    scan = sample("semgrep-json")
    scan["results"][0]["extra"]["is_ignored"] = True
    scan["errors"] = [{"level": "error", "message": "timeout"}, {"level": "warn"}]
    parsed = read(scan)
    assert parsed.findings[0].suppression == "nosemgrep"
    assert parsed.report.error == "The scanner itself reports 1 error."


def test_osv(read: Read, sample: Sample) -> None:
    """An OSV entry keeps its aliases, its score and the branches of its own package only."""
    found = read(sample("osv-json")).findings[0]
    assert found.category is Category.DEPENDENCY
    assert found.aliases == ("GHSA-aaaa-bbbb-cccc", "CVE-2024-1111")
    assert (found.severity, found.score) == (Severity.HIGH, 9.8)
    assert found.path == "web/package-lock.json"
    assert found.cwes == ("CWE-400",)
    assert found.package is not None
    assert found.package.purl == "pkg:npm/left-pad@1.0.0"
    assert found.package.fixed_versions == ("1.0.1", "2.3.0")
    assert found.package.ranges == (
        VersionRange(introduced="0", fixed="1.0.1"),
        VersionRange(introduced="2.0.0", fixed="2.3.0"),
    )


def test_osv_packages_without_vulnerabilities(read: Read) -> None:
    """Licence violations and packages without a vulnerability are a valid scan that found none."""
    package = {"package": {"name": "a"}, "licenses": ["MIT"], "license_violations": ["MIT"]}
    parsed = read({"results": [{"source": {"path": "a"}, "packages": [package]}]})
    assert parsed.report.kind is FileKind.EMPTY


def test_zap(read: Read, sample: Sample) -> None:
    """A ZAP alert is one finding of its site, its instances are places, its HTML is text."""
    found = read(sample("zap-json")).findings[0]
    assert (found.rule, found.rule_name) == ("10021-1", "Header missing")
    assert (found.severity, found.confidence) == (Severity.MEDIUM, "high")
    assert found.message == 'The header "X" is missing.\nSet it.'
    assert found.references == ("https://example.org/a", "https://example.org/b")
    assert (found.url, found.method, found.parameter) == ("http://localhost:8080/a", "GET", "x")
    assert [(p.url, p.evidence) for p in found.places] == [("http://localhost:8080/b", "e")]
    assert found.cwes == ("CWE-693",)
    assert found.path is None


def test_zap_false_positives_are_suppressed(read: Read, sample: Sample) -> None:
    """An alert that a person marked as a false positive is suppressed; one site may stand alone."""
    scan = sample("zap-json")
    scan["site"] = scan["site"][0]
    scan["site"]["alerts"][0]["confidence"] = "0"
    assert read(scan).findings[0].suppression == "marked as a false positive"


def test_trivy(read: Read, sample: Sample) -> None:
    """Trivy's vulnerabilities, failed checks and secrets each become what they are."""
    vulnerability, check, exception, secret = read(sample("trivy-json")).findings
    assert (vulnerability.path, vulnerability.target) == ("app/app.jar", "ghcr.io/acme/app:1")
    assert vulnerability.package is not None
    assert vulnerability.package.purl == "pkg:maven/org.acme/pad@1.0.0"
    assert vulnerability.package.fixed_versions == ("1.0.1", "2.3.0")
    assert vulnerability.score == 9.8
    assert (check.category, check.path, check.line) == (Category.CONFIGURATION, "Dockerfile", 1)
    assert check.snippet == "FROM x\nCMD y"
    assert exception.suppression == "status EXCEPTION"
    assert (secret.category, secret.line) == (Category.SECRET, 4)


@pytest.mark.parametrize(
    "shape",
    [
        lambda results: results,
        lambda results: {"Results": results},
        lambda results: {
            "ClusterName": "c",
            "Vulnerabilities": [{"Namespace": "n", "Kind": "Pod", "Name": "p", "Results": results}],
        },
        lambda results: {"ClusterName": "c", "Resources": [{"Kind": "Pod", "Results": results}]},
    ],
)
def test_trivy_in_its_other_shapes(read: Read, sample: Sample, shape: Callable[[Any], Any]) -> None:
    """The list before schema 2 and the Kubernetes reports hold the same results."""
    parsed = read(shape(sample("trivy-json")["Results"]))
    assert (parsed.report.format, parsed.report.findings) == ("trivy-json", 4)


def test_trivy_ignored_findings_are_suppressed(read: Read, sample: Sample) -> None:
    """What .trivyignore took out is counted and suppressed."""
    scan = sample("trivy-json")
    entry = scan["Results"][0].pop("Vulnerabilities")[0]
    scan["Results"][0]["ExperimentalModifiedFindings"] = [
        {"Type": "vulnerability", "Status": "ignored", "Statement": "not used", "Finding": entry}
    ]
    assert read(scan).findings[0].suppression == "ignored: not used"


def test_trivy_licences_are_no_findings(read: Read, sample: Sample) -> None:
    """Neither a licence nor one that was ignored counts, and neither is an error."""
    scan = sample("trivy-json")
    count = read(scan).report.findings
    licence = {"Severity": "HIGH", "Category": "restricted", "PkgName": "pad", "Name": "GPL-3.0"}
    ignored = {"Type": "license", "Status": "ignored", "Finding": licence}
    scan["Results"].append({"Target": "OS Packages", "Class": "license", "Licenses": [licence]})
    scan["Results"][0]["ExperimentalModifiedFindings"] = [ignored]
    parsed = read(scan)
    assert (parsed.report.findings, parsed.rejected) == (count, ())


def test_checkov(read: Read, sample: Sample) -> None:
    """Failed checks are findings, skipped ones suppressed, passed ones nothing."""
    parsed = read(sample("checkov-json"))
    failed, skipped = parsed.findings
    assert (failed.path, failed.line, failed.end_line) == ("infra/alb.tf", 1, 3)
    assert failed.snippet == 'resource "a" "b" {\n  x = 1\n}'
    assert (failed.severity, failed.target) == (Severity.MEDIUM, "a.b")
    assert skipped.suppression == "skipped: not ours"
    assert parsed.report.error == "The scanner itself reports 1 error."


def test_checkov_that_checked_nothing(read: Read) -> None:
    """The bare summary is a valid scan that found nothing."""
    parsed = read({"passed": 0, "failed": 0, "checkov_version": "3.2.1"})
    assert (parsed.report.kind, parsed.report.tool) == (FileKind.EMPTY, "checkov")


def test_checkov_of_several_frameworks(read: Read, sample: Sample) -> None:
    """A framework that checked nothing leaves its bare summary, also as the first of the list."""
    bare = {"passed": 0, "failed": 0, "checkov_version": "3.2.1"}
    assert read([bare, *sample("checkov-json")]).report.findings == 2


def test_gitleaks(read: Read, sample: Sample) -> None:
    """A leak keeps its place and line; the secret, the author and the message stay behind."""
    found = read(sample("gitleaks-json")).findings[0]
    assert found.snippet == 'key = "<secret:generic-api-key:00000000>"'
    assert (found.path, found.line, found.column) == ("conf/app.yml", 7, 5)
    assert found.fingerprints["commitSha"] == "0123abcd"


def test_gitleaks_seven(read: Read) -> None:
    """Version 7 calls the secret the offender."""
    leak = {
        "line": "k = planted-old-secret-1",
        "lineNumber": 3,
        "offender": "planted-old-secret-1",
        "rule": "Old Rule",
        "file": "a.py",
        "author": "Jane Doe",
    }
    found = read([leak]).findings[0]
    assert (found.snippet, found.line) == ("k = <secret:old-rule:00000000>", 3)


def test_gitleaks_that_masks(read: Read, sample: Sample) -> None:
    """What `--redact` leaves is no secret that would be hidden in every other text."""
    (leak,) = sample("gitleaks-json")
    masked = leak | {"Secret": "REDACTED", "Match": "REDACTED", "Description": "It is redacted"}
    partly = leak | {"Secret": "plan...", "Match": "plan..."}
    other = leak | {"Description": "REDACTED, or plan..."}
    assert read([masked, partly, other]).findings[2].message == "REDACTED, or plan..."


@pytest.mark.parametrize(
    ("analysis", "reason"),
    [
        (
            {"GHSA-aaaa-bbbb-cccc": {"called": False}},
            "the scanner found that the code is not called",
        ),
        ({"GHSA-aaaa-bbbb-cccc": {"called": False}, "CVE-2024-1111": {"called": True}}, None),
        ({"GHSA-aaaa-bbbb-cccc": {"unimportant": True}}, "the distribution calls it unimportant"),
        ({"GHSA-aaaa-bbbb-cccc": {"unimportant": False}}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("key", ["experimentalAnalysis", "experimental_analysis"])
def test_osv_that_looked_at_the_code(
    read: Read, sample: Sample, key: str, analysis: dict[str, Any], reason: str | None
) -> None:
    """What OSV-Scanner itself leaves out of its table is suppressed."""
    scan = sample("osv-json")
    package = scan["results"][0]["packages"][0]
    (first, *_) = package["vulnerabilities"]
    package["groups"] = [{"ids": [first["id"]], key: _renamed(analysis, first["id"])}]
    assert read(scan).findings[0].suppression == reason


def _renamed(analysis: dict[str, Any], identifier: str) -> dict[str, Any]:
    return {identifier if key.startswith("GHSA") else key: v for key, v in analysis.items()}


def test_semgrep_fix_by_regex(read: Read, sample: Sample) -> None:
    """An older version's `fix_regex` is an edit of the whole lines that it quotes."""
    scan = sample("semgrep-json")
    result = scan["results"][0]
    extra = result["extra"]
    extra.pop("fix", None)
    result["start"], result["end"] = {"line": 4, "col": 9}, {"line": 5, "col": 3}
    extra["lines"] = "    h = md5(\n      data)"
    extra["fix_regex"] = {"regex": "md5", "replacement": "sha256", "count": 1}
    (edit,) = read(scan).findings[0].edits
    assert (edit.start_line, edit.start_column) == (4, 1)
    assert (edit.end_line, edit.end_column) == (5, 12)
    assert edit.text == "    h = sha256(\n      data)"
    for broken in ({"regex": "(a+)+$"}, {"regex": None}, {"replacement": "md5"}, {"count": "x"}):
        extra["fix_regex"] = {"regex": "md5", "replacement": "sha256"} | broken
        assert len(read(scan).findings[0].edits) == ("count" in broken)
    extra["lines"] = "one line of two"
    assert read(scan).findings[0].edits == ()


def test_zap_that_writes_a_single_one_bare(read: Read, sample: Sample) -> None:
    """Version 2.7 makes its JSON of its XML: a list of one is no list."""
    scan = sample("zap-json")
    (site, *_) = scan["site"]
    (alert, *_) = site["alerts"]
    whole = read({**scan, "site": [{**site, "alerts": [alert]}]})
    instances = alert["instances"]
    bare = {**alert, "instances": instances[0]} if len(instances) == 1 else alert
    assert read({**scan, "site": {**site, "alerts": bare}}).findings[0].url
    assert len(whole.findings) == 1
    assert read({**scan, "site": {**site, "alerts": alert}}).findings[0].rule == alert["alertRef"]


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("zap-api", {"alerts": [{"pluginId": "1", "alert": "X", "risk": "Low"}]}),
        ("semgrep-api", {"findings": [{"id": 1, "rule_name": "x", "repository": {}}]}),
        ("tfsec-json", {"results": [{"long_id": "a", "rule_provider": "aws"}]}),
        ("zizmor-json", [{"ident": "a", "determinations": {}, "locations": []}]),
        ("detect-secrets-baseline", {"version": "1", "plugins_used": [], "results": {}}),
        ("brakeman-json", {"scan_info": {}, "warnings": []}),
        ("trivy-operator-report", {"apiVersion": "a/v1", "kind": "X", "report": {}}),
    ],
)
def test_other_shapes_are_named(read: Read, name: str, document: Any) -> None:
    """A scan in a shape that is not read is told by its name, not passed over in silence."""
    report = read(document).report
    assert (report.kind, report.format) == (FileKind.UNSUPPORTED, name)


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("trivy-json", "planted-trivy-secret-77"),
        ("gitleaks-json", "planted-gitleaks-secret-42"),
        ("gitleaks-json", "Jane"),
        ("gitleaks-json", "jane@example.org"),
    ],
)
def test_no_planted_value_leaves_a_parser(
    read: Read, sample: Sample, name: str, planted: str
) -> None:
    """Nothing that a parser gives out holds the secret or the person."""
    assert planted not in msgspec.json.encode(read(sample(name))).decode()


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("sarif", ("runs", 0, "results")),
        ("semgrep-json", ("results",)),
        ("osv-json", ("results", 0, "packages", 0, "vulnerabilities")),
        ("zap-json", ("site", 0, "alerts")),
        ("trivy-json", ("Results", 0, "Vulnerabilities")),
        ("checkov-json", (0, "results", "failed_checks")),
        ("gitleaks-json", ()),
    ],
)
def test_a_bad_result_costs_only_itself(
    read: Read, sample: Sample, name: str, path: tuple[str | int, ...]
) -> None:
    """A result that is no object, or is empty, is rejected with its pointer; others are read."""
    scan = sample(name)
    good = read(scan)
    results = scan
    for step in path:
        results = results[step]
    results += ["no object", {}]
    parsed = read(scan)
    assert [f.rule for f in parsed.findings] == [f.rule for f in good.findings]
    assert len(parsed.rejected) == 2
    assert parsed.report.findings == len(parsed.findings) + 2
    pointer = "".join(f"/{step}" for step in path)
    assert parsed.rejected[0].startswith(f"scan.json#{pointer}/{len(results) - 2}: ")
