"""What one poll of one watched workflow has at hand."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from secdaemon.config.paths import Home
from secdaemon.config.programs import Runner
from secdaemon.config.schema import Repository, Settings
from secdaemon.daemon.github.client import Client
from secdaemon.state.polls import Watch
from secdaemon.state.store import Store


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What every poll has around it: everything that is not GitHub."""

    home: Home
    settings: Settings
    run: Runner
    environ: Mapping[str, str]
    now: Callable[[], float]
    stopping: Callable[[], bool]


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One poll."""

    around: Surroundings
    store: Store
    client: Client
    watched: Repository
    watch: Watch

    @property
    def number(self) -> int | None:
        """The repository's number, as far as it is known."""
        return self.watched.id or self.watch.repository_id

    @property
    def checkout(self) -> Path | None:
        """The repository's clone on this computer."""
        watched = self.watched
        return self.around.home.resolve(watched.checkout) if watched.checkout else None


def short_name(watch: str) -> str:
    """Return a watch's name as part of a file's."""
    return hashlib.sha256(watch.encode()).hexdigest()[:16]
