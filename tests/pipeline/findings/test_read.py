"""What a file is: recognised by its content, never lost in silence, never fatal."""

import codecs
import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secdaemon.pipeline.findings.model import FileKind, FileReport, Parsed
from secdaemon.pipeline.findings.read import read_bytes, read_file
from secdaemon.pipeline.findings.redact import Redactor

SAMPLES = {path.stem: path for path in (Path(__file__).parent / "samples").glob("*.json")}
SCANS = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in SAMPLES.items()}
_LEAK = {"rule": "r", "offender": "planted-99", "line": "k = planted-99", "file": "a", "tags": ""}
_IGNORED = {"Type": "vulnerability", "Status": "ignored", "Finding": {"VulnerabilityID": "CVE-1"}}
_TARGET = {
    "Target": "a (debian 12)",
    "Class": "os-pkgs",
    "Vulnerabilities": [
        {"VulnerabilityID": "CVE-2024-1111", "PkgName": "pad", "CVSS": {"nvd": {}}}
    ],
    "ExperimentalModifiedFindings": [_IGNORED],
    "Licenses": [{"Name": "MIT"}],
}
_SEMGREP = {
    "check_id": "a.b",
    "path": "a.py",
    "start": {"line": 1, "col": 2},
    "end": {"line": 1, "col": 9},
    "extra": {
        "message": "m",
        "lines": "foo(a)",
        "fix_regex": {"regex": "foo", "replacement": "bar", "count": 1},
        "metadata": {"sca-fix-versions": [{"pad": "2"}]},
        "sca_info": {"dependency_match": {"found_dependency": {"package": "pad"}}},
        "dataflow_trace": {
            "taint_source": ["CliLoc", [{"path": "a.py", "start": {"line": 1}}, "a"]]
        },
    },
}
_OSV = {
    "package": {"name": "pad", "version": "1", "ecosystem": "npm"},
    "vulnerabilities": [
        {"id": "GHSA-1", "severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}]}
    ],
    "groups": [{"ids": ["GHSA-1"], "experimental_analysis": {"GHSA-1": {"called": False}}}],
}
_RUN = {
    "tool": {
        "driver": {"name": "T"},
        "extensions": [{"rules": [{"id": "R", "relationships": []}]}],
    },
    "taxonomies": [{"name": "CWE", "guid": "g", "taxa": [{"id": "79", "guid": "t"}]}],
    "results": [
        {
            "ruleIndex": 0,
            "rule": {"toolComponent": {"index": 0}},
            "message": {"id": "default", "arguments": ["x"]},
            "taxa": [{"index": 0, "toolComponent": {"index": 0, "guid": "g"}}],
            "fixes": [{"artifactChanges": [{"replacements": [{"deletedRegion": {}}]}]}],
            "suppressions": [{"kind": "external", "status": "accepted"}],
            "baselineState": "absent",
        }
    ],
}
OTHER_SHAPES: dict[str, Any] = {
    "trivy-list": [_TARGET],
    "trivy-kubernetes": {"ClusterName": "c", "Resources": [{"Kind": "Pod", "Results": [_TARGET]}]},
    "gitleaks-7": [_LEAK],
    "semgrep-older": {"results": [_SEMGREP], "errors": [], "version": "0"},
    "osv-2": {"results": [{"source": {"path": "a", "type": "lockfile"}, "packages": [_OSV]}]},
    "sarif-references": {"version": "2.1.0", "runs": [_RUN]},
    "checkov-object": {"check_type": "t", "results": {"failed_checks": [{"check_id": "CKV_1"}]}},
    "zap-bare": {
        "@version": "2.7.0",
        "site": {"alerts": {"pluginid": "1", "instances": {"uri": "u"}}},
    },
    "sarif-1": {"version": "1.0.0", "runs": [{"tool": {"name": "T"}, "results": []}]},
    "zap-api": {"alerts": [{"pluginId": "1", "alert": "A"}]},
}
"""Shapes of other versions, as small as their parsers take them."""


def _report(data: bytes) -> FileReport:
    return read_bytes(data, "m", Redactor()).report


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_formats_are_told_by_content(name: str) -> None:
    """Each sample is read as its own format, although all are called the same."""
    report = read_file(SAMPLES[name], "anything.txt").report
    assert (report.format, report.kind, report.path) == (name, FileKind.OK, "anything.txt")


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("utf-32-be", b""),
    ],
)
def test_encodings(encoding: str, bom: bytes) -> None:
    """UTF-8, UTF-16 and UTF-32 are read with and without their mark."""
    text = "\n " + json.dumps(SCANS["sarif"], ensure_ascii=False).replace("says no", "sägt nein")
    parsed = read_bytes(bom + text.encode(encoding), "m", Redactor())
    assert parsed.findings[0].message == "r1 sägt nein"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "The file is empty (0 bytes)."),
        (b" \n ", "The file is empty (3 bytes)."),
        (b'{"version": "2.1.0", "runs": [', "truncated"),
        (b'{"version": "2.1.0", "runs": []} trailing', "other data after the end"),
        (b'{"version": "2.1.0", "runs": [}', "malformed at line 1, column 31"),
        ('{"version": "2.1.0", "x": "ä"}'.encode("latin-1"), "neither UTF-8 nor UTF-16"),
        (codecs.BOM_UTF16_LE + b'{\0"\0a\0"\0:\0"\0\0\xd8x\0"\0}\0', "not valid UTF-16-LE"),
        (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
    ],
)
def test_unreadable_files_say_why(data: bytes, error: str) -> None:
    """A file that is meant to be JSON and is broken is unreadable, with its error in a sentence."""
    report = _report(data)
    assert report.kind is FileKind.UNREADABLE
    assert report.error is not None
    assert error in report.error


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b'{"version": "1.0.0", "runs": [{"tool": {"name": "BinSkim"}}]}', "sarif-1.0.0"),
        (b'\xef\xbb\xbf<?xml version="1.0"?><OWASPZAPReport version="2.9.0"/>', "zap-xml"),
        (b'{"vulns": [], "hasMore": false}', "semgrep-api"),
        (b'{"matches": [], "descriptor": {}}', "grype-json"),
        (b'[{"rule": {}, "tool": {}, "most_recent_instance": {}}]', "github-code-scanning-api"),
    ],
)
def test_scans_in_other_shapes_are_named(data: bytes, name: str) -> None:
    """A scan in a shape that is not read is reported with that shape's name."""
    report = _report(data)
    assert (report.kind, report.format) == (FileKind.UNSUPPORTED, name)


