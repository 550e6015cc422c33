"""Planted secrets: read by the scanners, and found nowhere but in the artifact itself."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from secdaemon.config.paths import Home

# Put together at run time, so that this file holds no token that a scanner would report.
PLANTED = {
    "aws": "AKIA" + "Q3EGRT7LZ2WNXY4V",
    "github": "ghp_" + "x7Kq2LmN9vRt4WzB8cYd1FgH6jPsQ3aUeT5o",
    "slack": "xoxb-" + "283746501928-384756102938-kTq8WvLm2RzXb6NcYp4JdS1a",
    "password": "tr0ub4dor-&-3-horses",
    "email": "someone.private" + "@" + "corp-internal.example",
}


def _gitleaks() -> str:
    return json.dumps(
        [
            {
                "RuleID": "generic-password",
                "Description": "Password",
                "StartLine": 3,
                "EndLine": 3,
                "Match": f"password = {PLANTED['password']}",
                "Secret": PLANTED["password"],
                "File": "src/settings.py",
                "Fingerprint": "src/settings.py:generic-password:3",
                "Email": PLANTED["email"],
            }
        ]
    )


def _sarif() -> str:
    results = [
        {
            "ruleId": f"rule-{name}",
            "message": {"text": f"found {value} in the configuration, owner {PLANTED['email']}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": f"src/{name}/app.py"},
                        "region": {
                            "startLine": 4,
                            "snippet": {"text": f'token = "{value}"  # {PLANTED["password"]}'},
                        },
                    }
                }
            ],
        }
        for name, value in PLANTED.items()
        if name in ("aws", "github", "slack")
    ]
    driver = {"name": "any-scanner"}
    return json.dumps(
        {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a repository whose code holds the planted values where the scans point."""
    folder = tmp_path / "checkout"
    lines = [f'{name} = "{value}"' for name, value in PLANTED.items()]
    for name in ("settings.py", *(f"{name}/app.py" for name in PLANTED)):
        (folder / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "src" / name).write_text("\n".join(["import os", *lines, "run(aws)", ""]))
    for args in (("init", "-q"), ("add", "."), ("commit", "-qm", "planted")):
        identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
        subprocess.run(["git", "-C", str(folder), *identity, *args], check=True)
    return folder


def test_a_planted_secret_is_nowhere_to_be_found(  # noqa: PLR0917 - fixtures
    home: Home,
    cli: Callable[..., CompletedProcess[str]],
    make_zip: Callable[..., Path],
    make_sarif: Callable[[str, int], str],
    checkout: Path,
    tmp_path: Path,
) -> None:
    """state.db, the run's folder, the logs, the copies and the terminal hold none of them.

    The archive keeps the artifact as it came, and is the one place that is not searched.
    """
    artifact = tmp_path / "artifact"
    artifact.mkdir()
    (artifact / "leaks.json").write_text(_gitleaks())
    (artifact / "scan.sarif").write_text(_sarif())
    (artifact / "more.sarif").write_text(make_sarif("a", 8))
    done = cli(
        "process",
        "--artifacts-dir",
        artifact,
        "--source",
        checkout,
        "--skip-fine-tuning",
        "--output-dir",
        tmp_path / "out",
    )
    assert done.returncode == 0, done.stderr
    seen = [done.stdout, done.stderr]
    for args in (("status",), ("status", "--json"), ("logs",)):
        answer = cli(*args)
        seen += [answer.stdout, answer.stderr]
    (run,) = json.loads(seen[4])["runs"]
    assert run["findings"]["kept"] == 12
    data = "".join(path.read_text() for path in (tmp_path / "out").glob("*.jsonl"))
    assert "run(aws)" in data, "no code around the findings was looked at"
    seen += [cli("status", run["id"], "--json").stdout, cli("logs", run["id"]).stdout]
    for name, value in PLANTED.items():
        for text in seen:
            assert value not in text, name
        for folder in (home.root, tmp_path / "out"):
            for path in folder.rglob("*"):
                if path.is_file() and home.archive not in path.parents:
                    assert value.encode() not in path.read_bytes(), (name, path)
