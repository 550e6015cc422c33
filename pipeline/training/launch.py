"""A training on several computers, as the worker sees it: started, listened to, ended.

`mlx.launch` starts a process on every computer (`ranks.py`). The first, on this one, is told what
to train, and tells how far it is, over a socket in a folder that nobody else can enter:

    FOLDER/hosts.json  FOLDER/spec.msgpack  FOLDER/line  FOLDER/launch.log

It says a message a line and waits for a byte behind every progress: go on, or stop. What it said
last decides, as `mlx.launch` ends with 0 even where a process died. When either side is gone, the
other ends everything.
"""

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from secdaemon.pipeline.interface import (
    Advanced,
    PermanentError,
    Report,
    StopRequested,
    TrainingSummary,
    TransientError,
)
from secdaemon.pipeline.outcome import Outcome, result_of
from secdaemon.pipeline.training.hostfile import Hostfile
from secdaemon.pipeline.training.spec import TrainSpec

log = logging.getLogger(__name__)

HOSTS_FILE, SPEC_FILE, LINE, LOG = "hosts.json", "spec.msgpack", "line", "launch.log"
GO, STOP = b"g", b"s"
SILENT_SECONDS = 600.0
"""The longest that an iteration, or loading the model everywhere, may take.

A collective whose other end is asleep or cut off waits for ever.
"""
FIRST_PORT = 32323
"""`mlx.launch`'s own default for a ring; each computer takes the next one."""
_PORTS = 1000
_END_SECONDS = 10.0
_LOOK_SECONDS = 0.02
_ENDED = re.compile(r"Node with rank (\d+) exited with code (-?\d+)")
_COLOUR = re.compile(r"\x1b\[\d*m")
_EXCEPTION, _TERMINATED = 1, -signal.SIGTERM

Said = Advanced | Outcome


def spread(spec: TrainSpec, hostfile: Hostfile) -> TrainSpec:
    """Return the spec of a training that so many computers share.

    Raises:
        PermanentError: a batch cannot be divided evenly among them.
    """
    ranks = len(hostfile.hosts)
    if spec.training.batch_size % ranks:
        msg = (
            f"training.batch_size ({spec.training.batch_size}) has to be a multiple of the {ranks} "
            "computers in training.hostfile, which share every batch"
        )
        raise PermanentError(msg)
    training = msgspec.structs.replace(spec.training, hostfile=None)
    return msgspec.structs.replace(spec, training=training, ranks=ranks)


def train_on(hostfile: Hostfile, spec: TrainSpec, report: Report) -> TrainingSummary:
    """Train on all computers of a hostfile; `spec` is what `spread` returned.

    Raises:
        StopRequested: by way of `report`; what is done is checkpointed.
        PermanentError: a computer cannot train this; the sentence names it.
        TransientError: a process of the training ended or went silent; the sentence names those
            that are known. It goes on from the last checkpoint.
        EndRun: held, because the training diverged.
        OSError: no process can be started.
    """
    log.info("%s: training on %d computers", spec.folder, spec.ranks)
    with tempfile.TemporaryDirectory(prefix="secdaemon-") as name:
        folder = Path(name)
        (folder / HOSTS_FILE).write_bytes(hostfile.as_launched())
        (folder / SPEC_FILE).write_bytes(encode(spec))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / LINE))
            listener.listen(1)
            with _launched(hostfile, folder) as launch:
                try:
                    outcome = _follow(listener, launch, report)
                except TimeoutError as error:
                    msg = (
                        "training on several computers: nothing was heard for "
                        f"{SILENT_SECONDS / 60:.0f} minutes; is a computer of training.hostfile "
                        "asleep or off the network? It goes on from its last checkpoint"
                    )
                    raise TransientError(msg) from error
                if outcome is None:
                    raise TransientError(launch.what_happened())
                return msgspec.json.decode(result_of(outcome), type=TrainingSummary)


def encode(struct: msgspec.Struct) -> bytes:
    """Return a struct that may hold paths."""
    return msgspec.msgpack.encode(struct, enc_hook=str)


def decode(data: bytes, kind: Any) -> Any:
    """Return the struct of this kind that `encode` was given."""
    return msgspec.msgpack.decode(data, type=kind, dec_hook=lambda wanted, value: wanted(value))


