"""Real scans of real tools: every file gives the count and the kind that a person found in it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from secdaemon.pipeline.findings.model import Category, Collected
from secdaemon.pipeline.findings.parse import parse_folder
from secdaemon.pipeline.findings.read import read_file

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "corpus"
SCANS = CORPUS / "scans"
WEBAUTHN = CORPUS / "webauthn-392"
_INDEX = SCANS / "expected.json"
EXPECTED: dict[str, Any] = (
    json.loads(_INDEX.read_text(encoding="utf-8")) if _INDEX.is_file() else {}
)
KINDS = {"malformed": "unreadable"}

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not EXPECTED, reason="the real scans are not here (../shared/corpus)"),
]


@pytest.fixture(scope="module")
def webauthn() -> Collected:
    """The findings of one real CI run of seven tools."""
    return parse_folder(WEBAUTHN)


@pytest.mark.parametrize("name", sorted(EXPECTED) or ["absent"])
def test_counts_and_kinds(name: str) -> None:
    """Each file has the stated kind, number of results, rules and suppressed results."""
    expected = EXPECTED[name]
    parsed = read_file(SCANS / name, name)
    assert parsed.report.kind == KINDS.get(expected["expect"], expected["expect"])
    assert parsed.report.findings == expected["findings"]
    assert parsed.rejected == ()
    assert len({finding.rule for finding in parsed.findings}) == expected["distinct_rules"]
    if "suppressed" in expected:
        suppressed = sum(finding.suppression is not None for finding in parsed.findings)
        assert suppressed == expected["suppressed"]


def test_every_file_is_expected() -> None:
    """The table names every file, so that none is left untried."""
    files = {path.relative_to(SCANS).as_posix() for path in SCANS.rglob("*") if path.is_file()}
    assert files - {"expected.json"} == set(EXPECTED)


def test_webauthn_counts(webauthn: Collected) -> None:
    """447 results go in, 190 findings come out.

    In: 107 Semgrep results in each of two files, 168 Trivy results (84 in the combined file, and
    the same again as 40 + 44 in one file an image), 46 OSV entries, 10 Checkov, 9 ZAP alerts,
    0 Gitleaks: 214 + 168 + 46 + 10 + 9 = 447.

    Out: 107 Semgrep (SARIF and JSON of one scan meet one by one; two of them stand on one line in
    two columns). 51 Trivy by (CVE, package, version), since both images share the base image's
    packages and several jars. 32 OSV by (id, package, version), since four lock files share
    packages. 19 of the 51 Trivy findings are among those 32 through a common alias, so both
    together are 51 + 32 - 19 = 64. 10 Checkov and 9 ZAP stand for themselves; the alert that both
    ZAP scans report is of two hosts. 107 + 64 + 10 + 9 = 190, and 447 - 190 = 257 duplicates.
    """
    counts = webauthn.counts
    assert counts.entered == 447
    assert (counts.kept, counts.duplicate, counts.suppressed, counts.rejected) == (190, 257, 0, 0)
    by_tool = {"checkov": 10, "osv": 32, "semgrep": 107, "trivy": 32, "zap": 9}
    assert webauthn.by_tool == by_tool


def test_webauthn_counts_of_each_tool(webauthn: Collected) -> None:
    """What a person counts: results in the files, and findings that a tool has a share in.

    Semgrep 2 x 107 results are 107 findings; Trivy 84 + 40 + 44 = 168 are 51; OSV 46 are 32;
    Checkov 10, ZAP 9 and Gitleaks 0 are as many as they say.
    """
    results: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    for finding in webauthn.kept:
        results.update(source.tool for source in finding.sources)
        findings.update({source.tool for source in finding.sources})
    assert results == {"semgrep": 214, "trivy": 168, "osv": 46, "checkov": 10, "zap": 9}
    assert findings == {"semgrep": 107, "trivy": 51, "osv": 32, "checkov": 10, "zap": 9}
    combined = [f.findings for f in webauthn.files if f.tool == "trivy"]
    assert sorted(combined) == [40, 44, 84]


def test_webauthn_dependencies(webauthn: Collected) -> None:
    """Of the 20 jar findings of Trivy, 19 meet an OSV entry; all 32 others are image packages."""
    found = [f for f in webauthn.kept if f.category is Category.DEPENDENCY]
    both = [f for f in found if {s.tool for s in f.sources} == {"osv", "trivy"}]
    trivy_jars = [
        f
        for f in found
        if any(s.tool == "trivy" for s in f.sources) and f.package and ":" in f.package.name
    ]
    assert (len(both), len(trivy_jars)) == (19, 20)
    assert sum(len(f.sources) for f in found) == 168 + 46


def test_webauthn_files(webauthn: Collected) -> None:
    """Reports for people are no scans, the Gitleaks scan found nothing, no path is a person's."""
    kinds = sorted(file.kind for file in webauthn.files)
    assert (kinds.count("ok"), kinds.count("empty"), kinds.count("not_a_scan")) == (9, 1, 4)
    paths = {f.path for f in webauthn.kept if f.path}
    assert not any(path.startswith(("/", "home/", "Users/")) for path in paths)
    assert "webauthn-server/gradle.lockfile" in paths
