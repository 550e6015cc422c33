"""Code around a finding comes from git, never from the working tree."""

import subprocess
from pathlib import Path

import pytest

from secdaemon.pipeline.context import (
    LINES_AFTER,
    LINES_BEFORE,
    MAX_CHARS,
    WINDOW,
    Context,
    code_around,
)
from secdaemon.pipeline.findings.redact import Redactor

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


def text_of(code: Context | None) -> str:
    """Return the text of a context, "" where there is none."""
    return code.text if code else ""


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
    """The flagged line stands in its window at the row that its number gives."""
    code = code_around(checkout, None, "src/app.py", 50)
    assert code is not None
    lines = code.text.splitlines()
    assert (code.kind, code.first_line, code.last_line) == (WINDOW, 38, 68)
    assert lines[code.row_of(50) or 0] == "line 50"
    assert code.row_of(37) is code.row_of(0) is None
    assert lines[0] == f"line {50 - LINES_BEFORE}"
    assert lines[-1] == f"line {50 + LINES_AFTER}"


def test_the_commit_counts_not_the_working_tree(checkout: Path) -> None:
    """An older commit is read as it was; an unknown one gives way to HEAD."""
    first = git(checkout, "rev-parse", "HEAD")
    (checkout / "src/app.py").write_text("changed\n")
    git(checkout, "commit", "-qam", "second")
    (checkout / "src/app.py").write_text("uncommitted\n")
    assert text_of(code_around(checkout, first, "src/app.py", 1)).startswith("line 1\n")
    assert text_of(code_around(checkout, None, "src/app.py", 1)) == "changed"
    assert text_of(code_around(checkout, "0" * 40, "src/app.py", 1)) == "changed"
    assert text_of(code_around(checkout, "--output=evil", "src/app.py", 1)) == "changed"
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
    """Lines after the flagged one are dropped until the window fits, then those before it."""
    for line in (1, 9):
        code = code_around(checkout, None, "wide.txt", line)
        assert code is not None
        assert len(code.text) <= MAX_CHARS
        assert code.row_of(line) is not None


def test_what_a_scanner_names_is_hidden_here_too(checkout: Path) -> None:
    """A value that no rule knows goes by its name, and a flagged line whole where nothing is known."""
    (checkout / "src/app.py").write_text("open('sesame-5x')\n  door(\n    'speak-friend'\n  )\n")
    git(checkout, "commit", "-qam", "doors")
    secrets = Redactor(b"salt")
    named = secrets.placeholder("key", "sesame-5x", everywhere=True)
    leaks = {1: named, 3: "<secret:word:00000001>"}
    code = code_around(checkout, None, "src/app.py", 2, secrets, leaks)
    assert code is not None
    assert code.text == f"open('{named}')\n  door(\n    <secret:word:00000001>\n  )"


@pytest.mark.parametrize(
    ("row", "sealed"),
    [
        ('KEY = "{}"', False),
        ("export API_KEY={}", False),
        ('  private static final String KEY = "{}";', False),
        ("'key' => '{}');", False),
        ('KEY = "{}"  # or speak-friend', True),
        ('open("speak-friend", key="{}")', True),
        ("run --word speak-friend --key={}", True),
        ("speak-friend", True),
    ],
)
def test_a_flagged_line_is_kept_where_its_one_value_is_hidden(
    checkout: Path, row: str, sealed: bool
) -> None:
    """Beside the hidden value there must be nothing but its name; else the line goes as a whole."""
    token = "ghp_" + "x7Kq2LmN9vRt4WzB8cYd1FgH6jPsQ3aUeT5o"
    (checkout / "src/app.py").write_text(row.format(token) + "\n")
    git(checkout, "commit", "-qam", "row")
    leak = "<secret:whole-line:00000001>"
    code = code_around(checkout, None, "src/app.py", 1, Redactor(b"salt"), {1: leak})
    assert code is not None
    assert (leak in code.text) is sealed
    assert "speak-friend" not in code.text
    assert token not in code.text
    assert code.altered == {1}


def test_secrets_stay_out(checkout: Path) -> None:
    """A private key in the window leaves no trace of itself."""
    for line in (1, 5, 12):
        code = code_around(checkout, None, "key.py", line)
        assert "MIIEpAIBAAKCAQEA7" not in text_of(code)
