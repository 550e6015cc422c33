"""What a format's parser collects: findings one by one, so that a bad one costs only itself."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from secdaemon.pipeline.findings.clean import cleaned
from secdaemon.pipeline.findings.document import UnreadableError, each_object
from secdaemon.pipeline.findings.identity import Identities, content
from secdaemon.pipeline.findings.model import Finding, Source
from secdaemon.pipeline.findings.redact import Redactor

MAX_RESULTS = 500_000
"""In one file; a finding takes about a kilobyte, and GitHub itself takes 25,000 of a run."""
_BLOCK = 4096


class UnusableError(Exception):
    """One result is no finding; the message says why."""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says; `complaints` is how often its scanner failed.

    Findings are redacted and have their ids; the reasons of rejected results are as they came.
    """

    tools: tuple[str, ...]
    findings: tuple[Finding, ...]
    rejected: tuple[str, ...]
    complaints: int = 0


class Gatherer:
    """Collects the results of one file; `secrets` hides what a secret scanner found."""

    def __init__(
        self, member: str, secrets: Redactor, let_go: Callable[[], None] | None = None
    ) -> None:
        """Start empty for the artifact's member of that name.

        `let_go` is called now and then: what was read of the file is not looked at again.
        """
        self._let_go = let_go
        self.secrets = secrets
        self.complaints = 0
        self.member = member
        self.identities = Identities()
        self._tools: list[str] = []
        self._findings: list[Finding] = []
        self._rejected: list[str] = []

    def source(self, pointer: str, tool: str) -> tuple[Source, ...]:
        """Where a finding of this file was read."""
        return (Source(self.member, pointer, tool),)

    def scanned_by(self, tool: str) -> None:
        """Note a tool of this file, also where it found nothing."""
        if tool not in self._tools:
            self._tools.append(tool)

    def add(self, finding: Finding) -> None:
        """Take in a finding as it was parsed."""
        clean = cleaned(finding, self.secrets)
        identifier = self.identities.of(content(clean))
        self.add_finished(msgspec.structs.replace(clean, id=identifier))

    def add_finished(self, finding: Finding) -> None:
        """Take in a finding that is redacted and has its id from `identities`.

        Raises:
            UnreadableError: there are more than MAX_RESULTS, within a block.
        """
        if finding.tool not in self._tools:
            self._tools.append(finding.tool)
        self._findings.append(finding)
        if len(self._findings) % _BLOCK == 0:
            self._after_block()

    def _reject(self, reason: str) -> None:
        self._rejected.append(reason)
        if len(self._rejected) % _BLOCK == 0:
            self._after_block()

    def _after_block(self) -> None:
        if self._let_go:
            self._let_go()
        self._check_count()

    def _check_count(self) -> None:
        if max(len(self._findings), len(self._rejected)) > MAX_RESULTS:
            msg = f"The file holds more than {MAX_RESULTS:,} results."
            raise UnreadableError(msg)

    def each(
        self,
        items: list[msgspec.Raw],
        pointer: str,
        read: Callable[[dict[str, Any], str], Finding | Iterable[Finding]],
    ) -> None:
        """Read every item of a list as one finding, or as several."""
        for place, item in each_object(items, pointer):
            self.one(item, place, read)

    def one(
        self,
        item: Any,
        pointer: str,
        read: Callable[[dict[str, Any], str], Finding | Iterable[Finding]],
    ) -> None:
        """Read one decoded object; anything unusable is rejected with its reason."""
        try:
            if not isinstance(item, dict):
                msg = "it is no object"
                raise UnusableError(msg)  # noqa: TRY301 - one way for all rejections
            found = read(item, pointer)
            for finding in (found,) if isinstance(found, Finding) else tuple(found):
                self.add(finding)
        except UnusableError as error:
            self._reject(f"{self.member}#{pointer}: {error}")

    def results(self) -> Results:
        """All that was collected.

        Raises:
            UnreadableError: it is more than MAX_RESULTS.
        """
        self._check_count()
        return Results(
            tools=tuple(self._tools),
            findings=tuple(self._findings),
            rejected=tuple(self._rejected),
            complaints=self.complaints,
        )
