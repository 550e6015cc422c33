"""Bytes of a file as a JSON document, decoded only as deep as somebody looks.

The whole text is checked once; the values stay slices of it (msgspec.Raw) until they are asked for.
So a large file costs its own size and the part that is kept, not the tree of all its objects.
"""

import codecs
import json
import re
from collections.abc import Iterator
from math import isfinite
from mmap import mmap
from typing import Any

import msgspec

Content = bytes | mmap
"""A file's bytes, read or mapped."""
_PIECE = 1 << 16
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_JSON_START = re.compile(rb"\s*(?:\{\s*[\"}]|\[\s*[\[{\"\]\-0-9tfn]|\{\s*\Z|\[\s*\Z|null\s*\Z)")
_MAX_DIGITS = 40
_LARGE = 64 * 2**20
MAX_VALUES = 10_000_000
"""In a file of more than 64 MiB."""
_BLANK = re.compile(rb"\A\s+")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder()


class UnreadableError(Exception):
    """The bytes are meant to be JSON and cannot be read; the message is one sentence."""


class Document(msgspec.Struct, frozen=True):
    """A JSON document: the members of its object, or the items of its list, still undecoded."""

    members: dict[str, msgspec.Raw] = {}
    items: tuple[msgspec.Raw, ...] = ()
    is_null: bool = False
    is_list: bool = False

    def has(self, *names: str) -> bool:
        """Whether the object has all these members."""
        return all(name in self.members for name in names)

    def value(self, name: str) -> Any:
        """A member, decoded; None where there is none."""
        return decoded(self.members.get(name))

    def first_item(self) -> Any:
        """The first item of the list, decoded; None for an empty one and for an object."""
        return decoded(self.items[0]) if self.items else None


def raw_members(raw: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    """The members of an undecoded object; empty where it is something else."""
    try:
        return {} if raw is None else _OBJECT.decode(raw)
    except msgspec.ValidationError:
        return {}
    except msgspec.DecodeError as error:
        return _OBJECT.decode(_by_standard_library(bytes(raw or b""), error))


def raw_items(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    """The items of an undecoded list; empty where it is something else."""
    try:
        return [] if raw is None else _LIST.decode(raw)
    except msgspec.ValidationError:
        return []


def decoded(raw: msgspec.Raw | None) -> Any:
    """The value; None for none.

    Only its syntax was checked before: a number out of all range is null, as NaN is.
    """
    if raw is None:
        return None
    try:
        return _ANY.decode(raw)
    except msgspec.DecodeError:
        return _tolerant(bytes(raw))


def looks_like_json(data: Content) -> bool:
    """Whether the bytes begin as a JSON object, list or null does."""
    return bool(_JSON_START.match(as_utf8(data[:256], final=False)))


def as_utf8(data: Content, *, final: bool = True) -> Content:
    """The bytes as UTF-8 without byte order mark, from UTF-8, UTF-16 or UTF-32.

    They are the same object where they already are.

    Raises:
        UnreadableError: they are none of these; only with `final`.
    """
    encoding, mark = _encoding_of(data)
    if encoding == "utf-8":
        body = data[mark:] if mark else data
        if final:
            _check_utf8(body)
        return body
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        return decoder.decode(data[mark:], final).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        msg = f"The file is not valid {encoding.upper()} at byte {error.start + mark}."
        raise UnreadableError(msg) from error


def _encoding_of(data: Content) -> tuple[str, int]:
    """The encoding, and the length of its mark; without a mark, JSON starts with an ASCII byte."""
    start = data[:4]
    for bom, name in _BOMS:
        if start.startswith(bom):
            return name, len(bom)
    if len(start) == len(b"{\0\0\0"):
        by_zeros = {
            (False, True, True, True): "utf-32-le",
            (True, True, True, False): "utf-32-be",
            (False, True, False, True): "utf-16-le",
            (True, False, True, False): "utf-16-be",
        }
        zeros = (start[0] == 0, start[1] == 0, start[2] == 0, start[3] == 0)
        return by_zeros.get(zeros, "utf-8"), 0
    return "utf-8", 0


def _pieces(data: Content) -> Iterator[bytes]:
    """The bytes in pieces that stay in the processor's cache, so that a file is not held twice."""
    return (data[start : start + _PIECE] for start in range(0, len(data), _PIECE))


def _check_utf8(data: Content) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    place, rest = 0, b""
    try:
        for piece in _pieces(data):
            if not piece.isascii() or rest:
                decoder.decode(piece)
                rest = decoder.getstate()[0]
            place += len(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        msg = f"The file is neither UTF-8 nor UTF-16 (near byte {place + error.start})."
        raise UnreadableError(msg) from error


def check_size(data: Content) -> None:
    """Refuse a large document of very many tiny values, whose tree would be many times its size.

    Scans of real tools have 11,000 to 33,000 of them in a megabyte.

    Raises:
        UnreadableError: there are more than MAX_VALUES.
    """
    if len(data) <= _LARGE:
        return
    if sum(piece.count(mark) for piece in _pieces(data) for mark in b",{[") > MAX_VALUES:
        msg = f"The file holds more than {MAX_VALUES // 10**6} million values."
        raise UnreadableError(msg)


def parse_document(data: Content) -> Document:
    """The document in UTF-8 bytes.

    Raises:
        UnreadableError: it is truncated, followed by other data, nested too deeply, or no JSON.
    """
    try:
        return _shallow(data)
    except msgspec.DecodeError as error:
        return _shallow(_by_standard_library(data[:], error))
    except RecursionError as error:
        msg = "The JSON is nested too deeply."
        raise UnreadableError(msg) from error


def _shallow(data: Content) -> Document:
    start = _BLANK.sub(b"", data[:4096], count=1)[:1]
    if start == b"{":
        return Document(members=_OBJECT.decode(data))
    if start == b"[":
        return Document(items=tuple(_LIST.decode(data)), is_list=True)
    return Document(is_null=decoded(msgspec.Raw(data)) is None)


def _by_standard_library(data: bytes, error: msgspec.DecodeError) -> bytes:
    """The document again, with what the standard library lets pass: NaN and lone surrogates.

    Raises:
        UnreadableError: the standard library cannot read it either.
    """
    try:
        value = _tolerant(data)
    except RecursionError as deep:
        msg = "The JSON is nested too deeply."
        raise UnreadableError(msg) from deep
    except (ValueError, UnicodeError) as second:
        raise UnreadableError(_sentence(str(error), second)) from error
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _tolerant(data: bytes) -> Any:
    """What the standard library reads, with null for numbers that JSON has no meaning for."""
    return json.loads(
        data,
        parse_constant=lambda _name: None,
        parse_float=_finite,
        parse_int=lambda digits: int(digits) if len(digits) < _MAX_DIGITS else None,
    )


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if isfinite(value) else None


def _sentence(first: str, second: Exception) -> str:
    if isinstance(second, json.JSONDecodeError):
        if second.msg == "Extra data":
            return f"There is other data after the end of the JSON document (byte {second.pos})."
        if "truncated" in first or second.pos >= len(second.doc.rstrip()):
            return (
                f"The JSON is truncated: it ends at byte {len(second.doc)} before it is complete."
            )
        return f"The JSON is malformed at line {second.lineno}, column {second.colno}."
    return "The JSON is malformed."


def each_object(items: list[msgspec.Raw], pointer: str) -> Iterator[tuple[str, Any]]:
    """Every item, decoded one at a time, with its JSON pointer."""
    for position, raw in enumerate(items):
        yield f"{pointer}/{position}", decoded(raw)
