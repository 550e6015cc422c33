"""A fix: the new text of a file, why it is one, and how to tell that the weakness is gone."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol

import msgspec

Approach = Literal[
    "history",
    "scanner_fix",
    "dependency_upgrade",
    "configuration",
    "code_pattern",
    "local_model",
    "advice",
]
"""In the order in which they are trusted."""


class Files(Protocol):
    """The project's files at one commit."""

    @property
    def paths(self) -> Sequence[str]:
        """Every regular file, repository-relative, in git's order."""

    def read(self, path: str) -> str | None:
        """Return a file's text with line feeds only, None where it is missing, binary or huge."""


class Flagged(msgspec.Struct, frozen=True, kw_only=True):
    """The text that a finding is about: the whole file of a checkout, else the scan's snippet."""

    path: str
    text: str
    line: int | None
    """The first flagged line, 1-based, in `text`; None where the finding names the file alone."""
    end_line: int | None
    """The last flagged line, in `text`."""
    whole: bool
    """Whether `text` is the whole file; a snippet is lines of it, and may begin anywhere."""

    @property
    def lines(self) -> range:
        """The flagged lines, 1-based; all of them where the finding names none."""
        if self.line is None:
            return range(1, self.text.count("\n") + 2)
        return range(self.line, max(self.line, self.end_line or self.line) + 1)


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """One way to mend what a finding is about; `before` and `after` are whole texts."""

    approach: Approach
    path: str
    """Of the file that changes: the finding's own, or the manifest that declares a package."""
    before: str
    after: str
    reason: str
    """One or two short sentences of ours: what changes, and why that ends the weakness. Names from
    outside stand in it between backticks (`fixes.quote.inline`). Empty where the change that is
    shown says it all."""
    choice: str = ""
    """Which of several good ways it is, in a few words ("permissions for each job"); "" for one."""
    is_weak: Callable[[str], bool] | None = None
    """The structural predicate: whether a text of this file has the weakness. True for `before`.
    None where the approach has none."""


class TextEdit(msgspec.Struct, frozen=True):
    """Characters `start` to `end` (exclusive, 0-based) of a text are replaced."""

    start: int
    end: int
    text: str


def edited(text: str, edits: Iterable[TextEdit]) -> str | None:
    """Return the text with all edits made; None where two overlap or one lies outside it."""
    limit = len(text)
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end), reverse=True):
        if not 0 <= edit.start <= edit.end <= limit:
            return None
        text = text[: edit.start] + edit.text + text[edit.end :]
        limit = edit.start
    return text
