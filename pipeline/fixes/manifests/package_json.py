"""npm, yarn and pnpm: the range in package.json, else an override for what others bring in."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from secdaemon.pipeline.fixes.manifests.json_tree import Document
from secdaemon.pipeline.fixes.manifests.model import (
    MAX_LOCK_CHARS,
    Upgrade,
    fix_of,
    folder_of,
    read,
    upwards,
)
from secdaemon.pipeline.fixes.model import Files, Fix, TextEdit
from secdaemon.pipeline.fixes.orderings import is_below
from secdaemon.pipeline.fixes.quote import inline

_NAME = "package.json"
_KINDS = ("dependencies", "devDependencies", "optionalDependencies")
_LOCKS = {
    "package-lock.json": "npm install",
    "npm-shrinkwrap.json": "npm install",
    "yarn.lock": "yarn install",
    "pnpm-lock.yaml": "pnpm install",
}
_RANGE = re.compile(r"(\^|~|>=|=|v)?\s*(\d+(?:\.(?:\d+|[xX*])){0,2}(?:-[\w.-]+)?)")
_YARN = re.compile(r"^\"?(@?[^@\s\"]+)@[^\n]*:\n {2}version:? \"?([^\s\"]+)", re.MULTILINE)
_PNPM = re.compile(r"^ {2}'?/?((?:@[^@/\s]+/)?[^@/\s']+)[@/](\d[^():'\s]*)", re.MULTILINE)
_MAX_WORKSPACES = 40


class _Manager(msgspec.Struct, frozen=True, kw_only=True):
    """The package manager of a project, by its lock file."""

    renewal: str
    keys: tuple[str, ...]
    """Under which keys of package.json it looks for overrides."""
    versions: frozenset[str] | None
    """The versions of the package in the lock file; None where there is none to say."""
    scoped: bool
    """Whether an override may name the versions that it is for."""


def is_manifest(path: str) -> bool:
    """Return whether the file is a package.json or a lock file that follows one."""
    return path.rpartition("/")[2] in {_NAME, *_LOCKS}


def fixes_for(upgrade: Upgrade, files: Files) -> tuple[Fix, ...]:
    """Return the edit that brings an npm package to a version.

    The nearest package.json from the finding's file upwards, then those of workspaces below it: one
    that declares the package decides; several of them give no fix. Else the nearest one overrides
    what other packages ask for.
    """
    below = [path for path in files.paths if path.rpartition("/")[2] == _NAME]
    below = [path for path in below if "node_modules/" not in path][:_MAX_WORKSPACES]
    if upgrade.path is None:
        found = [fix for path in below if (fix := _direct(upgrade, files, path))]
        return tuple(found) if len(found) == 1 else ()
    around = (f"{up}{_NAME}" for up in upwards(folder_of(upgrade.path)))
    root = next((path for path in around if read(files, path) is not None), None)
    if root is None:
        return ()
    near = [p for p in below if p.startswith(folder_of(root)) and p != root]
    for paths in ((root,), near):
        holders = [path for path in paths if _declares(upgrade, files, path)]
        found = [fix for path in holders if (fix := _direct(upgrade, files, path))]
        if found:
            return tuple(found) if len(found) == 1 else ()
    fix = _override(upgrade, files, root)
    return (fix,) if fix is not None else ()


def _declares(upgrade: Upgrade, files: Files, path: str) -> bool:
    text = read(files, path)
    document = Document(text) if text is not None else None
    return document is not None and bool(_ranges(document, upgrade))


def _ranges(document: Document, upgrade: Upgrade) -> list[str]:
    found = (document.string(document.at(kind, upgrade.name)) for kind in _KINDS)
    return [text for text in found if text is not None]


def _direct(upgrade: Upgrade, files: Files, path: str) -> Fix | None:
    """Return the fix where a package.json asks for the package itself."""
    text = read(files, path)
    if text is None:
        return None
    document = Document(text)
    edits = []
    for kind in _KINDS:
        node = document.at(kind, upgrade.name)
        stated = document.string(node)
        if node is not None and stated is not None and _is_low(stated, upgrade):
            new = json.dumps(_raised(stated, upgrade.version))
            edits.append(document.edit(node, new))
    manager = _manager(upgrade, files, folder_of(path))
    reason = upgrade.because(f"Raises {inline(upgrade.name)}") + manager.renewal
    return fix_of(path, text, edits, reason, _weak_range(upgrade))


def _is_low(stated: str, upgrade: Upgrade) -> bool:
    """Return whether a range begins below the fixed version, and could be of the installed one."""
    match = _RANGE.fullmatch(stated.strip())
    if match is None:
        return False
    lowest = re.sub(r"[xX*]", "0", match[2])
    return upgrade.is_low(lowest) and is_below(upgrade.installed, lowest, "npm") is False


def _raised(stated: str, version: str) -> str:
    """Return a range with a new lower end, as wide as it was: `1.x` is a caret, `1.2` a tilde."""
    match = _RANGE.fullmatch(stated.strip())
    if match is None:
        return f"^{version}"
    numbers = [part for part in match[2].split(".") if part not in {"x", "X", "*"}]
    wide = {1: "^", 2: "~"}.get(len(numbers), "")
    return f"{match[1] or wide}{version}"


def _weak_range(upgrade: Upgrade) -> Callable[[str], bool]:
    def is_weak(text: str) -> bool:
        stated = _ranges(Document(text), upgrade)
        return not stated or any(_is_low(each, upgrade) for each in stated)

    return is_weak


def _manager(upgrade: Upgrade, files: Files, folder: str) -> _Manager:
    for up in upwards(folder):
        for lock, command in _LOCKS.items():
            text = read(files, f"{up}{lock}", MAX_LOCK_CHARS)
            if text is not None:
                tool = command.partition(" ")[0]
                keys = {"yarn": ("resolutions",), "pnpm": ("pnpm", "overrides")}
                return _Manager(
                    renewal=f" Renew {inline(lock)} with {inline(command)}.",
                    keys=keys.get(tool, ("overrides",)),
                    versions=_locked(lock, text, upgrade.name),
                    scoped=tool != "yarn",
                )
    return _Manager(renewal="", keys=("overrides",), versions=None, scoped=True)


def _locked(lock: str, text: str, name: str) -> frozenset[str] | None:
    """Return the versions of a package in a lock file, None where it cannot be read."""
    if lock == "yarn.lock":
        return frozenset(version for each, version in _YARN.findall(text) if each == name)
    if lock == "pnpm-lock.yaml":
        return frozenset(version for each, version in _PNPM.findall(text) if each == name)
    try:
        document = msgspec.json.decode(text.encode(errors="replace"), type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None
    packages, found = document.get("packages"), set()
    if isinstance(packages, dict):
        entries = [e for p, e in packages.items() if f"/{p}".endswith(f"/node_modules/{name}")]
        return frozenset(_versions(entries))
    waiting = [document]
    while waiting:
        held = waiting.pop().get("dependencies")
        if isinstance(held, dict):
            found |= _versions([held.get(name)])
            waiting += [entry for entry in held.values() if isinstance(entry, dict)]
    return frozenset(found)


def _versions(entries: Iterable[object]) -> set[str]:
    return {str(e["version"]) for e in entries if isinstance(e, dict) and "version" in e}


def _override(upgrade: Upgrade, files: Files, path: str) -> Fix | None:
    """Return the override of a package that others bring in.

    It names the installed major version where the lock file has others too, or is not there to say:
    an override of all would take away what they ask for.
    """
    text = read(files, path)
    workspace = read(files, f"{folder_of(path)}pnpm-workspace.yaml")
    if text is None or (workspace and re.search("^overrides:", workspace, re.MULTILINE)):
        return None
    manager, major = _manager(upgrade, files, folder_of(path)), _major(upgrade.installed)
    alone = manager.versions is not None and {_major(v) for v in manager.versions} == {major}
    asked = {
        _major(match[2]) for r in _ranges(Document(text), upgrade) if (match := _RANGE.match(r))
    }
    is_locked = manager.versions is None or upgrade.installed in manager.versions
    if not is_locked or major in asked or (not alone and not manager.scoped):
        return None
    keys = (*manager.keys, upgrade.name if alone else f"{upgrade.name}@{major}")
    edit = _override_edit(Document(text), upgrade, keys)
    reason = upgrade.because(f"Overrides {inline(keys[-1])}, which other packages bring in")
    weak = _weak_override(upgrade, keys)
    return fix_of(path, text, (edit,), reason + manager.renewal, weak) if edit else None


def _override_edit(document: Document, upgrade: Upgrade, keys: tuple[str, ...]) -> TextEdit | None:
    node = document.at(*keys)
    if node is None:
        return document.added(keys, f"^{upgrade.version}")
    stated = document.string(node)
    if stated is None or not _is_low_override(stated, upgrade):
        return None
    return document.edit(node, json.dumps(_raised(stated, upgrade.version)))


def _major(version: str) -> str:
    """Return the part of a version within which a caret stays: `1`, and `0.6` before 1."""
    parts = version.lstrip("v").split(".")
    return ".".join(parts[: 2 if parts[0] == "0" else 1])


def _is_low_override(stated: str, upgrade: Upgrade) -> bool:
    match = _RANGE.fullmatch(stated.strip())
    return match is not None and upgrade.is_low(re.sub(r"[xX*]", "0", match[2]))


def _weak_override(upgrade: Upgrade, keys: tuple[str, ...]) -> Callable[[str], bool]:
    def is_weak(text: str) -> bool:
        document = Document(text)
        stated = document.string(document.at(*keys))
        return stated is None or _is_low_override(stated, upgrade)

    return is_weak
