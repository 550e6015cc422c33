"""One file of an artifact to its findings, by its content and never by its name."""

from pathlib import Path

from secdaemon.pipeline.findings.document import (
    UnreadableError,
    as_utf8,
    check_size,
    looks_like_json,
    parse_document,
)
from secdaemon.pipeline.findings.formats import format_of
from secdaemon.pipeline.findings.gather import Gatherer, Results
from secdaemon.pipeline.findings.model import FileKind, FileReport, Parsed
from secdaemon.pipeline.findings.redact import Redactor, neutralise
from secdaemon.pipeline.findings.unsupported import unsupported_json, unsupported_xml

MAX_BYTES = 256 * 2**20
"""A larger file is refused here: the largest scan outputs that people report are under 200 MB."""


def read_file(
    path: Path, member: str, secrets: Redactor | None = None, *, max_bytes: int = MAX_BYTES
) -> Parsed:
    """What the file is and what it holds; never raises for what is in it.

    `member` is the file's name in the artifact, which reports and sources carry. `secrets` is the
    artifact's memory of secret values; without one the file is redacted by itself.
    """
    name = neutralise(member).replace("\n", "_")
    try:
        if path.stat().st_size > max_bytes:
            return _unread(name, f"The file is larger than {max_bytes // 2**20} MiB.")
        data = path.read_bytes()
    except OSError as error:
        return _unread(name, f"The file cannot be read: {error.strerror}.")
    return read_bytes(data, name, Redactor() if secrets is None else secrets)


def read_bytes(data: bytes, member: str, secrets: Redactor) -> Parsed:
    """The same for bytes in memory."""
    if not data or data.isspace():
        return _unread(member, f"The file is empty ({len(data)} bytes).")
    try:
        if not looks_like_json(data):
            return _other_text(data, member)
        return _read_json(as_utf8(data), member, secrets)
    except UnreadableError as error:
        return _unread(member, str(error))
    except RecursionError:
        return _unread(member, "The JSON is nested too deeply.")


def _unread(member: str, error: str) -> Parsed:
    return Parsed(report=FileReport(path=member, kind=FileKind.UNREADABLE, error=error))


def _other_text(data: bytes, member: str) -> Parsed:
    try:
        named = unsupported_xml(as_utf8(data))
    except UnreadableError:
        named = None
    return _not_read(member, named)


def _not_read(member: str, named: tuple[str, str] | None) -> Parsed:
    """A scan in a shape that is not read, or no scan at all."""
    if named is None:
        return Parsed(report=FileReport(path=member, kind=FileKind.NOT_A_SCAN))
    name, tool = named
    error = f"The format {name} is recognised but not read."
    kind = FileKind.UNSUPPORTED
    return Parsed(report=FileReport(path=member, kind=kind, tool=tool, format=name, error=error))


def _read_json(data: bytes, member: str, secrets: Redactor) -> Parsed:
    check_size(data)
    document = parse_document(data)
    if document.is_null:
        report = FileReport(path=member, kind=FileKind.EMPTY, format="json-null")
        return Parsed(report=report)
    named = unsupported_json(document)
    known = None if named else format_of(document)
    if known is None:
        return _not_read(member, named)
    before = secrets.known
    results = known.parse(document, Gatherer(member, secrets))
    if secrets.known > before:
        # The file names secrets, which may stand in what was read before them, too.
        results = known.parse(document, Gatherer(member, secrets))
    return _parsed(results, member, known.name, secrets)


def _parsed(results: Results, member: str, format_name: str, secrets: Redactor) -> Parsed:
    count = len(results.findings) + len(results.rejected)
    plural = "" if results.complaints == 1 else "s"
    report = FileReport(
        path=member,
        kind=FileKind.OK if count else FileKind.EMPTY,
        tool=", ".join(results.tools) or None,
        format=format_name,
        findings=count,
        error=f"The scanner itself reports {results.complaints} error{plural}."
        if results.complaints
        else None,
    )
    rejected = tuple(secrets.redact(reason) for reason in results.rejected)
    return Parsed(report=report, findings=results.findings, rejected=rejected)
