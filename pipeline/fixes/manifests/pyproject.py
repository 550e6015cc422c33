"""Python projects: PEP 621, dependency groups, Poetry, uv and Pipenv."""

import re

from tree_sitter import Node

from secdaemon.pipeline.fixes.manifests import python_requirement as requirement
from secdaemon.pipeline.fixes.manifests.model import (
    Source,
    Upgrade,
    fix_of,
    folder_of,
    indent_at,
    line_start,
    read,
    upwards,
)
from secdaemon.pipeline.fixes.manifests.toml_tree import (
    Key,
    entries,
    requoted,
    string_of,
    tables,
)
from secdaemon.pipeline.fixes.model import Files, Fix, TextEdit
from secdaemon.pipeline.fixes.quote import inline

_NAME = "pyproject.toml"
_PIPFILE = "Pipfile"
_LOCKS = {
    "poetry.lock": "poetry lock",
    "uv.lock": "uv lock",
    "pdm.lock": "pdm lock",
    "Pipfile.lock": "pipenv lock",
}
_UV = ("tool", "uv", "constraint-dependencies")
_POETRY = ("tool", "poetry", "dependencies")
_LISTS = re.compile(
    r"project dependencies|project optional-dependencies \S+|dependency-groups \S+"
    r"|tool uv (?:constraint|override|dev)-dependencies|tool pdm dev-dependencies \S+"
)
_TABLES = re.compile(
    r"tool poetry (?:dev-)?dependencies (\S+)(?: version)?"
    r"|tool poetry group \S+ dependencies (\S+)(?: version)?"
    r"|(?:dev-)?packages (\S+)(?: version)?"
)
_POETRY_RANGE = re.compile(r"(\^|~)?\s*(\d[\w.!+-]*)(?:\.\*)?")
_MAX_FILES = 40


def is_manifest(path: str) -> bool:
    """Return whether the file is a Python project's, or a lock file that follows it."""
    return path.rpartition("/")[2] in {_NAME, _PIPFILE, *_LOCKS}


def fixes_for(upgrade: Upgrade, files: Files) -> tuple[Fix, ...]:
    """Return the edit that brings a package of a Python project to a version."""
    if upgrade.path is None:
        paths = [p for p in files.paths if p.rpartition("/")[2] in {_NAME, _PIPFILE}]
        found = [fix for path in paths[:_MAX_FILES] if (fix := _raised(upgrade, files, path))]
        return tuple(found) if len(found) == 1 else ()
    lock = upgrade.path.rpartition("/")[2]
    name = _PIPFILE if lock.startswith(_PIPFILE) else _NAME
    around = (f"{up}{name}" for up in upwards(folder_of(upgrade.path)))
    path = next((path for path in around if read(files, path) is not None), None)
    if path is None:
        return ()
    text = read(files, path) or ""
    if _stated(Source("toml", text), upgrade):
        fix = _raised(upgrade, files, path)
    else:
        fix = _added(upgrade, path, text, lock)
    return (fix,) if fix is not None else ()


def _renewal(upgrade: Upgrade) -> str:
    lock = (upgrade.path or "").rpartition("/")[2]
    return f" Renew {inline(lock)} with {inline(_LOCKS[lock])}." if lock in _LOCKS else ""


def _stated(source: Source, upgrade: Upgrade) -> list[tuple[Node, str, bool]]:
    """Return the strings that ask for the package: node, text, whether it is a whole requirement.

    The others are versions alone, as Poetry and Pipenv write them beside the name.
    """
    found = []
    for entry in entries(source):
        key = " ".join(part.replace(" ", "") for part in entry.key)
        if _LISTS.fullmatch(key):
            for node in entry.value.named_children:
                text = string_of(source, node)
                if text is not None and requirement.is_of(text, upgrade):
                    found.append((node, text, True))
            continue
        match = _TABLES.fullmatch(key)
        name = next((group for group in match.groups() if group), "") if match else ""
        text = string_of(source, entry.value)
        if (
            name
            and text is not None
            and requirement.normal(name) == requirement.normal(upgrade.name)
        ):
            found.append((entry.value, text, False))
    return found


