"""The data set of a run: the code around findings, and what makes two training sets the same."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.intake import Offer, accept
from secdaemon.daemon.jobs import make_job
from secdaemon.pipeline.dataset import build
from secdaemon.pipeline.examples import fingerprint
from secdaemon.pipeline.interface import Job
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.steps import parse
from secdaemon.state.runs import get_run
from secdaemon.state.store import open_store

MakeZip = Callable[..., Path]
# Neither is known to any rule of the detector: only the scanners say that they are secrets.
PHRASE, WORD = "speak-friend-and-enter", "mellon-mellon"
CODE = f"""import door

def enter(request):
    door.open("{PHRASE}")
    run(request.args["command"])
    door.say(
        "{WORD}"
    )
"""


def leak(secret: str, line: int, rule: str = "door-phrase") -> dict[str, Any]:
    """Return a leak as Gitleaks 8 writes it."""
    return {
        "RuleID": rule,
        "Description": "A phrase",
        "StartLine": line,
        "EndLine": line,
        "Match": f'open("{secret}")',
        "Secret": secret,
        "File": "app.py",
    }


def semgrep() -> dict[str, Any]:
    """Return a scan with a command injection and, below it, a secret that it quotes by its line."""
    found = [
        ("python.command-injection", 5, '    run(request.args["command"])'),
        ("secrets.mellon", 7, f'        "{WORD}"'),
    ]
    results = [
        {
            "check_id": rule,
            "path": "app.py",
            "start": {"line": line, "col": 1},
            "end": {"line": line, "col": 9},
            "extra": {"message": f"{rule} at a place", "severity": "ERROR", "lines": lines},
        }
        for rule, line, lines in found
    ]
    return {"results": results, "errors": [], "version": "1.0"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a repository with the code that was scanned."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "app.py").write_text(CODE)
    for args in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
        identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
        subprocess.run(["git", "-C", str(folder), *identity, *args], check=True)
    return folder


@pytest.fixture
def parsed(
    home: Home, settings: Settings, make_zip: MakeZip, make_sarif: Callable[[str, int], str]
) -> Callable[..., Job]:
    """Return a maker of parsed runs: (members, checkout, home) -> the job of its next step."""

    def make(members: dict[str, Any], source: Path | None = None, other: Home = home) -> Job:
        other.make()
        store = open_store(other)
        texts = {name: json.dumps(value) for name, value in members.items()}
        path = make_zip(other.root / "scan.zip", {**texts, "more.sarif": make_sarif("a", 8)})
        at = str(source) if source else None
        offer = Offer(path=path, kind="manual", remove=True, again=True, source_dir=at)
        run = get_run(store, accept(store, other, settings, offer, 1_000.0).run)
        job = make_job(store, other, settings, run, "light", 1_000.0)
        parse(job, lambda _progress: None)
        store.close()
        return job

    return make


def test_the_code_around_hides_what_the_scanners_found(
    parsed: Callable[..., Job], checkout: Path
) -> None:
    """A value that no rule knows is hidden in code too, under the name that the finding gives it."""
    job = parsed({"leaks.json": [leak(PHRASE, 4)], "semgrep.json": semgrep()}, checkout)
    examples = build(job).examples
    text = msgspec.json.encode(examples).decode()
    assert PHRASE not in text
    assert WORD not in text
    (question,) = (
        e.messages[1].content
        for e in examples
        if "injection" in e.metadata["rule"] and e.metadata["tool"] == "semgrep"
    )
    assert "request.args" in question
    assert "- Code below: function `enter`, lines 3 to 8\n" in question
    with RunFolder(Path(job.run_dir)).findings.open() as lines:
        found = [finding for line in lines if (finding := json.loads(line))["category"] == "secret"]
    assert len(found) == 2
    for finding in found:
        assert finding["snippet"] in question


def test_what_lies_in_an_image_is_not_read_from_the_checkout(
    parsed: Callable[..., Job], checkout: Path
) -> None:
    """A path in a container image, a jar or a package is none of the repository, and no error."""
    secret = {
        "RuleID": "door-phrase",
        "Category": "general",
        "Severity": "HIGH",
        "Title": "A phrase",
        "StartLine": 4,
        "EndLine": 4,
        "Match": "door.open(*****)",
    }
    package = {
        "VulnerabilityID": "CVE-2024-0001",
        "PkgName": "door",
        "InstalledVersion": "1.0",
        "FixedVersion": "1.1",
        "Severity": "HIGH",
        "PkgPath": "app/door.jar",
    }
    scan = {
        "SchemaVersion": 2,
        "ArtifactName": "acme/door:1",
        "ArtifactType": "container_image",
        "Results": [
            {"Target": "app.py", "Class": "secret", "Secrets": [secret]},
            {"Target": "Java", "Class": "lang-pkgs", "Type": "jar", "Vulnerabilities": [package]},
        ],
    }
    examples = build(parsed({"image.json": scan}, checkout)).examples
    in_image = [example for example in examples if example.metadata["tool"] == "trivy"]
    assert len(in_image) == 2
    assert all("request.args" not in example.messages[1].content for example in in_image)
    assert all("context" not in example.metadata for example in in_image)
    assert any("Installed: `1.0`" in example.messages[1].content for example in in_image)


def test_a_secret_that_only_moved_changes_no_training_data(parsed: Callable[..., Job]) -> None:
    """Two runs of one home give a secret one name, in whatever order they meet it and others."""
    first = parsed({"leaks.json": [leak(PHRASE, 4), leak(WORD, 4, "other-phrase")]})
    second = parsed({"leaks.json": [leak(WORD, 4, "other-phrase"), leak(PHRASE, 4)]})
    one, two = (build(job) for job in (first, second))
    assert fingerprint(one.splits) == fingerprint(two.splits)


def test_another_home_names_it_otherwise(
    parsed: Callable[..., Job], home: Home, tmp_path: Path
) -> None:
    """Nobody who sees the data of two homes can tell that they hold the same secret."""
    names = []
    for place in (home, Home(root=tmp_path / "b", chosen=True)):
        job = parsed({"leaks.json": [leak(PHRASE, 4)]}, None, place)
        text = RunFolder(Path(job.run_dir)).findings.read_text(encoding="utf-8")
        names += re.findall(r"<secret:door-phrase:\d{8}>", text)
    assert len(names) == len(set(names)) == 2


def test_an_unpacked_artifact_that_is_gone_is_unpacked_again(
    parsed: Callable[..., Job], checkout: Path
) -> None:
    """The secrets are read from the archive, the one place that holds them."""
    job = parsed({"leaks.json": [leak(PHRASE, 4)]}, checkout)
    unpacked = RunFolder(Path(job.run_dir)).unpacked
    unpacked.rename(unpacked.with_name("gone"))
    assert PHRASE not in msgspec.json.encode(build(job).examples).decode()


WORKFLOW = """on: push
permissions: write-all
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
"""


def checkov(path: str) -> dict[str, Any]:
    """Return Checkov's finding of a workflow that may do anything."""
    failed = {
        "check_id": "CKV2_GHA_1",
        "check_name": "Ensure top-level permissions are not set to write-all",
        "check_result": {"result": "FAILED"},
        "file_path": f"/{path}",
        "repo_file_path": f"/{path}",
        "file_line_range": [2, 3],
        "resource": "on(build)",
    }
    return {
        "check_type": "github_actions",
        "results": {"failed_checks": [failed], "passed_checks": [], "skipped_checks": []},
        "summary": {"passed": 0, "failed": 1, "checkov_version": "3.2.0"},
    }


