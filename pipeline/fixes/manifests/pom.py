"""Maven: where a pom gives a dependency its version, else an entry in dependencyManagement."""

import re
from collections.abc import Callable, Iterable, Iterator

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.manifests.model import (
    Source,
    Upgrade,
    counted,
    fix_of,
    folder_of,
    indent_at,
    line_start,
    read,
)
from secdaemon.pipeline.fixes.model import Files, Fix, TextEdit
from secdaemon.pipeline.fixes.quote import inline

_NAME = "pom.xml"
_PLAIN = re.compile(r"v?\d[\w.-]*(?:\+[\w.-]+)?")
_PROPERTY = re.compile(r"\$\{([\w.-]+)\}")
_MAX_PARENTS = 8
_MAX_MODULES = 40
_DEPENDENCIES = ("dependencies", "dependency")
_MANAGED = ("dependencyManagement", *_DEPENDENCIES)


class Element(msgspec.Struct, frozen=True):
    """An XML element: its name, its node, and where its text lies, without white space."""

    name: str
    node: Node
    start: int
    end: int


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """A dependency that a pom declares or manages."""

    module: str
    version: Element | None
    is_bill: bool
    """Whether it is imported: its own management then holds."""


class Pom(Source):
    """A pom."""

    def __init__(self, text: str) -> None:
        """Read the text; what is no pom has no project element."""
        super().__init__("xml", text)
        self.project = next((e for e in self.children(self.root) if e.name == "project"), None)

    def children(self, node: Node) -> list[Element]:
        """Return an element's own elements, in their order."""
        held = [c for c in node.named_children if c.type in {"content", "document"}] or [node]
        nodes = [n for c in held for n in c.named_children if n.type == "element"]
        return [self._element(each) for each in nodes if each.named_child_count]

    def at(self, *names: str) -> list[Element]:
        """Return all elements under the project by the names on the way to them."""
        found = [self.project] if self.project else []
        for name in names:
            found = [e for f in found for e in self.children(f.node) if e.name == name]
        return found

    def value(self, element: Element | None) -> str:
        """Return an element's text without the white space around it."""
        return self.text[element.start : element.end] if element else ""

    def property(self, name: str) -> Element | None:
        """Return the one property of a name, None where there is none or more than one."""
        found = self.at("properties", name)
        return found[0] if len(found) == 1 else None

    def dependencies(self, *, managed: bool) -> list[Dependency]:
        """Return what the pom itself declares or manages, its profiles' too."""
        path = _MANAGED if managed else _DEPENDENCIES
        found = [*self.at(*path), *self.at("profiles", "profile", *path)]
        return [self._dependency(element) for element in found]

    def _element(self, node: Node) -> Element:
        tag = node.named_children[0]
        name = self.of(tag.named_children[0]) if tag.named_child_count else ""
        start, end = self.end(tag), self.start(node.named_children[-1])
        text = self.text[start : max(start, end)]
        start += len(text) - len(text.lstrip())
        return Element(name, node, start, start + len(text.strip()))

    def _dependency(self, element: Element) -> Dependency:
        parts = {child.name: child for child in self.children(element.node)}
        group, artifact = (self.value(parts.get(name)) for name in ("groupId", "artifactId"))
        return Dependency(
            module=f"{self._of_project(group)}:{artifact}",
            version=parts.get("version"),
            is_bill=self.value(parts.get("scope")) == "import",
        )

    def _of_project(self, group: str) -> str:
        if group not in {"${project.groupId}", "${groupId}"}:
            return group
        own = self.at("groupId") or self.at("parent", "groupId")
        return self.value(own[0]) if own else group


def is_manifest(path: str) -> bool:
    """Return whether the file is a pom."""
    name = path.rpartition("/")[2]
    return name == _NAME or name.endswith(".pom")


def fixes_for(upgrade: Upgrade, files: Files) -> tuple[Fix, ...]:
    """Return the edit that brings a package of a Maven project to a version.

    Where a scan saw the package in an image, the one pom of the project that declares it changes.
    """
    if upgrade.path is None:
        paths = [path for path in files.paths if is_manifest(path)][:_MAX_MODULES]
        found = {}
        for path in paths:
            fix = _declared(upgrade, files, path)[1]
            if fix is not None:
                found[fix.path] = fix
        return tuple(found.values()) if len(found) == 1 else ()
    known, fix = _declared(upgrade, files, upgrade.path)
    if fix is None and not known:
        fix = _managed(upgrade, files, upgrade.path)
    return (fix,) if fix is not None else ()


def _declared(upgrade: Upgrade, files: Files, path: str) -> tuple[bool, Fix | None]:
    """Return whether a pom or one above it gives the package a version, and the fix if it can."""
    chain = list(_chain(files, path))
    for managed in (False, True):
        for place, pom in chain:
            mine = [
                d
                for d in pom.dependencies(managed=managed)
                if d.module == upgrade.name and d.version is not None
            ]
            if mine:
                return True, _raised(upgrade, chain, (place, pom), mine, inline(upgrade.name))
    group = upgrade.name.partition(":")[0]
    for place, pom in chain:
        bills = [
            d
            for d in pom.dependencies(managed=True)
            if d.is_bill and f"{group}.".startswith(f"{d.module.partition(':')[0]}.")
        ]
        same = [d for d in bills if _value(chain, pom, d.version) == upgrade.installed]
        if len(same) == 1 and upgrade.installed.count(".") == upgrade.version.count("."):
            what = f"{inline(same[0].module)}, the bill of materials with {inline(upgrade.name)}"
            return True, _raised(upgrade, chain, (place, pom), same, what)
    return False, None