def _follow(listener: socket.socket, launch: "_Launch", report: Report) -> Outcome | None:
    """Return the first process's last message; None where it ended without one."""
    connection = _accept(listener, launch)
    if connection is None:
        return None
    launch.release_input()
    with connection:
        for line in _lines(connection):
            said: Said = msgspec.json.decode(line, type=Said)
            if not isinstance(said, Advanced):
                return said
            try:
                report(said.progress)
            except StopRequested:
                answer = STOP
            else:
                answer = GO
            with suppress(ConnectionError):
                connection.sendall(answer)
    return None


def _lines(connection: socket.socket) -> Iterator[bytes]:
    """Yield what the first process says until it is gone.

    Raises:
        TimeoutError: it says nothing for SILENT_SECONDS.
    """
    connection.settimeout(SILENT_SECONDS)
    with connection.makefile("rb") as lines, suppress(ConnectionResetError):
        yield from lines


def _accept(listener: socket.socket, launch: "_Launch") -> socket.socket | None:
    """Wait for the first process to call; None where `mlx.launch` ended instead."""
    listener.settimeout(1.0)
    left = SILENT_SECONDS
    while True:
        try:
            return listener.accept()[0]
        except TimeoutError:
            left -= 1.0
            if launch.has_ended():
                return None
            if left <= 0:
                raise


class _Launch:
    """A running `mlx.launch`."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", hostfile: Hostfile, output: Path
    ) -> None:
        """Know where its output goes."""
        self._process = process
        self._hostfile = hostfile
        self._output = output

    def has_ended(self) -> bool:
        """Return whether no process is left, as far as `mlx.launch` knows."""
        return self._process.poll() is not None

    def release_input(self) -> None:
        """Let `mlx.launch` find out that nobody reads what it passes on.

        Its thread for a process asks without a pause whether that takes input, a whole core for as
        long as it lives (mlx 0.32.4); the line that it cannot deliver ends the asking.
        """
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()

    def what_happened(self) -> str:
        """Return which processes ended by themselves, a sentence."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        ended = sorted((int(rank), int(code)) for rank, code in _ENDED.findall(self._text()))
        # What the others say when one is lost is an exception of theirs, or that they were ended.
        lost = [row for row in ended if row[1] not in {_EXCEPTION, _TERMINATED}]
        found = [
            f"{self._hostfile.name(rank)} ended with status {code}"
            for rank, code in lost or ended
            if code != _TERMINATED
        ]
        return (
            f"training on several computers broke off: {', '.join(found) or 'a process ended'}; "
            "its log says why, and it goes on from its last checkpoint"
        )

    def _text(self) -> str:
        return _COLOUR.sub("", self._output.read_text(errors="replace"))

    def end(self) -> None:
        """End every process of it; what they wrote goes to the log.

        That ends ssh as well, and with it what it started. mpirun needs the time it is given: its
        processes are no part of the group.
        """
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait()
            deadline = time.monotonic() + _END_SECONDS
            while time.monotonic() < deadline:
                os.killpg(self._process.pid, 0)
                time.sleep(_LOOK_SECONDS)
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for line in self._text().splitlines():
            log.info("%s", line)
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()


@contextmanager
def _launched(hostfile: Hostfile, folder: Path) -> Iterator[_Launch]:
    """Start a process on every computer; end them all.

    They are no group of the worker's: a signal that asks the worker to stop must leave them alone,
    so that the first can write its checkpoint. Their output is a file, as `mlx.launch` ends nothing
    any more once it writes to a pipe that a killed worker has left.
    """
    with (folder / LOG).open("wb") as output:
        process = subprocess.Popen(
            _command(hostfile, folder),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    launch = _Launch(process, hostfile, folder / LOG)
    try:
        yield launch
    finally:
        launch.end()


def _command(hostfile: Hostfile, folder: Path) -> list[str]:
    program = Path(sys.executable).with_name("mlx.launch")
    if not program.exists():
        msg = f"training.hostfile needs {program}, which comes with mlx and is not there"
        raise PermanentError(msg)
    command = [str(program), "--backend", hostfile.backend]
    command += ["--hostfile", str(folder / HOSTS_FILE)]
    if hostfile.backend == "ring":
        wanted = sum(len(host.ips) for host in hostfile.hosts)
        command += ["--starting-port", str(_free_ports(wanted))]
    return [*command, "--", sys.executable, "-m", "secdaemon.pipeline.training.ranks", str(folder)]


def _free_ports(count: int) -> int:
    """Return the first of so many ports in a row that are free here, FIRST_PORT as a rule."""
    for first in range(FIRST_PORT, FIRST_PORT + _PORTS, count):
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    return FIRST_PORT


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True
