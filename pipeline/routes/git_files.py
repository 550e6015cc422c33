"""Many files of one commit through git: one listing, and one process that gives them all."""

import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from secdaemon.pipeline.context import git_environment

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
    for entry in (_run(folder, arguments, b"") or b"").split(b"\0"):
        about, _, path = entry.partition(b"\t")
        words = about.split()
        if len(words) != 4 or words[0] not in _REGULAR or len(path) > _MAX_PATH:  # noqa: PLR2004 - mode, type, blob, size
            continue
        found.append(Listed(path.decode(errors="replace"), words[2].decode(), int(words[3])))
    return found


def read_files(folder: str, files: Sequence[Listed]) -> dict[str, str]:
    """Return the texts of files by path; those that are binary or missing are left out."""
    asked = "".join(f"{each.blob}\n" for each in files).encode()
    given = _run(folder, ["cat-file", "--batch"], asked) or b""
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


def _run(folder: str, arguments: list[str], given: bytes) -> bytes | None:
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments],  # noqa: S607 - the user's own git, found by PATH
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=git_environment(),
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
