"""Many files of one commit through git: one listing, and one process that gives them all."""

from collections.abc import Sequence
from typing import NamedTuple

from secdaemon.pipeline.context import run_git

_SECONDS = 60
_REGULAR = {b"100644", b"100755"}
_MAX_PATH = 1_000


class Listed(NamedTuple):
    """A file of a commit: no folder, no link, no submodule."""

    path: str
    blob: str
    size: int


def list_files(folder: str, commit: str) -> list[Listed]:
    """Return the regular files of a commit in git's order, none where git says no."""
    arguments = ["ls-tree", "-r", "-z", "--long", "--full-tree", "--end-of-options", commit]
    found = []
    for entry in (run_git(folder, arguments, b"", _SECONDS) or b"").split(b"\0"):
        about, _, path = entry.partition(b"\t")
        words = about.split()
        if len(words) != 4 or words[0] not in _REGULAR or len(path) > _MAX_PATH:  # noqa: PLR2004 - mode, type, blob, size
            continue
        found.append(Listed(path.decode(errors="replace"), words[2].decode(), int(words[3])))
    return found


def read_files(folder: str, files: Sequence[Listed]) -> dict[str, str]:
    """Return the texts of files by path; those that are binary or missing are left out."""
    asked = "".join(f"{each.blob}\n" for each in files).encode()
    given = run_git(folder, ["cat-file", "--batch"], asked, _SECONDS) or b""
    texts, at = {}, 0
    for each in files:
        end = given.find(b"\n", at)
        words = given[at:end].split()
        if end < 0 or not words or not words[-1].isdigit():
            at = end + 1
            continue
        content = given[end + 1 : end + 1 + int(words[-1])]
        at = end + 2 + int(words[-1])
        if b"\0" not in content:
            texts[each.path] = content.decode(errors="replace").replace("\r\n", "\n")
    return texts
