"""Where a finding is: in the checkout where the scan and the file agree, else in the scan itself."""

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.config.settings import load_settings
from secdaemon.pipeline.findings.model import Category, Edit, Finding, Package, Severity
from secdaemon.pipeline.interface import Job, Origin
from secdaemon.pipeline.sites import Sites

CODE = "import door\n\n\ndef enter(request):\n    run(request)\n    return 1\n"


def finding(**fields: Any) -> Finding:
    """Return a finding at `run(request)` in app.py."""
    base: dict[str, Any] = {
        "tool": "semgrep",
        "rule": "command-injection",
        "severity": Severity.HIGH,
        "message": "m",
        "path": "app.py",
        "line": 5,
        "snippet": "    run(request)",
    }
    return Finding(**(base | fields))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a repository with app.py."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "app.py").write_text(CODE)
    git = ("git", "-C", str(folder), "-c", "user.name=T", "-c", "user.email=t@example.org")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
        subprocess.run([*git, *command], check=True)
    return folder


def sites(tmp_path: Path, source: Path | None, commit: str | None = None) -> Sites:
    """Return the places of a run's findings; a commit is one that GitHub names."""
    job = Job(
        run_id="20260101_000000",
        project="p",
        origin=Origin(kind="manual", name="n", sha256="0" * 64, size=1, head_sha=commit),
        archive=str(tmp_path / "artifact.zip"),
        run_dir=str(tmp_path / "run"),
        stage1_dir=str(tmp_path / "stage1"),
        lock_file=str(tmp_path / "lock"),
        now="2026-01-01T00:00:00Z",
        settings=load_settings(Home(root=tmp_path, chosen=True), environ={}),
        salt="00" * 16,
        source_dir=str(source) if source else None,
    )
    return Sites(job, [], [])


def test_the_whole_file_is_worked_on_and_the_unit_shown(tmp_path: Path, checkout: Path) -> None:
    """A fix may change anything in the file, the reader sees the function."""
    site = sites(tmp_path, checkout).of(finding())
    assert site.flagged is not None
    assert (site.flagged.text, site.flagged.whole, site.flagged.line) == (CODE, True, 5)
    assert site.context is not None
    assert (site.context.kind, site.context.name) == ("function", "enter")


def test_a_file_that_has_moved_on_is_not_what_was_scanned(tmp_path: Path, checkout: Path) -> None:
    """HEAD has another line there than the unknown commit: the scan's snippet is all there is."""
    places = sites(tmp_path, checkout, "ab" * 20)
    site = places.of(finding(line=6))
    assert site.context is None
    assert site.flagged is not None
    assert (site.flagged.text, site.flagged.whole) == ("    run(request)", False)
    same = places.of(finding())
    assert same.flagged is not None
    assert same.flagged.whole
    beyond = places.of(finding(line=60, snippet=None))
    assert (beyond.flagged, beyond.context) == (None, None)


def test_a_checkout_that_was_handed_over_is_what_was_scanned(
    tmp_path: Path, checkout: Path
) -> None:
    """Whoever names it says so, whatever the scan quotes; a scanner's edit still has to fit."""
    other = finding(snippet="    run_it(request)")
    site = sites(tmp_path, checkout).of(other)
    assert site.flagged is not None
    assert site.flagged.whole
    edit = Edit(path="app.py", start_line=5, start_column=5, end_line=5, end_column=8, text="go")
    edited = sites(tmp_path, checkout).of(msgspec.structs.replace(other, edits=(edit,)))
    assert edited.flagged is not None
    assert not edited.flagged.whole


def test_what_was_hidden_is_no_difference(tmp_path: Path, checkout: Path) -> None:
    """The scan's line went through the redactor, the file's did not."""
    (checkout / "app.py").write_text(CODE.replace("request)\n", 'request, key="mellon")\n', 2))
    git = ("git", "-C", str(checkout), "-c", "user.name=T", "-c", "user.email=t@example.org")
    subprocess.run([*git, "commit", "-qam", "second"], check=True)
    hidden = '    run(request, key="<secret:key:00000000>")'
    site = sites(tmp_path, checkout, "ab" * 20).of(finding(snippet=hidden))
    assert site.flagged is not None
    assert site.flagged.whole


def test_without_a_checkout_the_scan_has_to_do(tmp_path: Path) -> None:
    """The flagged lines are counted within the snippet."""
    site = sites(tmp_path, None).of(finding(end_line=6, snippet="    run(request)\n    return 1"))
    assert site.flagged is not None
    assert (site.flagged.line, site.flagged.end_line, site.flagged.whole) == (1, 2, False)
    assert sites(tmp_path, None).of(finding(snippet=None)).flagged is None


def test_a_package_and_an_image_are_none_of_the_repository(tmp_path: Path, checkout: Path) -> None:
    """A path in them never shows the file of the same name."""
    places = sites(tmp_path, checkout)
    package = finding(package=Package(name="door"), category=Category.DEPENDENCY)
    assert places.of(package).flagged is None
    image = places.of(finding(target="acme/door:1", snippet=None))
    assert (image.flagged, image.context) == (None, None)
