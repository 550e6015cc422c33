"""SARIF of any tool: rules, places, levels, weaknesses, fixes, suppressions, secrets."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from secdaemon.pipeline.findings.model import Category, Edit, FileKind, Parsed, Severity

Read = Callable[[Any], Parsed]
Make = Callable[..., dict[str, Any]]


def test_the_sample(read: Read) -> None:
    """A plain result takes name, help, level and weakness from its rule."""
    rule = {
        "id": "r1",
        "name": "Rule one",
        "help": {"text": "Do this."},
        "helpUri": "https://example.org/r1",
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["external/cwe/cwe-078"], "precision": "high"},
    }
    run = {"tool": {"driver": {"name": "T", "version": "1", "rules": [rule]}}}
    result = {"ruleIndex": 0, "message": {"text": "no"}}
    found = read({"version": "2.1.0", "runs": [run | {"results": [result]}]}).findings[0]
    assert (found.rule, found.rule_name, found.help) == ("r1", "Rule one", "Do this.")
    assert (found.severity, found.native_severity) == (Severity.HIGH, "error")
    assert (found.cwes, found.confidence) == (("CWE-78",), "high")
    assert (found.tool, found.tool_version) == ("t", "1")


def test_rules_of_extensions(read: Read, sarif: Make, result: Make) -> None:
    """A rule is found in an extension by index, and in any component by id."""
    tool = {
        "driver": {"name": "CodeQL", "rules": [{"id": "other"}]},
        "extensions": [{"rules": [{"id": "js/x", "shortDescription": {"text": "In the pack"}}]}],
    }
    by_index = {"rule": {"index": 0, "toolComponent": {"index": 0}}, "message": {}}
    by_id = result("js/x", message={"text": "", "markdown": ""})
    found = read(sarif(by_index, by_id, tool=tool)).findings
    assert [f.rule for f in found] == ["js/x", "js/x"]
    assert [f.message for f in found] == ["In the pack", "In the pack"]


def test_rule_parts_and_wrong_indexes(read: Read, sarif: Make, result: Make) -> None:
    """`ID/part` belongs to ID; an index that contradicts the id is not believed."""
    rules = [{"id": "A", "name": "first"}, {"id": "B", "name": "second"}]
    tool = {"driver": {"name": "T", "rules": rules}}
    found = read(sarif(result("A/0", ruleIndex=0), result("B", ruleIndex=0), tool=tool)).findings
    assert [(f.rule, f.rule_name) for f in found] == [("A/0", "first"), ("B", "second")]


def test_message_strings(read: Read, sarif: Make) -> None:
    """A message by id comes from the rule, with its arguments."""
    rules = [{"id": "A", "messageStrings": {"m": {"text": "{0} meets {1}"}}}]
    result = {"ruleId": "A", "message": {"id": "m", "arguments": ["x", "y"]}}
    found = read(sarif(result, tool={"driver": {"name": "T", "rules": rules}})).findings
    assert found[0].message == "x meets y"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"level": "note"}, Severity.LOW),
        ({"level": "none"}, Severity.INFO),
        ({}, Severity.MEDIUM),
        ({"level": "note", "properties": {"security-severity": "9.1"}}, Severity.CRITICAL),
        ({"level": "note", "properties": {"security-severity": 7}}, Severity.HIGH),
        ({"level": "note", "properties": {"security-severity": "MEDIUM"}}, Severity.MEDIUM),
        ({"level": "error", "properties": {"severity": "low"}}, Severity.LOW),
        ({"level": 7}, Severity.MEDIUM),
    ],
)
def test_severity(
    read: Read, sarif: Make, result: Make, more: dict[str, Any], expected: Severity
) -> None:
    """A tool's own word wins over a score, a score over the level, and warning is the default."""
    assert read(sarif(result(**more))).findings[0].severity is expected


