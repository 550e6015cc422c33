"""Two runs of one project: what one scan found and the next one does not is learned from its fix."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secdaemon.config.paths import Home

Cli = Callable[..., subprocess.CompletedProcess[str]]
WEAK = """import db


def find_{n}(request):
    name = request.args["name_{n}"]
    return db.execute("SELECT * FROM table_{n} WHERE name = '" + name + "'")
"""
GOOD = WEAK.replace("""'" + name + "'")""", """?", (name,))""").replace("name = '", "name = ")


def scan(numbers: list[int]) -> str:
    """Return Semgrep's report of an injection in each of these files."""
    results = [
        {
            "check_id": f"python.sql-injection.rule-{n}",
            "path": f"src/store_{n}.py",
            "start": {"line": 6, "col": 12},
            "end": {"line": 6, "col": 40},
            "extra": {
                "message": f"User input reaches the SQL of table_{n}.",
                "severity": "ERROR",
                "lines": WEAK.format(n=n).splitlines()[5],
                "metadata": {"cwe": "CWE-89"},
            },
        }
        for n in numbers
    ]
    return json.dumps({"results": results, "errors": [], "version": "1.100.0"})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a repository with six weak files."""
    folder = tmp_path / "project"
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "-q")
    for n in range(6):
        (folder / f"src/store_{n}.py").write_text(WEAK.format(n=n))
    commit(folder)
    return folder


def git(folder: Path, *command: str) -> None:
    """Run git in a folder."""
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    subprocess.run(["git", "-C", str(folder), *identity, *command], check=True)


def commit(folder: Path) -> None:
    """Commit everything."""
    git(folder, "add", "-Af", ".")
    git(folder, "commit", "-qm", "change")


def processed(cli: Cli, folder: Path, project: Path, text: str) -> list[dict[str, Any]]:
    """Return the examples of a run over one scan."""
    folder.mkdir()
    (folder / "semgrep.json").write_text(text)
    out = folder.with_name(f"{folder.name}-out")
    options = ("--skip-fine-tuning", "--source", project, "--output-dir", out)
    done = cli("process", "--artifacts-dir", folder, *options)
    assert done.returncode == 0, done.stderr
    return [
        json.loads(line)
        for name in ("train", "valid", "test")
        for line in (out / f"{name}.jsonl").read_text().splitlines()
    ]


def test_the_developers_own_fix_is_learned(
    cli: Cli, home: Home, tmp_path: Path, project: Path
) -> None:
    """It is kept as their diff, checked like any other fix, and found again by `explain`."""
    processed(cli, tmp_path / "first", project, scan([0, 1, 2, 3, 4, 5]))
    (project / "src/store_2.py").write_text(GOOD.format(n=2))
    commit(project)
    examples = processed(cli, tmp_path / "second", project, scan([0, 1, 3, 4, 5]))
    found = [e for e in examples if e["metadata"]["approach"] == "history"]
    [learned] = [e for e in found if "augmented" not in e["metadata"]]
    question, answer = (turn["content"] for turn in learned["messages"][1:])
    assert """ + name + "'")""" in question
    assert "WHERE name = ?" in answer
    assert learned["metadata"]["quality"] == "high"
    told = cli("explain", learned["id"])
    assert told.returncode == 0, told.stderr
    assert "store_2.py" in told.stdout


def test_another_scanners_artifact_expires_nothing(
    cli: Cli, home: Home, tmp_path: Path, project: Path
) -> None:
    """What Semgrep found stays valid while only Gitleaks looks, and goes when Semgrep says so."""
    processed(cli, tmp_path / "first", project, scan([0, 1, 2, 3]))
    leak = {"RuleID": "door", "Description": "d", "StartLine": 1, "EndLine": 1}
    leaks = [leak | {"Match": "x", "Secret": "mellon-mellon", "File": "src/keys.py"}]
    second = processed(cli, tmp_path / "second", project, json.dumps(leaks))
    tools = sorted(example["metadata"]["tool"] for example in second)
    assert tools.count("semgrep") >= 4
    assert "gitleaks" in tools
