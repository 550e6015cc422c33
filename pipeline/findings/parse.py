"""An unpacked artifact to its findings: every file read, every result accounted for."""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from secdaemon.pipeline.findings.clean import cleaned
from secdaemon.pipeline.findings.dedupe import deduplicate
from secdaemon.pipeline.findings.model import (
    Collected,
    Counts,
    FileKind,
    FileReport,
    Parsed,
)
from secdaemon.pipeline.findings.read import MAX_BYTES, read_file, shown_name
from secdaemon.pipeline.findings.redact import Redactor


def parse_folder(folder: Path, salt: bytes = b"", *, max_bytes: int = MAX_BYTES) -> Collected:
    """All findings under the folder, merged; the same files and salt give the same result.

    Files are read in the order of their paths. Nothing outside the folder is read: links are not
    followed. A file that cannot be read is reported and the others are used.
    """
    secrets = Redactor(salt)
    parsed = [_read(path, member, secrets, max_bytes) for member, path in _members(folder)]
    found = [finding for one in parsed for finding in one.findings]
    if secrets.known:
        found = [cleaned(finding, secrets) for finding in found]
    result = deduplicate(found)
    rejected = tuple(secrets.redact(reason) for one in parsed for reason in one.rejected)
    return Collected(
        kept=result.kept,
        suppressed=result.suppressed,
        files=tuple(one.report for one in parsed),
        counts=Counts(
            entered=len(found) + len(rejected),
            kept=len(result.kept),
            duplicate=len(result.duplicates),
            suppressed=len(result.suppressed),
            rejected=len(rejected),
        ),
        by_tool=dict(sorted(Counter(finding.tool for finding in result.kept).items())),
        rejected=rejected,
    )


def secrets_of(folder: Path, members: Collection[str], salt: bytes) -> Redactor:
    """A redactor that knows every value that secret scanners name in these members.

    `members` are named as `Source.member` names them. The values are read again, because nothing
    that a run leaves behind holds them.
    """
    secrets = Redactor(salt)
    for member, path in _members(folder):
        if shown_name(member) in members:
            _read(path, member, secrets, MAX_BYTES)
    return secrets


def _members(folder: Path) -> Iterator[tuple[str, Path]]:
    """Everything under the folder that is no folder, by its path in it, in order."""
    found: dict[str, Path] = {}
    pending = [folder]
    while pending:
        here = pending.pop()
        try:
            with os.scandir(here) as entries:
                listed = list(entries)
        except OSError:
            found[here.relative_to(folder).as_posix()] = here
            continue
        for entry in listed:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            else:
                found[path.relative_to(folder).as_posix()] = path
    yield from sorted(found.items())


def _read(path: Path, member: str, secrets: Redactor, max_bytes: int) -> Parsed:
    """The file; a link, a device or a pipe is told and left alone."""
    if not path.is_symlink() and (path.is_dir() or path.is_file()):
        return read_file(path, member, secrets, max_bytes=max_bytes)
    report = FileReport(
        path=shown_name(member),
        kind=FileKind.NOT_A_SCAN,
        error="It is no regular file and was left alone.",
    )
    return Parsed(report=report)
