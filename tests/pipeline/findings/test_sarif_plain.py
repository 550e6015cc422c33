"""The short way through a SARIF result gives the finding that the long way gives."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secdaemon.pipeline.findings.gather import Gatherer
from secdaemon.pipeline.findings.model import FileKind, Finding, Parsed
from secdaemon.pipeline.findings.read import read_bytes
from secdaemon.pipeline.findings.redact import Redactor
from secdaemon.pipeline.findings.sarif_plain import PlainResults

_TEXTS = st.sampled_from(
    (
        *("", " ", "m", " two\n lines ", "by a@b.org in /home/jane/x", 'password = "hunter22x"'),
        *("<|im_start|>", "\u202ehidden", "a" * 30_000, "ghp_" + "aB3dE5gH7jK9" * 3, "{0} é"),
        "Package: zlib\nInstalled Version: 1\nVulnerability CVE-2024-1111\nSeverity: LOW\n",
        *("0123456789abcdef" * 4, "requires login"),
    )
)
_URIS = st.sampled_from(
    (
        *("src/a.py", "a/b-c.d/e_f.kt", "./a.py", "../a.py", "a//b", "a%20b", "a/./b", "a\n", ""),
        *("https://example.org/a", "file:///C:/a.py", "/home/runner/work/x/x/a.py", "a\\b"),
        *(".github/x.yml", "~/a", "-/..a"),
    )
)
_NUMBERS = st.sampled_from([1, 1, 2, 7, 0, -1])
_ODD_NUMBERS = st.sampled_from([2**31, 10**30, "3", None, True, 2.0])
_ANY = st.sampled_from([None, "", "x", 0, [], {}, ["x"], {"text": "x"}, {"security-severity": "9"}])
_SNIPPETS = st.fixed_dictionaries({"text": _TEXTS})
_REGIONS = st.fixed_dictionaries(
    {"startLine": st.sampled_from([1, 3, 9])},
    optional={
        **dict.fromkeys(("endLine", "startColumn", "endColumn"), _NUMBERS),
        "snippet": _SNIPPETS,
    },
)
_PRINTS = st.dictionaries(st.sampled_from(["primary", "email", "x" * 120]), _TEXTS, max_size=2)
_STEPS = st.fixed_dictionaries(
    {
        "artifactLocation": st.fixed_dictionaries({"uri": _URIS}),
        "region": st.fixed_dictionaries({}, optional={"startLine": _NUMBERS}),
    }
).map(lambda place: {"location": {"physicalLocation": place}})
_THREADS = st.lists(st.fixed_dictionaries({}, optional={"locations": st.lists(_STEPS)}), max_size=2)
_COMMON = {
    "codeFlows": st.lists(st.fixed_dictionaries({"threadFlows": _THREADS}), max_size=2),
    "ruleId": st.sampled_from(["A", "A", "B", "CWE-79", "CVE-2024-1", "x.secrets.y", "CKV_AWS_1"]),
    "ruleIndex": st.sampled_from([0, 1, 5, -1]),
    "level": st.sampled_from(["error", "note", "odd"]),
    "partialFingerprints": _PRINTS,
    "fingerprints": _PRINTS,
    "properties": st.sampled_from([{}, {"security-severity": "9"}, {"tags": ["CWE-7"]}]),
    "kind": st.sampled_from(["fail", "pass"]),
    "baselineState": st.sampled_from(["new", "absent"]),
    "suppressions": st.sampled_from([[], [{"kind": "inSource"}], [{"status": "rejected"}]]),
}
_ODD_NAMES = (*_COMMON, "message", "locations", "taxa", "rule", "codeFlows", "attachments")


@st.composite
def _results(draw: st.DrawFn) -> dict[str, Any]:
    """A common result, of which up to two parts may be odd."""
    where = {"uri": draw(_URIS)} | draw(st.sampled_from([{}, {"uriBaseId": "x"}]))
    region = draw(_REGIONS)
    place = {"artifactLocation": where, "region": region}
    result = {
        "message": {"text": draw(_TEXTS)},
        "locations": [{"physicalLocation": place}],
        **draw(st.fixed_dictionaries({}, optional=_COMMON)),
    }
    odd = st.sampled_from(
        ["none", "none", "result", "region", "context", "place", "argument", "flow"]
    )
    for how in draw(st.lists(odd, max_size=2)):
        if how == "result":
            result[draw(st.sampled_from(_ODD_NAMES))] = draw(_ANY)
        elif how == "region":
            name = draw(st.sampled_from(["startLine", "endLine", "startColumn", "endColumn"]))
            region[name] = draw(_ODD_NUMBERS)
        elif how == "context":
            place["contextRegion"] = {"startLine": 2, "snippet": draw(_SNIPPETS)}
        elif how == "place":
            place[draw(st.sampled_from(["region", "artifactLocation"]))] = draw(_ANY)
        elif how == "flow":
            step = draw(st.sampled_from([{}, {"location": {}}, {"location": {"id": 1}}, None]))
            result["codeFlows"] = [{"threadFlows": [{"locations": [step]}]}]
        elif isinstance(result["message"], dict):
            result["message"] |= {"arguments": ["x"], "markdown": "*x*"}
    return result


_RULES = [
    {"id": "A", "help": {"text": "mail a@b.org"}, "properties": {"tags": ["external/cwe/cwe-79"]}},
    {"id": "B", "name": "Secret", "shortDescription": {"text": "quotes a secret"}},
]
_BASES = st.sampled_from([None, {}, {"x": {"uri": "base/"}}, {"": {"uri": "file:///a/"}}])


def _log(results: list[Any], bases: Any) -> bytes:
    run = {
        "tool": {"driver": {"name": "T", "rules": _RULES}},
        "originalUriBaseIds": bases,
        "results": results,
    }
    return json.dumps({"version": "2.1.0", "runs": [run]}).encode()


def _long_way(data: bytes) -> Parsed:
    """The same log, each result with a field that only the long way reads and that says nothing."""
    log = json.loads(data)
    for result in log["runs"][0]["results"]:
        result["fixes"] = [None]
    return read_bytes(json.dumps(log).encode(), "m", Redactor())


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_results(), max_size=5), _BASES)
def test_both_ways_give_the_same(results: list[Any], bases: Any) -> None:
    """Whatever a result holds, its finding does not depend on the way it is read."""
    data = _log(results, bases)
    assert read_bytes(data, "m", Redactor()) == _long_way(data)


def _fails(_result: dict[str, Any], _pointer: str) -> Finding:
    msg = "not asked for"
    raise AssertionError(msg)


def test_a_common_result_takes_the_short_way(result: Callable[..., dict[str, Any]]) -> None:
    """A result with rule, message and one place is read without the long way but for its rule."""
    asked: list[dict[str, Any]] = []

    def read(native: dict[str, Any], _pointer: str) -> Finding:
        asked.append(native)
        return Finding(tool="t", rule="r1", severity="low", message="m")

    plain = PlainResults(Gatherer("m", Redactor()), read, None)
    found = [plain.finding(msgspec.Raw(json.dumps(result(line=n)).encode()), "/x") for n in (3, 4)]
    assert [f and f.line for f in found] == [3, 4]
    assert len(asked) == 1


@pytest.mark.parametrize("more", [{"fixes": [{}]}, {"locations": []}, {"message": {"id": "x"}}])
def test_other_results_take_the_long_way(
    result: Callable[..., dict[str, Any]], more: dict[str, Any]
) -> None:
    """A result of another shape is left alone."""
    plain = PlainResults(Gatherer("m", Redactor()), _fails, None)
    assert plain.finding(msgspec.Raw(json.dumps(result(**more)).encode()), "/x") is None


def test_a_secret_named_late_is_hidden_in_what_came_first(
    result: Callable[..., dict[str, Any]],
) -> None:
    """A file that names a secret is read again with the secret known."""
    secret = result("api-key", message={"text": "api-key found"})
    secret["locations"][0]["physicalLocation"]["region"]["snippet"] = {"text": "planted-secret-55"}
    first = result("r2", message={"text": "calls f(planted-secret-55)"})
    run = {"tool": {"driver": {"name": "gitleaks"}}, "results": [first, secret]}
    data = json.dumps({"version": "2.1.0", "runs": [run]}).encode()
    parsed = read_bytes(data, "m", Redactor())
    assert "planted" not in msgspec.json.encode(parsed).decode()
    assert parsed.findings[0].message == "calls f(<secret:api-key:00000000>)"


def test_too_many_results_are_refused() -> None:
    """A file of nothing but tiny results is refused with a sentence, not read to the end."""
    data = b'{"version":"2.1.0","runs":[{"results":[' + b"1," * 500_001 + b"1]}]}"
    report = read_bytes(data, "m", Redactor()).report
    assert (report.kind, report.error) == (
        FileKind.UNREADABLE,
        "The file holds more than 500,000 results.",
    )


def test_too_many_values_are_refused() -> None:
    """A large file of nothing but tiny values is refused before it is decoded."""
    data = b'{"version":"2.1.0","runs":[' + b"{}," * (23 * 2**20) + b"{}]}"
    report = read_bytes(data, "m", Redactor()).report
    assert (report.kind, report.error) == (
        FileKind.UNREADABLE,
        "The file holds more than 10 million values.",
    )
