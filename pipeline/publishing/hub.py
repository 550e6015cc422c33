"""The Hugging Face target: two repositories, one commit and one tag each, once.

What decides is content: before anything is sent, and after every answer that did not come, the
tree on main is compared with the staged folder, file by file. The data set goes first, so that the
model's card can name its exact revision; its own card names the model by the tag that both get.
"""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from secdaemon.config import schema
from secdaemon.pipeline.interface import PermanentError, Progress, Report
from secdaemon.pipeline.publishing.client import open_api, patiently
from secdaemon.pipeline.publishing.tokens import hub_token

OURS = frozenset({"run-manifest.json", "mlx/adapter_config.json"})
"""What a repository that we wrote has at least one of."""
_GIVEN = frozenset({".gitattributes"})
"""What the Hub itself puts into a new repository."""
_MEBIBYTE = 1 << 20


class Repository(msgspec.Struct, frozen=True):
    """A repository on the Hub."""

    kind: Literal["model", "dataset"]
    name: str

    def __str__(self) -> str:
        """How it is called in sentences."""
        return f"{'data set' if self.kind == 'dataset' else 'model'} repository {self.name}"


class Placed(msgspec.Struct, frozen=True):
    """Where a folder stands now: the commit that holds exactly it."""

    url: str
    revision: str


class _Remote(msgspec.Struct, frozen=True):
    """A repository as it is: main, its files (path -> git's or LFS's hash), its tags."""

    head: str
    files: dict[str, str]
    tags: dict[str, str]


