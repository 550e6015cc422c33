"""`explain` as a user runs it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secdaemon.config.paths import Home

Done = subprocess.CompletedProcess[str]
Cli = Callable[..., Done]


def ids(home: Home, pattern: str) -> list[str]:
    """Return the ids in files below the home."""
    paths = sorted(home.root.glob(pattern))
    return [json.loads(line)["id"] for path in paths for line in path.read_text().splitlines()]


def refused(done: Done, *words: str) -> None:
    """Check that it was wrong use, said in one line."""
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("secdaemon: ")
    assert done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words)


@pytest.fixture
def scans(tmp_path: Path, make_sarif: Callable[[str, int], str]) -> Path:
    """Return a folder of scans."""
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "scan.sarif").write_text(make_sarif("a", 8))
    return folder


def test_a_home_without_data_knows_no_example(cli: Cli, home: Home, tmp_path: Path) -> None:
    """That is wrong use, and asking makes no home."""
    refused(cli("explain", "finding-1", at=tmp_path / "absent"), "no example finding-1")
    assert not (tmp_path / "absent").exists()
    refused(cli("explain", "finding-1"), "no example finding-1")
    refused(cli("explain", ""), "no example")
    refused(cli("explain"), "EXAMPLE_ID")


def test_an_example_is_told_with_its_artifact(cli: Cli, home: Home, scans: Path) -> None:
    """In lines for people and as one JSON document; one that is not there, or not one, is refused."""
    args = ("process", "--artifacts-dir", scans, "--skip-fine-tuning")
    run = json.loads(cli(*args, "--json").stdout)
    one, *_ = ids(home, "models/fine-tuned/*/dataset/train.jsonl")
    done = cli("explain", one[:20])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"example    {one} (code, python, CWE-")
    assert f"sha256 {run['source']['sha256']}" in done.stdout
    assert "not trained" in done.stdout
    found = json.loads(cli("explain", one, "--json").stdout)
    assert set(found) == {
        *("id", "weight", "metadata", "finding", "seen", "archive", "gone", "runs", "stage1"),
    }
    assert found["finding"]["id"] == found["metadata"]["finding"]
    assert Path(found["archive"]).is_file()
    assert found["runs"] == [
        {
            "run": run["id"],
            "state": "skipped",
            "split": "train",
            "replayed": False,
            "learned": False,
            "revision": None,
            "model_url": None,
        }
    ]
    refused(cli("explain", "finding-"), "is the beginning of finding-", "and 3 more")
    refused(cli("explain", "finding-nowhere"), "no example finding-nowhere", str(home.root))


@pytest.mark.slow
def test_a_published_adapter_is_named(cli: Cli, home: Home, scans: Path) -> None:
    """With its revision, for a finding's example and for one of Stage 1's that was replayed."""
    text = home.config_file.read_text() + "retention: {threshold: 0.0, when_undefined: pass}\n"
    home.config_file.write_text(text + "gates: {improvement: false}\n")
    done = cli("process", "--artifacts-dir", scans, "--json")
    run: dict[str, Any] = json.loads(done.stdout)
    assert run["state"] == "published", run["reason"]
    replayed = set(ids(home, "models/fine-tuned/*/stage2/training-data/train.jsonl"))
    own = set(ids(home, "models/fine-tuned/*/dataset/train.jsonl"))
    (public, *_), (one, *_) = sorted(replayed - own), sorted(own)
    for name in (one, public):
        found = json.loads(cli("explain", name, "--json").stdout)
        (use,) = found["runs"]
        assert use["learned"]
        assert use["replayed"] is (name == public)
        assert use["revision"] == run["published"]["revision"]
    (stage1,) = found["stage1"]
    assert stage1["split"] == "train"
    assert stage1["fingerprint"] == run["stage1"]["fingerprint"]
    assert stage1["runs"] == [run["id"]]
    assert stage1["revision"]
    held = ids(home, "models/fine-tuned/*/dataset/test.jsonl")[0]
    assert "held out: never learned it" in cli("explain", held).stdout
    assert "STAGE 1       SPLIT" in cli("explain", public).stdout
