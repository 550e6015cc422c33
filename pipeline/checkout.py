"""The project's files as of one commit; read through git, nothing is ever written."""

from functools import cached_property, lru_cache
from pathlib import Path

from secdaemon.pipeline.context import lines_at, revision
from secdaemon.pipeline.routes.git_files import list_files

_REMEMBERED = 256
"""Files: the manifests of a project are looked at for each of its packages."""


class Checkout:
    """A repository at a commit, or at HEAD where it does not know the commit."""

    def __init__(self, folder: Path, commit: str | None) -> None:
        """Find the commit; a folder without git is one without files."""
        self.folder = folder
        self.commit = revision(folder, commit)
        self._read = lru_cache(_REMEMBERED)(self._text)

    def is_at(self, commit: str) -> bool:
        """Return whether a commit, perhaps shortened, is the one that is read."""
        return self.commit.lower().startswith(commit.lower())

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Every regular file, repository-relative, in git's order."""
        return tuple(file.path for file in list_files(str(self.folder), self.commit))

    def read(self, path: str) -> str | None:
        """Return a file's text with line feeds only, None where it is missing, binary or huge."""
        return self._read(path)

    def _text(self, path: str) -> str | None:
        lines = lines_at(str(self.folder), self.commit, path)
        return "\n".join((*lines, "")) if lines else None
