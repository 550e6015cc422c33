"""Where everything of one home lives (the layout of the contract's section "Home")."""

import errno
import os
from pathlib import Path

import msgspec


class Home(msgspec.Struct, frozen=True):
    """One home folder and the places in it; nothing here touches the disk but `make`."""

    root: Path
    chosen: bool
    """Whether a person named it (--home or $SECDAEMON_HOME) instead of taking the default."""

    @property
    def config_file(self) -> Path:
        """The settings file that is read when --config names no other."""
        return self.root / "config.yaml"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "state.db"

    @property
    def archive(self) -> Path:
        """Accepted artifacts, by SHA-256."""
        return self.root / "archive"

    @property
    def rejected(self) -> Path:
        """Refused artifacts, each with its reason beside it."""
        return self.root / "rejected"

    @property
    def stage1(self) -> Path:
        """Reusable Stage 1 results, by fingerprint."""
        return self.root / "stage1"

    @property
    def stage1_rows(self) -> Path:
        """Transformed rows of public data, a cache: see `pipeline/public/cache_folder.py`."""
        return self.stage1 / ".cache"

    @property
    def knowledge(self) -> Path:
        """The index of past findings and their fixes: a cache, made again where it is missing."""
        return self.root / "knowledge.db"

    @property
    def logs(self) -> Path:
        """daemon.log and one log per run."""
        return self.root / "logs"

    @property
    def locks(self) -> Path:
        """Files whose advisory locks say which processes of this home live."""
        return self.root / "locks"

    def resolve(self, value: str) -> Path:
        """Return `value` as an absolute path: `~` expanded, a relative one taken from the home.

        Raises:
            OSError: it starts with `~name`, and there is nobody of that name.
        """
        return (self.root / _expanded(value)).absolute()

    def make(self) -> None:
        """Make the home and its fixed folders.

        Raises:
            OSError: the home cannot be written.
        """
        for folder in (self.archive, self.rejected, self.stage1, self.logs, self.locks):
            folder.mkdir(parents=True, exist_ok=True)


def find_home(option: str | None) -> Home:
    """Return the home: the option, else $SECDAEMON_HOME, else ~/secdaemon.

    Raises:
        OSError: it starts with `~name`, and there is nobody of that name.
    """
    named = option or os.environ.get("SECDAEMON_HOME")
    return Home(root=_expanded(named or "~/secdaemon").absolute(), chosen=bool(named))


def _expanded(value: str) -> Path:
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        why = "nobody of this name has a home folder here"
        raise FileNotFoundError(errno.ENOENT, why, value) from error
