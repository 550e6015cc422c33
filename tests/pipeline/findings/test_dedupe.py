"""Which results are one finding, and what the finding keeps of them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.findings.dedupe import deduplicate
from secdaemon.pipeline.findings.model import (
    Category,
    Finding,
    Package,
    Place,
    Severity,
    Source,
    VersionRange,
)


def _finding(member: str = "a", tool: str = "semgrep", **more: Any) -> Finding:
    base: dict[str, Any] = {
        "rule": "r1",
        "severity": Severity.LOW,
        "message": "no",
        "path": "a.py",
        "line": 3,
    }
    return Finding(tool=tool, sources=(Source(member, "/0", tool),), **(base | more))


def _dependency(
    member: str, tool: str, *aliases: str, version: str = "1.0", **more: Any
) -> Finding:
    package = Package(name="Org.Acme:pad", version=version, ecosystem=more.pop("ecosystem", None))
    return _finding(
        member,
        tool,
        rule=aliases[0],
        aliases=aliases,
        category=Category.DEPENDENCY,
        package=more.pop("package", package),
        **({"line": None} | more),
    )


def test_one_tool_twice() -> None:
    """The same result in two files is one finding that has the fields of both."""
    first = _finding("a.json", cwes=("CWE-78",), column=5)
    second = _finding("a.sarif", snippet="x()", column=5, severity=Severity.HIGH)
    kept, duplicates, suppressed = deduplicate([first, second])
    assert (len(kept), len(duplicates), suppressed) == (1, 1, ())
    assert (kept[0].snippet, kept[0].cwes, kept[0].severity) == ("x()", ("CWE-78",), Severity.HIGH)
    assert {s.member for s in kept[0].sources} == {"a.json", "a.sarif"}


def test_two_columns_are_two_findings() -> None:
    """Two matches on one line are not the same, and have different ids."""
    kept = deduplicate([_finding(column=5), _finding(column=9)]).kept
    assert len({finding.id for finding in kept}) == 2


def test_one_result_told_in_two_formats_is_one_finding() -> None:
    """One format names the resource, the other phrases the message its own way: both stay."""
    told = _finding("a.json", "checkov", target="aws_x.y", snippet="a = 1")
    retold = _finding("a.sarif", "checkov", message="No: a", column=1, snippet="  a = 1\n  b")
    (kept,), duplicates, _ = deduplicate([told, retold])
    assert len(duplicates) == 1
    assert (kept.target, kept.column) == ("aws_x.y", 1)
    assert {source.member for source in kept.sources} == {"a.json", "a.sarif"}


@pytest.mark.parametrize(
    "others",
    [
        [{"member": "b", "message": "other"}, {"member": "b", "message": "more"}],
        [{"member": "a", "message": "other"}],
        [{"member": "b", "message": "other", "target": "z"}],
        [{"member": "b", "message": "other", "column": 9}],
        [{"member": "b", "message": "other", "snippet": "y()"}],
        [{"member": "b", "message": "other", "rule": "r2"}],
        [{"member": "b", "message": "other", "tool": "checkov"}],
    ],
)
def test_what_may_be_two_results_stays_apart(others: list[dict[str, Any]]) -> None:
    """Two in one file, or two whose resource, column, code, rule or tool differ, are two."""
    first = _finding("a", target="x", column=1, snippet="x()")
    findings = [first, *(_finding(**other) for other in others)]
    assert len(deduplicate(findings).kept) == len(findings)


def test_fingerprints_join_across_files_only() -> None:
    """A fingerprint that both files have once joins; one that a file has twice does not."""
    prints = {"matchBasedId/v1": "x"}
    one = _finding("a", fingerprints=prints, line=3)
    two = _finding("b", fingerprints=prints, line=4)
    again = _finding("b", fingerprints=prints, line=5)
    assert len(deduplicate([one, two]).kept) == 1
    assert len(deduplicate([one, two, again]).kept) == 3


def test_dependencies_meet_through_aliases() -> None:
    """One package and version and a common alias are one finding; the advisory's branches win."""
    ranges = (VersionRange(introduced="1.0", fixed="1.1"),)
    package = Package(name="org.acme:pad", version="1.0", ecosystem="Maven", ranges=ranges)
    osv = _dependency("o", "osv", "GHSA-a", "CVE-1", package=package, path="gradle.lockfile")
    image = _dependency("t", "trivy", "CVE-1", path="app.jar", target="img:1", cvss="v", score=9.0)
    other = _dependency("t", "trivy", "CVE-1", path="app.jar", target="img:2")
    kept, duplicates, _ = deduplicate([image, osv, other])
    assert (len(kept), len(duplicates)) == (1, 2)
    assert (kept[0].tool, kept[0].path, kept[0].target) == ("osv", "gradle.lockfile", None)
    assert kept[0].aliases == ("GHSA-a", "CVE-1")
    assert (kept[0].cvss, kept[0].score) == ("v", 9.0)
    assert kept[0].places == (
        Place(path="app.jar", target="img:1"),
        Place(path="app.jar", target="img:2"),
    )