class Hub:
    """One process's way to the Hub."""

    def __init__(
        self,
        token: str,
        report: Report,
        total: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`total` is how many bytes there are to send, as far as is known."""
        self._sleep = sleep
        self._report = report
        self._total = max(1, -(-total // _MEBIBYTE))
        self._sent = 0
        self._api = open_api(token, self._count)

    def _count(self, size: int) -> None:
        self._sent += size
        self._tell()

    def _tell(self) -> None:
        done = min(self._sent // _MEBIBYTE, self._total)
        self._report(Progress(iteration=done, iterations=self._total))

    def _patiently(self, do: Callable[[], Any], what: str, done: Any = lambda: None) -> Any:
        self._tell()
        return patiently(do, what, self._wait, done)

    def _wait(self, seconds: float) -> None:
        """Wait, and hear the request to stop meanwhile."""
        while seconds > 0:
            self._tell()
            self._sleep(min(seconds, 1.0))
            seconds -= 1.0

    def user(self) -> str:
        """Return whose token it is."""
        name: str = self._patiently(lambda: self._api.whoami()["name"], "asking whose token it is")
        return name

    def ensure(self, repository: Repository, *, private: bool) -> None:
        """Make the repository where there is none.

        Raises:
            PermanentError: it belongs to something else, or the token may not.
            TransientError: the Hub has trouble.
        """
        self._patiently(
            lambda: self._api.create_repo(
                repository.name, repo_type=repository.kind, private=private, exist_ok=True
            ),
            f"making the {repository}",
        )
        files = self._look(repository).files
        if files and not OURS & files.keys():
            msg = (
                f"the {repository} exists and was not written by secdaemon; nothing is "
                "overwritten: set publish.model_repo and publish.dataset_repo to names of their own"
            )
            raise PermanentError(msg)

    def put(self, repository: Repository, folder: Path, tag: str) -> Placed:
        """Have main hold exactly the folder's files, as one commit under the tag.

        Where that is so already nothing is sent, whoever sent it and whatever answer was lost.

        Raises:
            PermanentError: the tag stands for something else, or the Hub says no.
            TransientError: the Hub has trouble.
        """
        wanted = _hashes(folder)
        remote = self._look(repository)
        if (tagged := remote.tags.get(tag)) is not None:
            there = self._patiently(
                lambda: self._files(repository, tagged), f"reading the {repository}"
            )
            if not _same(there, wanted):
                msg = f"the tag {tag} of the {repository} stands for other files already"
                raise PermanentError(msg)
            return self._placed(repository, tagged)
        revision = self._patiently(
            lambda: self._commit(repository, folder, tag, wanted),
            f"writing to the {repository}",
            done=lambda: self._standing(repository, wanted),
        )
        self._patiently(
            lambda: self._api.create_tag(
                repository.name, tag=tag, revision=revision, repo_type=repository.kind
            ),
            f"tagging the {repository}",
            done=lambda: self._look(repository).tags.get(tag),
        )
        return self._placed(repository, revision)

    def url(self, repository: Repository) -> str:
        """Return the repository's page."""
        kind = "datasets/" if repository.kind == "dataset" else ""
        return f"{self._api.endpoint}/{kind}{repository.name}"

    def _placed(self, repository: Repository, revision: str) -> Placed:
        return Placed(self.url(repository), revision)

    def _commit(
        self, repository: Repository, folder: Path, tag: str, wanted: dict[str, frozenset[str]]
    ) -> str:
        """Send what differs; return main's commit that holds it all."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        remote = self._look(repository)
        if _same(remote.files, wanted):
            return remote.head
        changed = [name for name in sorted(wanted) if remote.files.get(name) not in wanted[name]]
        gone = sorted(remote.files.keys() - wanted.keys())
        made = self._api.create_commit(
            repository.name,
            repo_type=repository.kind,
            operations=[
                *(CommitOperationDelete(name) for name in gone),
                *(CommitOperationAdd(name, folder / name) for name in changed),
            ],
            commit_message=f"secdaemon run {tag}",
            parent_commit=remote.head,
            num_threads=1,
        )
        revision: str = made.oid
        return revision

    def _standing(self, repository: Repository, wanted: dict[str, frozenset[str]]) -> str | None:
        """Return main's commit where it holds exactly what is wanted."""
        remote = self._look(repository)
        return remote.head if _same(remote.files, wanted) else None

    def _look(self, repository: Repository) -> _Remote:
        def ask() -> _Remote:
            refs = self._api.list_repo_refs(repository.name, repo_type=repository.kind)
            head = next(b.target_commit for b in refs.branches if b.name == "main")
            return _Remote(
                head=head,
                files=self._files(repository, head),
                tags={tag.name: tag.target_commit for tag in refs.tags},
            )

        found: _Remote = self._patiently(ask, f"reading the {repository}")
        return found

    def _files(self, repository: Repository, revision: str) -> dict[str, str]:
        """Return the files of a revision: path -> SHA-256 of LFS's, git's hash of the others'."""
        listed = self._api.list_repo_tree(
            repository.name, recursive=True, revision=revision, repo_type=repository.kind
        )
        files = {
            entry.path: entry.lfs.sha256 if entry.lfs else entry.blob_id
            for entry in listed
            if hasattr(entry, "blob_id")
        }
        return {path: name for path, name in files.items() if path not in _GIVEN}


def open_hub(
    staged: Path, settings: schema.Publish, run_id: str, report: Report
) -> tuple[Hub, dict[str, str]]:
    """Return the way to the Hub for what is staged, and what fills in the repositories' names.

    Raises:
        PermanentError: there is no token, or the Hub does not know it.
        TransientError: the Hub has trouble.
    """
    total = sum(path.stat().st_size for path in staged.rglob("*") if path.is_file())
    hub = Hub(hub_token(), report, total)
    return hub, {"prefix": settings.prefix or hub.user(), "run_id": run_id}


def _hashes(folder: Path) -> dict[str, frozenset[str]]:
    """Return the names that each file's content may have on the Hub: LFS's and git's."""
    return {
        path.relative_to(folder).as_posix(): _names(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _names(path: Path) -> frozenset[str]:
    lfs = hashlib.sha256()
    blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(_MEBIBYTE):
            lfs.update(piece)
            blob.update(piece)
    return frozenset((lfs.hexdigest(), blob.hexdigest()))


def _same(files: dict[str, str], wanted: dict[str, frozenset[str]]) -> bool:
    """Whether the two hold the same files with the same content."""
    return files.keys() == wanted.keys() and all(files[name] in wanted[name] for name in wanted)
