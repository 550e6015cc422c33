"""Safe unpacking: a zip that nobody vouches for, into the run's own folder and nowhere else.

Names are checked before a byte is written, and bytes are counted as they are inflated, whatever
the headers claim. Zips inside zips (GitHub zips around a tool's zip) unpack to a folder of the
member's name.
"""

import errno
import os
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated, BinaryIO

import msgspec
from msgspec import Meta

from secdaemon.config.schema import Artifact
from secdaemon.pipeline.interface import EndRun, UnpackOutput

ABOUT_FILE = "secdaemon.json"
CHUNK = 1 << 20
_ARCHIVES_FAULT = {
    errno.ENAMETOOLONG: "a member's path is too long for this disk",
    errno.EINVAL: "the zip is damaged: a member lies before its beginning",
}
"""What the system complains about although the disk is well."""
RATIO_FLOOR = 1 << 20
"""Below this inflated size no ratio is judged: a small file of zeros is no bomb."""
_ENCRYPTED = 0x1
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""zipfile inflates bzip2 and LZMA a chunk of input at a time, gigabytes before any are counted."""
_DRIVE_END = 2
_ITSELF = frozenset({"./", ".\\"})
"""The zipped folder as a member of its own: some tools begin with it."""
_ROUGH = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    ValueError,
    UnicodeError,
)
"""What zipfile raises on rough archives, beyond OSError."""


class Rejected(EndRun):
    """The artifact is unusable; the message is the reason shown to the user."""

    def __init__(self, reason: str) -> None:
        """End the run as rejected."""
        super().__init__("rejected", reason)


class Tally(msgspec.Struct):
    """What has come out so far, over all nested zips."""

    files: int = 0
    bytes: int = 0


def unpack(archive: Path, target: Path, limits: Artifact) -> UnpackOutput:
    """Unpack `archive` into the new folder `target`; an older one is replaced.

    Raises:
        Rejected: it is no zip, is encrypted, unsafe, too large or empty; `target` is gone then.
        OSError: the disk failed.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    tally = Tally()
    try:
        with archive.open("rb") as file:
            _unpack_zip(file, target, limits, tally, depth=0)
        _not_empty(tally)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return UnpackOutput(files=tally.files, bytes=tally.bytes)


def _not_empty(tally: Tally) -> None:
    if tally.files == 0:
        msg = "the zip holds no files"
        raise Rejected(msg)


def _unpack_zip(
    archive: BinaryIO, target: Path, limits: Artifact, tally: Tally, depth: int
) -> None:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            if tally.files + len(members) > limits.max_files:
                msg = f"it holds more than {limits.max_files} files (artifact.max_files)"
                raise Rejected(msg)
            for info, relative in checked_members(members):
                if info.is_dir():
                    (target / relative).mkdir(parents=True, exist_ok=True)
                    continue
                tally.files += 1
                path = target / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                _inflate(opened, info, path, limits, tally)
                if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
                    _unpack_nested(path, limits, tally, depth + 1)
    except _ROUGH as error:
        if depth == 0 and not zipfile.is_zipfile(archive):
            msg = "not a zip file"
            raise Rejected(msg) from error
        msg = f"the zip is damaged: {str(error) or 'it breaks off inside a member'}"
        raise Rejected(msg) from error
    except OSError as error:
        if error.errno not in _ARCHIVES_FAULT:
            raise
        raise Rejected(_ARCHIVES_FAULT[error.errno]) from error


def _unpack_nested(path: Path, limits: Artifact, tally: Tally, depth: int) -> None:
    """Replace a zip by a folder of its name with what it holds."""
    if depth > limits.max_depth:
        name = shown(path.name)
        msg = f"zips inside zips deeper than {limits.max_depth} (artifact.max_depth): {name}"
        raise Rejected(msg)
    tally.files -= 1
    with path.open("rb") as inner:
        # It is read on without a name: any other name could be a member's own.
        path.unlink()
        path.mkdir()
        _unpack_zip(inner, path, limits, tally, depth)