def test_dependencies_that_stay_apart() -> None:
    """Other versions, other ecosystems, and advisories over several CVEs stay apart."""
    apart = [
        [_dependency("a", "osv", "CVE-1"), _dependency("b", "trivy", "CVE-1", version="2.0")],
        [
            _dependency("a", "osv", "CVE-1", ecosystem="npm"),
            _dependency("b", "trivy", "CVE-1", ecosystem="PyPI", path="b"),
        ],
        [
            _dependency("a", "trivy", "CVE-1"),
            _dependency("b", "osv", "GHSA-a", "CVE-1", "CVE-2"),
            _dependency("c", "trivy", "CVE-2"),
        ],
    ]
    for findings in apart:
        assert len(deduplicate(findings).kept) == len(findings)


def test_two_tools_at_one_line() -> None:
    """Two tools that name one weakness family at one line are one finding."""
    one = _finding("a", "semgrep", cwes=("CWE-78",), snippet="  run(x)  # no")
    two = _finding("b", "codeql", rule="py/cmd", cwes=("CWE-77",), snippet="run(x)")
    kept = deduplicate([one, two]).kept
    assert len(kept) == 1
    assert {source.tool for source in kept[0].sources} == {"semgrep", "codeql"}


def test_two_tools_that_are_ambiguous() -> None:
    """Another family, other code, or two candidates of one tool keep findings apart."""
    one = _finding("a", "semgrep", cwes=("CWE-78",), snippet="run(x)")
    for other in (
        [_finding("b", "codeql", rule="c", cwes=("CWE-79",))],
        [_finding("b", "codeql", rule="c", cwes=("CWE-78",), snippet="other(y)")],
        [
            _finding("b", "codeql", rule="c", cwes=("CWE-78",)),
            _finding("b", "codeql", rule="d", cwes=("CWE-78",)),
        ],
    ):
        assert len(deduplicate([one, *other]).kept) == 1 + len(other)


def test_suppressed_stays_suppressed() -> None:
    """A result that is suppressed in one file is not kept because another file forgets it."""
    told = _finding("a", suppression="nosemgrep")
    forgotten = _finding("b")
    kept, duplicates, suppressed = deduplicate([told, forgotten])
    assert (kept, duplicates, len(suppressed)) == ((), (), 2)


def test_ids_outlive_moved_lines() -> None:
    """With code to go by, a finding keeps its id when its line moves; another code is another."""
    before = deduplicate([_finding(snippet="run(x)")]).kept[0].id
    assert deduplicate([_finding(snippet="  run(x)", line=40)]).kept[0].id == before
    assert deduplicate([_finding(snippet="run(y)")]).kept[0].id != before


_FINDINGS = st.lists(
    st.builds(
        _finding,
        member=st.sampled_from("ab"),
        tool=st.sampled_from(["semgrep", "trivy", "osv"]),
        rule=st.sampled_from(["r", "s"]),
        line=st.sampled_from([None, 1, 2]),
        path=st.sampled_from([None, "a", "b"]),
        cwes=st.sampled_from([(), ("CWE-78",), ("CWE-77", "CWE-79")]),
        category=st.sampled_from(list(Category)),
        aliases=st.sampled_from([(), ("CVE-1",), ("GHSA-1", "CVE-1"), ("GHSA-1", "CVE-2")]),
        package=st.sampled_from([None, Package(name="p", version="1"), Package(name="p")]),
        suppression=st.sampled_from([None, None, "why"]),
    ),
    max_size=12,
)


@given(_FINDINGS)
def test_nothing_is_lost(findings: list[Finding]) -> None:
    """Every finding is kept, a duplicate or suppressed; kept ones have all sources and own ids."""
    kept, duplicates, suppressed = deduplicate(findings)
    assert len(kept) + len(duplicates) + len(suppressed) == len(findings)
    assert len({finding.id for finding in kept}) == len(kept)
    assert not any(finding.suppression for finding in kept)
    told = {source for finding in (*kept, *suppressed) for source in finding.sources}
    assert told == {source for finding in findings for source in finding.sources}


@given(_FINDINGS)
def test_twice_is_once(findings: list[Finding]) -> None:
    """What was merged does not merge further, and the same input gives the same bytes."""
    kept = deduplicate(findings).kept
    assert msgspec.json.encode(kept) == msgspec.json.encode(deduplicate(findings).kept)
    assert len(deduplicate(kept).kept) == len(kept)
