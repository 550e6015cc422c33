"""The inbox: which files stand there complete. Events are hints; the directory is the truth."""

import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

PARTIAL_ENDINGS = (".part", ".crdownload", ".download")
LONGEST_DELAY = 300.0
"""Seconds between two attempts to take in a file that cannot be taken in."""
PATIENCE = 4
"""After so many failures a file is tried on, and no longer waited for."""
CHECKED_BYTES = 64 << 20
ENCRYPTED = 0x1
IGNORED_NAMES = frozenset({".DS_Store", "__MACOSX"})


class Seen(msgspec.Struct, frozen=True):
    """How a file looked, and since when it has looked like that."""

    size: int
    mtime_ns: int
    since: float


class Tracker:
    """Decides when a file is complete; fed by hand with what a scan saw and what time it is.

    Guards against the half-copied zip: a file counts once it has kept size and time for
    `stable_seconds` and opens as a zip, or once it has kept them for `broken_seconds` without
    opening (then unpacking will say what is wrong with it).
    """

    def __init__(self, stable_seconds: float, broken_seconds: float) -> None:
        """Both in seconds."""
        self.stable_seconds = stable_seconds
        self.broken_seconds = max(broken_seconds, stable_seconds)
        self._seen: dict[Path, Seen] = {}
        self._broken: set[Path] = set()
        self._delayed: dict[Path, tuple[float, int]] = {}

    def observe(self, files: dict[Path, tuple[int, int]], now: float) -> None:
        """Take note of what a scan saw: path -> (size, mtime_ns); what is gone is forgotten."""
        for path in set(self._seen) - set(files):
            self.forget(path)
        for path, (size, mtime_ns) in files.items():
            known = self._seen.get(path)
            # A clock that went back must not keep a file waiting for the time between.
            if known is None or (known.size, known.mtime_ns) != (size, mtime_ns):
                self._seen[path] = Seen(size, mtime_ns, now)
                self._broken.discard(path)
                self._delayed.pop(path, None)
            elif known.since > now:
                self._seen[path] = Seen(size, mtime_ns, now)
            until, failures = self._delayed.get(path, (now, 0))
            if until > now + LONGEST_DELAY:
                self._delayed[path] = (now, failures)

    def complete(self, now: float) -> Iterator[Path]:
        """Yield the files that may be taken in now, in sorted order."""
        for path in sorted(self._seen):
            if now < self._due(path):
                continue
            if self._seen[path].since + self.broken_seconds > now and not opens(path):
                self._broken.add(path)
                continue
            yield path

    def delay(self, path: Path, now: float) -> float:
        """Put a file that could not be taken in off, for longer each time; return until when."""
        _, failures = self._delayed.get(path, (0.0, 0))
        until = now + min(2.0**failures, LONGEST_DELAY)
        self._delayed[path] = (until, failures + 1)
        return until

    def forget(self, path: Path) -> None:
        """Stop following a file."""
        self._seen.pop(path, None)
        self._broken.discard(path)
        self._delayed.pop(path, None)

    def next_due(self) -> float | None:
        """Return when the next file may be complete, None where none is followed."""
        return min((self._due(path) for path in self._seen), default=None)

    def expects(self) -> bool:
        """Whether a file is on its way that was not put off time and again."""
        return any(self._delayed.get(path, (0.0, 0))[1] < PATIENCE for path in self._seen)

    def _due(self, path: Path) -> float:
        wait = self.broken_seconds if path in self._broken else self.stable_seconds
        return max(self._seen[path].since + wait, self._delayed.get(path, (0.0, 0))[0])


def scan(inbox: Path) -> dict[Path, tuple[int, int]]:
    """Return every candidate below the inbox: path -> (size, when or what it last was).

    Candidates are `*.zip` at any depth, and a folder at the top that holds anything else: it was
    moved in whole and is one artifact. Hidden and half-copied names wait for their renaming, and
    so does a folder with such a name in it.

    Raises:
        OSError: the inbox itself cannot be read.
    """
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


def opens(path: Path) -> bool:
    """Return whether a file is a whole zip: its central directory can be read, and its CRCs agree.

    CRCs are read up to CHECKED_BYTES, by what the headers claim (zipfile inflates no more); those
    of a larger zip are left to unpacking, which has limits and holds up nobody.
    """
    if path.is_dir():
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if any(member.flag_bits & ENCRYPTED for member in members):
                return True
            if sum(member.file_size for member in members) > CHECKED_BYTES:
                return True
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, zlib.error):
        return False
