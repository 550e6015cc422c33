"""Code around a finding comes from git, never from the working tree."""

import subprocess
from pathlib import Path

import pytest

from secdaemon.pipeline.context import LINES_AFTER, LINES_BEFORE, MAX_CHARS, code_around, first_line

NUMBERED = "".join(f"line {n}\n" for n in range(1, 101))


def git(folder: Path, *arguments: str) -> str:
    """Run git with a fixed identity and return what it prints."""
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "src").mkdir()
    (tmp_path / "src/app.py").write_text(NUMBERED)
    (tmp_path / "image.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "wide.txt").write_text("\n".join("x" * (MAX_CHARS // 2) for _ in range(9)))
    (tmp_path / "key.py").write_text(
        "a = 1\nkey = '''-----BEGIN RSA PRIVATE KEY-----\n"
        + "MIIEpAIBAAKCAQEA7\n" * 8
        + "-----END RSA PRIVATE KEY-----'''\nb = 2\n"
    )
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_a_window_of_lines(checkout: Path) -> None:
    """The flagged line stands in its window, which begins where `first_line` says."""
    code = code_around(checkout, None, "src/app.py", 50)
    assert code is not None
    lines = code.splitlines()
    assert lines[50 - first_line(50)] == "line 50"
    assert lines[0] == f"line {50 - LINES_BEFORE}"
    assert lines[-1] == f"line {50 + LINES_AFTER}"


def test_the_commit_counts_not_the_working_tree(checkout: Path) -> None:
    """An older commit is read as it was; an unknown one gives way to HEAD."""
    first = git(checkout, "rev-parse", "HEAD")
    (checkout / "src/app.py").write_text("changed\n")
    git(checkout, "commit", "-qam", "second")
    (checkout / "src/app.py").write_text("uncommitted\n")
    assert (code_around(checkout, first, "src/app.py", 1) or "").startswith("line 1\n")
    assert code_around(checkout, None, "src/app.py", 1) == "changed"
    assert code_around(checkout, "0" * 40, "src/app.py", 1) == "changed"
    assert code_around(checkout, "--output=evil", "src/app.py", 1) == "changed"
    assert (checkout / "src/app.py").read_text() == "uncommitted\n"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("none.py", 1),
        ("src/app.py", 101),
        ("src/app.py", 0),
        ("src/app.py", None),
        ("", 1),
        ("image.png", 1),
        ("../outside", 1),
        ("bad\0name", 1),
        ("src", 1),
    ],
)
def test_nothing_to_show_is_no_error(checkout: Path, path: str, line: int | None) -> None:
    """Missing files, lines and text give None."""
    assert code_around(checkout, None, path, line) is None


def test_no_repository_is_no_error(tmp_path: Path) -> None:
    """A folder without git, and no folder at all, give None."""
    (tmp_path / "a.py").write_text("x\n")
    assert code_around(tmp_path, None, "a.py", 1) is None
    assert code_around(tmp_path / "none", None, "a.py", 1) is None


def test_the_window_is_bounded(checkout: Path) -> None:
    """Lines after the flagged one are dropped until the window fits."""
    code = code_around(checkout, None, "wide.txt", 1)
    assert code is not None
    assert len(code) <= MAX_CHARS
    assert code_around(checkout, None, "wide.txt", 9) is None


def test_secrets_stay_out(checkout: Path) -> None:
    """A private key in the window leaves no trace of itself."""
    for line in (1, 5, 12):
        code = code_around(checkout, None, "key.py", line)
        assert code is None or "MIIEpAIBAAKCAQEA7" not in code
