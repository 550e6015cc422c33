"""The inbox: which files stand there complete. Events are hints; the directory is the truth."""

import errno
import os
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path

import msgspec

from secdaemon.config.schema import Artifact
from secdaemon.daemon.whole_zip import check

PARTIAL_ENDINGS = (".part", ".crdownload", ".download")
LONGEST_DELAY = 300.0
"""Seconds between two attempts to take in a file that cannot be taken in."""
PATIENCE = 4
"""After so many failures a file is tried on, and no longer waited for."""
SLICE = 32 << 20
"""Bytes of zips inflated at a time to see whether they are whole: some tenths of a second."""
IGNORED_NAMES = frozenset({".DS_Store", "__MACOSX"})


class Seen(msgspec.Struct, frozen=True):
    """How a file looked, and since when it has looked like that."""

    size: int
    mtime_ns: int
    since: float


class Tracker:
    """Decides when a file is complete; fed by hand with what a scan saw and what time it is.

    Guards against the half-copied zip: a file counts once it has kept size and time for
    `stable_seconds` and is a whole zip, or once it has kept them for `broken_seconds` without being
    one (then unpacking will say what is wrong with it). A large zip is read over several calls.
    """

    def __init__(
        self,
        stable_seconds: float,
        broken_seconds: float,
        limits: Artifact,
        slice_bytes: int = SLICE,
    ) -> None:
        """Both in seconds; of a zip beyond the limits no content is read."""
        self.stable_seconds = stable_seconds
        self.broken_seconds = max(broken_seconds, stable_seconds)
        self._limits = limits
        self._slice = slice_bytes
        self._seen: dict[Path, Seen] = {}
        self._whole: dict[Path, bool] = {}
        self._readings: dict[Path, Generator[int, None, bool]] = {}
        self._delayed: dict[Path, tuple[float, int]] = {}

    def observe(self, files: dict[Path, tuple[int, int]], now: float) -> None:
        """Take note of what a scan saw: path -> (size, mtime_ns); what is gone is forgotten."""
        for path in set(self._seen) - set(files):
            self.forget(path)
        for path, (size, mtime_ns) in files.items():
            known = self._seen.get(path)
            # A clock that went back must not keep a file waiting for the time between.
            if known is None or (known.size, known.mtime_ns) != (size, mtime_ns):
                self.forget(path)
                self._seen[path] = Seen(size, mtime_ns, now)
            elif known.since > now:
                self._seen[path] = Seen(size, mtime_ns, now)
            until, failures = self._delayed.get(path, (now, 0))
            if until > now + LONGEST_DELAY:
                self._delayed[path] = (now, failures)

    def complete(self, now: float) -> Iterator[Path]:
        """Yield the files that may be taken in now, in sorted order.

        It ends early where a slice has been read; then `next_due` has passed already.
        """
        left = self._slice
        for path in sorted(self._seen):
            if now < self._due(path):
                continue
            left = self._read(path, left)
            if path not in self._whole:
                return
            if self._whole[path] or self._seen[path].since + self.broken_seconds <= now:
                yield path

    def _read(self, path: Path, left: int) -> int:
        """Read on in a file until it is known whether it is whole; return what is left to read.

        What is known of a file holds until it changes.
        """
        if path in self._whole:
            return left
        reading = self._readings.setdefault(path, check(path, self._limits))
        while left > 0:
            try:
                left -= next(reading)
            except StopIteration as end:
                self._whole[path] = end.value
                del self._readings[path]
                break
        return left

    def delay(self, path: Path, now: float) -> float:
        """Put a file that could not be taken in off, for longer each time; return until when."""
        _, failures = self._delayed.get(path, (0.0, 0))
        until = now + min(2.0**failures, LONGEST_DELAY)
        self._delayed[path] = (until, failures + 1)
        return until

    def forget(self, path: Path) -> None:
        """Stop following a file."""
        self._seen.pop(path, None)
        self._whole.pop(path, None)
        self._delayed.pop(path, None)
        if path in self._readings:
            self._readings.pop(path).close()

    def next_due(self) -> float | None:
        """Return when the next file may be complete, None where none is followed."""
        return min((self._due(path) for path in self._seen), default=None)

    def expects(self) -> bool:
        """Whether a file is on its way that was not put off time and again."""
        return any(self._delayed.get(path, (0.0, 0))[1] < PATIENCE for path in self._seen)

    def _due(self, path: Path) -> float:
        wait = self.stable_seconds if self._whole.get(path, True) else self.broken_seconds
        return max(self._seen[path].since + wait, self._delayed.get(path, (0.0, 0))[0])


def scan(inbox: Path, *, mounted: bool = False) -> dict[Path, tuple[int, int]]:
    """Return every candidate below the inbox: path -> (size, when or what it last was).

    Candidates are `*.zip` at any depth, and a folder at the top that holds anything else: it was
    moved in whole and is one artifact. Hidden and half-copied names wait for their renaming, and
    so does a folder with such a name in it. `mounted` says that the inbox was the root of a volume
    when it was read before: what stands there once that is unmounted is another, empty folder.

    Raises:
        OSError: the inbox itself cannot be read.
    """
    if mounted and not inbox.is_mount():
        raise OSError(errno.ENODEV, "its volume is not mounted", str(inbox))
    found: dict[Path, tuple[int, int]] = {}
    for entry in _entries(inbox):
        try:
            if entry.is_dir(follow_symlinks=False):
                found.update(_folder(Path(entry.path)))
            elif entry.is_file(follow_symlinks=False) and _is_zip(entry.name):
                found[Path(entry.path)] = _signature(entry)
        except (FileNotFoundError, PermissionError):
            # Gone meanwhile, or closed: the files beside it are read all the same.
            continue
    return found


def _folder(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return the zips of a folder, or the folder itself where it holds other files too."""
    files = {Path(entry.path): _signature(entry) for entry in _walk(folder)}
    if all(_is_zip(path.name) for path in files):
        return files
    if any(path.name.lower().endswith(PARTIAL_ENDINGS) for path in files):
        return {}
    return {folder: folder_signature(folder)}


def folder_signature(folder: Path) -> tuple[int, int]:
    """Return the size of a folder's files and a number that changes when any of them does."""
    files = sorted((entry.path, *_signature(entry)) for entry in _walk(folder))
    return sum(size for _, size, _ in files), zlib.crc32(repr(files).encode())


def _walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the regular files below a folder; one that cannot be read counts as empty."""
    try:
        entries = _entries(folder)
    except (FileNotFoundError, PermissionError):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield entry


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [
            entry
            for entry in entries
            if entry.name not in IGNORED_NAMES and not entry.name.startswith(".")
        ]


def _signature(entry: os.DirEntry[str]) -> tuple[int, int]:
    status = entry.stat(follow_symlinks=False)
    return status.st_size, status.st_mtime_ns


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")