def test_weaknesses_from_taxa_and_relationships(read: Read, sarif: Make, result: Make) -> None:
    """CWEs come from every place that SARIF has for them; other taxonomies give none."""
    cwe = {"name": "CWE", "index": 1}
    rule = {
        "id": "A",
        "relationships": [
            {"target": {"id": "327", "toolComponent": {"name": "CWE"}}},
            {"target": {"index": 0, "toolComponent": {"index": 1}}},
            {"target": {"id": "CAT007", "toolComponent": {"name": "Categories", "index": 0}}},
        ],
        "properties": {"cwe": ["CWE-79"]},
    }
    more = {
        "taxa": [{"id": "CWE-89", "toolComponent": cwe}, {"id": "7", "toolComponent": {}}],
        "properties": {"cwe": "CWE-532 Logs"},
    }
    log = sarif(
        result("A", **more),
        tool={"driver": {"name": "T", "rules": [rule]}},
        taxonomies=[{"name": "Categories"}, {"name": "CWE", "taxa": [{"id": "22"}]}],
    )
    expected = ("CWE-532", "CWE-89", "CWE-79", "CWE-327", "CWE-22")
    assert read(log).findings[0].cwes == expected


def test_places(read: Read, sarif: Make) -> None:
    """The first location is the finding's, the others are places; artifacts are found by index."""
    locations = [
        {"physicalLocation": {"artifactLocation": {"index": 0}, "region": {"startLine": 4}}},
        {"physicalLocation": {"artifactLocation": {"uri": "b.py"}, "region": {"startLine": 9}}},
    ]
    result = {"ruleId": "A", "message": {"text": "m"}, "locations": locations}
    log = sarif(result, artifacts=[{"location": {"uri": "a%20b.py"}}])
    found = read(log).findings[0]
    assert (found.path, found.line) == ("a b.py", 4)
    assert [(p.path, p.line) for p in found.places] == [("b.py", 9)]


def test_fixes_and_flows(read: Read, sarif: Make, result: Make) -> None:
    """The first fix becomes edits, the first thread flow becomes steps."""
    where = {"artifactLocation": {"uri": "a.py"}, "region": {"startLine": 2}}
    steps = [{"location": {"physicalLocation": where}}] * 2
    region = {"startLine": 2, "startColumn": 3, "endColumn": 8}
    change = {
        "artifactLocation": {"uri": "a.py"},
        "replacements": [{"deletedRegion": region, "insertedContent": {"text": "safe()"}}],
    }
    more = {
        "fixes": [{"artifactChanges": [change]}, {"artifactChanges": [change, change]}],
        "codeFlows": [{"threadFlows": [{"locations": steps}]}],
    }
    found = read(sarif(result(**more))).findings[0]
    place = {"start_line": 2, "start_column": 3, "end_line": 2, "end_column": 8}
    assert found.edits == (Edit(path="a.py", text="safe()", **place),)
    assert found.flow == ("a.py:2",)


def test_half_a_fix_is_none(read: Read, sarif: Make, result: Make) -> None:
    """Where one edit cannot be read, the others alone would be another fix."""
    first = {"deletedRegion": {"startLine": 2}, "insertedContent": {"text": "x"}}
    for other in ({"deletedRegion": {"charOffset": 5}}, {"insertedContent": {"text": "y"}}):
        change = {"artifactLocation": {"uri": "a.py"}, "replacements": [first, other]}
        log = sarif(result(fixes=[{"artifactChanges": [change]}]))
        assert read(log).findings[0].edits == ()


@pytest.mark.parametrize(
    "reference",
    [
        {"id": "79", "toolComponent": {"name": "CWE"}},
        {"index": 1, "toolComponent": {"index": 1}},
        {"guid": "t-79", "toolComponent": {"guid": "c-cwe"}},
        {"id": "CWE-79", "toolComponent": {"guid": "c-cwe"}},
    ],
)
def test_a_taxon_is_known_by_any_of_its_names(
    read: Read, sarif: Make, result: Make, reference: dict[str, Any]
) -> None:
    """Results and rules name CWEs by id, index or guid, of a taxonomy by name, index or guid."""
    taxa = [{"id": "22"}, {"id": "79", "guid": "t-79"}]
    known = [{"name": "OWASP", "taxa": taxa}, {"name": "CWE", "guid": "c-cwe", "taxa": taxa}]
    log = sarif(result(taxa=[reference]), taxonomies=known)
    assert read(log).findings[0].cwes == ("CWE-79",)
    log = sarif(result("r1"), taxonomies=known)
    rule = {"id": "r1", "relationships": [{"target": reference}]}
    log["runs"][0]["tool"]["driver"]["rules"].append(rule)
    assert read(log).findings[0].cwes == ("CWE-79",)
    elsewhere = {**reference, "toolComponent": {"name": "OWASP", "index": 0}}
    assert read(sarif(result(taxa=[elsewhere]), taxonomies=known)).findings[0].cwes == ()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"suppressions": [{"kind": "inSource"}]}, "inSource"),
        ({"suppressions": [{"kind": "external", "justification": "no"}]}, "external: no"),
        ({"suppressions": [{"kind": "external", "status": "accepted"}]}, "external"),
        ({"suppressions": [{"kind": "external", "status": "rejected"}]}, None),
        ({"suppressions": [{"kind": "external", "status": "underReview"}]}, None),
        ({"suppressions": [{"kind": "inSource"}, {"status": "rejected"}]}, None),
        ({"suppressions": []}, None),
        ({"kind": "pass"}, "the scanner reports it as pass"),
        ({"baselineState": "absent"}, "the scanner reports it as gone since its baseline"),
        ({"baselineState": "unchanged"}, None),
    ],
)
def test_suppression(
    read: Read, sarif: Make, result: Make, more: dict[str, Any], expected: str | None
) -> None:
    """Accepted suppressions suppress; rejected ones and those under review do not."""
    assert read(sarif(result(**more))).findings[0].suppression == expected


