"""A folder of scans: every file reported, every result counted, nothing outside read."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secdaemon.pipeline.findings.model import Category, FileKind
from secdaemon.pipeline.findings.parse import parse_folder, secrets_of

Sample = Callable[[str], Any]
Write = Callable[[str, Any], Path]
FORMATS = ("sarif", "semgrep-json", "osv-json", "zap-json", "trivy-json", "checkov-json")


@pytest.fixture
def folder(sample: Sample, write: Write) -> Path:
    """A folder with one scan of each format, in no helpful order of names."""
    for position, name in enumerate((*FORMATS, "gitleaks-json")):
        root = write(f"{9 - position}/out/{name}.txt", sample(name))
    return root


def test_every_result_is_accounted_for(folder: Path) -> None:
    """In is kept, duplicate, suppressed and rejected; files stand in the order of their paths."""
    found = parse_folder(folder)
    counts = found.counts
    assert counts.entered == sum(file.findings for file in found.files) == 11
    assert (counts.kept, counts.duplicate, counts.suppressed, counts.rejected) == (8, 1, 2, 0)
    assert [file.path for file in found.files] == sorted(file.path for file in found.files)
    assert sum(found.by_tool.values()) == counts.kept == len(found.kept)
    assert {finding.suppression for finding in found.suppressed} == {
        "skipped: not ours",
        "status EXCEPTION",
    }


def test_the_two_semgrep_files_are_one_finding(folder: Path) -> None:
    """Semgrep's JSON and SARIF of one scan meet, and the finding has the best of both."""
    found = [finding for finding in parse_folder(folder).kept if finding.tool == "semgrep"]
    assert [len(finding.sources) for finding in found] == [2]
    assert found[0].edits
    assert found[0].help == "Do this instead."


def test_a_finding_line(folder: Path) -> None:
    """A finding's JSON has what findings.jsonl promises."""
    line = json.loads(msgspec.json.encode(parse_folder(folder).kept[0]))
    names = "id tool rule severity message path line cwes aliases package sources"
    assert set(names.split()) <= set(line)


def test_the_same_folder_gives_the_same_bytes(folder: Path) -> None:
    """Parsing twice gives the same, secrets' ids included; only they depend on the home's salt."""
    first, second, other = (
        msgspec.json.encode(parse_folder(folder, salt)).decode() for salt in (b"a", b"a", b"b")
    )
    assert first == second != other
    assert re.sub(r":\d{8}>", ">", first) == re.sub(r":\d{8}>", ">", other)


def test_the_secrets_of_some_members(folder: Path, sample: Sample) -> None:
    """They are known again from the files that name them, under the same placeholders."""
    found = parse_folder(folder, b"salt")
    secret = [f for f in found.kept if f.category is Category.SECRET and f.tool == "gitleaks"]
    members = {source.member for finding in secret for source in finding.sources}
    memory = secrets_of(folder, members, b"salt")
    value = sample("gitleaks-json")[0]["Secret"]
    assert memory.redact(f'key = "{value}"') == secret[0].snippet
    assert secrets_of(folder, set(), b"salt").known == 0


def test_a_secret_is_hidden_in_files_before_it(folder: Path, write: Write, sample: Sample) -> None:
    """A value that a later file names as a secret is gone from earlier files, too."""
    scan = sample("semgrep-json")
    extra = scan["results"][0]["extra"]
    extra["lines"] = 'connect("planted-gitleaks-secret-42")'
    extra["message"] = "uses planted-gitleaks-secret-42 here"
    write("0.json", scan)
    found = parse_folder(folder)
    out = msgspec.json.encode(found).decode()
    assert "planted" not in out
    assert "<secret:generic-api-key:00000000>" in out


def test_nothing_outside_is_read(tmp_path: Path, write: Write, sample: Sample) -> None:
    """Links are told and not followed; a pipe is left alone; an empty folder is no error."""
    outside = write("outside/semgrep.json", sample("semgrep-json"))
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "file").symlink_to(outside / "outside" / "semgrep.json")
    (inside / "folder").symlink_to(outside / "outside")
    (inside / "loop").symlink_to(inside)
    os.mkfifo(inside / "pipe")
    found = parse_folder(inside)
    assert [file.kind for file in found.files] == [FileKind.NOT_A_SCAN] * 4
    assert all(file.error for file in found.files)
    assert found.counts.entered == 0


def test_reading_scans_imports_nothing_heavy() -> None:
    """The parser is light enough for a worker that starts for every artifact."""
    code = (
        "import sys, secdaemon.pipeline.findings.parse\n"
        "print([m for m in ('numpy', 'mlx', 'datasets', 'requests', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
