"""One heavy process at a time in a home: a file's advisory lock, waited for."""

import fcntl
import time
from collections.abc import Callable
from typing import TextIO

LOCK_SECONDS = 0.1
"""Between two looks at the lock."""


def take(lock: TextIO, asked_to_stop: Callable[[], bool]) -> bool:
    """Wait for the slot's lock; return False where the request to stop comes first.

    A worker of a daemon that was killed may still be on its way to a checkpoint.
    """
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if asked_to_stop():
                return False
            time.sleep(LOCK_SECONDS)
        else:
            return True