def test_several_runs_and_no_tool(read: Read, sarif: Make, result: Make) -> None:
    """Every run is read; Checkov's rules name their tool where a run has none."""
    log = sarif(result())
    log["runs"] += [{"results": [result("CKV_AWS_1")]}, {"tool": {"driver": {"name": "X"}}}, 5]
    parsed = read(log)
    assert parsed.report.tool == "semgrep, checkov, x"
    assert [f.sources[0].pointer for f in parsed.findings] == [
        "/runs/0/results/0",
        "/runs/1/results/0",
    ]


def test_image_packages(read: Read, sarif: Make, result: Make) -> None:
    """Trivy's sentence gives the package; the image it names as a file is the target."""
    text = (
        "Package: zlib\nInstalled Version: 1.2\nVulnerability CVE-2024-1111\nSeverity: LOW\n"
        "Fixed Version: 1.3, 2.1\nLink: [CVE-2024-1111](https://example.org)"
    )
    more = {"message": {"text": text}, "level": "error"}
    log = sarif(
        result("CVE-2024-1111", "acme/app", 1, **more),
        name="Trivy",
        properties={"imageName": "ghcr.io/acme/app:latest"},
    )
    found = read(log).findings[0]
    assert (found.path, found.target) == (None, "ghcr.io/acme/app:latest")
    assert found.package is not None
    assert (found.package.name, found.package.version) == ("zlib", "1.2")
    assert found.package.fixed_versions == ("1.3", "2.1")
    assert (found.severity, found.category) == (Severity.LOW, Category.DEPENDENCY)
    assert found.aliases == ("CVE-2024-1111",)


def test_secrets_stay_behind(read: Read, sarif: Make, result: Make) -> None:
    """A secret scanner's snippet, hashes and authors do not leave, nor does the value elsewhere."""
    secret = result("api-key", message={"text": "api-key found"})
    region = secret["locations"][0]["physicalLocation"]["region"]
    region["snippet"] = {"text": "planted-sarif-secret-5"}
    prints = {"commitSha": "c1", "email": "jane@example.org", "SecretHash/v1": "hash-of-secret"}
    secret["partialFingerprints"] = prints
    other = result("r2", message={"text": "calls f(planted-sarif-secret-5)"})
    parsed = read(sarif(secret, other, name="gitleaks"))
    out = msgspec.json.encode(parsed).decode()
    for planted in ("planted-sarif-secret-5", "jane", "hash-of-secret"):
        assert planted not in out
    assert parsed.findings[0].snippet == "<secret:api-key:00000000>"
    assert parsed.findings[1].message == "calls f(<secret:api-key:00000000>)"


def test_what_the_scanner_says_about_itself(read: Read, sarif: Make) -> None:
    """A run that failed and found nothing is empty and says so."""
    notes = [{"level": "error", "message": {"text": "parse error"}}, {"level": "warning"}]
    invocation = {"executionSuccessful": False, "toolExecutionNotifications": notes}
    report = read(sarif(invocations=[invocation])).report
    assert report.kind is FileKind.EMPTY
    assert report.error == "The scanner itself reports 1 error."
