"""What the modules of this package share: the upgrade, and a file's text with its tree."""

import re
from collections.abc import Callable, Iterable
from itertools import accumulate

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.fixes.model import Files, Fix, TextEdit, edited
from secdaemon.pipeline.fixes.orderings import is_below
from secdaemon.pipeline.fixes.quote import inline

MAX_CHARS = 256 * 1024
"""A larger text is no manifest that a person wrote; it is not read."""
SYSTEM = frozenset(("apk", "deb", "rpm"))
"""The kinds of an operating system's packages."""
MAX_LOCK_CHARS = 4 * 1024 * 1024


_MAX_DEPTH = 200
_NESTING = (re.compile(r"([\[({])|[\])}]"), re.compile(r"(<[A-Za-z_])|</|/>"))
"""What opens, and what closes: brackets, XML's tags."""


class Upgrade(msgspec.Struct, frozen=True, kw_only=True):
    """A package to bring to a version."""

    kind: str
    """The package URL's type: maven, npm, pypi, golang, cargo, deb, apk, rpm."""
    name: str
    installed: str
    version: str
    advisory: str
    """The id under which the vulnerability is best known."""
    path: str | None
    """The file of the repository that names the package; None where it was seen in an image."""

    def is_low(self, version: str) -> bool:
        """Return whether a declared version is below the fixed one."""
        return is_below(version, self.version, self.kind) is True

    def is_low_in(self, declared: str) -> bool:
        """Return whether one exact version that a file declares is what has to be raised.

        In an image it has to be the very version that was seen there: another one belongs to
        another copy of the package, such as one that the base image brought along.
        """
        seen = self.path is not None or declared.removeprefix("v") == self.installed.removeprefix(
            "v"
        )
        return seen and self.is_low(declared)

    @property
    def leap(self) -> str:
        """A sentence where the upgrade leaves the installed major version, else ""."""
        if self.kind in SYSTEM:
            return ""
        old, new = (v.lstrip("v").partition(".")[0] for v in (self.installed, self.version))
        if old == new or not (old.isdigit() and new.isdigit()):
            return ""
        return f" It is major version {new} instead of {old}: read its migration notes first."

    def because(self, how: str) -> str:
        """Return the reason: what the edit does, and what the version is."""
        return (
            f"{how}: {inline(self.version)} is the smallest version above "
            f"{inline(self.installed)} that {inline(self.advisory)} does not affect.{self.leap}"
        )


class Source:
    """A text and its syntax tree; positions are characters of the text."""

    def __init__(self, grammar: str, text: str) -> None:
        """Read the text; one that is too large or too deep is read as if it were empty.

        The grammar of XML takes the square of the depth: seconds for what nobody writes.
        """
        self.text = text
        is_read = len(text) <= MAX_CHARS and _is_shallow(text, _NESTING[grammar == "xml"])
        kept = text if is_read else ""
        self.root = grammars.parse(grammar, kept)
        self._starts: list[int] | None = None
        if not kept.isascii():
            starts = (byte & 0xC0 != 0x80 for byte in kept.encode("utf-8", "replace"))  # noqa: PLR2004 - UTF-8
            self._starts = list(accumulate(starts, initial=0))

    def start(self, node: Node) -> int:
        """Return where a node begins."""
        return self._at(node.start_byte)

    def end(self, node: Node) -> int:
        """Return where a node ends, exclusive."""
        return self._at(node.end_byte)

    def of(self, node: Node) -> str:
        """Return a node's text."""
        return self.text[self.start(node) : self.end(node)]

    def edit(self, node: Node, text: str) -> TextEdit:
        """Return the edit that puts a text in a node's place."""
        return TextEdit(self.start(node), self.end(node), text)

    def _at(self, offset: int) -> int:
        return offset if self._starts is None else self._starts[offset]


def _is_shallow(text: str, nesting: re.Pattern[str]) -> bool:
    """Return whether a text nests no deeper than a person writes, as far as its signs tell."""
    depth = 0
    for sign in nesting.finditer(text):
        depth = depth + 1 if sign[1] else max(0, depth - 1)
        if depth > _MAX_DEPTH:
            return False
    return True


def fix_of(  # noqa: PLR0917 - the parts of a Fix, in its order
    path: str,
    before: str,
    edits: Iterable[TextEdit],
    reason: str,
    is_weak: Callable[[str], bool],
    choice: str = "",
) -> Fix | None:
    """Return the fix, None where the edits change nothing or leave the package as it was."""
    after = edited(before, edits)
    if after is None or after == before or not is_weak(before) or is_weak(after):
        return None
    return Fix(
        approach="dependency_upgrade",
        path=path,
        before=before,
        after=after,
        reason=reason,
        choice=choice,
        is_weak=is_weak,
    )


def read(files: Files, path: str, limit: int = MAX_CHARS) -> str | None:
    """Return a file's text, None where it is missing or too large."""
    text = files.read(path)
    return text if text is not None and len(text) <= limit else None


def folder_of(path: str) -> str:
    """Return a file's folder with its last `/`, "" for the repository's own."""
    head, slash, _ = path.rpartition("/")
    return head + slash


def upwards(folder: str) -> tuple[str, ...]:
    """Return a folder and those around it, the innermost first, the repository's own last."""
    parts = folder.rstrip("/").split("/") if folder else []
    return (*("/".join(parts[:count]) + "/" for count in range(len(parts), 0, -1)), "")


def line_start(text: str, position: int) -> int:
    """Return where the line of a position begins."""
    return text.rfind("\n", 0, position) + 1


def indent_at(text: str, position: int) -> str:
    """Return the white space that the line of a position begins with."""
    line = text[line_start(text, position) : position + 1].partition("\n")[0]
    return line[: len(line) - len(line.lstrip(" \t"))] if line.strip() else line.rstrip("\n")


def counted(names: int, what: str) -> str:
    """Return a number of things, such as `3 libraries`."""
    plural = what if names == 1 else f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{names} {plural}"
