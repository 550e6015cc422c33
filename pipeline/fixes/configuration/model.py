"""What a kind of configuration file is to us: how it is known, checked and mended."""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec


class Weakness(msgspec.Struct, frozen=True, kw_only=True):
    """Something insecure at one place of a configuration file."""

    check: str
    """Which check says so, such as `workflow-permissions`."""
    where: str
    """The place within the document, stable under edits elsewhere, such as `jobs.build`."""
    line: int
    """The first line that it stands on, 1-based: of what is wrong, else of what lacks something."""
    end_line: int
    """The last line of it."""
    heading: int = 0
    """A line above it that scanners name in place of its own, such as that of `spec:`; 0: none."""
    weight: float = 1.0
    """How bad it is, 0 to 1."""


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """One way to mend a weakness: the file's new text; see `fixes.model.Fix` for the words."""

    after: str
    reason: str
    choice: str = ""


Mend = Callable[[str, Weakness], tuple[Repair, ...]]
"""(the file's text, a weakness in it) -> the ways to mend it; comments and order are kept."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of configuration file: one module of this package each."""

    name: str
    language: Literal["yaml", "json", "xml", "html", "dockerfile"]
    recognises: Callable[[str, str], bool]
    """(path, text) -> whether the file is of this kind, by what it holds rather than its name."""
    weaknesses: Callable[[str], tuple[Weakness, ...]]
    """All weaknesses of a text, () where it cannot be read; it never raises."""
    rules: Mapping[str, str]
    """A regular expression, matched anywhere in a finding's rule id or rule name -> the check."""
    mends: Mapping[str, Mend]
    """Check -> how it is mended; a check may have none."""
    of_document: frozenset[str] = frozenset()
    """Checks of the file as a whole, such as of what it lacks: a part of it cannot tell, and a
    scanner names any of its lines."""
