"""Gradle: where a module's build gives a package its version, else a constraint on it.

Looked at are the module's own script, the scripts, properties and version catalogue around it, and
the project's convention plugins. A lock file follows the scripts, and is renewed by Gradle itself.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from secdaemon.pipeline.fixes.manifests import catalog
from secdaemon.pipeline.fixes.manifests.gradle_configurations import configuration_for
from secdaemon.pipeline.fixes.manifests.gradle_constraint import constraint_edit
from secdaemon.pipeline.fixes.manifests.gradle_script import Declared, Script
from secdaemon.pipeline.fixes.manifests.gradle_sought import Sought
from secdaemon.pipeline.fixes.manifests.model import (
    MAX_LOCK_CHARS,
    Upgrade,
    counted,
    fix_of,
    folder_of,
    read,
    upwards,
)
from secdaemon.pipeline.fixes.model import Files, Fix, TextEdit
from secdaemon.pipeline.fixes.quote import inline

_SETTINGS_FILES = ("settings.gradle.kts", "settings.gradle")
_SCRIPTS = ("build.gradle.kts", "build.gradle")
_CONVENTIONS = re.compile(r"(?:^|/)(?:buildSrc|build-logic|buildLogic|build-conventions)/")
_SOURCES = (".gradle", ".gradle.kts", ".kt", ".java", ".groovy")
_APPLIED = re.compile(r"(?:^|/)gradle/[\w./-]+\.gradle(?:\.kts)?$")
_MULTIPLATFORM = re.compile(r"\bmultiplatform\b")
_PROPERTIES = "gradle.properties"
_SHARED = frozenset(("allprojects", "subprojects", "configure", "project", "versionCatalogs"))
_SETTINGS = frozenset(("buildscript", "pluginManagement", "plugins"))
_MAX_FILES = 60
_MAX_MODULES = 40


def is_manifest(path: str) -> bool:
    """Return whether the file is one of Gradle's."""
    name = path.rpartition("/")[2]
    ours = (".gradle", ".gradle.kts", ".lockfile", catalog.SUFFIX)
    return name.endswith(ours) or name in {"gradle.properties", "verification-metadata.xml"}


def fixes_for(upgrade: Upgrade, files: Files) -> tuple[Fix, ...]:
    """Return the edit that brings a package of a Gradle build to a version.

    Where a scan saw the package in an image, the one file of the project that declares it changes;
    several that declare it on their own give no fix, since each alone would be half of one.
    """
    if upgrade.path is None:
        folders = [folder_of(path) for path in files.paths if path.endswith(_SCRIPTS)]
        fixes = (_declared(upgrade, files, folder) for folder in folders[:_MAX_MODULES])
        found = {fix.path: fix for _, fix in fixes if fix is not None}
        return tuple(found.values()) if len(found) == 1 else ()
    folder = _module(upgrade.path)
    locked = _locked(upgrade, files)
    if locked is None:
        return ()
    known, fix = _declared(upgrade, files, folder)
    if fix is None and not known:
        fix = _constraint(upgrade, files, folder, locked)
    return (fix,) if fix is not None else ()


def _renewal(path: str | None) -> str:
    """Return the sentence on what renews a lock file, "" where the finding is in none."""
    if path is None or not path.endswith(".lockfile"):
        return ""
    module = _module(path).rstrip("/").replace("/", ":")
    task = f":{module}:dependencies" if module else "dependencies"
    return f" Renew the lock file with {inline(f'./gradlew {task} --write-locks')}."


def _module(path: str) -> str:
    """Return the folder of the module that a file of Gradle's belongs to."""
    folder = folder_of(path)
    for inner in ("gradle/dependency-locks/", "gradle/"):
        if folder == inner or folder.endswith(f"/{inner}"):
            return folder.removesuffix(inner)
    return folder


