"""Dependency versions: how many are right, against a second derivation from the advisories' data.

The second one reads the scanners' raw files itself, sweeps the events of the OSV schema over every
fixed version that is named, takes the installed release branch (major.minor) first and compares by
other means: `packaging` for PyPI, `dpkg` for Debian and its relatives where it is installed, words
and numbers for the rest.
"""

import functools
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from packaging.version import InvalidVersion, Version

from benchmarks.table import columns
from secdaemon.pipeline.findings.parse import parse_folder
from secdaemon.pipeline.fixes.versions import fixed_version

CORPUS = Path(__file__).resolve().parents[1].parent / "shared" / "corpus"
FOLDERS = ("webauthn-392", "scans/osv", "scans/trivy")
_MESSAGE = re.compile(
    r"Package: (.+)\nInstalled Version: (.*)\nVulnerability (\S+)\nSeverity: .*\n"
    r"Fixed Version: ?(.*)"
)
_EARLY = ("dev", "snapshot", "alpha", "a", "beta", "b", "milestone", "m", "pre", "rc", "cr")
_PLAIN = ("", "final", "ga", "release")
_DPKG = shutil.which("dpkg")

Less = Callable[[str, str], bool]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One package under one advisory, as a scanner's raw file has it."""

    name: str
    installed: str
    advisory: str
    kind: str
    fixed: tuple[str, ...]
    events: tuple[tuple[tuple[str, str], ...], ...] = ()
    """The events of each range: (introduced, fixed or last_affected; version)."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of one folder."""

    folder: str
    cases: int
    with_fix: int
    right: int
    wrong: tuple[str, ...]


def expected(case: Case) -> str | None:
    """Return the right version: of the installed branch, else of its major version, else the next.

    None where no fixed version that is named is above the installed one and unaffected itself.
    """
    less = _less(case.kind, case.installed)
    good = [
        version
        for version in dict.fromkeys(case.fixed)
        if less(case.installed, version)
        and not any(_swept(events, version, less) for events in case.events)
        and (_is_early(case.installed, case.kind) or not _is_early(version, case.kind))
    ]
    for depth in (2, 1, 0):
        near = [v for v in good if _numbers(v)[:depth] == _numbers(case.installed)[:depth]]
        if near:
            order = functools.cmp_to_key(lambda a, b: -1 if less(a, b) else int(less(b, a)))
            return _flavoured(min(near, key=order), case.installed)
    return None


def cases_in(folder: Path) -> Iterator[Case]:
    """Yield what the folder's OSV and Trivy files say, read as plain JSON."""
    files = (path for path in folder.rglob("*") if path.is_file())
    for path in sorted(path for path in files if path.suffix in {".json", ".sarif"}):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if not isinstance(document, dict):
            continue
        if "runs" in document:
            yield from _of_sarif(document)
        yield from _of_osv(document)
        yield from _of_trivy(document)


def measured(folder: Path) -> Outcome:
    """Compare our answer with the expected one for each case of a folder, each counted once."""
    ours: dict[tuple[str, str, str], str | None] = {}
    collected = parse_folder(folder)
    for finding in (*collected.kept, *collected.suppressed):
        if finding.package is not None:
            name, installed = finding.package.name, finding.package.version or ""
            for advisory in (finding.rule, *finding.aliases):
                ours.setdefault((name, installed, advisory), fixed_version(finding.package))
    wrong, seen, with_fix = [], set(), 0
    for case in cases_in(folder):
        key = (case.name, case.installed, case.advisory)
        if key in seen:
            continue
        seen.add(key)
        want, got = expected(case), ours.get(key, "no finding")
        with_fix += want is not None
        if want != got:
            wrong.append(f"{' '.join(key)}: {want or 'none'} is right, {got or 'none'} is given")
    right = len(seen) - len(wrong)
    return Outcome(folder.name, len(seen), with_fix, right, tuple(wrong))


def measure(folders: tuple[Path, ...] = tuple(CORPUS / name for name in FOLDERS)) -> None:
    """Print how many versions are right, and each that is not."""
    outcomes = [measured(folder) for folder in folders if folder.is_dir()]
    if not outcomes:
        print("Dependency versions: the real scans are not here (../shared/corpus)")
        return
    rows = [(o.folder, str(o.with_fix), f"{o.right} of {o.cases}") for o in outcomes]
    title = "Dependency versions (aim: all right)"
    columns(title, ("folder", "with a fix", "right"), rows)
    for outcome in outcomes:
        for line in outcome.wrong:
            print(f"  {outcome.folder}: {line}")


