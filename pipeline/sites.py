"""Where a finding is: the text it is about, the code to show of it, and what to hide there."""

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import msgspec

from secdaemon.pipeline.artifact import unpack
from secdaemon.pipeline.checkout import Checkout
from secdaemon.pipeline.context import Context, code_around, lines_of
from secdaemon.pipeline.findings.model import Category, Finding, Place
from secdaemon.pipeline.findings.parse import secrets_of
from secdaemon.pipeline.findings.redact import Redactor
from secdaemon.pipeline.fixes.model import Flagged
from secdaemon.pipeline.interface import Job
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.routes.findings import Handlers

HANDLER = "handler"
"""The kind of a context that is what answers a request."""

_PLACEHOLDER = re.compile(r"<secret:[a-z0-9-]+:\d{8}>")
_HIDDEN = re.compile(r"<secret:[a-z0-9-]+:\d{8}>|<email>|~")
_UNNAMED = "<secret:secret:00000000>"
_MAX_LEAK_LINES = 1000
"""A longer range is a way to say "somewhere in this file"; its first line is hidden."""
_MAX_SNIPPET_LINES = 400
_NO_LEAKS: Mapping[int, str] = MappingProxyType({})


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A finding at its place."""

    finding: Finding
    """With the path and the lines of its handler, where a request is mapped to one."""
    flagged: Flagged | None
    """What a fix works on, as it stands in the repository; None where no text is known."""
    context: Context | None
    """What is shown of it where there is no fix, redacted; None where the snippet has to do."""
    metadata: dict[str, str]


class Sites:
    """The places of one run's findings."""

    def __init__(self, job: Job, findings: list[Finding], suppressed: list[Finding]) -> None:
        """Take the suppressed findings too: a leak that somebody accepted is one."""
        secret = [f for f in (*findings, *suppressed) if f.category is Category.SECRET]
        self._job = job
        self._secret = secret
        self._leaks = _leaks(secret)
        self._handlers: Handlers | None = None
        self._is_another_commit = False
        """HEAD stands in for a commit that the checkout does not know."""
        self.checkout: Checkout | None = None
        if job.source_dir:
            source, commit = Path(job.source_dir), job.origin.head_sha
            self.checkout = Checkout(source, commit)
            self._is_another_commit = bool(commit) and not self.checkout.is_at(commit or "")
            self._handlers = Handlers(source, commit, findings)

    @cached_property
    def secrets(self) -> Redactor:
        """The run's redactor; the artifact is read again where a scanner named secrets in it."""
        salt = bytes.fromhex(self._job.salt)
        members = {source.member for finding in self._secret for source in finding.sources}
        if not members:
            return Redactor(salt)
        folder = RunFolder(Path(self._job.run_dir)).unpacked
        if not folder.is_dir():
            unpack(Path(self._job.archive), folder, self._job.settings.artifact)
        return secrets_of(folder, members, salt)

    def leaks(self, path: str) -> Mapping[int, str]:
        """Return the lines of a file that secret scanners report: number -> placeholder."""
        return self._leaks.get(path, _NO_LEAKS)

    def of(self, finding: Finding) -> Site:
        """Return the place of a finding.

        A package speaks for itself, and a path in an image is none of the repository.
        """
        handled = self._handlers.of(finding) if self._handlers else None
        if handled and (code := self._handler(handled.finding)):
            flagged = self._in_file(handled.finding)
            return Site(
                finding=handled.finding, flagged=flagged, context=code, metadata=handled.metadata
            )
        flagged = self._in_file(finding)
        return Site(
            finding=finding,
            flagged=flagged or _in_scan(finding),
            context=self._around(finding) if flagged else None,
            metadata={},
        )

    def _in_file(self, finding: Finding) -> Flagged | None:
        """Return the file as the checkout has it; None where it is not what was scanned."""
        if finding.package is not None or not finding.path or _is_in_image(finding):
            return None
        text = self.checkout.read(finding.path) if self.checkout else None
        if text is None or (finding.line or 1) > text.count("\n"):
            return None
        if (self._is_another_commit or finding.edits) and not _agrees(finding, text):
            return None
        return Flagged(
            path=finding.path,
            text=text,
            line=finding.line,
            end_line=finding.end_line,
            whole=True,
        )

    def _around(self, finding: Finding) -> Context | None:
        checkout = self.checkout
        if checkout is None or finding.path is None:
            return None
        return code_around(
            checkout.folder,
            checkout.commit,
            finding.path,
            finding.line,
            self.secrets,
            self.leaks(finding.path),
            _last_line(finding),
        )

    def _handler(self, finding: Finding) -> Context | None:
        """Return the code of a request's handler, which is the finding's path and lines."""
        checkout = self.checkout
        if checkout is None or None in {finding.path, finding.line, finding.end_line}:
            return None
        return lines_of(
            checkout.folder,
            checkout.commit,
            finding.path or "",
            finding.line or 1,
            finding.end_line or 1,
            self.secrets,
            self.leaks(finding.path or ""),
            HANDLER,
        )


def _in_scan(finding: Finding) -> Flagged | None:
    """Return what the scan itself shows; None where it shows nothing, or of a package."""
    if finding.package is not None or not finding.path or not finding.snippet:
        return None
    lines = finding.snippet.splitlines()[:_MAX_SNIPPET_LINES]
    flagged = (finding.end_line or finding.line or 1) - (finding.line or 1) + 1
    return Flagged(
        path=finding.path,
        text="\n".join(lines),
        line=1,
        end_line=max(1, min(flagged, len(lines))),
        whole=False,
    )


def _agrees(finding: Finding, text: str) -> bool:
    """Return whether a file has the scan's first line where the scan says; hidden parts aside."""
    if finding.line is None:
        return True
    lines = text.split("\n")
    first = (finding.snippet or "").partition("\n")[0].strip()
    return all(part in lines[finding.line - 1] for part in _HIDDEN.split(first))


def _last_line(finding: Finding) -> int | None:
    """Return the last line that has to be shown: of the finding, or of a scanner's edit to it."""
    ends = [edit.end_line or edit.start_line for edit in finding.edits if edit.end_column != 1]
    return max((finding.end_line or 0, *ends)) or None


def _is_in_image(finding: Finding) -> bool:
    """Return whether the target is an image; a configuration's is the resource that it sets up."""
    return finding.target is not None and finding.category in {Category.CODE, Category.SECRET}


def _leaks(secret: list[Finding]) -> Mapping[str, Mapping[int, str]]:
    """Return the lines that secret scanners report: path -> line -> placeholder."""
    leaks: dict[str, dict[int, str]] = {}
    for finding in secret:
        named = _PLACEHOLDER.search(finding.snippet or "")
        placeholder = named[0] if named else _UNNAMED
        places: list[Finding | Place] = [finding, *finding.places]
        for place in places:
            if place.path is None or place.line is None:
                continue
            lines = range(place.line, (place.end_line or place.line) + 1)
            if len(lines) > _MAX_LEAK_LINES:
                lines = range(place.line, place.line + 1)
            leaks.setdefault(place.path, {}).update(dict.fromkeys(lines, placeholder))
    return leaks