def _locked(upgrade: Upgrade, files: Files) -> tuple[str, ...] | None:
    """Return the configurations in which the lock file has the package.

    () where the finding is in no lock file, None where the lock file has it no more.
    """
    if upgrade.path is None or not upgrade.path.endswith(".lockfile"):
        return ()
    text = read(files, upgrade.path, MAX_LOCK_CHARS)
    if text is None:
        return ()
    start = f"{upgrade.name}:{upgrade.installed}="
    line = next((row for row in text.splitlines() if row.startswith(start)), None)
    if line is None:
        return None
    return tuple(name for name in line.removeprefix(start).split(",") if name)


def _declared(upgrade: Upgrade, files: Files, folder: str) -> tuple[bool, Fix | None]:
    """Return whether the module's build gives the package a version, and the fix if it can be."""
    own = next((f"{folder}{name}" for name in _SCRIPTS if files.read(f"{folder}{name}")), None)
    scripts = list(_scripts(files, folder, own))
    catalogs = list(_catalogs(files, folder))
    every = {d.module for _, script in scripts for d in script.declared()}
    every |= {module for _, text in catalogs for module in catalog.modules(text)}
    for sought in (_named(upgrade), _bill(upgrade, every)):
        for path, script in scripts:
            if any(
                d.module in sought.modules and _reaches(d, path, own) for d in script.declared()
            ):
                known = not sought.is_bill or sought.is_met(script)
                return known, _in_script(sought, files, path, script)
        used = "\n".join(script.text for _, script in scripts)
        for path, text in catalogs:
            if catalog.is_used(path, text, sought.modules, used):
                return not sought.is_bill, catalog.raised(path, text, sought)
    return False, None


def _named(upgrade: Upgrade) -> Sought:
    """Return the package's own names: Kotlin's libraries leave `-jvm` to Gradle."""
    names = (upgrade.name, upgrade.name.removesuffix("-jvm"))
    return Sought(upgrade=upgrade, modules=frozenset(names), renewal=_renewal(upgrade.path))


def _bill(upgrade: Upgrade, known: Iterable[str]) -> Sought:
    """Return the bills of materials that give the package its version.

    A bill is known by its name and by having the very version that is installed.
    """
    group = upgrade.name.partition(":")[0]
    same_shape = upgrade.installed.count(".") == upgrade.version.count(".")
    bills = {
        module
        for module in known
        if module.endswith("-bom")
        and same_shape
        and f"{group}.".startswith(f"{module.partition(':')[0]}.")
    }
    return Sought(
        upgrade=upgrade, modules=frozenset(bills), is_bill=True, renewal=_renewal(upgrade.path)
    )


def _scripts(files: Files, folder: str, own: str | None) -> Iterator[tuple[str, Script]]:
    """Yield the scripts that say something on a module: its own, those around it, conventions."""
    around = [f"{up}{name}" for up in upwards(folder) for name in (*_SCRIPTS, *_SETTINGS_FILES)]
    shared = [path for path in files.paths if _CONVENTIONS.search(path)]
    paths = dict.fromkeys(([own] if own else []) + around + shared)
    for path in list(paths)[:_MAX_FILES]:
        text = read(files, path) if path.endswith(_SOURCES) else None
        if text is not None:
            yield path, _script(path, text)


@lru_cache(maxsize=64)
def _script(path: str, text: str) -> Script:
    return Script(path, text)


def _catalogs(files: Files, folder: str) -> Iterator[tuple[str, str]]:
    """Yield the version catalogues around a module, with their texts."""
    folders = {f"{up}gradle/" for up in upwards(folder)}
    for path in files.paths:
        if path.endswith(catalog.SUFFIX) and folder_of(path) in folders:
            text = read(files, path)
            if text is not None:
                yield path, text


def _reaches(declared: Declared, path: str, own: str | None) -> bool:
    """Return whether a declaration in a script is one of the module's."""
    around = set(declared.blocks)
    if around & _SETTINGS:
        return False
    return path == own or bool(_CONVENTIONS.search(path) or around & _SHARED)


