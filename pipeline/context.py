"""The code around a finding, as git has it at the run's own commit."""

import os
import re
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from secdaemon.pipeline.findings.redact import Redactor

LINES_BEFORE = 12
LINES_AFTER = 18
MAX_CHARS = 6_000
"""Of the window; lines after the flagged one are dropped beyond it."""

_MAX_FILE_BYTES = 4 * 1024 * 1024
_SECONDS = 20
_ASSIGNED = re.compile(
    r"""\s*(?:(?:export|const|let|var|val|final|static|public|private|protected|readonly|string"""
    r"""|env|arg|set|-)\s+){0,5}["']?[\w.$-]{1,60}["']?\s*(?::=|=>|=|:)\s*"""
    r"""[bfru]{0,2}["'`]?<secret:[a-z0-9-]+:\d{8}>["'`]?\s*[,;)]{0,3}\s*""",
    re.IGNORECASE,
)
"""A name, and a hidden value that is all there is."""
_NO_LEAKS: Mapping[int, str] = MappingProxyType({})
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")


def first_line(line: int) -> int:
    """Return the number of the first line that `code_around` gives for a flagged line."""
    return max(1, line - LINES_BEFORE)


def code_around(  # noqa: PLR0917 - a place in a repository, and what to hide there
    source_dir: Path,
    commit: str | None,
    path: str,
    line: int | None,
    secrets: Redactor | None = None,
    leaks: Mapping[int, str] = _NO_LEAKS,
) -> str | None:
    """Return whole lines around `line` (1-based), redacted, starting at `first_line(line)`.

    `secrets` is the run's redactor, which knows the home's salt and the values that secret scanners
    named; without it ids are zero. `leaks` are the lines of the file that a secret scanner reports:
    number -> placeholder. One of them is hidden whole unless the value itself was recognised in it.

    The file is read as of `commit`, or of HEAD where the commit is not known here, and never from
    the working tree; nothing is written, and no program of the repository's configuration runs.
    None where there is no git, no repository, no such file or line, or no text worth showing.
    """
    if line is None or line < 1 or not path:
        return None
    text = _text_at(str(source_dir), _revision(str(source_dir), commit or ""), path)
    lines = text.splitlines() if text else []
    if line > len(lines):
        return None
    start = first_line(line)
    window = lines[start - 1 : line + LINES_AFTER]
    flagged = line - start + 1
    while len(window) > flagged and sum(map(len, window)) + len(window) > MAX_CHARS:
        window.pop()
    shown = "\n".join(window)
    if len(shown) > MAX_CHARS or not shown.strip():
        return None
    clean = (secrets or Redactor()).redact(shown).split("\n")
    if len(clean) != len(window):
        # A secret over several lines: what is left of it would stand at other line numbers.
        return None
    return "\n".join(_sealed(row, leaks.get(number)) for number, row in enumerate(clean, start))


def _sealed(row: str, placeholder: str | None) -> str:
    """Return a line, or its indentation and the placeholder where a value may still stand in it."""
    if placeholder is None or placeholder in row or _ASSIGNED.fullmatch(row):
        return row
    return row[: len(row) - len(row.lstrip())] + placeholder


@lru_cache(maxsize=64)
def _revision(folder: str, commit: str) -> str:
    """Return the commit where the repository has it, else HEAD."""
    if _COMMIT.fullmatch(commit) and _git(folder, "cat-file", "-e", f"{commit}^{{commit}}") == b"":
        return commit
    return "HEAD"


@lru_cache(maxsize=64)
def _text_at(folder: str, revision: str, path: str) -> str | None:
    """Return a file's text at a revision; None where it is missing, too large or binary."""
    size = _git(folder, "cat-file", "-s", f"{revision}:{path}")
    if size is None or not size.strip().isdigit() or int(size) > _MAX_FILE_BYTES:
        return None
    content = _git(folder, "cat-file", "blob", f"{revision}:{path}")
    if content is None or b"\0" in content:
        return None
    return content.decode(errors="replace")


def _git(folder: str, *arguments: str) -> bytes | None:
    """Return what git prints, None where it is missing, slow, or says no."""
    if "\0" in "".join(arguments):
        return None
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
    }
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments],  # noqa: S607 - the user's own git, found by PATH
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
