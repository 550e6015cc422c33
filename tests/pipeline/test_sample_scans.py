"""The demo's zip: real scanner outputs about the sample service, free of the machine they ran on."""

import importlib.resources
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

EMBEDDED = Path(str(importlib.resources.files("secdaemon.pipeline.embedded")))
SERVICE = EMBEDDED / "sample_service"
SCANS = EMBEDDED / "sample_scans"
OUTPUTS = sorted(path for path in SCANS.rglob("*") if path.is_file())

# Homes, scratch folders and build folders of Linux and macOS, and Windows drives.
MACHINE_PATH = re.compile(
    r"(?<![\w.])/(?:home|Users|root|tmp|work|private|var/folders|builds|opt|src)/|\b[A-Za-z]:\\\\|file:///"
)
MAIL_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}")
# Container paths that the sample service itself names, and that scanners quote from it.
QUOTED_FROM_SERVICE = ("/opt/agent.tar.gz",)


class Result(msgspec.Struct, frozen=True):
    """Where one result points: the rule, the path as the scanner wrote it, the first line."""

    rule: str
    path: str
    line: int


def _sarif_results(document: Any) -> list[Result]:
    found = []
    for run in document["runs"]:
        for result in run["results"]:
            place = result["locations"][0]["physicalLocation"]
            uri, line = place["artifactLocation"]["uri"], place["region"]["startLine"]
            found.append(Result(result["ruleId"], uri, line))
    return found


def _results(path: Path) -> list[Result]:
    document: Any = msgspec.json.decode(path.read_bytes())
    if path.suffix == ".sarif":
        return _sarif_results(document)
    return [Result(r["check_id"], r["path"], r["start"]["line"]) for r in document["results"]]


def _distinct() -> set[Result]:
    return {result for path in OUTPUTS for result in _results(path)}


def test_scans_are_there() -> None:
    """Semgrep's two formats and three more scanners each left one output."""
    assert [path.relative_to(SCANS).as_posix() for path in OUTPUTS] == [
        "bandit-results/bandit.sarif",
        "checkov-results/results_sarif.sarif",
        "semgrep-results/semgrep.json",
        "semgrep-results/semgrep.sarif",
        "zizmor-results/zizmor.sarif",
    ]
    assert sum(path.stat().st_size for path in OUTPUTS) < 700_000


@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: path.name)
def test_output_names_no_machine(path: Path) -> None:
    """An output names no absolute path, no home folder and no mail address."""
    text = path.read_text(encoding="utf-8")
    for quoted in QUOTED_FROM_SERVICE:
        text = text.replace(quoted, "")
    assert MACHINE_PATH.findall(text) == []
    assert MAIL_ADDRESS.findall(text) == []


def test_enough_distinct_results() -> None:
    """A split by place or by rule has enough groups, and several rules fire more than once."""
    distinct = _distinct()
    rules = [result.rule for result in distinct]
    assert 45 <= len(distinct) <= 130
    assert len({(result.rule, result.path) for result in distinct}) >= 45
    assert len({rule for rule in rules if rules.count(rule) > 1}) >= 15


@pytest.mark.skipif(not SERVICE.is_dir(), reason="the sample service is not part of the wheel")
def test_results_point_into_the_service() -> None:
    """Every path exists in the sample service, and every first line is a line of that file."""
    for result in _distinct():
        assert not Path(result.path).is_absolute()
        lines = (SERVICE / result.path).read_text(encoding="utf-8").splitlines()
        assert 1 <= result.line <= len(lines), result


@pytest.mark.skipif(not SERVICE.is_dir(), reason="the sample service is not part of the wheel")
def test_semgrep_offsets_still_fit() -> None:
    """A Semgrep fix starts and ends where the file of today has it: the scans are not stale."""
    document: Any = msgspec.json.decode((SCANS / "semgrep-results/semgrep.json").read_bytes())
    fixed = [r for r in document["results"] if "fix" in r["extra"]]
    assert len(fixed) >= 45
    for result in fixed:
        source = (SERVICE / result["path"]).read_bytes()
        for end in ("start", "end"):
            before = source[: result[end]["offset"]]
            column = len(before) - (before.rfind(b"\n") + 1)
            assert (before.count(b"\n") + 1, column + 1) == (
                result[end]["line"],
                result[end]["col"],
            )


@pytest.mark.skipif(not SERVICE.is_dir(), reason="the sample service is not part of the wheel")
def test_sarif_snippets_still_fit() -> None:
    """The code that Semgrep's SARIF quotes for a result stands in the file at that line."""
    document: Any = msgspec.json.decode((SCANS / "semgrep-results/semgrep.sarif").read_bytes())
    for result in document["runs"][0]["results"]:
        place = result["locations"][0]["physicalLocation"]
        path, region = SERVICE / place["artifactLocation"]["uri"], place["region"]
        lines = path.read_text(encoding="utf-8").splitlines()
        quoted = "\n".join(lines[region["startLine"] - 1 : region["endLine"]])
        assert region["snippet"]["text"].strip() in quoted
