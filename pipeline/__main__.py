"""The worker: `python -m secdaemon.pipeline STEP`, one step of one run, then gone.

Standard input brings the job; its end, or SIGTERM, is the request to stop. The real standard
output carries messages only: whatever a library prints goes to standard error, the run's log.
"""

import fcntl
import logging
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import BinaryIO, TextIO

import msgspec

from secdaemon.pipeline.interface import (
    Advanced,
    Beat,
    Done,
    Ended,
    EndRun,
    Failed,
    Job,
    Message,
    PermanentError,
    Progress,
    StopRequested,
    TransientError,
)
from secdaemon.pipeline.interface import Stopped as StoppedMessage

BEAT_SECONDS = 5.0
LOCK_SECONDS = 0.1
"""Between two looks at the slot's lock."""
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
        line.send(_do(sys.argv[1], job, stop) if _alone(lock, stop) else StoppedMessage())
    return 0


def _alone(lock: TextIO, stop: Stop) -> bool:
    """Wait for the slot's lock; return False where the request to stop comes first.

    A worker of a daemon that was killed may still be on its way to a checkpoint.
    """
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if stop.asked:
                return False
            time.sleep(LOCK_SECONDS)
        else:
            return True


def _do(step: str, job: Job, stop: Stop) -> Message:
    """Return the step's last message; only a bug lets an exception out."""
    from secdaemon.pipeline.steps import STEPS

    try:
        output = STEPS[step](job, stop.report)
    except EndRun as end:
        return Ended(end.state, str(end), msgspec.Raw(msgspec.json.encode(end.output)))
    except StopRequested:
        return StoppedMessage()
    except TransientError as error:
        traceback.print_exc()
        return Failed(str(error), transient=True)
    except PermanentError as error:
        traceback.print_exc()
        return Failed(str(error), transient=False)
    except OSError as error:
        traceback.print_exc()
        return Failed(f"{error.filename or step}: {error.strerror or error}", transient=True)
    return Done(msgspec.Raw(msgspec.json.encode(output)))


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
