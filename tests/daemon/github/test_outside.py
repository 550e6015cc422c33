"""The other programs: a commit fetched into a checkout and nothing else, an attestation asked for."""

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from github_server import Artifact, Run

from secdaemon.config.programs import Ran, run_program
from secdaemon.daemon.github.outside import fetch_commit, verify_attestation

Scene = Any
Scan = Callable[..., Artifact]
NAME = "owner/repo"


def git(*arguments: str | Path, at: Path) -> str:
    """Run git and return what it prints."""
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
    who |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}
    done = subprocess.run(
        ["git", *map(str, arguments)],
        cwd=at,
        env=os.environ | who,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Callable[[], tuple[Path, str]]:
    """Return a maker of a clone and a commit that its origin has gained since."""

    def make() -> tuple[Path, str]:
        origin = tmp_path / "origin"
        origin.mkdir()
        git("init", "-q", "-b", "main", at=origin)
        git("commit", "-q", "--allow-empty", "-m", "one", at=origin)
        git("clone", "-q", origin, "clone", at=tmp_path)
        git("commit", "-q", "--allow-empty", "-m", "two", at=origin)
        return tmp_path / "clone", git("rev-parse", "HEAD", at=origin)

    return make


def test_a_missing_commit_is_fetched_and_nothing_else(
    clone: Callable[[], tuple[Path, str]], tmp_path: Path
) -> None:
    """No branch moves, no file changes, no hook runs; a second time nothing is fetched."""
    folder, commit = clone()
    hook = folder / ".git" / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    before = git("for-each-ref", at=folder), git("status", "--porcelain", at=folder)
    ran: list[Sequence[str]] = []

    def run(command: Sequence[str], seconds: float) -> Ran:
        ran.append(command)
        return run_program(command, seconds)

    assert fetch_commit(folder, commit, run, os.environ) is None
    git("cat-file", "-e", commit, at=folder)
    assert (git("for-each-ref", at=folder), git("status", "--porcelain", at=folder)) == before
    assert not (tmp_path / "hooked").exists()
    assert not (folder / ".git" / "FETCH_HEAD").exists()
    assert sum("fetch" in command for command in ran) == 1
    assert fetch_commit(folder, commit, run, os.environ) is None
    assert sum("fetch" in command for command in ran) == 1


@pytest.mark.parametrize("commit", [None, "", "--upload-pack=x", "main", "0" * 40])
def test_a_commit_that_cannot_be_had_is_said(
    clone: Callable[[], tuple[Path, str]], commit: str | None
) -> None:
    """Whatever GitHub calls a commit, git gets nothing but forty digits."""
    folder, _ = clone()
    said = fetch_commit(folder, commit, run_program, os.environ)
    assert said
    assert said.startswith(f"checkout {folder}: ")


def test_no_checkout_there(tmp_path: Path) -> None:
    """A folder that is none is said in git's own last words."""
    said = fetch_commit(tmp_path / "none", "0" * 40, run_program, os.environ)
    assert said
    assert "cannot be fetched (" in said


def test_a_checkout_makes_the_run_start_with_its_commit(
    scene: Scene, scan: Scan, clone: Callable[[], tuple[Path, str]]
) -> None:
    """The run's source folder is the checkout, and the commit is there before the run is."""
    folder, commit = clone()
    scene.run, scene.environ = run_program, scene.environ | {"PATH": os.environ["PATH"]}
    scene.change(watched={"checkout": str(folder)})
    scene.github.add(NAME, Run(1, second=1, artifacts=[scan(1)], sha=commit))
    found = scene.poll()
    assert found.problem is None
    (run,) = scene.runs()
    assert (run.source_dir, run.head_sha) == (str(folder), commit)
    git("cat-file", "-e", commit, at=folder)
    scene.github.add(NAME, Run(2, second=2, artifacts=[scan(2)], sha="f" * 40))
    found = scene.poll(300)
    assert len(found.taken) == 1
    assert "commit ffffffffffff cannot be fetched" in found.problem


@pytest.fixture
def gh(tmp_path: Path) -> Path:
    """Return a folder with something executable called gh."""
    program = tmp_path / "bin" / "gh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_an_attestation_is_asked_for_by_absolute_path(gh: Path, tmp_path: Path) -> None:
    """With the host, where it is not github.com's."""
    ran: list[tuple[str, ...]] = []

    def run(command: Sequence[str], seconds: float) -> Ran:
        assert seconds > 0
        ran.append(tuple(command))
        return Ran(len(ran) - 1, error="Loading\nno attestations found\n")

    environ = {"PATH": str(gh.parent)}
    file = tmp_path / "a.zip"
    assert verify_attestation(file, NAME, "https://api.github.com", run, environ) is None
    said = verify_attestation(file, NAME, "https://ghe.example/api/v3", run, environ)
    assert said == "`gh attestation verify`: no attestations found"
    base = (str(gh), "attestation", "verify", str(file), "--repo", NAME)
    assert ran == [base, (*base, "--hostname", "ghe.example")]
    with pytest.raises(FileNotFoundError, match="require_attestation"):
        verify_attestation(file, NAME, "https://api.github.com", run, {"PATH": "/nowhere"})


def test_require_attestation_decides(scene: Scene, scan: Scan, gh: Path) -> None:
    """Without a good one nothing is handed over; with one it is."""
    answers = [Ran(1, error="no attestations found"), Ran(0)]
    asked: list[Path] = []

    def run(command: Sequence[str], seconds: float) -> Ran:
        assert seconds > 0
        if "attestation" not in command:
            return Ran(1)
        asked.append(Path(command[3]))
        assert asked[-1].read_bytes() == scene.github.find_artifact(1).content
        return answers.pop(0)

    scene.run, scene.environ = run, scene.environ | {"PATH": str(gh.parent)}
    scene.change(require_attestation=True)
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    assert "no attestations found" in scene.poll().problem
    assert scene.taken() == []
    assert scene.poll(300).ok
    assert scene.taken() == [(1, 1)]


def test_github_enterprise_by_its_address(scene: Scene, scan: Scan) -> None:
    """A path before every other, as /api/v3 is."""
    scene.github.prefix = "/api/v3"
    scene.github.api += "/api/v3"
    scene.github.per_page = 1
    scene.change(api_url=scene.github.api, watched={"backfill": 2})
    scene.github.add(NAME, *(Run(n, second=n, artifacts=[scan(n)]) for n in (1, 2)))
    assert scene.poll().ok
    assert scene.taken() == [(1, 1), (2, 1)]
