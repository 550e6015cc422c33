"""What git tells of two commits: asked in ways in which no configuration runs a program."""

import re
from functools import lru_cache

import msgspec

from secdaemon.pipeline.context import run_git

_SECONDS = 30.0
_SAFE = (
    "--no-pager",
    "--no-replace-objects",
    "--literal-pathspecs",
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.attributesFile=/dev/null"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "blame.ignoreRevsFile="),
    *("-c", "diff.renameLimit=1000"),
    *("-c", "log.showSignature=false"),
)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BLAMED = re.compile(rb"([0-9a-f]{40,64}) \d+ \d+(?: \d+)?")


class Between(msgspec.Struct, frozen=True):
    """A repository and two commits of it, both in full."""

    folder: str
    before: str
    after: str


class Changed(msgspec.Struct, frozen=True):
    """A file that differs between two commits: A added, D deleted, M modified, R renamed."""

    kind: str
    old: str
    new: str


def between(folder: str, before: str | None, after: str | None) -> Between | None:
    """Return two commits of which the first led to the second; None where they did not.

    None as well where one of them is not known in the repository, and where they are the same.
    """
    one, other = _full(folder, before), _full(folder, after)
    if one is None or other is None or one == other:
        return None
    if _ask(folder, "merge-base", "--is-ancestor", one, other) is None:
        return None
    return Between(folder, one, other)


@lru_cache(maxsize=256)
def _full(folder: str, commit: str | None) -> str | None:
    """Return a commit's full name, None where it is not here or is no name of a commit."""
    if not commit or not re.fullmatch(r"[0-9a-fA-F]{7,64}", commit):
        return None
    said = _ask(folder, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    name = (said or b"").decode("ascii", "replace").strip()
    return name if _COMMIT.fullmatch(name) else None


@lru_cache(maxsize=8)
def changed_files(span: Between) -> tuple[Changed, ...]:
    """Return the files that differ, renames found; none where git gives up."""
    asked = ("diff-tree", "-r", "-z", "-M", "--name-status", "--no-ext-diff", "--no-textconv")
    said = _ask(span.folder, *asked, span.before, span.after) or b""
    words = iter(said.decode(errors="replace").split("\0"))
    found = []
    for kind in words:
        if not kind:
            break
        old = next(words, "")
        new = next(words, "") if kind[0] in "RC" else old
        found.append(Changed(kind[0], old, new))
    return tuple(found)


def commits_of(span: Between, path: str, lines: tuple[range, ...]) -> frozenset[str]:
    """Return the commits that gave lines (1-based) of a file, as of `after`, their present form.

    Where no lines are named, the commits in between that changed the file. Empty where git cannot
    tell. Commits up to `before` are left out.
    """
    revisions = f"{span.before}..{span.after}"
    if not any(lines):
        said = _ask(span.folder, "rev-list", "-n", "9", "--no-merges", revisions, "--", path)
        return frozenset((said or b"").decode("ascii", "replace").split())
    ranges = [f"-L{each.start},{each.stop - 1}" for each in lines if each]
    asked = ("blame", "--porcelain", "--no-textconv", *ranges, revisions, "--", path)
    found: set[str] = set()
    commit, older = "", {span.before}
    for row in (_ask(span.folder, *asked) or b"").split(b"\n"):
        if told := _BLAMED.fullmatch(row):
            commit = told[1].decode()
            found.add(commit)
        elif row == b"boundary":
            older.add(commit)
    return frozenset(found - older)


def is_merge(span: Between, commit: str) -> bool:
    """Return whether a commit has several parents."""
    said = _ask(span.folder, "rev-list", "--no-walk", "--merges", commit, "--")
    return bool(said and said.strip())


def _ask(folder: str, *words: str) -> bytes | None:
    return None if "\0" in "".join(words) else run_git(folder, (*_SAFE, *words), b"", _SECONDS)
