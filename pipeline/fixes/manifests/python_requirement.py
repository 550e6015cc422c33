"""A requirement of Python's (PEP 508) with its lower end raised, everything else as it was."""

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from secdaemon.pipeline.fixes.manifests.model import Upgrade

_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)(?P<extras>\s*\[[^\[\]]*\])?"
    r"(?P<space>\s*)(?P<open>\(?)(?P<specifiers>[^;@()#]*?)(?P<close>\)?)(?P<rest>\s*(?:;.*)?)"
)
_CLAUSE = re.compile(r"(\s*)(===|==|~=|>=|<=|!=|>|<)(\s*)([\w.*+!-]+)(\s*)")
_MAX_LENGTH = 400
_LOWER = frozenset(("==", "===", "~=", ">=", ">"))


def normal(name: str) -> str:
    """Return a package's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_of(requirement: str, upgrade: Upgrade) -> bool:
    """Return whether a requirement is of the package."""
    match = _read(requirement)
    return match is not None and normal(match["name"]) == normal(upgrade.name)


def is_weak(requirement: str, upgrade: Upgrade) -> bool:
    """Return whether a requirement of the package admits a version below the fixed one."""
    match = _read(requirement)
    return match is None or is_weak_specifiers(match["specifiers"], upgrade)


def is_weak_specifiers(specifiers: str, upgrade: Upgrade) -> bool:
    """Return whether specifiers admit a version below the fixed one."""
    clauses = _clauses(specifiers)
    if clauses is None:
        return False
    lower = [_plain(clause[4]) for clause in clauses if clause[2] in _LOWER]
    return not any(version and not upgrade.is_low(version) for version in lower)


def raised(requirement: str, upgrade: Upgrade) -> str | None:
    """Return the requirement from the fixed version on, None where it cannot be or need not be."""
    stripped = requirement.strip()
    match = _read(stripped)
    if match is None or not is_weak(stripped, upgrade):
        return None
    stated = match["specifiers"]
    new = raised_specifiers(stated, upgrade)
    if new is None:
        return None
    start = match.start("specifiers")
    return stripped[:start] + new + stripped[start + len(stated) :]


def raised_specifiers(specifiers: str, upgrade: Upgrade) -> str | None:
    """Return specifiers from the fixed version on; None where an upper end forbids that version."""
    clauses = _clauses(specifiers)
    if clauses is None:
        return None
    parts = []
    found = False
    for clause in clauses:
        operator, version = clause[2], clause[4]
        if operator in _LOWER and upgrade.is_low(_plain(version)):
            found = True
            operator = "~=" if version.endswith("*") else ">=" if operator == ">" else operator
            parts.append(f"{clause[1]}{operator}{clause[3]}{upgrade.version}{clause[5]}")
        else:
            parts.append(clause[0])
    lower = [] if found else [f">={upgrade.version}"]
    new = ",".join((*lower, *parts))
    try:
        admitted = SpecifierSet(new).contains(upgrade.version, prereleases=True)
    except InvalidSpecifier:
        return None
    return new if admitted else None


def _read(requirement: str) -> re.Match[str] | None:
    stripped = requirement.strip()
    return _REQUIREMENT.fullmatch(stripped) if len(stripped) <= _MAX_LENGTH else None


def _clauses(specifiers: str) -> list[re.Match[str]] | None:
    """Return the clauses of specifiers, None where one is none."""
    if not specifiers.strip():
        return []
    matches = [_CLAUSE.fullmatch(part) for part in specifiers.split(",")]
    found = [match for match in matches if match is not None]
    return found if len(found) == len(matches) else None


def _plain(version: str) -> str:
    return version.removesuffix(".*")
