"""Cargo: the requirement in Cargo.toml; what other crates bring in only Cargo.lock can raise."""

import re

from tree_sitter import Node

from secdaemon.pipeline.fixes.manifests.model import (
    Source,
    Upgrade,
    fix_of,
    folder_of,
    read,
    upwards,
)
from secdaemon.pipeline.fixes.manifests.toml_tree import entries, requoted, string_of
from secdaemon.pipeline.fixes.model import Files, Fix
from secdaemon.pipeline.fixes.quote import inline

_NAME = "Cargo.toml"
_LOCK = "Cargo.lock"
_TABLES = frozenset(("dependencies", "dev-dependencies", "build-dependencies"))
_REQUIREMENT = re.compile(r"(\s*(?:\^|~|=|>=)?\s*)(\d+(?:\.\d+){0,2}(?:-[\w.-]+)?)\s*")
_MAX_FILES = 40


def is_manifest(path: str) -> bool:
    """Return whether the file is Cargo's."""
    return path.rpartition("/")[2] in {_NAME, _LOCK}


def fixes_for(upgrade: Upgrade, files: Files) -> tuple[Fix, ...]:
    """Return the edit that raises a crate where a Cargo.toml asks for it.

    The nearest one upwards comes first, then those of the workspace below it, if one alone asks.
    """
    every = [path for path in files.paths if path.rpartition("/")[2] == _NAME][:_MAX_FILES]
    if upgrade.path is None:
        found = [fix for path in every if (fix := _raised(upgrade, files, path))]
        return tuple(found) if len(found) == 1 else ()
    around = (f"{up}{_NAME}" for up in upwards(folder_of(upgrade.path)))
    root = next((path for path in around if read(files, path) is not None), None)
    if root is None:
        return ()
    below = [path for path in every if path.startswith(folder_of(root)) and path != root]
    for paths in ([root], below):
        found = [fix for path in paths if (fix := _raised(upgrade, files, path))]
        if found:
            return tuple(found) if len(found) == 1 else ()
    return ()


def _raised(upgrade: Upgrade, files: Files, path: str) -> Fix | None:
    text = read(files, path)
    if text is None:
        return None
    source = Source("toml", text)
    edits = []
    for node, stated in _stated(source, upgrade.name):
        match = _REQUIREMENT.fullmatch(stated)
        if match and _is_low(stated, upgrade):
            new = f"{match[1]}{upgrade.version}"
            edits.append(source.edit(node, requoted(source, node, new)))
    lock = (upgrade.path or "").endswith(_LOCK)
    renewal = f" Renew `{_LOCK}` with {inline(f'cargo update -p {upgrade.name}')}." if lock else ""
    reason = upgrade.because(f"Raises {inline(upgrade.name)}") + renewal

    def is_weak(after: str) -> bool:
        stated = [text for _, text in _stated(Source("toml", after), upgrade.name)]
        return not stated or any(_is_low(each, upgrade) for each in stated)

    return fix_of(path, text, edits, reason, is_weak)


def _is_low(stated: str, upgrade: Upgrade) -> bool:
    """Return whether a requirement begins below the fixed version, and is the installed one's."""
    match = _REQUIREMENT.fullmatch(stated)
    if match is None or not upgrade.is_low(match[2]):
        return False
    first, installed = match[2].split(".")[0], upgrade.installed.split(".")[0]
    return match[1].strip() == ">=" or first == installed


def _stated(source: Source, name: str) -> list[tuple[Node, str]]:
    """Return the strings that ask for a crate, under its own name or as `package` of another."""
    found: list[tuple[Node, str]] = []
    names: dict[tuple[str, ...], str] = {}
    for entry in entries(source):
        if entry.key[-1] == "package" and len(entry.key) > 1:
            names[entry.key[:-1]] = string_of(source, entry.value) or ""
    for entry in entries(source):
        key = entry.key[:-1] if entry.key[-1] == "version" else entry.key
        text = string_of(source, entry.value)
        if text is None or len(key) < 2 or key[-2] not in _TABLES:  # noqa: PLR2004 - table and name
            continue
        if names.get(key, key[-1]) == name:
            found.append((entry.value, text))
    return found