def test_every_way_to_mend_a_finding_is_an_example(
    parsed: Callable[..., Job], checkout: Path
) -> None:
    """Each is a document of its own, of high quality, and together they weigh one."""
    path = ".github/workflows/build.yml"
    (checkout / ".github/workflows").mkdir(parents=True)
    (checkout / path).write_text(WORKFLOW)
    git = ("git", "-C", str(checkout), "-c", "user.name=T", "-c", "user.email=t@example.org")
    for command in (("add", "."), ("commit", "-qm", "second")):
        subprocess.run([*git, *command], check=True)
    job = parsed({"checkov.json": checkov(path), "semgrep.json": semgrep()}, checkout)
    ways = [each for each in build(job).examples if each.metadata["tool"] == "checkov"]
    assert len(ways) >= 2
    assert len({example.metadata["choice"] for example in ways}) == len(ways)
    assert {example.metadata["quality"] for example in ways} == {"high"}
    multiplier = job.settings.stage2.quality_weight_multiplier
    assert sum(example.weight for example in ways) == pytest.approx(multiplier * 1.3)
    for example in ways:
        answer = example.messages[2].content
        assert "write-all" not in answer.partition("```yaml")[2]
        scores = (float(example.metadata[f"security_{side}"]) for side in ("before", "after"))
        assert next(scores) < next(scores)
        assert f"- Wanted: {example.metadata['choice']}\n" in example.messages[1].content


def test_the_same_artifact_gives_the_same_bytes_in_every_run(
    parsed: Callable[..., Job], checkout: Path
) -> None:
    """Nothing in an example depends on the run that makes it."""
    scans = {"leaks.json": [leak(PHRASE, 4)], "semgrep.json": semgrep()}
    job = parsed(scans, checkout)
    again = msgspec.structs.replace(job, run_id="20990101_000000", now="2099-01-01T00:00:00Z")
    first, second = (msgspec.json.encode(build(each).splits) for each in (job, again))
    assert first == second