@pytest.mark.parametrize(
    "data",
    [
        b"# Report\n\nAll is well.",
        b"<!doctype html><html></html>",
        b"[link](https://example.org)",
        b"[section]\nkey = 1",
        b"\x89PNG\r\n\x1a\n\0\0\0",
        b'{"name": "app", "dependencies": {}}',
        b'["a", "b"]',
        b'{"results": [{"name": "a test result"}]}',
        b'"a text"',
        b"42",
    ],
)
def test_other_files_are_no_scans(data: bytes) -> None:
    """Reports for people, pictures and other JSON are no scans, and no error."""
    assert _report(data) == FileReport(path="m", kind=FileKind.NOT_A_SCAN)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"null", "json-null"),
        (b"[]", "gitleaks-json"),
        (b'{"results": []}', "osv-json"),
        (b'{"results": [], "errors": [], "version": "1.0"}', "semgrep-json"),
        (b'{"version": "2.1.0", "runs": []}', "sarif"),
        (b'{"SchemaVersion": 2, "ArtifactName": "x"}', "trivy-json"),
        (b'{"@version": "2.16.1", "site": []}', "zap-json"),
    ],
)
def test_scans_that_found_nothing_are_empty(data: bytes, name: str) -> None:
    """A valid scan without results is empty, which is not the same as unreadable."""
    report = _report(data)
    assert (report.kind, report.format, report.error) == (FileKind.EMPTY, name, None)


