"""One file of an artifact to its findings, by its content and never by its name."""

import gc
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from secdaemon.pipeline.findings import sarif
from secdaemon.pipeline.findings.document import (
    Content,
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
from secdaemon.pipeline.findings.sarif_log import log_in
from secdaemon.pipeline.findings.unsupported import unsupported_json, unsupported_xml

MAX_BYTES = 256 * 2**20
"""A larger file is refused here: the largest scan outputs that people report are under 200 MB."""
_HEAD = 4096
_MAPPED = 2 * 2**20
"""From here on a file is mapped: then what was read of it need not stay in memory."""


def read_file(
    path: Path, member: str, secrets: Redactor | None = None, *, max_bytes: int = MAX_BYTES
) -> Parsed:
    """What the file is and what it holds; never raises for what is in it.

    `member` is the file's name in the artifact, which reports and sources carry. `secrets` is the
    artifact's memory of secret values; without one the file is redacted by itself.
    """
    name = shown_name(member)
    try:
        if path.stat().st_size > max_bytes:
            return _unread(name, f"The file is larger than {max_bytes // 2**20} MiB.")
        data = _content(path)
    except OSError as error:
        return _unread(name, f"The file cannot be read: {error.strerror}.")
    return read_bytes(data, name, Redactor() if secrets is None else secrets)


def shown_name(member: str) -> str:
    """A member's name as reports and sources carry it: one line, no acting characters."""
    return neutralise(member).replace("\n", "_")


def _content(path: Path) -> Content:
    """The file's bytes; a large one's are mapped, so nothing may shorten it meanwhile."""
    with path.open("rb") as file:
        if path.stat().st_size < _MAPPED:
            return file.read()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def read_bytes(data: Content, member: str, secrets: Redactor) -> Parsed:
    """The same for bytes in memory."""
    if not len(data) or (data[:_HEAD].isspace() and data[:].isspace()):
        return _unread(member, f"The file is empty ({len(data)} bytes).")
    try:
        if not looks_like_json(data):
            return _other_text(data, member)
        with _collector_paused():
            return _read_json(as_utf8(data), member, secrets)
    except UnreadableError as error:
        return _unread(member, str(error))
    except RecursionError:
        return _unread(member, "The JSON is nested too deeply.")


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without looking for cycles: what a file becomes is hundreds of thousands of trees."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _unread(member: str, error: str) -> Parsed:
    return Parsed(report=FileReport(path=member, kind=FileKind.UNREADABLE, error=error))


def _other_text(data: Content, member: str) -> Parsed:
    try:
        named = unsupported_xml(as_utf8(data)[:_HEAD])
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


def _read_json(data: Content, member: str, secrets: Redactor) -> Parsed:
    check_size(data)
    let_go = partial(data.madvise, mmap.MADV_DONTNEED) if isinstance(data, mmap.mmap) else None
    if log := log_in(data):
        parse = partial(sarif.parse_log, log)
        return _gathered(parse, "sarif", lambda: Gatherer(member, secrets, let_go))
    document = parse_document(data)
    if document.is_null:
        report = FileReport(path=member, kind=FileKind.EMPTY, format="json-null")
        return Parsed(report=report)
    named = unsupported_json(document)
    known = None if named else format_of(document)
    if known is None:
        return _not_read(member, named)
    parse = partial(known.parse, document)
    return _gathered(parse, known.name, lambda: Gatherer(member, secrets, let_go))


def _gathered(
    parse: Callable[[Gatherer], Results], format_name: str, new: Callable[[], Gatherer]
) -> Parsed:
    """What a format's parser collects, read again where the file names secrets.

    They may stand in what was read before they were named, too.
    """
    gather = new()
    before = gather.secrets.known
    results = parse(gather)
    if gather.secrets.known > before:
        gather = new()
        results = parse(gather)
    return _parsed(results, gather.member, format_name, gather.secrets)


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
