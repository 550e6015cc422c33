"""The folder of the embedded tiny model: laid out from package data, whole or not at all.

The weights are made by `recipe.py` and kept in `tiny/`. Nothing heavy is imported here.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

FOLDER_NAME = "embedded-tiny"
"""The name under the base models' folder: a fixed word of the contract."""

_UNFINISHED = f".{FOLDER_NAME}."


def lay_out(base_dir: Path) -> Path:
    """Return `<base_dir>/embedded-tiny`, equal to the packaged files byte for byte.

    A folder that is already equal is left alone, whatever else lies in it. A missing or damaged
    one is replaced by a rename, so a kill at any moment leaves the old one, the new one, or none.
    Two processes may call this at once: an advisory lock on `base_dir` lets one of them work.

    Raises:
        OSError: `base_dir` cannot be made, locked or written.
    """
    target = base_dir / FOLDER_NAME
    files = packaged_files()
    if _is_equal(target, files):
        return target
    base_dir.mkdir(parents=True, exist_ok=True)
    with _locked(base_dir):
        if not _is_equal(target, files):
            _replace(target, files)
    return target


def packaged_files() -> dict[str, bytes]:
    """Return the packaged model: file name to content."""
    folder = resources.files(__package__).joinpath("tiny")
    return {
        entry.name: entry.read_bytes()
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.is_file() and not entry.name.startswith(".")
    }


def _is_equal(target: Path, files: dict[str, bytes]) -> bool:
    """Whether every packaged file stands in `target` with its very bytes.

    A file that cannot be read (gone, a folder, no permission) counts as different.
    """
    if target.is_symlink():
        return False
    try:
        return all((target / name).read_bytes() == content for name, content in files.items())
    except OSError:
        return False


def _replace(target: Path, files: dict[str, bytes]) -> None:
    """Put a whole new folder in the place of `target`; the caller holds the lock."""
    for remains in target.parent.glob(f"{_UNFINISHED}*"):
        _remove(remains)
    fresh = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}new-", dir=target.parent))
    # mkdtemp makes a private folder; the model folder is as readable as its neighbours.
    fresh.chmod(0o755)
    for name, content in files.items():
        with (fresh / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _sync_folder(fresh)
    if target.is_symlink() or target.exists():
        aside = fresh.with_name(fresh.name.replace("new-", "old-"))
        target.rename(aside)
        fresh.rename(target)
        _remove(aside)
    else:
        fresh.rename(target)
    _sync_folder(target.parent)


def _remove(path: Path) -> None:
    """Remove a file, a link (never what it points to) or a folder with everything in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive advisory lock on `folder`; it ends with the process at the latest."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
