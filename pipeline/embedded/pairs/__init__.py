"""The `embedded` Stage 1 source: the project's own vulnerability fixes and weakness notes.

`pairs/<language>.yaml` and `cwes.yaml` are written to be reviewed by reading; this module turns
them into rows with the columns of the CrossVul data set.
"""

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import msgspec
import yaml

T = TypeVar("T")

SOURCE = "embedded"
LANGUAGE_DIRS = {
    "c": "c",
    "go": "go",
    "java": "java",
    "javascript": "js",
    "kotlin": "kt",
    "python": "py",
    "typescript": "ts",
    "yaml": "yml",
}
"""Language, which is also the name of its file, to what CrossVul calls the language's folder."""

# The C loader is about ten times as fast; PyYAML built without libyaml lacks it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Weakness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One CWE: MITRE's id and name, what it is, and how it is fixed in practice."""

    id: str
    name: str
    description: str
    remedy: str


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One fix as a CrossVul row, with two columns more: what is wrong here, and what the fix does.

    `file_pair_id` is `<group>_<n>`: rows that share what stands before the last underscore tell
    the same story and belong in the same split.
    """

    cwe_id: str
    cwe_description: str
    language: str
    language_dir: str
    vulnerable_code: str
    fixed_code: str
    file_pair_id: str
    title: str
    fix: str
    source: str = SOURCE


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of a file of pairs, as it is written there."""

    id: str
    cwe: str
    title: str
    fix: str
    vulnerable: str
    fixed: str
    group: str | None = None


def load_cwes() -> dict[str, Weakness]:
    """Return every described weakness by its id, such as `CWE-89`, in ascending order."""
    weaknesses = _read(_package().joinpath("cwes.yaml"), Weakness)
    return {w.id: w for w in sorted(weaknesses, key=lambda w: int(w.id.removeprefix("CWE-")))}


def load_pairs() -> tuple[Pair, ...]:
    """Return every pair, by language and then in the order of its file.

    Raises:
        msgspec.ValidationError: an entry lacks a key or has one that is not known.
        KeyError: an entry's CWE is not described in `cwes.yaml`.
    """
    weaknesses = load_cwes()
    members: dict[str, int] = {}
    pairs = []
    for language in sorted(LANGUAGE_DIRS):
        for entry in _read(_package().joinpath("pairs", f"{language}.yaml"), _Entry):
            group = entry.group or entry.id
            number = members.get(group, 0)
            members[group] = number + 1
            pairs.append(_pair(entry, language, f"{group}_{number}", weaknesses[entry.cwe]))
    return tuple(pairs)


def _pair(entry: _Entry, language: str, file_pair_id: str, weakness: Weakness) -> Pair:
    return Pair(
        cwe_id=weakness.id,
        cwe_description=f"{weakness.name} - {weakness.description}",
        language=language,
        language_dir=LANGUAGE_DIRS[language],
        vulnerable_code=entry.vulnerable,
        fixed_code=entry.fixed,
        file_pair_id=file_pair_id,
        title=entry.title,
        fix=entry.fix,
    )


def _package() -> Traversable:
    return resources.files("secdaemon.pipeline.embedded")


def _read(file: Traversable, entry_type: type[T]) -> list[T]:
    data: Any = yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader
    return msgspec.convert(data, list[entry_type])  # type: ignore[valid-type]
