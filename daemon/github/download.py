"""One artifact's zip on the disk, whole and checked, and the one zip made of a run's artifacts."""

import hashlib
import re
import shutil
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import requests

from secdaemon.daemon.github.answers import ActionsArtifact
from secdaemon.daemon.github.client import Client
from secdaemon.daemon.github.connection import CHUNK, AnswerError
from secdaemon.daemon.github.manners import Kind, Trouble, TroubleError
from secdaemon.daemon.intake import ZIP_EPOCH

TRIES = 4
"""How often one poll goes on with a download that breaks off."""
WORTH = 1 << 20
"""Bytes that a try which ended in a time-out must have brought for another one to follow."""
SLOWEST = 1024.0
"""Bytes a second, over the whole of a download; one that is slower ends."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_RANGE = re.compile(r"bytes (\d+)-\d+/")


class DamagedError(Exception):
    """What was downloaded is not what GitHub says it is; another try may help."""


class TooLargeError(Exception):
    """An artifact is larger than github.max_download_bytes."""


class DiskError(Exception):
    """The home cannot be written; the message says why."""


class StoppedError(Exception):
    """The daemon is being stopped; nothing is to be written any more."""


class Terms(msgspec.Struct, frozen=True):
    """What a download has to keep to."""

    timeout: float
    """Seconds in which a slow start is forgiven."""
    largest: int
    """Bytes that are left of github.max_download_bytes."""
    stopping: Callable[[], bool]


class _Partial:
    """A file that grows, with its hash."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.digest = hashlib.sha256()
        path.write_bytes(b"")

    def restart(self) -> None:
        self.path.write_bytes(b"")
        self.size, self.digest = 0, hashlib.sha256()

    def add(self, data: bytes) -> None:
        try:
            with self.path.open("ab") as file:
                file.write(data)
        except OSError as error:
            # Told apart from the connection's errors, which are OSErrors as well.
            raise DiskError(error.strerror or str(error)) from error
        self.size += len(data)
        self.digest.update(data)


def download(
    client: Client, repository: str, artifact: ActionsArtifact, target: Path, terms: Terms
) -> int:
    """Download one artifact's zip to `target`, going on where it broke off; return its size.

    Raises:
        TroubleError: GitHub does not give it, or it breaks off again and again.
        DamagedError: its digest is another, or it has none and is no zip.
        TooLargeError: it is larger than is left.
        DiskError: the home cannot be written.
        StoppedError: the daemon is being stopped.
    """
    part = _Partial(target)
    for tried in range(1, TRIES + 1):
        begun = time.monotonic()
        response = _open(client, repository, artifact, part)
        before = part.size
        try:
            with response, client.in_words():
                _receive(response, part, terms)
            break
        except TroubleError:
            slow = time.monotonic() - begun >= terms.timeout and part.size - before < WORTH
            if tried == TRIES or slow:
                raise
    _check(artifact, part)
    return part.size


def _open(
    client: Client, repository: str, artifact: ActionsArtifact, part: _Partial
) -> requests.Response:
    """Return an unread answer that goes on where the file ends, or begins again with an empty one.

    Each try asks the API again: the address that it gives is good for a minute.
    """
    what = f"artifact {artifact.id}"
    found = client.find_file(f"/repos/{repository}/actions/artifacts/{artifact.id}/zip", what)
    if isinstance(found, requests.Response):
        part.restart()
        return found
    response = client.open_file(found, {"Range": f"bytes={part.size}-"} if part.size else {})
    if response.status_code == requests.codes.partial_content:
        begins = _RANGE.match(response.headers.get("content-range", ""))
        if begins and int(begins[1]) == part.size:
            return response
        response.close()
        part.restart()
        response = client.open_file(found, {})
    elif response.status_code == requests.codes.requested_range_not_satisfiable:
        response.close()
        part.restart()
        response = client.open_file(found, {})
    if response.status_code != requests.codes.ok:
        response.close()
        text = f"the host of {what} answered HTTP {response.status_code}"
        raise TroubleError(Trouble(Kind.SERVER, text))
    part.restart()
    return response


def _receive(response: requests.Response, part: _Partial, terms: Terms) -> None:
    """Read an answer to its end into the file, within the limits."""
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and part.size + int(declared) > terms.largest:
        raise TooLargeError
    begun, before = time.monotonic(), part.size
    while data := response.raw.read1(CHUNK, decode_content=False):
        if terms.stopping():
            raise StoppedError
        part.add(data)
        if part.size > terms.largest:
            raise TooLargeError
        passed = time.monotonic() - begun - terms.timeout
        if part.size - before < passed * SLOWEST:
            msg = f"a download of less than {SLOWEST:.0f} bytes a second"
            raise AnswerError(msg)


def _check(artifact: ActionsArtifact, part: _Partial) -> None:
    found = part.digest.hexdigest()
    kind, _, expected = (artifact.digest or "").strip().lower().partition(":")
    if kind == "sha256" and expected:
        if found != expected:
            msg = f"artifact {artifact.id} is damaged: its SHA-256 is {found}, not {expected}"
            raise DamagedError(msg)
    elif not zipfile.is_zipfile(part.path):
        msg = f"artifact {artifact.id} is damaged: what came is no zip"
        raise DamagedError(msg)


def bundle(files: Sequence[tuple[ActionsArtifact, Path]], target: Path) -> None:
    """Make one zip of a run's artifacts, each as the zip that it came as; the same bytes each time.

    Members are named by artifact and its number, and stored: they are deflated already. Nothing is
    synced: the intake syncs the copy that it keeps.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for artifact, path in files:
            info = zipfile.ZipInfo(member_name(artifact), ZIP_EPOCH)
            info.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as member:
                shutil.copyfileobj(source, member, CHUNK)


def member_name(artifact: ActionsArtifact) -> str:
    """Return an artifact's name in our zip: safe on every disk, and no other artifact's."""
    name = _UNSAFE.sub("_", artifact.name)[:80].strip("._-")
    return f"{name or 'artifact'}-{artifact.id}.zip"
