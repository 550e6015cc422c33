"""One process of a training on several computers: `python -m secdaemon.pipeline.training.ranks`.

`mlx.launch` starts it on each (`launch.py`). The first is in charge: it knows what is asked for,
validates, writes checkpoints and the adapter, and talks to the worker. The others get what they
need from it, base model excepted, train along, and keep nothing.
"""

import logging
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from importlib import metadata
from pathlib import Path

import mlx.core as mx
import msgspec

from secdaemon.pipeline.interface import (
    Advanced,
    PermanentError,
    PipelineError,
    Progress,
    StopRequested,
    TrainingSummary,
)
from secdaemon.pipeline.outcome import outcome_of
from secdaemon.pipeline.training import checkpoint, record
from secdaemon.pipeline.training.base_model import weights_hash
from secdaemon.pipeline.training.feed import Share
from secdaemon.pipeline.training.launch import LINE, SPEC_FILE, STOP, Said, decode, encode
from secdaemon.pipeline.training.spec import TrainSpec
from secdaemon.pipeline.training.team import Hello, Team, Wants
from secdaemon.pipeline.training.train import join, train

CAFFEINATE = Path("/usr/bin/caffeinate")
_START = "start"


class Parcel(msgspec.Struct, frozen=True):
    """What the others need: what is to be trained, and files by their path in the folder."""

    spec: TrainSpec
    files: dict[str, bytes]


class Line:
    """The way to the worker and back; the end of the worker is the end of this process."""

    def __init__(self, path: Path) -> None:
        """Call the worker.

        Raises:
            OSError: it does not listen there.
        """
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while answer := self._socket.recv(1):
            self._answers.put(answer)
        os._exit(1)

    def send(self, said: Said) -> None:
        """Send one message."""
        self._socket.sendall(msgspec.json.encode(said) + b"\n")

    def report(self, progress: Progress) -> None:
        """Tell the worker how far the training is.

        Raises:
            StopRequested: it answers so.
        """
        self.send(Advanced(progress))
        if self._answers.get() == STOP:
            msg = "asked to stop"
            raise StopRequested(msg)


def main() -> int:
    """Train along; the worker ends what does not end by itself."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # So `mlx.launch` notices that nobody reads what it passes on (`release_input` in launch.py).
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    group = mx.distributed.init(strict=True)
    if made := os.environ.get("MLX_HOSTFILE"):
        # By `mlx.launch`, for this process alone, which has read it.
        Path(made).unlink(missing_ok=True)
    team = Team(Share(rank=group.rank(), of=group.size()))
    if team.share.rank:
        _stay_awake()
        return _follow(team)
    folder = Path(sys.argv[1])
    line = Line(folder / LINE)
    spec = decode((folder / SPEC_FILE).read_bytes(), TrainSpec)
    (folder / SPEC_FILE).unlink()
    line.send(outcome_of(lambda: _lead(team, spec, line), "training"))
    # The worker ends all processes together, so that none loses another's last words.
    threading.Event().wait()
    return 0


def _lead(team: Team, spec: TrainSpec, line: Line) -> TrainingSummary:
    if team.share.of != spec.ranks:
        msg = f"training.hostfile names {spec.ranks} computers, and {team.share.of} answer"
        raise PermanentError(msg)
    _meet(team)
    team.from_first(encode(pack(spec)))
    _compare(team, spec)
    return train(spec, line.report, team=team)


def _follow(team: Team) -> int:
    """Train along; what goes wrong is the first one's to tell.

    The files are gone before the training begins, as this process does not end by itself.
    """
    try:
        _meet(team)
        with tempfile.TemporaryDirectory(prefix="secdaemon-") as name:
            spec = unpack(decode(team.from_first(b""), Parcel), Path(name))
            _compare(team, spec)
            train_along = join(spec, team)
    except PipelineError:
        traceback.print_exc()
        return 1
    train_along()
    # The first one never comes; should it die before the worker ends us all, this one ends too.
    team.meet()
    return 0


def _meet(team: Team) -> None:
    """Learn who is there, and that all have the same versions of what decides the bytes.

    Raises:
        PermanentError: one has not; the sentence names it.
    """
    versions = {name: metadata.version(name) for name in ("secdaemon", *record.LIBRARIES)}
    said = team.exchange(Hello(socket.gethostname(), versions))
    hellos = [other for other in said if isinstance(other, Hello)]
    for rank, other in enumerate(hellos):
        for name, version in hellos[0].versions.items():
            found = other.versions.get(name)
            if found != version:
                msg = (
                    f"{team.name(rank)} has {name} {found}, and {team.name(0)} has {version}: "
                    "install the same version on all computers"
                )
                raise PermanentError(msg)


def _compare(team: Team, spec: TrainSpec) -> None:
    """See that all computers would train the same, on the same base model.

    Raises:
        PermanentError: one would not; the sentence names it.
    """
    said = team.exchange(Wants(record.fingerprint(spec), weights_hash(spec.model_dir)))
    wanted = [other for other in said if isinstance(other, Wants)]
    for rank, other in enumerate(wanted):
        if other.base != wanted[0].base:
            msg = (
                f"{team.name(rank)} has no base model like that of {team.name(0)} at "
                f"{spec.model_dir}: copy the folder, to the same place"
            )
            raise PermanentError(msg)
        if other.fingerprint != wanted[0].fingerprint:
            msg = f"{team.name(rank)} runs other code than {team.name(0)}: install the same"
            raise PermanentError(msg)


def pack(spec: TrainSpec) -> Parcel:
    """Return the spec with its newest checkpoint and the adapter that it starts from.

    Raises:
        OSError: a file cannot be read.
    """
    files: dict[str, bytes] = {}
    newest = checkpoint.newest(spec.folder / checkpoint.FOLDER, record.fingerprint(spec))
    if newest is not None:
        files |= _read(newest, f"{checkpoint.FOLDER}/{newest.name}")
    if spec.resume_adapter is not None:
        files |= _read(spec.resume_adapter, _START)
    return Parcel(spec, files)


def _read(folder: Path, name: str) -> dict[str, bytes]:
    return {f"{name}/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}


def unpack(parcel: Parcel, folder: Path) -> TrainSpec:
    """Write a parcel's files into a folder; return its spec as one of a training there.

    Raises:
        OSError: the folder cannot be written.
    """
    for name, content in parcel.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    start = None if parcel.spec.resume_adapter is None else folder / _START
    return msgspec.structs.replace(parcel.spec, folder=folder, resume_adapter=start)


def _stay_awake() -> None:
    """Keep a Mac awake while this process lives; the daemon does so on the first one only."""
    if CAFFEINATE.exists():
        command = [str(CAFFEINATE), "-i", "-s", "-w", str(os.getpid())]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


if __name__ == "__main__":
    sys.exit(main())