def _of_osv(document: dict[str, Any]) -> Iterator[Case]:
    for result in document.get("results") or ():
        for held in result.get("packages") or () if isinstance(result, dict) else ():
            package = held["package"]
            for advisory in held.get("vulnerabilities") or () if package["name"] else ():
                same = [
                    a
                    for a in advisory.get("affected") or ()
                    if a.get("package", {}).get("name") == package["name"]
                    and a["package"].get("ecosystem") == package.get("ecosystem")
                ]
                events = tuple(
                    tuple(next(iter(event.items())) for event in span["events"])
                    for a in same
                    for span in a.get("ranges") or ()
                    if span["type"] != "GIT"
                )
                yield Case(
                    name=package["name"],
                    installed=package["version"],
                    advisory=advisory["id"],
                    kind=package.get("ecosystem", ""),
                    fixed=tuple(v for span in events for what, v in span if what == "fixed"),
                    events=events,
                )


def _of_trivy(document: dict[str, Any]) -> Iterator[Case]:
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict) and {"VulnerabilityID", "PkgName"} <= set(value):
            yield Case(
                name=value["PkgName"],
                installed=value.get("InstalledVersion", ""),
                advisory=value["VulnerabilityID"],
                kind="deb" if "deb" in value.get("DataSource", {}).get("ID", "") else "",
                fixed=_listed(value.get("FixedVersion", "")),
            )
        elif isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value


def _of_sarif(document: dict[str, Any]) -> Iterator[Case]:
    for run in document["runs"]:
        for result in run.get("results") or ():
            match = _MESSAGE.match(result.get("message", {}).get("text", ""))
            if match:
                name, installed, advisory, fixed = (part.strip() for part in match.groups())
                kind = "deb" if re.search(r"ubuntu|deb\d", installed) else ""
                yield Case(
                    name=name,
                    installed=installed,
                    advisory=advisory,
                    kind=kind,
                    fixed=_listed(fixed),
                )


def _listed(fixed: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in fixed.split(",") if part.strip())


def _swept(events: tuple[tuple[str, str], ...], version: str, less: Less) -> bool:
    """Return whether a version is affected, by the evaluation that the OSV schema prescribes."""
    affected = False
    zero = [e for e in events if e == ("introduced", "0")]
    rest = [e for e in events if e not in zero]
    order = functools.cmp_to_key(lambda a, b: -1 if less(a[1], b[1]) else int(less(b[1], a[1])))
    for what, at in [*zero, *sorted(rest, key=order)]:
        reached = (what, at) in zero or not less(version, at)
        if what == "introduced" and reached:
            affected = True
        elif (what == "fixed" and reached) or (what == "last_affected" and less(at, version)):
            affected = False
    return affected


def _less(kind: str, installed: str) -> Less:
    if kind == "PyPI":
        return _less_pypi
    if kind == "deb" or re.search(r"ubuntu|deb\d", installed):
        return _less_deb if _DPKG else _less_plain
    return _less_plain


def _less_pypi(one: str, other: str) -> bool:
    try:
        return Version(one) < Version(other)
    except InvalidVersion:
        return False


def _less_deb(one: str, other: str) -> bool:
    command = [_DPKG or "dpkg", "--compare-versions", one, "lt", other]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _less_plain(one: str, other: str) -> bool:
    return _parts(one) < _parts(other)


def _parts(version: str) -> tuple[tuple[int, ...], tuple[tuple[int, int, str], ...]]:
    numbers = _numbers(version)
    rest = re.sub(r"^v?\d+(\.\d+)*", "", version.lower())
    while numbers and numbers[-1] == 0:
        numbers = numbers[:-1]
    words = [w for w in re.findall(r"[a-z]+|\d+", rest) if w not in _PLAIN]
    return numbers, (*(_rank(word) for word in words), (0, 0, ""))


def _rank(word: str) -> tuple[int, int, str]:
    if word.isdigit():
        return (2, int(word), "")
    return (-1, _EARLY.index(word), "") if word in _EARLY else (1, 0, word)


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _is_early(version: str, kind: str) -> bool:
    if kind == "PyPI":
        try:
            return Version(version).is_prerelease
        except InvalidVersion:
            return False
    words = re.findall(r"(?<![a-z])([a-z]+)(?=[.-]?\d|$)", version.lower())
    return kind != "deb" and any(word in _EARLY for word in words)


def _flavoured(version: str, installed: str) -> str:
    """Return Guava's version in the installed flavour: it publishes two of each."""
    flavour = next((f for f in ("-android", "-jre") if installed.endswith(f)), None)
    return re.sub(r"-(android|jre)$", flavour, version) if flavour else version


if __name__ == "__main__":
    measure()