def _new(text: str, upgrade: Upgrade, *, whole: bool) -> str | None:
    """Return a requirement or a version of Poetry's from the fixed version on."""
    if whole:
        return requirement.raised(text, upgrade)
    match = _POETRY_RANGE.fullmatch(text.strip())
    if match is not None:
        if not upgrade.is_low(match[2]):
            return None
        operator = "~" if text.strip().endswith(".*") else match[1] or ""
        return f"{operator}{upgrade.version}"
    if text.strip() == "*":
        return f">={upgrade.version}"
    weak = requirement.is_weak_specifiers(text, upgrade)
    return requirement.raised_specifiers(text, upgrade) if weak else None


def _is_weak_text(text: str, upgrade: Upgrade, *, whole: bool) -> bool:
    if whole:
        return requirement.is_weak(text, upgrade)
    match = _POETRY_RANGE.fullmatch(text.strip())
    if match is not None:
        return upgrade.is_low(match[2])
    return text.strip() == "*" or requirement.is_weak_specifiers(text, upgrade)


def _is_weak(text: str, upgrade: Upgrade) -> bool:
    stated = _stated(Source("toml", text), upgrade)
    return not stated or any(_is_weak_text(t, upgrade, whole=w) for _, t, w in stated)


def _raised(upgrade: Upgrade, files: Files, path: str) -> Fix | None:
    text = read(files, path)
    if text is None:
        return None
    source = Source("toml", text)
    edits = [
        source.edit(node, requoted(source, node, new))
        for node, stated, whole in _stated(source, upgrade)
        if (new := _new(stated, upgrade, whole=whole)) is not None
    ]
    reason = upgrade.because(f"Raises {inline(upgrade.name)}") + _renewal(upgrade)
    return fix_of(path, text, edits, reason, lambda after: _is_weak(after, upgrade))


def _added(upgrade: Upgrade, path: str, text: str, lock: str) -> Fix | None:
    """Return the constraint on a package that others bring in, where the project's tool has one.

    Poetry has none: there the project asks for the package itself.
    """
    source = Source("toml", text)
    if lock == "uv.lock":
        edits = _constraint(source, upgrade)
        how = f"Constrains {inline(upgrade.name)}, which other packages bring in"
    elif lock == "poetry.lock" and any(table.key == _POETRY for table in tables(source)):
        edits = (_line(source, _POETRY, f'{upgrade.name} = ">={upgrade.version}"'),)
        how = f"Asks for {inline(upgrade.name)} itself, which other packages bring in"
    else:
        return None
    reason = upgrade.because(how) + _renewal(upgrade)
    return fix_of(path, text, edits, reason, lambda after: _is_weak(after, upgrade))


def _constraint(source: Source, upgrade: Upgrade) -> tuple[TextEdit, ...]:
    """Return the edits that put a constraint at the end of uv's list, () where it is no list."""
    wanted = f'"{upgrade.name}>={upgrade.version}"'
    held = next((entry.value for entry in entries(source) if entry.key == _UV), None)
    if held is None:
        return (_line(source, _UV[:2], f"{_UV[2]} = [{wanted}]"),)
    strings = [node for node in held.named_children if node.type == "string"]
    if held.type != "array":
        return ()
    if not strings:
        return (source.edit(held, f"[{wanted}]"),)
    last, close = source.end(strings[-1]), source.end(held) - 1
    if "\n" not in source.of(held):
        return (TextEdit(last, last, f", {wanted}"),)
    begin = line_start(source.text, close)
    if source.text[begin:close].strip():
        return ()
    has_comma = any(n.type == "," and source.start(n) >= last for n in held.children)
    line = f"{indent_at(source.text, last - 1)}{wanted},\n"
    comma = () if has_comma else (TextEdit(last, last, ","),)
    return (*comma, TextEdit(begin, begin, line))


def _line(source: Source, key: Key, line: str) -> TextEdit:
    """Return the edit that puts a line at the end of a table, made where there is none."""
    found = next((table.node for table in tables(source) if table.key == key), None)
    if found is None:
        text = source.text
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        return TextEdit(len(text), len(text), f"{gap}[{'.'.join(key)}]\n{line}\n")
    at = source.end(found.named_children[-1])
    return TextEdit(at, at, f"\n{line}")