def _in_script(sought: Sought, files: Files, path: str, script: Script) -> Fix | None:
    """Return the fix in the script, or where the variable is set that it takes the version from."""
    found = [d for d in script.declared() if d.module in sought.modules]
    spots = [(d.start, d.end) for d in found if sought.is_low(d.version)]
    if spots:
        how = f"Raises {sought.what}"
        return _raised(sought, path, script.text, spots, how, sought.weak_script(path))
    for variable in dict.fromkeys(d.variable for d in found if d.variable):
        users = {d.module for d in script.declared() if d.variable == variable}
        others = users - sought.modules
        more = f", and with it {counted(len(others), 'more library')} of that version"
        how = f"Raises {inline(variable)}, which {sought.what} has{more if others else ''}"
        fix = _in_variable(sought, files, path, variable, how)
        if fix is not None:
            return fix
    return None


def _in_variable(sought: Sought, files: Files, user: str, variable: str, how: str) -> Fix | None:
    """Return the fix where a version variable is set: the nearest file that sets it, once."""
    around = [up + name for up in upwards(folder_of(user)) for name in (*_SCRIPTS, _PROPERTIES)]
    shared = [path for path in files.paths if _CONVENTIONS.search(path) or _APPLIED.search(path)]
    paths = dict.fromkeys((user, *around, *shared))
    for path in list(paths)[:_MAX_FILES]:
        text = read(files, path) if path.endswith((*_SOURCES, _PROPERTIES)) else None
        spots = _set(path, text, variable) if text is not None else []
        if text is not None and spots:
            low = [(start, end) for start, end in spots if sought.is_low(text[start:end])]
            if len(spots) > 1 or not low:
                return None
            return _raised(sought, path, text, low, how, _weak_variable(sought, path, variable))
    return None


def _set(path: str, text: str, variable: str) -> list[tuple[int, int]]:
    """Return where a file sets a variable to a version."""
    if path.endswith(_PROPERTIES):
        line = re.compile(rf"^{re.escape(variable)}[ \t]*[=:][ \t]*(\S+)[ \t]*$", re.MULTILINE)
        return [match.span(1) for match in line.finditer(text)]
    return [(spot.start, spot.end) for spot in _script(path, text).versions(variable)]


def _weak_variable(sought: Sought, path: str, variable: str) -> Callable[[str], bool]:
    def is_weak(text: str) -> bool:
        spots = _set(path, text, variable)
        return not spots or any(sought.is_low(text[start:end]) for start, end in spots)

    return is_weak


def _raised(  # noqa: PLR0917 - the parts of a Fix, in its order
    sought: Sought,
    path: str,
    text: str,
    spots: Iterable[tuple[int, int]],
    how: str,
    is_weak: Callable[[str], bool],
) -> Fix | None:
    edits = [TextEdit(start, end, sought.upgrade.version) for start, end in spots]
    return fix_of(path, text, edits, sought.because(how), is_weak)


def _has_rich_version(script: Script, upgrade: Upgrade) -> bool:
    """Return whether the package may have a `version { strictly … }`, against a constraint."""
    is_named = any(literal.text in _named(upgrade).modules for literal in script.literals)
    return is_named and any(literal.blocks[-1:] == ("version",) for literal in script.literals)


def _constraint(upgrade: Upgrade, files: Files, folder: str, locked: tuple[str, ...]) -> Fix | None:
    """Return the constraint on a package that others bring in, in the module's own script."""
    own = next((f"{folder}{name}" for name in _SCRIPTS if files.read(f"{folder}{name}")), None)
    text = read(files, own) if own else None
    if own is None or text is None or upgrade.path is None or _MULTIPLATFORM.search(text):
        return None
    is_buildscript = upgrade.path.endswith("buildscript-gradle.lockfile")
    configuration = "classpath" if is_buildscript else configuration_for(locked, text)
    script = _script(own, text)
    if configuration is None or _has_rich_version(script, upgrade):
        return None
    edit = constraint_edit(script, upgrade, configuration)
    how = f"Constrains {inline(upgrade.name)}, which other libraries bring in"
    sought = _named(upgrade)
    weak = sought.weak_script(own)
    return fix_of(own, text, (edit,), sought.because(how), weak) if edit else None
