"""A scanner that is installed says whether its own rule still fires on a fixed file."""

import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from secdaemon.pipeline.findings.model import Finding, Severity
from secdaemon.pipeline.fixes.model import Fix
from secdaemon.pipeline.rescan import Rescan

PATH = ".github/workflows/build.yml"
WEAK = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: make\n"
GOOD = WEAK.replace("jobs:", "permissions:\n  contents: read\njobs:")
RULES = """rules:
  - id: no-eval
    languages: [python]
    severity: ERROR
    message: eval
    pattern: eval(...)
"""
STAND_IN = f"""#!{sys.executable}
import json, pathlib
assert not list(pathlib.Path.cwd().parent.glob("*/*.py"))
failed = [
    {{"check_id": "CKV2_GHA_1", "check_name": "permissions", "file_path": f"/{{path}}",
      "repo_file_path": f"/{{path}}", "file_line_range": [0, 1], "resource": "on(a)",
      "check_result": {{"result": "FAILED"}}, "guideline": None, "severity": None,
      "code_block": None}}
    for path in sorted(pathlib.Path().rglob("*.yml")) if "permissions" not in path.read_text()
]
print(json.dumps({{"check_type": "github_actions",
                  "results": {{"failed_checks": failed, "passed_checks": [],
                              "skipped_checks": [], "parsing_errors": []}},
                  "summary": {{"passed": 0, "failed": len(failed), "skipped": 0,
                              "parsing_errors": 0, "resource_count": 1,
                              "checkov_version": "3.2.0"}}, "url": ""}}))
"""


class Project:
    """A project's files."""

    paths = (".semgrep/rules.yml", "src/app.py")

    def read(self, path: str) -> str | None:
        """Return the rules for any file that may hold them."""
        return RULES if path.endswith(".yml") else None


def asked(tool: str, rule: str, before: str, after: str, path: str = PATH) -> tuple[Finding, Fix]:
    """Return a finding and its fix."""
    finding = Finding(tool=tool, rule=rule, severity=Severity.HIGH, message="m", path=path)
    fix = Fix(approach="configuration", path=path, before=before, after=after, reason="Why.")
    return finding, fix


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that programs are looked for in first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_what_the_scanner_says_of_both_sides_counts(programs: Path) -> None:
    """It has to fire before and not after; one that does not fire before says nothing."""
    (programs / "checkov").write_text(STAND_IN)
    (programs / "checkov").chmod(0o755)
    answers = Rescan(None).gone(
        [
            asked("checkov", "CKV2_GHA_1", WEAK, GOOD),
            asked("checkov", "CKV2_GHA_1", WEAK, WEAK.replace("make", "make all")),
            asked("checkov", "CKV2_GHA_1", GOOD, GOOD + "\n"),
            asked("checkov", "CKV_GHA_7", WEAK, GOOD),
            asked("trivy", "DS002", WEAK, GOOD),
        ]
    )
    assert answers == [True, False, None, None, None]


def test_the_same_rule_at_another_place_is_another_finding(programs: Path) -> None:
    """Only what fired at the finding's own line has to be gone; what never did says nothing."""
    script = STAND_IN.replace(
        """    for path in sorted(pathlib.Path().rglob("*.yml")) if "permissions" not in path.read_text()
""",
        """    for path in sorted(pathlib.Path().rglob("*.yml"))
    for line, text in enumerate(path.read_text().split("\\n"), 1) if "run:" in text
""",
    ).replace("[0, 1]", "[line, line]")
    (programs / "checkov").write_text(script)
    (programs / "checkov").chmod(0o755)
    two = WEAK + "      - run: make all\n"
    questions = [
        asked("checkov", "CKV2_GHA_1", two, two.replace("run: make\n", "uses: a/b@v1\n")),
        asked("checkov", "CKV2_GHA_1", two, two.replace("make all", "make none")),
        asked("checkov", "CKV2_GHA_1", two, WEAK),
    ]
    at = [
        msgspec.structs.replace(f, line=n) for (f, _), n in zip(questions, (6, 7, 5), strict=True)
    ]
    asking = [(f, fix) for f, (_, fix) in zip(at, questions, strict=True)]
    assert Rescan(None).gone(asking) == [True, False, None]


def test_a_long_report_is_read_whole(programs: Path) -> None:
    """A report of many fixes is longer than what is kept of other programs' output."""
    (programs / "checkov").write_text(
        STAND_IN.replace('"guideline": None', '"guideline": "g" * 99999')
    )
    (programs / "checkov").chmod(0o755)
    assert Rescan(None).gone([asked("checkov", "CKV2_GHA_1", WEAK, GOOD)] * 12) == [True] * 12


def test_a_scanner_that_fails_has_no_say(programs: Path) -> None:
    """Neither one that ends badly nor one that prints something else."""
    program = programs / "checkov"
    for script in ("exit 3", "echo no report"):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        assert Rescan(None).gone([asked("checkov", "CKV2_GHA_1", WEAK, GOOD)]) == [None]


def test_a_file_outside_is_not_written(programs: Path, tmp_path: Path) -> None:
    """A path from a scan leads nowhere but into the folder that is scanned."""
    (programs / "checkov").write_text(STAND_IN)
    (programs / "checkov").chmod(0o755)
    outside = asked("checkov", "CKV2_GHA_1", WEAK, GOOD, f"{'../' * 12}{tmp_path}/x.yml")
    assert Rescan(None).gone([outside]) == [None]
    assert not (tmp_path / "x.yml").exists()


@pytest.mark.slow
def test_real_scanners() -> None:
    """Those that are installed on this machine; Semgrep with the project's own rules alone."""
    code = ("eval(x)\n", "run(x)\n", "src/app.py")
    questions = [
        asked("checkov", "CKV2_GHA_1", WEAK, GOOD),
        asked("zizmor", "zizmor/excessive-permissions", WEAK, GOOD),
        asked("semgrep", "semgrep.no-eval", *code),
        asked("semgrep", "semgrep.unknown", *code),
    ]
    present = [question for question in questions if shutil.which(question[0].tool)]
    if not present:
        pytest.skip("neither Checkov, Semgrep nor zizmor is installed")
    answers = Rescan(Project()).gone(present)
    wanted = [None if finding.rule.endswith("unknown") else True for finding, _ in present]
    assert answers == wanted
