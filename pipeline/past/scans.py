"""Scans: which later scan looks at what an earlier one looked at, so that silence means gone."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from secdaemon.pipeline.findings.model import Category, FileKind, FileReport, Finding

FILES = "files"
SITE = "site"

_NUMBERS = re.compile(r"(?<![a-z0-9])[0-9a-f]{7,64}(?![a-z0-9])|\d+")
_IN_IMAGES = frozenset({Category.CODE, Category.DEPENDENCY, Category.SECRET})


class Scan(msgspec.Struct, frozen=True, order=True):
    """One file that one tool wrote, as it can be told again in another artifact."""

    tool: str
    format: str
    name: str
    """The file's path in the artifact, with `#` for numbers and hashes."""
    alone: bool
    """Whether its artifact has no other file of this tool and format."""


class Looked(msgspec.Struct, frozen=True):
    """What an artifact looked at: its scans, and what each of them found something in."""

    aims: Mapping[Scan, frozenset[str]]

    def again(self, scans: Iterable[Scan], aim: str) -> bool:
        """Return whether a finding of these scans would be reported here, were it still there.

        One of its scans was made again: by the same tool, in the same format, under the same name
        or as the only one of its kind both times. One that found nothing looked at the same thing;
        one that found something has to have found some of it where the finding was: in the
        project's files, in a site, or in the same image whatever its tag.
        """
        return any(
            (scan.tool, scan.format) == (other.tool, other.format)
            and (scan.name == other.name or (scan.alone and other.alone))
            and (not aims or aim in aims)
            for scan in scans
            for other, aims in self.aims.items()
        )


def looked(files: Iterable[FileReport], findings: Iterable[Finding]) -> Looked:
    """Return what an artifact looked at.

    Args:
        files: everything that was read in it.
        findings: all that came of it, the suppressed ones too.
    """
    scans = scans_by_member(files)
    aims: dict[Scan, set[str]] = {scan: set() for found in scans.values() for scan in found}
    for finding in findings:
        for scan in scans_of(finding, scans):
            aims[scan].add(aim_of(finding))
    return Looked({scan: frozenset(aims[scan]) for scan in sorted(aims)})


def scans_by_member(files: Iterable[FileReport]) -> dict[str, tuple[Scan, ...]]:
    """Return the scans of each file that could be read as one."""
    read = [file for file in files if file.kind in {FileKind.OK, FileKind.EMPTY} and file.tool]
    kinds = [(tool, file.format) for file in read for tool in _tools(file)]
    return {
        file.path: tuple(
            Scan(
                tool=tool,
                format=file.format or "",
                name=_NUMBERS.sub("#", file.path.lower()),
                alone=kinds.count((tool, file.format)) == 1,
            )
            for tool in _tools(file)
        )
        for file in read
    }


def _tools(file: FileReport) -> list[str]:
    return (file.tool or "").split(", ")


def scans_of(finding: Finding, scans: Mapping[str, tuple[Scan, ...]]) -> tuple[Scan, ...]:
    """Return the scans that reported a finding."""
    return tuple(
        sorted(
            {
                scan
                for source in finding.sources
                for scan in scans.get(source.member, ())
                if scan.tool == source.tool
            }
        )
    )


def aim_of(finding: Finding) -> str:
    """Return what was scanned: the project's files, a site, or an image by its name alone."""
    if finding.category is Category.WEB or finding.url:
        return SITE
    if finding.target is None or finding.category not in _IN_IMAGES:
        return FILES
    folder, slash, name = finding.target.partition("@")[0].rpartition("/")
    return f"image {folder}{slash}{name.partition(':')[0]}"