def test_what_only_the_standard_library_reads() -> None:
    """NaN and lone surrogates, which some tools write, do not cost the file."""
    text = json.dumps(SCANS["sarif"]).replace("r1 says no", "r1 \\ud800 no")
    text = text.replace('"startLine": 3', '"startLine": 3, "rank": NaN')
    assert read_bytes(text.encode(), "m", Redactor()).findings[0].message == "r1 ? no"


def test_files_over_the_limit_are_refused(tmp_path: Path) -> None:
    """A file over the limit is not read, and a file that is gone is told."""
    path = tmp_path / "big.json"
    path.write_bytes(b" " * 101)
    assert read_file(path, "m", max_bytes=100).report.kind is FileKind.UNREADABLE
    gone = read_file(tmp_path / "gone.json", "m").report
    assert gone.error == "The file cannot be read: No such file or directory."


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["", "CWE-79", "error", "../../x", "file:///a/b", "http://h/p", "-1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["text", "uri", "id", "index", "name"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def _paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [here]
    pairs = value.items() if isinstance(value, dict) else ()
    pairs = enumerate(value) if isinstance(value, list) else pairs
    for key, item in pairs:
        found += _paths(item, (*here, key))
    return found


def _mutated(value: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _mutated(value[path[0]], path[1:], change)
    return copy


@st.composite
def _mutants(draw: st.DrawFn) -> Any:
    """A sample with up to four of its values replaced, doubled or emptied."""
    known = SCANS | OTHER_SHAPES
    scan = known[draw(st.sampled_from(sorted(known)))]
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(_paths(scan)))
        replacement = draw(_VALUES)
        how = draw(st.sampled_from(["replace", "wrap", "double"]))
        changes: dict[str, Callable[[Any], Any]] = {
            "replace": lambda _old, new=replacement: new,
            "wrap": lambda old: [old],
            "double": lambda old: old * 2 if isinstance(old, list | str) else old,
        }
        scan = _mutated(scan, path, changes[how])
    return scan


def _conserved(parsed: Parsed) -> bool:
    return parsed.report.findings == len(parsed.findings) + len(parsed.rejected)


@pytest.mark.parametrize(
    ("suite", "tool"),
    [
        ('disabled="0" name="semgrep results" tests="7"', "semgrep"),
        ('name="bandit" tests="12"', "bandit"),
        ('name="terraform scan" tests="3"', "checkov"),
        ('name="app.LoginTest" tests="3"', None),
    ],
)
def test_a_scanners_junit_is_told_from_a_test_runs(suite: str, tool: str | None) -> None:
    """Scanners write JUnit's XML too; a test run's is no scan."""
    text = f'<?xml version="1.0"?>\n<testsuites><testsuite {suite}/></testsuites>'
    report = _report(text.encode())
    assert report.tool == tool
    assert report.kind is (FileKind.UNSUPPORTED if tool else FileKind.NOT_A_SCAN)


@pytest.mark.parametrize("name", sorted(OTHER_SHAPES))
def test_shapes_of_other_versions_are_known(name: str) -> None:
    """Each is read, or named as one that is not, by the name that it has here."""
    report = _report(json.dumps(OTHER_SHAPES[name]).encode())
    assert report.format is not None
    assert report.format.partition("-")[0] == name.partition("-")[0]
    assert report.kind in {FileKind.OK, FileKind.UNSUPPORTED}


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_mutants())
def test_mutated_scans_are_read_or_told(scan: Any) -> None:
    """Whatever stands in a scan, it is reported, and every result is a finding or rejected."""
    parsed = read_bytes(json.dumps(scan).encode(), "m", Redactor())
    assert _conserved(parsed)
    for finding in parsed.findings:
        for path in (finding.path, *(place.path for place in finding.places)):
            assert path is None or not path.startswith(("/", "../"))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(SCANS)), st.integers(0), st.binary(max_size=6))
