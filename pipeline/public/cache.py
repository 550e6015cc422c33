"""The transformed rows of a source, kept in shards, so that none is fetched or made twice.

A shard is a Parquet file of the entries of up to `SHARD_ROWS` rows, complete or not there. It is
named by its first row and says where the source is read on behind it, so that whatever ends a
preparation (the network, a kill, enough examples) the next one goes on. What splitting needs and
the examples' text are columns of their own, since the text is wanted last and only once.
"""

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from secdaemon.config.files import write_file
from secdaemon.pipeline.interface import TransientError
from secdaemon.pipeline.public.cache_folder import (
    LOCK_FILE,
    PRIVATE_SUFFIX,
    SHARD_SUFFIX,
    Key,
    note,
)
from secdaemon.pipeline.public.sources import START, Cursor, RowSource
from secdaemon.pipeline.public.transform import Entry, entries_of
from secdaemon.pipeline.splitting.outlines import Outline

if TYPE_CHECKING:
    import pyarrow as pa

SHARD_ROWS = 128
"""What a kill costs at most."""

_META = b"secdaemon"
_KNOWN = ("reason", "pair", "content", "category", "tool", "bonds", "signature")


class _Place(msgspec.Struct, frozen=True):
    """A shard's metadata: its rows, and how the source goes on."""

    first: int
    rows: int
    entries: int
    cursor: Cursor
    is_last: bool


class KeptRows:
    """The entries of one source at one revision, read from the shards and then from the source."""

    def __init__(self, folder: Path, source: RowSource, max_chars: int) -> None:
        """Read what stands in `folder`; only one process at a time may add to it (`opened`)."""
        self._folder, self._source, self._max_chars = folder, source, max_chars

    def entries(self) -> Iterator[Entry]:
        """Yield all entries in the source's order; what is not kept yet is made and kept.

        Raises:
            TransientError, PermanentError: as the source's rows; everything before is kept.
        """
        place = None
        for path, place in self._shards():
            yield from _entries(path, place)
        if place is None or not place.is_last:
            yield from self._made(place)

    def lines(self, chosen: Sequence[int], mark: int) -> Iterator[bytes]:
        """Yield the JSON of the kept entries whose place in `chosen` holds `mark`."""
        start = 0
        for path, place in self._shards():
            marks = chosen[start : start + place.entries]
            start += place.entries
            wanted = [n for n, found in enumerate(marks) if found == mark]
            if wanted:
                column = _read(path, ["line"]).column("line")
                yield from (column[n].as_py() for n in wanted)

    def _made(self, after: _Place | None) -> Iterator[Entry]:
        """Yield the entries behind a shard, keeping them; what is pending is kept at any end."""
        first, cursor = (after.first + after.rows, after.cursor) if after else (0, START)
        pending: list[Entry] = []
        rows, is_last = 0, False
        try:
            for row, behind in self._source.rows(cursor):
                made = list(entries_of(row, self._source.name, self._max_chars))
                pending += made
                rows, cursor = rows + 1, behind
                if rows == SHARD_ROWS:
                    self._keep(_Place(first, rows, len(pending), cursor, False), pending)
                    first, rows, pending = first + rows, 0, []
                yield from made
            is_last = True
        finally:
            if rows or is_last:
                self._keep(_Place(first, rows, len(pending), cursor, is_last), pending)

    def _shards(self) -> Iterator[tuple[Path, _Place]]:
        """Yield the shards one behind the other; from the first that is damaged on, all go."""
        expected = 0
        paths = sorted(self._folder.glob(f"*{SHARD_SUFFIX}"))
        for number, path in enumerate(paths):
            place = _place(path)
            if place is None or place.first != expected:
                _remove(paths[number:])
                return
            yield path, place
            expected += place.rows

    def _keep(self, place: _Place, entries: list[Entry]) -> None:
        # A source's end may come without a row behind the last shard, which then has its name.
        name = f"{place.first:09d}-{place.rows:04d}{SHARD_SUFFIX}"
        write_file(self._folder / name, _shard(place, entries))


@contextmanager
def opened(cache: Path, key: Key, source: RowSource, *, confirmed: bool) -> Iterator[KeptRows]:
    """Yield a source's kept rows, alone in adding to them for as long as the block lasts.

    Where another process is adding, a private copy is gone on with, and removed in the end.
    """
    folder = cache / key.name
    note(folder, key, confirmed=confirmed)
    descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with _private(folder) as copy:
                yield KeptRows(copy, source, key.max_chars)
        else:
            yield KeptRows(folder, source, key.max_chars)
    finally:
        os.close(descriptor)


@contextmanager
def _private(folder: Path) -> Iterator[Path]:
    made = tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=PRIVATE_SUFFIX, dir=folder.parent)
    try:
        for path in sorted(folder.glob(f"*{SHARD_SUFFIX}")):
            shutil.copyfile(path, Path(made) / path.name)
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _shard(place: _Place, entries: list[Entry]) -> bytes:
    """Return a Parquet file of the entries, every page with its checksum."""
    import pyarrow as pa
    from pyarrow import parquet

    known = [entry.outline for entry in entries]
    columns = {
        "reason": pa.array([entry.reason for entry in entries], pa.string()),
        "pair": pa.array([entry.pair for entry in entries], pa.binary()),
        "content": pa.array([one and one.content for one in known], pa.binary()),
        "category": pa.array([one and one.stratum[0] for one in known], pa.string()),
        "tool": pa.array([one and one.stratum[1] for one in known], pa.string()),
        "bonds": pa.array([one and one.bonds for one in known], pa.list_(pa.uint64())),
        "signature": pa.array([one and one.signature for one in known], pa.binary()),
        "line": pa.array([entry.line for entry in entries], pa.binary()),
    }
    table = pa.table(columns).replace_schema_metadata({_META: msgspec.json.encode(place)})
    file = BytesIO()
    parquet.write_table(
        table, file, compression="zstd", use_dictionary=False, write_page_checksum=True
    )
    return file.getvalue()


def _place(path: Path) -> _Place | None:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        metadata = parquet.read_schema(path).metadata or {}
        return msgspec.json.decode(metadata.get(_META, b""), type=_Place)
    except (OSError, pa.ArrowException, msgspec.DecodeError):
        return None


def _read(path: Path, columns: list[str]) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns=columns, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        _remove([path])
        msg = (
            f"{path.name} of {path.parent} is damaged and was removed: the next attempt makes it "
            "and what follows it again"
        )
        raise TransientError(msg) from error


def _entries(path: Path, place: _Place) -> Iterator[Entry]:
    found = _read(path, list(_KNOWN)).to_pydict()
    for number in range(place.entries):
        reason, pair, content, category, tool, bonds, signature = (
            found[name][number] for name in _KNOWN
        )
        known = (
            Outline(content, (sys.intern(category), sys.intern(tool)), tuple(bonds), signature)
            if content
            else None
        )
        yield Entry(reason, pair, known, None)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
