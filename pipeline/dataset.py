"""The project's data set: findings to examples, examples to splits."""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from secdaemon.pipeline.artifact import unpack
from secdaemon.pipeline.context import Context, code_around, lines_of
from secdaemon.pipeline.examples import Example, Splits
from secdaemon.pipeline.findings.model import Category, Finding, Place
from secdaemon.pipeline.findings.parse import secrets_of
from secdaemon.pipeline.findings.redact import Redactor
from secdaemon.pipeline.from_findings import example_of
from secdaemon.pipeline.interface import Job
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.routes.findings import Handlers
from secdaemon.pipeline.splits import split

_PLACEHOLDER = re.compile(r"<secret:[a-z0-9-]+:\d{8}>")
HANDLER = "handler"
"""The kind of a context that is what answers a request."""
_UNNAMED = "<secret:secret:00000000>"
_MAX_LEAK_LINES = 1000
"""A longer range is a way to say "somewhere in this file"; its first line is hidden."""


class Dataset(msgspec.Struct, frozen=True):
    """A run's examples, their splits, and what was left out by reason."""

    examples: tuple[Example, ...]
    splits: Splits
    left_out: dict[str, int]


def build(job: Job) -> Dataset:
    """Make one example of each kept finding, with the code around it where there is a checkout.

    Raises:
        EndRun: skipped, where there are too few independent examples to split.
    """
    folder = RunFolder(Path(job.run_dir))
    findings = _read(folder.findings)
    code = _Code(job, [*findings, *_read(folder.suppressed)]) if job.source_dir else None
    handlers = (
        Handlers(Path(job.source_dir), job.origin.head_sha, findings) if (job.source_dir) else None
    )
    examples = tuple(
        _example(finding, handlers, code, job.settings.stage2.quality_weight_multiplier)
        for finding in findings
    )
    return Dataset(examples, split(examples, job.settings.training.seed), {})


def _example(
    finding: Finding, handlers: Handlers | None, code: "_Code | None", quality_weight: float
) -> Example:
    """Return the example of a finding, with its handler's code where a request is mapped to one."""
    handled = handlers.of(finding) if handlers else None
    if handled is None or code is None:
        return example_of(finding, code.of(finding) if code else None, quality_weight)
    shown = code.of_handler(handled.finding)
    if shown is None:
        return example_of(finding, None, quality_weight)
    example = example_of(handled.finding, shown, quality_weight)
    return msgspec.structs.replace(example, metadata={**example.metadata, **handled.metadata})


def _read(path: Path) -> list[Finding]:
    return msgspec.json.Decoder(Finding).decode_lines(path.read_bytes())


class _Code:
    """The code around findings, without what any secret scanner of the artifact found in it."""

    def __init__(self, job: Job, findings: list[Finding]) -> None:
        """Take all findings, the suppressed ones too: a leak that somebody accepted is one."""
        secret = [finding for finding in findings if finding.category is Category.SECRET]
        self._folder = Path(job.source_dir or "")
        self._commit = job.origin.head_sha
        self._leaks = _leaks(secret)
        self._secrets = _secrets(job, secret)

    def of(self, finding: Finding) -> Context | None:
        """The code around a finding; None where it has no place in the checkout.

        A package speaks for itself, and a path in an image is none of the repository.
        """
        if finding.path is None or finding.package is not None or _is_in_image(finding):
            return None
        leaks = self._leaks.get(finding.path, {})
        return code_around(
            self._folder,
            self._commit,
            finding.path,
            finding.line,
            self._secrets,
            leaks,
            _last_line(finding),
        )

    def of_handler(self, finding: Finding) -> Context | None:
        """The code of a request's handler, which is the finding's path and lines."""
        if finding.path is None or finding.line is None or finding.end_line is None:
            return None
        leaks = self._leaks.get(finding.path, {})
        return lines_of(
            self._folder,
            self._commit,
            finding.path,
            finding.line,
            finding.end_line,
            self._secrets,
            leaks,
            HANDLER,
        )


def _last_line(finding: Finding) -> int | None:
    """Return the last line that has to be shown: of the finding, or of a scanner's edit to it."""
    ends = [edit.end_line or edit.start_line for edit in finding.edits if edit.end_column != 1]
    return max((finding.end_line or 0, *ends)) or None


def _is_in_image(finding: Finding) -> bool:
    """Return whether the target is an image; a configuration's is the resource that it sets up."""
    return finding.target is not None and finding.category in {Category.CODE, Category.SECRET}


def _secrets(job: Job, secret: list[Finding]) -> Redactor:
    """The run's redactor; the artifact is read again where a scanner named secrets in it."""
    salt = bytes.fromhex(job.salt)
    members = {source.member for finding in secret for source in finding.sources}
    if not members:
        return Redactor(salt)
    folder = RunFolder(Path(job.run_dir)).unpacked
    if not folder.is_dir():
        unpack(Path(job.archive), folder, job.settings.artifact)
    return secrets_of(folder, members, salt)


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
