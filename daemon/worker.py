"""A worker process: started for one step of one run, listened to, and stopped.

The worker ends by itself when its standard input ends, so that a killed daemon leaves nothing
behind that trains on for nobody.
"""

import glob
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from secdaemon.pipeline.interface import Job, Message
from secdaemon.state.model import Lease

STOP_SECONDS = {"heavy": 30.0, "light": 3.0}
"""How long a worker may take to checkpoint before it is killed; all its steps bear that."""
TAIL_BYTES = 4096
LINE_CHARACTERS = 300
SECRETS = {"publish": ("HF_TOKEN",), "doctor": ("HF_TOKEN",)}
"""Which tokens a step gets to see; no other step sees any."""
_TOKENS = ("GITHUB_TOKEN", "GH_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_OPENBLAS = "/usr/lib/*/openblas-pthread/libopenblas.so.0"


class Exited(msgspec.Struct, frozen=True):
    """The worker is gone; `code` is its exit status, negative for a signal."""

    code: int


Post = Callable[[Lease, Message | Exited], None]


class Worker:
    """One running worker. Its messages are posted from a thread of its own, in order."""

    def __init__(self, lease: Lease, job: Job, log: Path, nice: int, post: Post) -> None:
        """Start the process.

        Raises:
            OSError: it cannot be started or its log cannot be written.
        """
        self.lease = lease
        self.stop_deadline: float | None = None
        self.stopped_for = "stopped"
        """Why it was told to stop, as its run's history says it."""
        self.last_heard: float | None = None
        """On the loop's clock, which stands still while the machine sleeps; None before a tick."""
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "secdaemon.pipeline", lease.step],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment(lease.step, dict(os.environ)),
                start_new_session=True,
                cwd="/",
                process_group=None,
            )
        if lease.slot == "light":
            # Training keeps the urgency it was started with.
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._process.pid, nice)
        self._reader = threading.Thread(target=self._read, args=(job, post), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def _read(self, job: Job, post: Post) -> None:
        decoder = msgspec.json.Decoder(Message)
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.write(msgspec.json.encode(job) + b"\n")
            self._process.stdin.flush()
        for line in self._process.stdout:
            with suppress(msgspec.DecodeError):
                post(self.lease, decoder.decode(line))
        # A worker killed before it read its job leaves the buffer full; closing complains.
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        post(self.lease, Exited(self._process.wait()))

    def stop(self, now: float, why: str = "") -> None:
        """Ask for a checkpoint and an end; call again: past its deadline the worker is killed."""
        if self.stop_deadline is None:
            self.stopped_for = f"stopped, {why}" if why else self.stopped_for
            self.stop_deadline = now + STOP_SECONDS[self.lease.slot]
            self._signal(signal.SIGTERM)
        elif now > self.stop_deadline:
            self.kill()

    def kill(self) -> None:
        """End the worker and whatever it started, now."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def join(self, seconds: float) -> None:
        """Wait until the last message is posted, or the time is over."""
        self._reader.join(seconds)


def environment(step: str, inherited: dict[str, str]) -> dict[str, str]:
    """Return a worker's environment: no token but its own, one BLAS thread, OpenBLAS on Linux.

    mlx's Linux wheel carries a reference BLAS some thirty times slower than OpenBLAS, and one
    thread gives the same bytes every time (shared facts, MLX).
    """
    allowed = SECRETS.get(step, ())
    kept = {key: value for key, value in inherited.items() if key not in _TOKENS or key in allowed}
    kept.setdefault("OPENBLAS_NUM_THREADS", "1")
    kept.setdefault("TOKENIZERS_PARALLELISM", "false")
    kept.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    kept.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    kept["PYTHONUNBUFFERED"] = "1"
    if sys.platform == "linux" and "LD_PRELOAD" not in kept and (found := glob.glob(_OPENBLAS)):  # noqa: PTH207
        kept["LD_PRELOAD"] = found[0]
    return kept


def last_line(log: Path) -> str:
    """Return the last line that a worker wrote to its log: the error it died of, as a rule."""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:LINE_CHARACTERS] if lines else ""
    return ""
