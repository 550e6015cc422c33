"""`similar` as a person uses it: neighbours of a finding, from an index that is built when asked."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from past_runs import write_model

from secdaemon.config.paths import Home

Cli = Callable[..., subprocess.CompletedProcess[str]]
EVERY = {"finding", "mode", "neighbours"}
ONE = {"entry", "runs", "score", "words", "cosine"}
ABOUT = {
    "finding",
    "tool",
    "rule",
    "severity",
    "place",
    "approach",
    "quality",
    "question",
    "answer",
}


@pytest.fixture
def runs(cli: Cli, home: Home, make_zip: Callable[..., Path], tmp_path: Path) -> list[str]:
    """Return the ids of two runs of one project: twelve findings, and the first six of them."""
    found = []
    for name, count in (("first", 12), ("second", 6)):
        make_zip(tmp_path / name / "scan.zip", count=count)
        done = cli("process", "--artifacts-dir", tmp_path / name, "--skip-fine-tuning", "--json")
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout)["id"])
    return found


def findings(home: Home, run: str) -> list[dict[str, Any]]:
    """Return a run's findings."""
    [folder] = (home.root / "models" / "fine-tuned").glob(f"*{run}")
    lines = (folder / "findings.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_neighbours_are_shown(cli: Cli, home: Home, runs: list[str]) -> None:
    """Tool, rule, place, fix and runs of each; the finding itself is not among them."""
    own = findings(home, runs[0])[0]
    done = cli("similar", own["id"], "--limit", "4")
    assert done.returncode == 0, done.stderr
    head, place, fix, blank, columns, *rows = done.stdout.splitlines()
    assert head.split()[1:] == [own["id"][:12], own["tool"], own["severity"], own["rule"]]
    assert own["path"] in place
    assert "advice (low)" in fix
    assert not blank
    assert columns.split() == ["WORDS", "FINDING", "TOOL", "SEVERITY", "FIX", "RUNS"]
    assert len(rows) == 2 * 4
    assert own["id"][:12] not in "".join(rows)
    assert all("example-scanner"[:12] in row for row in rows[::2])
    assert any(f"{runs[1]} and 1 before" in row for row in rows[::2])
    assert all("handler" in row for row in rows[1::2])


def test_json_is_one_document(cli: Cli, home: Home, runs: list[str]) -> None:
    """A prefix will do; a finding of both runs stands there once, with both."""
    found = findings(home, runs[0])
    own = found[0]["id"]
    length = next(n for n in range(1, 33) if sum(f["id"].startswith(own[:n]) for f in found) == 1)
    done = cli("similar", own[:length], "--json", "--limit", "100")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document) == EVERY
    assert document["mode"] == "words"
    assert document["finding"]["finding"] == own
    neighbours = document["neighbours"]
    assert all(set(one) == ONE and set(one["entry"]) >= ABOUT for one in neighbours)
    shown = [one["entry"]["finding"] for one in neighbours]
    assert sorted(shown) == sorted({finding["id"] for finding in found} - {own})
    both = {finding["id"] for finding in findings(home, runs[1])} - {own}
    assert {one["entry"]["finding"] for one in neighbours if one["runs"] == runs} == both


def test_an_index_that_is_gone_or_broken_is_made_again(
    cli: Cli, home: Home, runs: list[str]
) -> None:
    """It lies in the home as knowledge.db and holds nothing that is not elsewhere."""
    own = findings(home, runs[0])[0]["id"]
    before = cli("similar", own, "--json").stdout
    home.knowledge.unlink()
    assert cli("similar", own, "--json").stdout == before
    home.knowledge.write_bytes(b"no database at all")
    assert cli("similar", own, "--json").stdout == before


@pytest.mark.parametrize("name", ["ffff", "", "../../etc", "x' OR 1"])
def test_an_unknown_finding_is_wrong_use(cli: Cli, runs: list[str], name: str) -> None:
    """One line that says where ids stand, and 2."""
    done = cli("similar", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("secdaemon: no finding")
    assert done.stderr.count("\n") == 1


def test_a_home_without_runs_has_no_findings(cli: Cli, home: Home) -> None:
    """Reading makes nothing: no state, no index."""
    done = cli("similar", "abc")
    assert done.returncode == 2
    assert "no finding abc" in done.stderr
    assert not home.knowledge.exists()
    assert not home.database.exists()


def test_an_embedding_model_makes_it_hybrid(cli: Cli, home: Home, runs: list[str]) -> None:
    """A folder under base_dir is enough; one that is not there, or is none, is said."""
    own = findings(home, runs[0])[0]["id"]
    folder = home.root / "models" / "base" / "static"
    folder.mkdir(parents=True)
    named = {"SECDAEMON_MODELS__EMBEDDING": "static"}
    done = cli("similar", own, env=named)
    assert done.returncode == 1
    assert "models.embedding" in done.stderr
    assert doctor(cli, named)["status"] == "warning"
    write_model(folder)
    assert doctor(cli, named) == {
        "name": "embedding",
        "status": "ready",
        "detail": str(folder),
        "cure": None,
    }
    done = cli("similar", own, "--json", env=named)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["mode"] == "hybrid"
    assert all(one["cosine"] is not None for one in document["neighbours"])
    assert "COSINE" in cli("similar", own, env=named).stdout
    done = cli("similar", own, env={"SECDAEMON_MODELS__EMBEDDING": str(folder / "nowhere")})
    assert done.returncode == 2
    assert "models.embedding" in done.stderr


def doctor(cli: Cli, env: dict[str, str]) -> dict[str, Any]:
    """Return what `doctor` says of the embedding model."""
    checks = json.loads(cli("doctor", "--json", env=env).stdout)["checks"]
    [found] = [check for check in checks if check["name"] == "embedding"]
    return dict(found)


def test_a_limit_has_to_be_a_number_above_nothing(cli: Cli) -> None:
    """Zero and words are wrong use."""
    for limit in ("0", "-1", "many"):
        assert cli("similar", "abc", "--limit", limit).returncode == 2
