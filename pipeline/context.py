"""The code around a finding, as git has it at the run's own commit."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import msgspec

from secdaemon.pipeline.enclosing import MAX_LINES, Unit, unit_around
from secdaemon.pipeline.findings.redact import Redactor
from secdaemon.pipeline.fixes.languages import comment, language_of

LINES_BEFORE = 12
LINES_AFTER = 18
MAX_CHARS = 6_000
"""Of a window; lines after the flagged one are dropped beyond it, then lines before it."""
WINDOW = "window"
"""The kind of a context that is no unit of its language."""

_MAX_HEAD_CHARS = 1_000
_MAX_FILE_BYTES = 4 * 1024 * 1024
_SECONDS = 20
_ASSIGNED = re.compile(
    r"""\s*(?:(?:export|const|let|var|val|final|static|public|private|protected|readonly|string"""
    r"""|env|arg|set|-)\s+){0,5}["']?[\w.$-]{1,60}["']?\s*(?::=|=>|=|:)\s*"""
    r"""[bfru]{0,2}["'`]?<secret:[a-z0-9-]+:\d{8}>["'`]?\s*[,;)]{0,3}\s*""",
    re.IGNORECASE,
)
"""A name, and a hidden value that is all there is."""
_Lines = tuple[str, ...]
_Rows = list[tuple[int, str]]
_NO_LEAKS: Mapping[int, str] = MappingProxyType({})
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
_BREAKS = str.maketrans(dict.fromkeys("\r\u2028\u2029", " "))
"""What other programs take for the end of a line, and scanners do not."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Code around a finding: whole lines, redacted, and where in the file each of them stands."""

    text: str
    """The rows, joined by line feeds."""
    numbers: tuple[int, ...]
    """For each row its line in the file, 1-based and rising; 0 for a comment that marks a cut."""
    kind: str = WINDOW
    """function, method, class, item, element, stage and the like, or WINDOW."""
    name: str = ""
    """The unit's own name where it has one, redacted."""
    altered: frozenset[int] = frozenset()
    """The lines that do not stand as in the file: columns in them mean nothing."""

    @property
    def first_line(self) -> int:
        """The line of the file that the first row is."""
        return self.numbers[0]

    @property
    def last_line(self) -> int:
        """The last line of the file that is shown."""
        return max(self.numbers)

    def row_of(self, line: int) -> int | None:
        """Return at which row (0-based) a line of the file stands, None where it is not shown."""
        return self.numbers.index(line) if line > 0 and line in self.numbers else None


def window_of(text: str, first_line: int) -> Context:
    """Return a text whose lines are those of a file from `first_line` on."""
    return Context(text=text, numbers=tuple(range(first_line, first_line + text.count("\n") + 1)))


def code_around(  # noqa: PLR0917 - a place in a repository, and what to hide there
    source_dir: Path,
    commit: str | None,
    path: str,
    line: int | None,
    secrets: Redactor | None = None,
    leaks: Mapping[int, str] = _NO_LEAKS,
    end_line: int | None = None,
) -> Context | None:
    """Return the enclosing function or block of the lines from `line` (1-based) to `end_line`.

    Of one that is too long, its head and the largest block or a window of lines in it, with a
    comment at each cut; where there is no unit, or the file is not grammatical there, a window.

    `secrets` is the run's redactor, which knows the home's salt and the values that secret scanners
    named; without it ids are zero. `leaks` are the lines of the file that a secret scanner reports:
    number -> placeholder. One of them is hidden whole unless the value itself was recognised in it.

    The file is read as of `commit`, or of HEAD where the commit is not known here, and never from
    the working tree; nothing is written, and no program of the repository's configuration runs.
    None where there is no git, no repository, no such file or line, or no text worth showing.
    """
    if line is None or line < 1 or not path:
        return None
    lines = lines_at(str(source_dir), _revision(str(source_dir), commit or ""), path)
    if line > len(lines):
        return None
    last = end_line if end_line and line < end_line <= len(lines) else line
    hide = secrets or Redactor()
    unit = unit_around(path, lines, line, last)
    if unit is None and last > line:
        unit = unit_around(path, lines, line, line)
    if unit and (found := _shown_unit(unit, path, lines, line)):
        clean = clean_rows(found, hide, leaks)
        if clean:
            kind, name = unit.kind, hide.redact(unit.name)
            return msgspec.structs.replace(clean, kind=kind, name=name)
    window = _window(lines, line, 1, len(lines), last)
    return clean_rows(window, hide, leaks) if window else None


def lines_of(  # noqa: PLR0917 - a place in a repository, and what to hide there
    source_dir: Path,
    commit: str | None,
    path: str,
    first: int,
    last: int,
    secrets: Redactor | None = None,
    leaks: Mapping[int, str] = _NO_LEAKS,
    kind: str = WINDOW,
) -> Context | None:
    """Return the lines from `first` to `last` (1-based), read and redacted as `code_around` does.

    Of more than MAX_CHARS the first lines. None where `code_around` gives none.
    """
    lines = lines_at(str(source_dir), _revision(str(source_dir), commit or ""), path)
    rows = _numbered(lines, first, last)
    while sum(len(row) + 1 for _, row in rows) > MAX_CHARS and rows:
        rows.pop()
    clean = clean_rows(rows, secrets or Redactor(), leaks) if rows else None
    return msgspec.structs.replace(clean, kind=kind) if clean else None


