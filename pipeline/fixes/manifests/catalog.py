"""Gradle version catalogues: `gradle/libs.versions.toml` and its like."""

import re

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.manifests.gradle_sought import Sought
from secdaemon.pipeline.fixes.manifests.model import Source, counted, fix_of
from secdaemon.pipeline.fixes.manifests.toml_tree import Entry, entries, requoted, string_of
from secdaemon.pipeline.fixes.model import Fix
from secdaemon.pipeline.fixes.quote import inline

SUFFIX = ".versions.toml"
_RICH = frozenset(("prefer", "require", "strictly"))


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """A library of a catalogue."""

    alias: str
    module: str
    """`group:artifact`."""
    version: str | None
    node: Node | None
    """The string that the version stands in, None where it stands elsewhere or nowhere."""
    reference: str | None
    """The key in `[versions]` that gives the version."""


def libraries(source: Source) -> list[Library]:
    """Return the libraries of a catalogue, in their order."""
    parts: dict[str, dict[tuple[str, ...], Entry]] = {}
    for entry in entries(source):
        if len(entry.key) > 1 and entry.key[0] == "libraries":
            parts.setdefault(entry.key[1], {})[entry.key[2:]] = entry
    found = (_library(source, alias, fields) for alias, fields in parts.items())
    return [library for library in found if library is not None]


def bundles(source: Source) -> dict[str, frozenset[str]]:
    """Return each bundle's aliases."""
    return {
        entry.key[1]: frozenset(
            alias for node in entry.value.named_children if (alias := string_of(source, node))
        )
        for entry in entries(source)
        if len(entry.key) == 2 and entry.key[0] == "bundles"  # noqa: PLR2004 - table and key
    }


def modules(text: str) -> frozenset[str]:
    """Return the modules that a catalogue names."""
    return frozenset(library.module for library in libraries(Source("toml", text)))


def is_used(path: str, text: str, sought: frozenset[str], scripts: str) -> bool:
    """Return whether build scripts use one of these modules through the catalogue."""
    source = Source("toml", text)
    aliases = {library.alias for library in libraries(source) if library.module in sought}
    groups = {f"bundles.{name}" for name, held in bundles(source).items() if held & aliases}
    name = re.escape(path.rpartition("/")[2].removesuffix(SUFFIX))
    called = "|".join(re.escape(re.sub(r"[-_]", ".", each)) for each in sorted(aliases | groups))
    return bool(called) and re.search(rf"\b{name}\.(?:{called})\b(?!\.\w)", scripts) is not None


def raised(path: str, text: str, sought: Sought) -> Fix | None:
    """Return the fix that raises a library's version in a catalogue, its shared version too."""
    source = Source("toml", text)
    every = libraries(source)
    edits = [
        source.edit(node, requoted(source, node, written[: -len(version)] + sought.upgrade.version))
        for node, written, version in _stated(source, every, sought)
        if sought.is_low(version)
    ]
    reason = sought.because(_how(every, sought))
    return fix_of(path, text, edits, reason, lambda after: _is_weak(after, sought))


def _is_weak(text: str, sought: Sought) -> bool:
    source = Source("toml", text)
    stated = _stated(source, libraries(source), sought)
    return not stated or any(sought.is_low(version) for _, _, version in stated)


def _stated(source: Source, every: list[Library], sought: Sought) -> list[tuple[Node, str, str]]:
    """Return the strings that give the sought modules their versions: node, text, version in it."""
    mine = [library for library in every if library.module in sought.modules]
    named = frozenset(library.reference for library in mine if library.reference)
    found = [
        (library.node, string_of(source, library.node) or "", library.version)
        for library in mine
        if library.node is not None and library.version is not None
    ]
    for entry in entries(source):
        is_version = len(entry.key) > 1 and entry.key[0] == "versions" and entry.key[1] in named
        if is_version and (len(entry.key) == 2 or entry.key[2] in _RICH):  # noqa: PLR2004 - a string
            text = string_of(source, entry.value)
            found += [(entry.value, text, text)] if text else []
    return found


def _how(every: list[Library], sought: Sought) -> str:
    references = [e.reference for e in every if e.module in sought.modules and e.reference]
    if not references:
        return f"Raises {sought.what} in the version catalogue"
    others = {e.module for e in every if e.reference in references} - sought.modules
    shared = f", and with it {counted(len(others), 'more library')} of that version"
    return (
        f"Raises {inline(f'versions.{references[0]}')} of the version catalogue, which "
        f"{sought.what} has{shared if others else ''}"
    )


def _library(source: Source, alias: str, fields: dict[tuple[str, ...], Entry]) -> Library | None:
    words = {key: string_of(source, entry.value) for key, entry in fields.items()}
    whole = words.get(())
    if whole is not None:
        group, _, rest = whole.partition(":")
        name, _, version = rest.partition(":")
        return Library(
            alias=alias,
            module=f"{group}:{name}",
            version=version or None,
            node=fields[()].value if version else None,
            reference=None,
        )
    module = words.get(("module",)) or f"{words.get(('group',))}:{words.get(('name',))}"
    key = next(
        (k for k in (("version",), *(("version", r) for r in sorted(_RICH))) if words.get(k)), None
    )
    return Library(
        alias=alias,
        module=module,
        version=words[key] if key else None,
        node=fields[key].value if key else None,
        reference=words.get(("version", "ref")),
    )
