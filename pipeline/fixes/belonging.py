"""Which of a file's changes belong to a finding, where that can be told."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from secdaemon.pipeline.findings.model import Category, Finding, Package
from secdaemon.pipeline.fixes.definitions import needed
from secdaemon.pipeline.fixes.diffs import Hunk
from secdaemon.pipeline.fixes.versions import fixed_version

MAX_LINES = 40
"""Of a change, what goes and what comes together; more is no fix of one finding."""
_MAX_HUNKS = 4
_LONG = 12
"""Flagged lines beyond which several changes in them cannot be told apart."""
_MORE_OLD, _MORE_NEW = 8, 24
"""Lines that a change may have beyond those that were flagged: one with more is about more."""
_NAMED_ABOVE = 4
"""Lines above a version in which its package may be named."""
_CHECKSUM = re.compile(r"""\s*["']?(?:resolved|integrity|checksum|sha\d*)["']?\s*[:= ]""")
_VERSION_ALONE = re.compile(r"""\s*(?:<version>|["']?version["']?\s*[:= ])""")
_HEADS_ENTRY = re.compile(r"""<artifactId>|^\s*["']?name["']?\s*[:=]|[:=]\s*\{\s*$|^\S.*@.*:\s*$""")
_ENDS_ENTRY = re.compile(r"\s*(?:$|[}\])]|</|\[\[)")
_MAX_LINE = 1_000
_VERSION = r"[^\s\"'<>,;:=()\[\]{}|]{1,80}"


class LeftOut(msgspec.Struct, frozen=True):
    """Why a change is no fix that can be learned: the end of "not learned, because …"."""

    reason: str


class Belonging(msgspec.Struct, frozen=True, kw_only=True):
    """The changes that belong to a finding, in their order."""

    core: tuple[Hunk, ...]
    """Those at the finding itself."""
    needed: tuple[Hunk, ...] = ()
    """Those elsewhere that define what the core uses."""
    version: str | None = None
    """The version that a package was taken to."""

    @property
    def hunks(self) -> tuple[Hunk, ...]:
        """All of them."""
        return tuple(sorted((*self.core, *self.needed), key=lambda hunk: hunk.start))


def applied(before: Sequence[str], hunks: Iterable[Hunk]) -> list[str]:
    """Return the lines with some of the changes made."""
    lines = list(before)
    for hunk in sorted(hunks, key=lambda each: each.start, reverse=True):
        lines[hunk.start - 1 : hunk.stop - 1] = hunk.lines
    return lines


def touches(hunk: Hunk, lines: range) -> bool:
    """Return whether a change is at the lines (1-based), or puts something right beside them."""
    if hunk.start == hunk.stop:
        return lines.start <= hunk.start <= lines.stop
    return hunk.start < lines.stop and hunk.stop > lines.start


def flagged_lines(finding: Finding) -> range | None:
    """Return the lines that a finding names."""
    if finding.line is None:
        return None
    return range(finding.line, max(finding.line, finding.end_line or finding.line) + 1)


def belonging(
    finding: Finding,
    before: Sequence[str],
    hunks: Sequence[Hunk],
    others: Sequence[Finding],
) -> Belonging | LeftOut:
    """Return the changes of a finding's file that belong to it.

    Args:
        finding: with its lines in `before`.
        before: the file's lines.
        hunks: how they became what they are.
        others: the other findings of the file that went at the same time.
    """
    if finding.package is not None:
        return _version_change(finding.package, before, hunks)
    core = _at_the_finding(finding, hunks)
    if isinstance(core, LeftOut):
        return core
    for other in others:
        lines = flagged_lines(other)
        shared = lines is None or any(touches(hunk, lines) for hunk in core)
        if other.rule != finding.rule and shared:
            return LeftOut("one change answers several rules")
    taken = [lines for other in others if (lines := flagged_lines(other))]
    free = [
        hunk
        for hunk in hunks
        if hunk not in core and not any(touches(hunk, lines) for lines in taken)
    ]
    more = needed(before, core, free, MAX_LINES)
    if _size((*core, *more)) > MAX_LINES:
        return LeftOut("the change is too large")
    return Belonging(core=core, needed=more)


def _at_the_finding(finding: Finding, hunks: Sequence[Hunk]) -> tuple[Hunk, ...] | LeftOut:
    lines = flagged_lines(finding)
    if lines is None:
        # A configuration lacks something somewhere: only a single change can be what it got.
        if finding.category is Category.CONFIGURATION and len(hunks) == 1:
            return tuple(hunks)
        return LeftOut("it names no line")
    core = tuple(hunk for hunk in hunks if touches(hunk, lines))
    if not core:
        return LeftOut("its lines did not change")
    # A configuration's lines are all of what lacks something, and each change in them may be it.
    most = 1 if finding.category is Category.CONFIGURATION or len(lines) > _LONG else _MAX_HUNKS
    if len(core) > most:
        return LeftOut("its lines changed in several places")
    old = sum(hunk.stop - hunk.start for hunk in core)
    if old > len(lines) + _MORE_OLD or _size(core) - old > len(lines) + _MORE_NEW:
        return LeftOut("its lines changed together with others")
    return core


def _size(hunks: Iterable[Hunk]) -> int:
    return sum(hunk.stop - hunk.start + len(hunk.lines) for hunk in hunks)


def _version_change(
    package: Package, before: Sequence[str], hunks: Sequence[Hunk]
) -> Belonging | LeftOut:
    """Return the lines that take a package from its installed version to a higher one."""
    if not package.version:
        return LeftOut("its package's version is not known")
    found: list[Hunk] = []
    versions: set[str] = set()
    for hunk in hunks:
        if hunk.stop - hunk.start != len(hunk.lines) or len(hunk.lines) > MAX_LINES:
            continue
        for row, new in enumerate(hunk.lines):
            line = hunk.start + row
            version = _raised(package, before[line - 1], new)
            if version is None or not _is_named(package.name, before, line):
                continue
            count = 1
            while row + count < len(hunk.lines) and _CHECKSUM.match(hunk.lines[row + count]):
                count += 1
            found.append(Hunk(line, line + count, hunk.lines[row : row + count]))
            versions.add(version)
    if not found:
        return LeftOut("no line changes its package's version alone")
    if len(versions) > 1 or len(found) > _MAX_HUNKS:
        return LeftOut("its package went to several versions")
    if not versions <= {fixed_version(package) or max(versions)}:
        # What is taught to be the right version is the nearest fixed one, and nothing else.
        return LeftOut("its package went further than to the nearest fixed version")
    return Belonging(core=tuple(found), version=versions.pop())


def _raised(package: Package, old: str, new: str) -> str | None:
    """Return the higher version that a line names now; None where anything else changed in it."""
    installed = package.version or ""
    place = re.search(rf"(?<![\w.])v?({re.escape(installed)})(?![\w+-]|\.\w)", old[:_MAX_LINE])
    if place is None or max(len(old), len(new)) > _MAX_LINE:
        return None
    start, end = old[: place.start(1)], old[place.end(1) :]
    middle = new[len(start) : len(new) - len(end)]
    if start + middle + end != new or not re.fullmatch(_VERSION, middle):
        return None
    ordered = msgspec.structs.replace(package, ranges=(), fixed_versions=(middle,))
    return middle if fixed_version(ordered) == middle else None


def _is_named(name: str, before: Sequence[str], line: int) -> bool:
    """Return whether the package is named on a line, or heads the entry that the line is a part of.

    A line that is a version and nothing else stands in an entry: of a pom.xml or a lock file.
    """
    own = before[line - 1][:_MAX_LINE]
    if _VERSION_ALONE.match(own) is None:
        return _names(name, own)
    for text in reversed(before[max(0, line - 1 - _NAMED_ABOVE) : line - 1]):
        above = text[:_MAX_LINE]
        if _HEADS_ENTRY.search(above):
            return _names(name, above)
        if _ENDS_ENTRY.match(above):
            break
    return False


def _names(name: str, line: str) -> bool:
    """Return whether a line names a package, and no other whose name only contains its name."""
    group, _, short = name.rpartition(":")
    for found in re.finditer(rf"(?<![\w.-]){re.escape(short)}(?![\w-]|\.\w)", line, re.IGNORECASE):
        start = line[: found.start()]
        is_scoped = "/" not in short and re.search(r"@[\w.-]+/$", start)
        is_of_group = not group or not start.endswith(":") or start.endswith(f"{group}:")
        if is_of_group and not is_scoped:
            return True
    return False