class _About(msgspec.Struct, frozen=True):
    """secdaemon.json; further keys are for others."""

    project: Annotated[str, Meta(pattern=r"^[\w][\w./ -]{0,99}$")]


def project_of(folder: Path) -> str | None:
    """Return the project that an unpacked artifact's secdaemon.json names, None without one.

    The one nearest to the top counts. One that cannot be read is as good as none: it is listed
    among the artifact's files like any other.
    """
    found = sorted(folder.rglob(ABOUT_FILE), key=lambda path: (len(path.parts), path))
    for path in found:
        try:
            if path.is_file() and path.stat().st_size <= CHUNK:
                return msgspec.json.decode(path.read_bytes(), type=_About).project
        except (OSError, msgspec.DecodeError):
            continue
    return None


def checked_members(
    members: Iterable[zipfile.ZipInfo],
) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Return each member with the safe relative path it unpacks to.

    Raises:
        Rejected: a member is encrypted, no regular file, packed by a method that is not read,
            leads outside, or collides with another once case and Unicode form are ignored (as on
            a Mac's file system).
    """
    checked = []
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for info in members:
        if info.flag_bits & _ENCRYPTED:
            msg = f"it is encrypted: {shown(info.filename)}"
            raise Rejected(msg)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            msg = f"it holds a link or special file: {shown(info.filename)}"
            raise Rejected(msg)
        if info.compress_type not in _METHODS:
            msg = (
                f"{shown(info.filename)} is packed by compression method {info.compress_type}, "
                "which is not read: zip it again with deflate"
            )
            raise Rejected(msg)
        if info.orig_filename in _ITSELF:
            continue
        relative = _safe_path(info.orig_filename)
        key = unicodedata.normalize("NFC", relative.as_posix()).casefold()
        parents = {part.as_posix() for part in PurePosixPath(key).parents} - {"."}
        if not info.is_dir():
            if key in seen or key in folders or parents & seen.keys():
                msg = f"two members collide: {shown(info.filename)}"
                raise Rejected(msg)
            seen[key] = info.filename
        elif key in seen:
            msg = f"two members collide: {shown(info.filename)}"
            raise Rejected(msg)
        else:
            folders.add(key)
        folders |= parents
        checked.append((info, relative))
    return checked


def _safe_path(name: str) -> PurePosixPath:
    """Return a member's path when it stays inside; backslashes count as slashes."""
    path = PurePosixPath(name.replace("\\", "/"))
    first = path.parts[0] if path.parts else ""
    drive = len(first) >= _DRIVE_END and first[1] == ":" and first[0].isalpha()
    if path.is_absolute() or drive or ".." in path.parts or "\0" in name or not path.parts:
        msg = f"a member's path leads outside: {shown(name)}"
        raise Rejected(msg)
    if any(len(os.fsencode(part)) > 255 for part in path.parts):  # noqa: PLR2004 - NAME_MAX
        msg = f"a member's name is too long: {shown(name)}"
        raise Rejected(msg)
    return path


def _inflate(
    opened: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, limits: Artifact, tally: Tally
) -> None:
    size = 0
    with opened.open(info) as source, path.open("xb") as target:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            tally.bytes += len(chunk)
            _within_limits(info, size, limits, tally)
            target.write(chunk)


def _within_limits(info: zipfile.ZipInfo, size: int, limits: Artifact, tally: Tally) -> None:
    name = shown(info.filename)
    msg = None
    if size > limits.max_file_bytes:
        msg = f"{name} is larger than {limits.max_file_bytes} bytes (artifact.max_file_bytes)"
    elif tally.bytes > limits.max_total_bytes:
        msg = f"it inflates to more than {limits.max_total_bytes} bytes (artifact.max_total_bytes)"
    elif size > RATIO_FLOOR and size > limits.max_ratio * max(info.compress_size, 1):
        msg = f"{name} inflates more than {limits.max_ratio} times (artifact.max_ratio)"
    if msg:
        raise Rejected(msg)


def shown(name: str) -> str:
    """Return a foreign name fit for a terminal: printable, quoted, short."""
    return ascii(name if len(name) <= 120 else name[:117] + "...")  # noqa: PLR2004
