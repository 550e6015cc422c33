"""Which file of the project declares a package, and the edits in it that raise its version."""

import re
from collections.abc import Callable, Sequence

from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.fixes.manifests import (
    cargo_toml,
    dockerfile,
    go_mod,
    gradle,
    package_json,
    pom,
    pyproject,
    requirements,
)
from secdaemon.pipeline.fixes.manifests.model import SYSTEM, Upgrade
from secdaemon.pipeline.fixes.model import Files, Fix
from secdaemon.pipeline.fixes.versions import package_kind

Reader = Callable[[Upgrade, Files], tuple[Fix, ...]]

_READERS: dict[str, tuple[tuple[Callable[[str], bool], Reader], ...]] = {
    "cargo": ((cargo_toml.is_manifest, cargo_toml.fixes_for),),
    "golang": ((go_mod.is_manifest, go_mod.fixes_for),),
    "maven": (
        (gradle.is_manifest, gradle.fixes_for),
        (pom.is_manifest, pom.fixes_for),
    ),
    "npm": ((package_json.is_manifest, package_json.fixes_for),),
    "pypi": (
        (pyproject.is_manifest, pyproject.fixes_for),
        (requirements.is_manifest, requirements.fixes_for),
    ),
}
"""For each kind of package: which files are whose, and who reads them."""

_OF_THE_BASE = re.compile(
    r"(?:^|/)(?:usr/(?:local/)?(?:lib|share)/(?:node_modules/(?:npm|corepack)|python3/dist-packages)"
    r"|opt/yarn)"
)
"""Where base images keep packages of their own."""
_NAMES = {
    "maven": re.compile(r"[\w.-]{1,100}:[\w.-]{1,100}", re.ASCII),
    "npm": re.compile(r"(?:@[\w.~-]{1,100}/)?[\w.~-]{1,100}", re.ASCII),
    "golang": re.compile(r"[\w.~/-]{1,200}", re.ASCII),
}
_NAME = re.compile(r"[A-Za-z0-9][\w.+-]{0,100}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][\w.+:~-]{0,100}", re.ASCII)
_ID = re.compile(r"[A-Za-z][A-Za-z0-9-]{2,40}")


def fixes_for(finding: Finding, version: str, files: Files) -> tuple[Fix, ...]:
    """Return the edits that bring the finding's package to a version, one for each good way.

    From the finding's file (a lock file, a manifest) the declaring ones are looked for in its
    folder and upwards. A package that was seen in an image or a jar is raised where exactly one
    file of the project declares it, one of the image's system in the Dockerfile. () where nothing
    declares it that can be changed with certainty; then the finding gets advice. It never raises.
    """
    upgrade = _upgrade(finding, version)
    if upgrade is None or (finding.target and _OF_THE_BASE.search(finding.path or "")):
        return ()
    files = _Read(files)
    if upgrade.kind in SYSTEM:
        return dockerfile.fixes_for(upgrade, files, finding.target or "")
    readers = _READERS.get(upgrade.kind, ())
    if upgrade.path is not None:
        readers = tuple(pair for pair in readers if pair[0](upgrade.path or ""))
    for _, reader in readers:
        fixes = reader(upgrade, files)
        if fixes:
            return fixes
    return ()


class _Read:
    """The project's files, each read once: a build's scripts are asked for time and again."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._known = frozenset(files.paths)
        self._texts: dict[str, str | None] = {}

    @property
    def paths(self) -> Sequence[str]:
        """Every regular file."""
        return self._files.paths

    def read(self, path: str) -> str | None:
        """Return a file's text, None where it is missing, binary or huge."""
        if path not in self._known:
            return None
        if path not in self._texts:
            self._texts[path] = self._files.read(path)
        return self._texts[path]


def _upgrade(finding: Finding, version: str) -> Upgrade | None:
    """Return the upgrade that is asked for, None where a name in it could be anything else."""
    package = finding.package
    if package is None:
        return None
    path = None if finding.target else finding.path
    kind = package_kind(package) or _kind_at(path or finding.path or "")
    installed = (package.version or "").strip()
    advisories = [name for name in (*finding.aliases, finding.rule) if _ID.fullmatch(name)]
    known = sorted(advisories, key=lambda name: not name.startswith("CVE-"))
    name = package.name
    if not known or not _VERSION.fullmatch(version) or not _VERSION.fullmatch(installed):
        return None
    if not _NAMES.get(kind, _NAME).fullmatch(name):
        return None
    return Upgrade(
        kind=kind,
        name=name,
        installed=installed,
        version=version,
        advisory=known[0],
        path=path if path is None or _is_known(path, kind) else None,
    )


def _is_known(path: str, kind: str) -> bool:
    return any(is_manifest(path) for is_manifest, _ in _READERS.get(kind, ()))


def _kind_at(path: str) -> str:
    """Return the kind of package that a file declares, where the scan does not say it."""
    return next((kind for kind in _READERS if _is_known(path, kind)), "")
