"""The worker: `python -m secdaemon.pipeline STEP`, one step of one run, then gone.

Standard input brings the job; its end, or SIGTERM, is the request to stop. The real standard
output carries messages only: whatever a library prints goes to standard error, the run's log.
"""

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import msgspec

from secdaemon.pipeline.interface import (
    Advanced,
    Beat,
    Done,
    Ended,
    Failed,
    Job,
    Message,
    Progress,
    Stopped,
    StopRequested,
)
from secdaemon.pipeline.outcome import outcome_of
from secdaemon.pipeline.slot import take

log = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
ORPHAN_SECONDS = 60.0
"""How long a worker without a daemon may take to reach its next checkpoint."""


class Line:
    """The way back to the daemon; safe from any thread, and silent once nobody listens."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Send one message."""
        with self._lock:
            try:
                self._stream.write(msgspec.json.encode(message) + b"\n")
                self._stream.flush()
            except BrokenPipeError:
                return


class Stop:
    """The request to stop, however it came."""

    def __init__(self, line: Line) -> None:
        """Report progress over `line`."""
        self._line = line
        self._asked = threading.Event()

    def ask(self) -> None:
        """Ask the step to stop at its next report."""
        self._asked.set()

    @property
    def asked(self) -> bool:
        """Whether the worker was told to stop."""
        return self._asked.is_set()

    def report(self, progress: Progress) -> None:
        """Tell the daemon how far the step is.

        Raises:
            StopRequested: the step was asked to stop.
        """
        self._line.send(Advanced(progress))
        if self.asked:
            msg = "asked to stop"
            raise StopRequested(msg)


def main() -> int:
    """Run one step; the exit status is 0 whenever the last message says how it ended."""
    line = Line(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    stop = Stop(line)
    signal.signal(signal.SIGTERM, lambda *_: stop.ask())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
    threading.Thread(target=_beat, args=(line,), daemon=True).start()
    Path(job.lock_file).parent.mkdir(parents=True, exist_ok=True)
    with Path(job.lock_file).open("a") as lock:
        line.send(_do(sys.argv[1], job, stop) if take(lock, lambda: stop.asked) else Stopped())
    return 0


def _do(step: str, job: Job, stop: Stop) -> Message:
    """Return the step's last message; only a bug lets an exception out."""
    from secdaemon.pipeline.steps import STEPS

    log.info("%s begins", step)
    outcome = outcome_of(lambda: STEPS[step](job, stop.report), step)
    match outcome:
        case Ended():
            log.info("%s ends the run, %s: %s", step, outcome.state, outcome.reason)
        case Failed():
            log.error("%s failed: %s", step, outcome.reason)
        case Stopped():
            log.info("%s stopped as it was asked to", step)
        case Done():
            log.info("%s is done", step)
    return outcome


def _watch_input(stop: Stop) -> None:
    """Take the end of standard input as the daemon's death."""
    while os.read(0, 4096):
        pass
    stop.ask()
    threading.Event().wait(ORPHAN_SECONDS)
    os._exit(1)


def _beat(line: Line) -> None:
    while True:
        line.send(Beat())
        threading.Event().wait(BEAT_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
