"""Taking an artifact in: hash, keep in the archive, record the run, and only then let go of it.

A kill between any two of these leaves the file where it was found, and the next scan ends it.
"""

import errno
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from secdaemon.config.files import sync_folder
from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.inbox import folder_signature
from secdaemon.state.machine import State
from secdaemon.state.model import NewRun
from secdaemon.state.polls import take
from secdaemon.state.runs import Taken, add_run, get_run, take_in
from secdaemon.state.store import Store

DEFAULT_PROJECT = "default"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
CHUNK = 1 << 20
REASON_ENDING = ".reason.txt"
LONGEST_NAME = 240 - len(REASON_ENDING)
"""Bytes; file systems allow 255, and _2, _3 … and the reason's ending need room."""
LONGEST_ENDING = 20
DOWNLOADING = ".download."
LEFTOVER_SECONDS = 86_400.0
"""A temporary file of the archive that is older belongs to nobody any more."""


class ChangedError(OSError):
    """The file changed while it was read; it is not complete yet."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """The workflow run that an artifact of GitHub's is from."""

    watch: str
    """Under what state.db remembers it."""
    name: str
    repository: str
    workflow_run_id: int
    run_attempt: int
    head_sha: str | None
    branch: str | None
    workflow: str | None
    actor: str | None
    url: str | None
    ran_at: str


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact to take in, and what is to become of it."""

    path: Path
    kind: Literal["inbox", "github", "manual"]
    remove: bool
    """Whether the original goes once the run is recorded (the inbox)."""
    again: bool = False
    """Whether bytes that are known already make a further run (`process`)."""
    source_dir: str | None = None
    train: bool = True
    publish: bool = True
    upstream: Upstream | None = None


def accept(store: Store, home: Home, settings: Settings, offer: Offer, now: float) -> Taken:
    """Take one zip or folder in; return its run, and whether it is a new one.

    Raises:
        OSError: it cannot be read or the archive cannot be written; nothing is lost.
        ChangedError: it changed meanwhile.
    """
    with _as_file(offer.path, home.archive) as file:
        sha256, size = _hash(file)
        archive = home.archive / f"{sha256}.zip"
        if not archive.exists():
            _keep(file, archive, sha256)
    new = NewRun(
        kind=offer.kind,
        name=text_of(offer.path.name),
        sha256=sha256,
        size=size,
        project=DEFAULT_PROJECT,
        archive=str(archive),
        source_dir=offer.source_dir,
        train=offer.train,
        publish=offer.publish and settings.publish.enabled,
    )
    taken = _record(store, offer, new, now)
    if not taken.new:
        known = get_run(store, taken.run)
        # One that is not set aside yet still needs the bytes.
        if known.state is State.REJECTED and known.run_dir is None:
            archive.unlink(missing_ok=True)
    if offer.remove:
        _remove(offer.path)
    return taken


def _record(store: Store, offer: Offer, new: NewRun, now: float) -> Taken:
    """Record the run: of the same bytes once, of the same workflow run's attempt once."""
    if (up := offer.upstream) is not None:
        about = {name: getattr(up, name) for name in Upstream.__struct_fields__ if name != "watch"}
        new = msgspec.structs.replace(new, project=up.repository, **about)
        return take(store, up.watch, (up.workflow_run_id, up.run_attempt), new, now)
    return add_run(store, new, now) if offer.again else take_in(store, new, now)


@contextmanager
def _as_file(path: Path, archive: Path) -> Iterator[Path]:
    """Yield a file as it is, a folder as a zip that is the same for the same content."""
    if not path.is_dir():
        if path.exists() and not path.is_file():
            # A pipe would be read for ever.
            raise OSError(errno.EINVAL, "neither a file nor a folder", str(path))
        yield path
        return
    before = folder_signature(path)
    with tempfile.TemporaryDirectory(prefix=".folder.", dir=archive) as work:
        packed = Path(work) / "folder.zip"
        zip_folder(path, packed)
        if folder_signature(path) != before:
            msg = f"{path} changed while it was read"
            raise ChangedError(msg)
        yield packed


def _hash(path: Path) -> tuple[str, int]:
    """Return SHA-256 and size of a file that stays as it is while it is read."""
    before = path.stat()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        msg = f"{path} changed while it was read"
        raise ChangedError(msg)
    return digest, after.st_size


def _keep(file: Path, archive: Path, sha256: str) -> None:
    """Copy into the archive, complete and of that hash, or not at all."""
    digest = hashlib.sha256()
    descriptor, name = tempfile.mkstemp(prefix=".taking.", dir=archive.parent)
    try:
        with os.fdopen(descriptor, "wb") as target, file.open("rb") as source:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        _unchanged(file, digest.hexdigest(), sha256)
        Path(name).replace(archive)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    sync_folder(archive.parent)


def _unchanged(file: Path, found: str, sha256: str) -> None:
    if found != sha256:
        msg = f"{file} changed while it was read"
        raise ChangedError(msg)


def sweep(home: Home, now: float) -> None:
    """Remove what a kill left half kept in the archive, once it is surely nobody's."""
    prefixes = (".taking.", ".folder.", DOWNLOADING)
    for path in (path for prefix in prefixes for path in home.archive.glob(f"{prefix}*")):
        with suppress(OSError):
            if path.stat().st_mtime < now - LEFTOVER_SECONDS:
                _remove(path)


def text_of(name: str) -> str:
    """Return a file's name as text: bytes that are none, which Linux allows, become U+FFFD."""
    return os.fsencode(name).decode(errors="replace")


def _remove(path: Path) -> None:
    """Remove a file, or a folder at once under a hidden name and then piece by piece."""
    if path.is_dir():
        going = path.with_name(f".{path.name}.taken")
        shutil.rmtree(going, ignore_errors=True)
        path.rename(going)
        shutil.rmtree(going)
    else:
        path.unlink(missing_ok=True)


def zip_folder(folder: Path, target: Path) -> None:
    """Zip the regular files of a folder in sorted order with fixed times; links are left out."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            info = zipfile.ZipInfo(text_of(path.relative_to(folder).as_posix()), ZIP_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as member:
                shutil.copyfileobj(source, member, CHUNK)


def set_aside(archive: Path, name: str, reason: str, rejected: Path) -> Path | None:
    """Move a refused artifact to `rejected/NAME` with its reason beside it; None where it is gone.

    A taken name gets _2, _3 … before its ending; the reason stands in NAME.reason.txt. A reason
    without its artifact is what a kill left of an earlier call, and is written over.
    """
    if not archive.exists():
        return None
    rejected.mkdir(parents=True, exist_ok=True)
    stem, ending = _fitting(Path(name).name or "artifact")
    target, number = rejected / f"{stem}{ending}", 1
    while target.exists():
        number += 1
        target = rejected / f"{stem}_{number}{ending}"
    target.with_name(target.name + REASON_ENDING).write_text(reason + "\n", encoding="utf-8")
    archive.replace(target)
    return target


def _fitting(name: str) -> tuple[str, str]:
    """Return a name's stem, cut where it is too long for a disk, and its ending."""
    stem, ending = os.path.splitext(name)  # noqa: PTH122 - a name, not a path
    if len(os.fsencode(ending)) > LONGEST_ENDING:
        stem, ending = name, ""
    room = LONGEST_NAME - len(os.fsencode(ending))
    return os.fsencode(stem)[:room].decode(errors="ignore"), ending
