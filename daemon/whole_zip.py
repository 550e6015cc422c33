"""Whether a zip is whole: its central directory can be read, and the CRCs of its members agree.

Read in pieces, so that whoever asks can do something else in between.
"""

import os
import struct
import zipfile
import zlib
from collections.abc import Generator, Sequence
from pathlib import Path

from secdaemon.config.schema import Artifact

PIECE = 1 << 20
MEMBER_COST = 1 << 15
"""What opening a member costs, in bytes that could have been inflated in the same time."""
RATIO_FLOOR = 1 << 20
"""Unpacking judges no ratio below this inflated size."""
ENCRYPTED = 0x1
_MAX_ENTRY = 1 << 10
"""Bytes of a member in the central directory: 46, its name, and what its tool adds."""
_TAIL = (1 << 16) + 100
"""The end records, and the longest comment behind them."""
_IN_ZIP64 = 0xFFFFFFFF
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ROUGH = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    ValueError,
)
"""What zipfile raises on files that are no whole zip."""


def check(path: Path, limits: Artifact) -> Generator[int, None, bool]:
    """Read a zip; yield the bytes inflated since the last time, return whether it is whole.

    A folder is. So is a zip that unpacking will refuse by what its directory claims (too large, a
    bomb, encrypted): then nothing is read, because the reason is told there. zipfile inflates no
    more of a member than its header claims, so that `limits.max_total_bytes` are read at most.
    """
    if path.is_dir():
        return True
    try:
        if _directory_bytes(path) > limits.max_files * _MAX_ENTRY:
            return True
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            for member in members if _within(members, limits) else ():
                yield MEMBER_COST
                with archive.open(member) as content:
                    while piece := content.read(PIECE):
                        yield len(piece)
    except _ROUGH:
        return False
    return True


def _directory_bytes(path: Path) -> int:
    """Return how long a zip says that its central directory is; zipfile would read it at once.

    It stands in the record at the file's end, or in that of zip64 (APPNOTE.TXT 4.3.14, 4.3.16).
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    lengths = (_number_at(tail, b"PK\5\6", "<L", 12), _number_at(tail, b"PK\6\6", "<Q", 40))
    return max(length for length in lengths if length != _IN_ZIP64)


def _number_at(tail: bytes, mark: bytes, form: str, offset: int) -> int:
    """Return a number of the last record with that mark, 0 where there is none."""
    start = tail.rfind(mark)
    end = start + offset + struct.calcsize(form)
    found: int = (
        struct.unpack_from(form, tail, start + offset)[0] if 0 <= start < end <= len(tail) else 0
    )
    return found


def _within(members: Sequence[zipfile.ZipInfo], limits: Artifact) -> bool:
    """Whether unpacking would begin to inflate these members, and end within its limits."""
    return (
        len(members) <= limits.max_files
        and sum(member.file_size for member in members) <= limits.max_total_bytes
        and all(_is_readable(member, limits) for member in members)
    )


def _is_readable(member: zipfile.ZipInfo, limits: Artifact) -> bool:
    most = max(RATIO_FLOOR, limits.max_ratio * max(member.compress_size, 1))
    return (
        not member.flag_bits & ENCRYPTED
        and member.compress_type in _METHODS
        and member.file_size <= min(most, limits.max_file_bytes)
    )