def revision(source_dir: Path, commit: str | None) -> str:
    """Return the commit where the repository has it, else the one that HEAD is now."""
    return _revision(str(source_dir), commit or "")


def _shown_unit(unit: Unit, path: str, lines: _Lines, line: int) -> _Rows | None:
    """Return the rows of a unit, None where neither it nor a part of it can be shown as such."""
    if not unit.is_cut:
        return _numbered(lines, unit.first, unit.last)
    rows = (
        _numbered(lines, *unit.part) if unit.part else _window(lines, line, unit.first, unit.last)
    )
    if not rows or not unit.head:
        return rows if unit.part else None
    head = _numbered(lines, unit.first, min(unit.head, rows[0][0] - 1))
    if sum(len(row) for _, row in head) > _MAX_HEAD_CHARS:
        return rows if unit.part else None
    language = language_of(path)
    between = rows[0][0] - unit.first - len(head)
    after = unit.last - rows[-1][0]
    return [
        *head,
        *_cut(language, between, rows[0][1]),
        *rows,
        *_cut(language, after, lines[min(rows[-1][0], len(lines) - 1)]),
    ]


def _cut(language: str, count: int, near: str) -> _Rows:
    """Return the comment in place of `count` lines, indented as the line beside it."""
    if count < 1:
        return []
    indent = near[: len(near) - len(near.lstrip())]
    said = f"{count} line{'' if count == 1 else 's'} left out"
    return [(0, indent + comment(language, said))]


def _window(lines: _Lines, line: int, first: int, last: int, flagged: int = 0) -> _Rows | None:
    """Return the rows around a line, between two lines; None where it is too long itself.

    To `flagged`, the last of them, as far as a unit of that length would be shown.
    """
    start = max(first, line - LINES_BEFORE)
    stop = min(last, max(line + LINES_AFTER, min(flagged, start + MAX_LINES - 1)))
    rows = _numbered(lines, start, stop)
    size = sum(len(row) + 1 for _, row in rows) - 1
    while size > MAX_CHARS and len(rows) > 1:
        gone = rows.pop() if rows[-1][0] > line else rows.pop(0)
        size -= len(gone[1]) + 1
    return rows if size <= MAX_CHARS else None


def _numbered(lines: _Lines, first: int, last: int) -> _Rows:
    return list(enumerate(lines[first - 1 : last], first))


def clean_rows(rows: _Rows, secrets: Redactor, leaks: Mapping[int, str]) -> Context | None:
    """Return the rows without what must not be shown, None where that leaves none to show."""
    shown = "\n".join(row for _, row in rows)
    clean = secrets.redact(shown).split("\n")
    if len(clean) != len(rows) or not shown.strip():
        # A secret over several lines: what is left of it would stand at other line numbers.
        return None
    sealed = [_sealed(row, leaks.get(at)) for row, (at, _) in zip(clean, rows, strict=True)]
    altered = (at for row, (at, before) in zip(sealed, rows, strict=True) if row != before)
    return Context(
        text="\n".join(sealed),
        numbers=tuple(at for at, _ in rows),
        altered=frozenset(altered),
    )


def _sealed(row: str, placeholder: str | None) -> str:
    """Return a line, or its indentation and the placeholder where a value may still stand in it."""
    if placeholder is None or placeholder in row or _ASSIGNED.fullmatch(row):
        return row
    return row[: len(row) - len(row.lstrip())] + placeholder


def _revision(folder: str, commit: str) -> str:
    """Return the commit where the repository has it, else the one that HEAD is now."""
    if _COMMIT.fullmatch(commit) and _has(folder, commit):
        return commit
    head = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD^{commit}") or b""
    return head.decode("ascii", "replace").strip() or "HEAD"


@lru_cache(maxsize=64)
def _has(folder: str, commit: str) -> bool:
    return _git(folder, "cat-file", "-e", f"{commit}^{{commit}}") == b""


@lru_cache(maxsize=16)
def lines_at(folder: str, revision: str, path: str) -> _Lines:
    """Return a file's lines at a revision; none where it is missing, too large or binary.

    A line ends where scanners say so, at a line feed; at a carriage return in a file without any.
    """
    size = _git(folder, "cat-file", "-s", f"{revision}:{path}")
    if size is None or not size.strip().isdigit() or int(size) > _MAX_FILE_BYTES:
        return ()
    content = _git(folder, "cat-file", "blob", f"{revision}:{path}")
    if not content or b"\0" in content:
        return ()
    text = content.decode(errors="replace").replace("\r\n", "\n")
    end = "\n" if "\n" in text else "\r"
    return tuple(line.translate(_BREAKS) for line in text.removesuffix(end).split(end))


def _git(folder: str, *arguments: str) -> bytes | None:
    """Return what git prints, None where it is missing, slow, or says no."""
    return None if "\0" in "".join(arguments) else run_git(folder, arguments, b"", _SECONDS)


def run_git(folder: str, arguments: Sequence[str], given: bytes, seconds: float) -> bytes | None:
    """Return what git prints for its input, None where it is missing, slow, or says no."""
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments],  # noqa: S607 - the user's own git, found by PATH
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_git_environment(),
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _git_environment() -> dict[str, str]:
    """Return an environment in which git asks nobody, locks nothing and fetches nothing."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
    }
