"""`stage1 list|prune|rebuild` as a user runs it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secdaemon.config.paths import Home

Done = subprocess.CompletedProcess[str]
Cli = Callable[..., Done]
MakeResult = Callable[..., Path]
LATE = "2999-01-01T00:00:00.000Z"
EARLY = "2020-01-01T00:00:00.000Z"


def answer(done: Done) -> Any:
    """Return the one JSON document that stdout holds."""
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["prune"], ["rebuild"]])
def test_a_home_that_is_not_there_has_no_results(
    words: list[str], cli: Cli, tmp_path: Path
) -> None:
    """That is well, and looking makes no home."""
    assert cli("stage1", *words, at=tmp_path / "absent").returncode == 0
    assert not (tmp_path / "absent").exists()


def test_list_shows_each_result(cli: Cli, make_stage1: MakeResult, home: Home) -> None:
    """In a table for people, and as one JSON document with what a script may want."""
    make_stage1("0123456789abcdef", LATE)
    make_stage1("fedcba9876543210", EARLY)
    (home.stage1 / ".00112233445566.training").mkdir()
    lines = cli("stage1", "list").stdout.splitlines()
    assert lines[0].split()[:6] == ["RESULT", "IS", "AGE", "SIZE", "RUNS", "TRAINED"]
    assert lines[1].startswith("0123456789ab  reusable ")
    assert lines[1].endswith("20200101_000000       embedded:tiny: embedded")
    assert lines[2].startswith("fedcba987654  expired ")
    assert lines[3].startswith(".001122334455.training")
    found = answer(cli("stage1", "list", "--json"))
    assert set(found) == {"folder", "max_age_days", "results", "unfinished"}
    assert [one["fingerprint"] for one in found["results"]] == [
        "0123456789abcdef",
        "fedcba9876543210",
    ]
    assert set(found["results"][0]) == {
        *("fingerprint", "condition", "folder", "bytes", "used_by", "created_at"),
        *("age_days", "run", "base", "sources"),
    }
    assert [one["name"] for one in found["unfinished"]] == [".00112233445566.training"]


def test_prune_says_first_and_does_then(cli: Cli, make_stage1: MakeResult, home: Home) -> None:
    """--dry-run changes nothing; a second prune finds nothing to remove."""
    make_stage1("young", LATE)
    make_stage1("aged", EARLY)
    (home.stage1 / ".x.training").mkdir()
    dry = cli("stage1", "prune", "--dry-run")
    assert dry.returncode == 0
    assert "would go  aged" in dry.stdout
    assert "would go  .x.training" in dry.stdout
    assert len(list(home.stage1.iterdir())) == 3
    planned = answer(cli("stage1", "prune", "--dry-run", "--json"))
    done = answer(cli("stage1", "prune", "--json"))
    assert planned == {**done, "dry_run": True}
    assert done["freed_bytes"] == sum(one["bytes"] for one in done["removed"]) > 400
    assert {one["name"] for one in done["removed"]} == {"aged", ".x.training"}
    assert [path.name for path in home.stage1.iterdir()] == ["young"]
    assert cli("stage1", "prune").stdout == "nothing to remove\n"
    assert "no run was built on it" in cli("stage1", "prune", "--unused").stdout
    assert list(home.stage1.iterdir()) == []


def test_rebuild_sets_aside_what_is_named_or_all(cli: Cli, make_stage1: MakeResult) -> None:
    """By the beginning of its name; nothing is removed."""
    one, two = make_stage1("aaaa1111", LATE), make_stage1("aabb2222", LATE)
    done = cli("stage1", "rebuild", "aaaa")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("aaaa1111 is not reused any more")
    conditions = [r["condition"] for r in answer(cli("stage1", "list", "--json"))["results"]]
    assert sorted(conditions) == ["reusable", "set aside"]
    assert cli("stage1", "rebuild").returncode == 0
    conditions = [r["condition"] for r in answer(cli("stage1", "list", "--json"))["results"]]
    assert conditions == ["set aside", "set aside"]
    for folder in (one, two):
        assert (folder / "adapters" / "adapters.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "ACTION"),
        (["burn"], "burn"),
        (["rebuild", "zz"], "zz: no such Stage 1 result"),
        (["rebuild", "aa"], "aa: several Stage 1 results begin so"),
        (["prune", "now"], "now"),
    ],
)
def test_wrong_use_is_one_line(
    words: list[str], told: str, cli: Cli, make_stage1: MakeResult
) -> None:
    """Status 2, and nothing is changed."""
    make_stage1("aaaa1111", LATE)
    make_stage1("aabb2222", LATE)
    done = cli("stage1", *words)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("secdaemon: ")
    assert told in line
