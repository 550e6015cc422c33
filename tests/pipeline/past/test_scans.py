"""Which scan looks again at what another one looked at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.findings.model import (
    Category,
    FileKind,
    FileReport,
    Finding,
    Severity,
    Source,
)
from secdaemon.pipeline.past.scans import FILES, SITE, aim_of, looked, scans_by_member, scans_of


def report(path: str, tool: str | None = "trivy", kind: FileKind = FileKind.OK) -> FileReport:
    """Return what was read from a file."""
    return FileReport(path=path, kind=kind, tool=tool, format="sarif")


def found(member: str, tool: str = "trivy", **about: object) -> Finding:
    """Return a finding of a file."""
    fields: dict[str, object] = {
        "tool": tool,
        "rule": "r",
        "severity": Severity.LOW,
        "message": "",
        "category": Category.DEPENDENCY,
        "sources": (Source(member, "/", tool),),
    }
    return Finding(**(fields | about))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("about", "aim"),
    [
        ({}, FILES),
        ({"target": "ghcr.io/acme/door:1.2@sha256:00"}, "image ghcr.io/acme/door"),
        ({"target": "localhost:5000/door"}, "image localhost:5000/door"),
        ({"target": "door:1"}, "image door"),
        ({"target": "Deployment.door", "category": Category.CONFIGURATION}, FILES),
        ({"target": "http://localhost", "category": Category.WEB}, SITE),
    ],
)
def test_what_was_scanned(about: dict[str, object], aim: str) -> None:
    """An image by its name, whatever its tag; a resource of a configuration is in the files."""
    assert aim_of(found("a", **about)) == aim


@pytest.mark.parametrize(
    ("later", "again"),
    [
        ([report("run-13/image.sarif")], True),
        ([report("run-13/image.sarif", kind=FileKind.EMPTY)], True),
        ([report("run-13/files.sarif")], True),
        ([report("run-13/files.sarif"), report("other.sarif")], False),
        ([report("run-13/image.sarif"), report("other.sarif")], True),
        ([report("run-13/image.sarif", "zap")], False),
        ([report("run-13/image.sarif", "semgrep, trivy")], True),
        ([report("run-13/image.sarif", None)], False),
        ([report("run-13/image.sarif", kind=FileKind.UNREADABLE)], False),
        ([], False),
    ],
)
def test_a_scan_is_made_again(later: list[FileReport], again: bool) -> None:
    """Under its name but for numbers, or as the only one of its tool and format, found or not."""
    files = [report("run-12/image.sarif")]
    scans = scans_of(found("run-12/image.sarif"), scans_by_member(files))
    assert len(scans) == 1
    assert looked(later, []).again(scans, FILES) is again


def test_a_scan_of_something_else_says_nothing() -> None:
    """One that found things in another image; one that found nothing looked at the same."""
    scans = scans_of(found("a.sarif"), scans_by_member([report("a.sarif")]))
    other = looked([report("a.sarif")], [found("a.sarif", target="window:1")])
    assert not other.again(scans, "image door")
    assert not other.again(scans, FILES)
    assert other.again(scans, "image window")
    assert looked([report("a.sarif")], []).again(scans, "image door")


NAMES = st.text(st.sampled_from("ab/.-_019"), min_size=1, max_size=12)


@given(st.lists(NAMES, min_size=1, max_size=5, unique=True), st.integers(0, 99))
def test_the_same_artifact_looks_at_everything_again(names: list[str], number: int) -> None:
    """Also where the numbers in its files' names have gone up."""
    first = [report(f"{number}/{name}") for name in names]
    second = [report(f"{number + 1}/{name}") for name in names]
    members = scans_by_member(first)
    findings = [found(file.path) for file in first]
    again = looked(second, [found(file.path) for file in second])
    assert all(again.again(scans_of(finding, members), FILES) for finding in findings)
    assert not any(looked([], []).again(scans_of(each, members), FILES) for each in findings)