def test_damaged_bytes_are_read_or_told(name: str, where: int, noise: bytes) -> None:
    """A sample that is cut, or has other bytes put in, never fails."""
    data = SAMPLES[name].read_bytes()
    cut = where % len(data)
    assert _conserved(read_bytes(data[:cut] + noise, "m", Redactor()))
    assert _conserved(read_bytes(data[:cut] + noise + data[cut:], "m", Redactor()))


@pytest.mark.parametrize("value", ["1e999", "-1E400", "1" * 5000, "0." + "1" * 5000, '"\\udc00"'])
@pytest.mark.parametrize("name", ["rank", "ruleIndex", "level", "ruleId", "message"])
def test_numbers_out_of_range(value: str, name: str) -> None:
    """A number that no computer holds, or half a character, costs neither file nor result."""
    text = (
        f'{{"version": "2.1.0", "runs": [{{"results": [{{"ruleId": "a", "{name}": {value}}}]}}]}}'
    )
    parsed = read_bytes(text.encode(), "m", Redactor())
    assert _conserved(parsed)
    assert parsed.report.findings == 1


@pytest.mark.parametrize("where", ["", '"tool": {%s}', '"tool": {"driver": {%s}}'])
def test_half_characters_in_names(where: str) -> None:
    """Half a character in a member's name costs neither the file nor what stands beside it."""
    odd = r'"\ud800": 1, "name": "T"'
    head = where % odd if where else odd
    text = f'{{"version": "2.1.0", "runs": [{{{head}, "results": [{{"ruleId": "a"}}]}}]}}'
    assert read_bytes(text.encode(), "m", Redactor()).report.findings == 1


@pytest.mark.parametrize("junk", ['"rules": [{"id": 7}, 3, null]', '"rules": {}', '"rules": null'])
def test_odd_rules_cost_nothing_else(junk: str) -> None:
    """Rules that are none, or have a number for a name, leave the results as they are."""
    driver = f'{{"name": "T", {junk}}}'
    text = (
        f'{{"version": "2.1.0", "runs": [{{"tool": {{"driver": {driver}, "extensions": [1]}},'
        '"results": [{"ruleId": "7", "ruleIndex": 1, "message": {"text": "m"}}]}]}'
    )
    found = read_bytes(text.encode(), "m", Redactor()).findings
    assert [(one.tool, one.rule, one.message) for one in found] == [("t", "7", "m")]


def test_large_files_give_what_small_ones_give(
    tmp_path: Path, result: Callable[..., dict[str, Any]], sarif: Callable[..., dict[str, Any]]
) -> None:
    """A file that is mapped and let go of while it is read has the findings of its bytes."""
    results = [result(line=n, message={"text": f"m{n} " * 40}) for n in range(1, 10_000)]
    path = tmp_path / "large.sarif"
    path.write_text(json.dumps(sarif(*results)), encoding="utf-8")
    data = path.read_bytes()
    assert len(data) > 2 * 2**20
    found = read_file(path, "m")
    assert found == read_bytes(data, "m", Redactor())
    assert [one.line for one in found.findings] == list(range(1, 10_000))


def test_the_collector_runs_again() -> None:
    """Reading leaves the garbage collector as it was, also after a file that cannot be read."""
    for was_on in (True, False):
        (gc.enable if was_on else gc.disable)()
        try:
            _report(b'{"version": "2.1.0", "runs": [')
            assert gc.isenabled() is was_on
        finally:
            gc.enable()


@pytest.mark.parametrize("before", [0, 1, 65_530, 65_535, 65_536, 131_071])
def test_characters_across_pieces(before: int) -> None:
    """A character of several bytes is whole wherever it stands, and half of one is told."""
    head = b'{"version": "2.1.0", "x": "' + b"a" * before
    whole = head + '\U0001f600"}'.encode()
    assert _report(whole).kind is not FileKind.UNREADABLE
    half = _report(head + b'\xf0\x9f"}')
    assert half.error is not None
    assert "neither UTF-8 nor UTF-16" in half.error
