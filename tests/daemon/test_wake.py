"""The watcher hints at what happens in the inbox, and is looked after."""

import threading
from collections.abc import Callable
from pathlib import Path

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.inbox import scan
from secdaemon.daemon.wake import Waker

SECONDS = 30.0


def test_a_dropped_file_is_hinted_at(
    home: Home, settings: Settings, make_zip: Callable[..., Path]
) -> None:
    """The inbox is made, its start is a hint, and so is a file in it."""
    hinted = threading.Event()
    with Waker(settings, hinted.set):
        assert hinted.wait(SECONDS)
        assert (home.root / "inbox").is_dir()
        hinted.clear()
        make_zip(home.root / "inbox" / "sub" / "scan.zip")
        assert hinted.wait(SECONDS)


def test_a_folder_put_in_the_inboxs_place_is_watched_instead(
    home: Home, settings: Settings, make_zip: Callable[..., Path]
) -> None:
    """A watched folder that is renamed away is silently lost to the system's events."""
    hinted = threading.Event()
    inbox = home.root / "inbox"
    with Waker(settings, hinted.set) as waker:
        inbox.rename(home.root / "away")
        waker.care()
        make_zip(inbox / "scan.zip")
        hinted.clear()
        waker.care()
        assert hinted.is_set()
        hinted.clear()
        make_zip(inbox / "another.zip")
        assert hinted.wait(SECONDS)


def test_an_observer_that_died_is_started_again(
    home: Home, settings: Settings, make_zip: Callable[..., Path]
) -> None:
    """Whatever ended it, the next look starts another one."""
    hinted = threading.Event()
    with Waker(settings, hinted.set) as waker:
        assert waker._observer
        waker._observer.stop()
        waker._observer.join()
        waker.care()
        hinted.clear()
        make_zip(home.root / "inbox" / "scan.zip")
        assert hinted.wait(SECONDS)


def test_an_inbox_that_cannot_be_watched_ends_nothing(home: Home, settings: Settings) -> None:
    """A file in its place leaves nothing to watch, and no error."""
    (home.root / "inbox").write_text("in the way")
    with Waker(settings, lambda: None) as waker:
        assert waker._observer is None


def test_reading_the_inbox_is_no_hint(home: Home, settings: Settings) -> None:
    """The loop's own scan must not wake the loop again, for ever."""
    hints: list[int] = []
    inbox = home.root / "inbox"
    changed = threading.Event()

    def hint() -> None:
        hints.append(1)
        if (inbox / "end").exists():
            changed.set()

    with Waker(settings, hint):
        before = len(hints)
        for _ in range(50):
            scan(inbox)
        (inbox / "end").touch()
        assert changed.wait(SECONDS)
        assert len(hints) - before < 10
