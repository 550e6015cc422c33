"""Files that are complete or not there: a temporary name, fsync, rename."""

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PARTIAL = ".partial"


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes | str) -> None:
    """Write a whole file; a reader sees the old content or the new one, after a crash as well.

    Raises:
        OSError: the folder cannot be written; the old file stands as it was.
    """
    write_chunks(path, (data.encode() if isinstance(data, str) else data,))


def write_chunks(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a whole file as `write_file` does, from chunks of which one is in memory at a time.

    Raises:
        OSError: the folder cannot be written; the old file stands as it was, as it does where
            making a chunk raises anything.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    descriptor, name = _begin(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    sync_folder(path.parent)


def _begin(path: Path) -> tuple[int, str]:
    """Return a new file beside `path`, locked by this writer for as long as it is open."""
    while True:
        descriptor, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=_PARTIAL, dir=path.parent
        )
        with suppress(OSError):  # a file system without locks: then nothing is swept, either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, name
        os.close(descriptor)  # swept between its making and its lock


def _sweep(path: Path) -> None:
    """Remove what killed writers of this file left; a living one's is locked and left alone.

    A process's number would not tell: a killed worker may stand unreaped, and numbers come again.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{_PARTIAL}"):
        with suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
            finally:
                os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make every file below `folder`, and the folders themselves, durable."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            if path.is_symlink():
                continue
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(root))


@contextmanager
def staged_folder(final: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `final` when the block ends well.

    The place is `.<name>.staged` beside it, so that a killed attempt is swept away by the next.
    An older `final` is moved aside first and deleted last.
    """
    staged = final.with_name(f".{final.name}.staged")
    old = final.with_name(f".{final.name}.old")
    if old.exists() and not final.exists():
        old.replace(final)  # a kill came between the two renames below
    for leftover in (staged, old):
        shutil.rmtree(leftover, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        yield staged
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    sync_tree(staged)
    if final.exists():
        final.replace(old)
    staged.replace(final)
    sync_folder(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def copy_tree(source: Path, target: Path) -> None:
    """Copy the files of a folder, by hard link where the file system allows it.

    What is copied this way is never written in place, so that sharing it is safe.
    """

    def link(one: str, other: str) -> str:
        try:
            os.link(one, other)
        except OSError:
            shutil.copyfile(one, other)
        return other

    shutil.copytree(source, target, copy_function=link)