def _chain(files: Files, path: str) -> Iterator[tuple[str, Pom]]:
    """Yield a pom and its parents within the project, as their relative paths lead."""
    seen: set[str] = set()
    while path not in seen and len(seen) < _MAX_PARENTS:
        seen.add(path)
        text = read(files, path)
        if text is None:
            return
        pom = Pom(text)
        yield path, pom
        parent = pom.at("parent")
        if not parent:
            return
        stated = pom.at("parent", "relativePath")
        path = _resolved(folder_of(path), pom.value(stated[0]) if stated else f"../{_NAME}")


def _resolved(folder: str, relative: str) -> str:
    """Return the path that a relative one means, "" where it leads out of the project."""
    parts = folder.rstrip("/").split("/") if folder else []
    for part in relative.split("/"):
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    path = "/".join(parts)
    return path if path.endswith((".xml", ".pom")) else f"{path}/{_NAME}".lstrip("/")


def _value(chain: list[tuple[str, Pom]], pom: Pom, version: Element | None) -> str:
    """Return a version with its property put in."""
    text = pom.value(version)
    match = _PROPERTY.fullmatch(text)
    if match is None:
        return text
    return next((p.value(e) for _, p in chain if (e := p.property(match[1]))), "")


def _raised(
    upgrade: Upgrade,
    chain: list[tuple[str, Pom]],
    found: tuple[str, Pom],
    mine: Iterable[Dependency],
    what: str,
) -> Fix | None:
    """Return the fix where the version is written: in the pom itself, or in a property."""
    path, pom = found
    versions = [d.version for d in mine if d.version is not None]
    low = [e for e in versions if _is_low(pom.value(e), upgrade)]
    if low:
        modules = frozenset(d.module for d in mine)
        edits = [TextEdit(e.start, e.end, upgrade.version) for e in low]
        weak = _weak_entry(upgrade, modules)
        return fix_of(path, pom.text, edits, upgrade.because(f"Raises {what}"), weak)
    names = [match[1] for e in versions if (match := _PROPERTY.fullmatch(pom.value(e)))]
    for name in dict.fromkeys(names):
        for place, holder in chain:
            element = holder.property(name)
            if element is not None:
                return _in_property(upgrade, chain, (place, holder), name, what)
    return None


def _in_property(
    upgrade: Upgrade, chain: list[tuple[str, Pom]], found: tuple[str, Pom], name: str, what: str
) -> Fix | None:
    path, holder = found
    element = holder.property(name)
    if element is None or not _is_low(holder.value(element), upgrade):
        return None
    users = {
        d.module
        for _, pom in chain
        for managed in (False, True)
        for d in pom.dependencies(managed=managed)
        if pom.value(d.version) == f"${{{name}}}"
    }
    others = len(users) - 1
    more = f", and with it {counted(others, 'more dependency')} of that version" if others else ""

    def is_weak(text: str) -> bool:
        pom = Pom(text)
        return not pom.property(name) or _is_low(pom.value(pom.property(name)), upgrade)

    edits = (TextEdit(element.start, element.end, upgrade.version),)
    reason = upgrade.because(f"Raises the property {inline(name)}, which sets {what}{more}")
    return fix_of(path, holder.text, edits, reason, is_weak)


def _is_low(version: str, upgrade: Upgrade) -> bool:
    return _PLAIN.fullmatch(version) is not None and upgrade.is_low_in(version)


def _weak_entry(upgrade: Upgrade, modules: frozenset[str]) -> Callable[[str], bool]:
    def is_weak(text: str) -> bool:
        pom = Pom(text)
        every = [*pom.dependencies(managed=False), *pom.dependencies(managed=True)]
        mine = [pom.value(d.version) for d in every if d.module in modules and d.version]
        return not mine or any(_is_low(version, upgrade) for version in mine)

    return is_weak


def _managed(upgrade: Upgrade, files: Files, path: str) -> Fix | None:
    """Return the entry in the pom's own dependencyManagement, for what no pom here declares.

    It holds against the entries of its parents and those of imported bills.
    """
    text = read(files, path)
    pom = Pom(text) if text is not None else None
    if text is None or pom is None or pom.project is None:
        return None
    match = re.search(r"^(\t| {2,8})(?=<)", text, re.MULTILINE)
    unit = match[1] if match else "    "
    group, _, artifact = upgrade.name.partition(":")
    lines = [
        "<dependency>",
        f"{unit}<groupId>{group}</groupId>",
        f"{unit}<artifactId>{artifact}</artifactId>",
        f"{unit}<version>{upgrade.version}</version>",
        "</dependency>",
    ]
    edit = _inserted(pom, lines, unit)
    how = f"Manages {inline(upgrade.name)}, which other dependencies bring in"
    weak = _weak_entry(upgrade, frozenset((upgrade.name,)))
    return fix_of(path, text, (edit,), upgrade.because(how), weak) if edit else None


def _inserted(pom: Pom, lines: list[str], unit: str) -> TextEdit | None:
    """Return the edit that puts an entry at the end of what is managed, or manages it first."""
    names = ("dependencyManagement", "dependencies")
    held = next((n for n in (2, 1, 0) if pom.at(*names[:n])), 0)
    for name in reversed(names[held:]):
        lines = [f"<{name}>", *(f"{unit}{line}" for line in lines), f"</{name}>"]
    found = pom.at(*names[:held])
    if not found:
        return None
    before = next(iter(pom.at("dependencies") or pom.at("build")), None) if not held else None
    last = found[0].node.named_children[-1]
    if last.type != "ETag" or last.is_missing:
        return None
    at = pom.start(before.node) if before else pom.start(last)
    begin = line_start(pom.text, at)
    if pom.text[begin:at].strip():
        return None
    base = indent_at(pom.text, at) + ("" if before else unit)
    gap = "\n" if before else ""
    return TextEdit(begin, begin, "".join(f"{base}{line}\n" for line in lines) + gap)
