"""What wakes the loop: the inbox watcher and the timers. Both only hint; nothing depends on them.

watchdog's observer dies with an exception in a handler, and on macOS it stops silently when the
watched folder is renamed; APScheduler waits wall-clock time. So the loop compares times itself,
and the watcher is looked after here.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from apscheduler.schedulers.background import BackgroundScheduler
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from secdaemon.config.schema import Settings

log = logging.getLogger(__name__)

CARE_SECONDS = 60.0
"""How often the watcher is looked after."""
IGNORED_EVENTS = frozenset({"opened", "closed_no_write"})
"""Events that reading a file causes, our own reading included."""


class _Hinting(FileSystemEventHandler):
    """Passes every change on as a hint."""

    def __init__(self, hint: Callable[[], None]) -> None:
        super().__init__()
        self._hint = hint

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in IGNORED_EVENTS:
            self._hint()


class Waker:
    """Hints to the loop on inbox events and on timers, for the length of a with block."""

    def __init__(
        self, settings: Settings, hint: Callable[[], None], *, polls: bool = False
    ) -> None:
        """`hint` is called from other threads; with `polls` also when GitHub may be due."""
        self._folder = Path(settings.inbox.dir)
        self._hint = hint
        self._observer: BaseObserver | None = None
        self._watched: tuple[int, int] | None = None
        self._scheduler = BackgroundScheduler(
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone="UTC",
        )
        self._scheduler.add_job(hint, "interval", seconds=settings.inbox.rescan_seconds)
        if polls:
            self._scheduler.add_job(hint, "interval", seconds=settings.github.poll_seconds)
        self._scheduler.add_job(self.care, "interval", seconds=CARE_SECONDS)

    def __enter__(self) -> Self:
        """Start watching, in a folder that is made for the first time here."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
        self.care()
        self._scheduler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching."""
        self._scheduler.shutdown(wait=False)
        self._unwatch()

    def care(self) -> None:
        """Start the watcher again where it died, or where the folder is another one now."""
        if not self._folder.is_dir():
            # The loop's own scan says so in `status`; here there is nothing to watch.
            self._unwatch()
            return
        status = self._folder.stat()
        folder = status.st_dev, status.st_ino
        if self._observer is not None and self._observer.is_alive() and folder == self._watched:
            return
        self._unwatch()
        observer = Observer()
        try:
            observer.schedule(_Hinting(self._hint), str(self._folder), recursive=True)
            observer.start()
        except OSError as error:
            log.warning("inbox %s: not watched, only read every so often: %s", self._folder, error)
            return
        self._observer, self._watched = observer, folder
        self._hint()

    def _unwatch(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(timeout=5)
            self._observer = None
