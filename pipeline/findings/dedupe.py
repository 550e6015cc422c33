"""The same result told twice becomes one finding that keeps all its sources.

Three ways to be the same, from certain to careful: the same result of one tool in two files, also
in two formats; the same advisory of one package and version, whoever says so; the same weakness at
the same line, said by two tools. Whatever could be read two ways stays apart.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from secdaemon.pipeline.findings import severity
from secdaemon.pipeline.findings.identifiers import purl_type
from secdaemon.pipeline.findings.identity import PlaceKey, identified, place_key, squeezed
from secdaemon.pipeline.findings.model import Category, Finding, Package, Place
from secdaemon.pipeline.findings.shape import unique
from secdaemon.pipeline.findings.weaknesses import families

_OF_TOOL = ("tool_version", "rule_name", "native_severity", "confidence", "baseline")
_OF_PLACE = (
    *("path", "line", "end_line", "column", "end_column", "snippet", "target"),
    *("url", "method", "parameter", "attack", "evidence"),
)
_NOWHERE = (None, None, None, None)
_TRUSTED_PRINTS = frozenset({"matchBasedId/v1", "fingerprint"})


class Deduplicated(NamedTuple):
    """Every finding that went in is in exactly one of the three; `kept` holds the merged ones."""

    kept: tuple[Finding, ...]
    duplicates: tuple[Finding, ...]
    suppressed: tuple[Finding, ...]


def deduplicate(findings: Sequence[Finding]) -> Deduplicated:
    """The findings in their order, merged; suppressed ones apart.

    A result that its tool suppresses in one file and not in another is suppressed.
    """
    reasons = {place_key(f): f.suppression for f in findings if f.suppression}
    told = [_suppressed_too(finding, reasons) for finding in findings]
    suppressed = tuple(finding for finding in told if finding.suppression)
    active = [finding for finding in told if not finding.suppression]
    groups = _Groups(len(active))
    _join_same_results(active, groups)
    _join_retold(active, groups)
    _join_advisories(active, groups)
    _join_weaknesses(active, groups)
    members = [[active[i] for i in group] for group in groups.all()]
    kept = tuple(identified(merge(group) for group in members))
    duplicates = tuple(finding for group in members for finding in group[1:])
    return Deduplicated(kept, duplicates, suppressed)


def _suppressed_too(finding: Finding, reasons: dict[PlaceKey, str]) -> Finding:
    reason = reasons.get(place_key(finding))
    if finding.suppression or not reason:
        return finding
    return msgspec.structs.replace(finding, suppression=reason)


class _Groups:
    """Disjoint sets of positions (union-find); a set's first position names it."""

    def __init__(self, size: int) -> None:
        self._parents = list(range(size))

    def root(self, position: int) -> int:
        while self._parents[position] != position:
            self._parents[position] = self._parents[self._parents[position]]
            position = self._parents[position]
        return position

    def join(self, positions: Iterable[int]) -> None:
        roots = sorted({self.root(position) for position in positions})
        for root in roots[1:]:
            self._parents[root] = roots[0]

    def all(self) -> list[list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for position in range(len(self._parents)):
            found[self.root(position)].append(position)
        return [found[root] for root in sorted(found)]


def _join_same_results(findings: list[Finding], groups: _Groups) -> None:
    """The same place and message; or the same fingerprint, where each file has it once."""
    by_place: dict[Hashable, list[int]] = defaultdict(list)
    by_print: dict[Hashable, list[int]] = defaultdict(list)
    for position, finding in enumerate(findings):
        by_place[place_key(finding)].append(position)
        for name, value in finding.fingerprints.items():
            if name in _TRUSTED_PRINTS:
                key = (finding.tool, finding.rule, finding.path, name, value)
                by_print[key].append(position)
    for positions in by_place.values():
        groups.join(positions)
    for positions in by_print.values():
        files = {source.member for i in positions for source in findings[i].sources}
        if len(files) == len(positions):
            groups.join(positions)


def _join_retold(findings: list[Finding], groups: _Groups) -> None:
    """One rule of one tool at one line of one file, told by two formats in words of their own.

    Formats leave out what others have (a resource, a column) and phrase messages anew. It is the
    same result where each file has just one there and nothing that both have differs.
    """
    spots: dict[Hashable, list[int]] = defaultdict(list)
    for position, finding in enumerate(findings):
        if finding.path and finding.line and not finding.package and not finding.url:
            spots[(finding.tool, finding.rule, finding.path, finding.line)].append(position)
    for positions in spots.values():
        roots = {groups.root(position) for position in positions}
        if len(roots) > 1 and _are_retold([findings[i] for i in positions]):
            groups.join(positions)


def _are_retold(findings: list[Finding]) -> bool:
    files = {source.member for finding in findings for source in finding.sources}
    differing = (
        {value for finding in findings if (value := getattr(finding, name))}
        for name in ("target", "column")
    )
    once = len(files) == len(findings)
    return once and all(len(values) <= 1 for values in differing) and _same_code(findings)


def _join_advisories(findings: list[Finding], groups: _Groups) -> None:
    """One package in one version, and advisories that share an alias."""
    buckets: dict[Hashable, list[int]] = defaultdict(list)
    for position, finding in enumerate(findings):
        package = finding.package
        if finding.category is Category.DEPENDENCY and package and package.version:
            buckets[(_plain_name(package.name), package.version)].append(position)
    for positions in buckets.values():
        for alike in _by_ecosystem(findings, positions):
            for same in _by_alias(findings, alike):
                groups.join(same)


def _plain_name(name: str) -> str:
    """The name as the strictest registry compares it: case, `-`, `_` and `.` alike."""
    return name.lower().replace("_", "-").replace(".", "-")


def _by_ecosystem(findings: list[Finding], positions: list[int]) -> list[list[int]]:
    """The positions by ecosystem; where only one is known, the unstated ones belong to it."""
    kinds: dict[str | None, list[int]] = defaultdict(list)
    for position in positions:
        package = findings[position].package
        kinds[_kind(package)].append(position)
    if len(kinds) == 2 and None in kinds:  # noqa: PLR2004 - one known, and the unstated
        return [positions]
    return list(kinds.values())


def _kind(package: Package | None) -> str | None:
    if package is None or not package.ecosystem:
        return None
    return purl_type(package.ecosystem) or package.ecosystem.lower()


def _by_alias(findings: list[Finding], positions: list[int]) -> list[list[int]]:
    """The positions whose aliases meet, directly or through others.

    An advisory over several CVEs would chain what are different weaknesses: then only equal sets of
    CVEs are the same.
    """
    local = _Groups(len(positions))
    holders: dict[str, list[int]] = defaultdict(list)
    for place, position in enumerate(positions):
        for alias in findings[position].aliases:
            holders[alias].append(place)
    for places in holders.values():
        local.join(places)
    joined: list[list[int]] = []
    for group in local.all():
        members = [positions[place] for place in group]
        cves = {alias for i in members for alias in _cves(findings[i])}
        joined.extend([members] if len(cves) <= 1 else _by_equal_cves(findings, members))
    return joined


def _by_equal_cves(findings: list[Finding], positions: list[int]) -> list[list[int]]:
    equal: dict[Hashable, list[int]] = defaultdict(list)
    for position in positions:
        cves = _cves(findings[position])
        equal[cves or ("none", frozenset(findings[position].aliases))].append(position)
    return list(equal.values())


def _cves(finding: Finding) -> frozenset[str]:
    return frozenset(alias for alias in finding.aliases if alias.startswith("CVE-"))


def _join_weaknesses(findings: list[Finding], groups: _Groups) -> None:
    """One weakness family at one line of one file, said once by each of two or more tools."""
    spots: dict[Hashable, dict[int, Finding]] = defaultdict(dict)
    for position, finding in enumerate(findings):
        if finding.path and finding.line and finding.category is not Category.DEPENDENCY:
            for family in families(finding):
                spots[(finding.path, finding.line, family)].setdefault(
                    groups.root(position), finding
                )
    for spot in spots.values():
        tools = {finding.tool for finding in spot.values()}
        if len(tools) > 1 and len(tools) == len(spot) and _same_code(list(spot.values())):
            groups.join(spot)


def _same_code(findings: list[Finding]) -> bool:
    """Whether the quoted code fits together: each piece is part of the longest."""
    codes = sorted((squeezed(f.snippet) for f in findings if f.snippet), key=len)
    return all(code in codes[-1] for code in codes)


def merge(group: Sequence[Finding]) -> Finding:
    """One finding out of several: the richest one, completed by the others, with all sources.

    A field that belongs to the tool is completed by the same tool only, and one that belongs to the
    place only by a finding of that place.
    """
    if len(group) == 1:
        return group[0]
    best = max(group, key=_richness)
    others = [finding for finding in group if finding is not best]
    ordered = [best, *others]
    own = [finding for finding in others if finding.tool == best.tool]
    here = [finding for finding in others if _is_here(finding, best)]
    changes: dict[str, Any] = {
        **_completed(best, own, _OF_TOOL),
        **_completed(best, here[:1] if _spot(best) == _NOWHERE else here, _OF_PLACE),
        **_completed(best, others, ("help", "edits", "flow")),
        **_rating(ordered),
    }
    changes |= {
        name: unique(item for finding in ordered for item in getattr(finding, name))
        for name in ("cwes", "aliases", "references", "sources")
    }
    changes["severity"] = severity.worst(*(finding.severity for finding in ordered))
    changes["fingerprints"] = {k: v for f in reversed(ordered) for k, v in f.fingerprints.items()}
    changes["package"] = _package([f.package for f in ordered if f.package])
    merged = msgspec.structs.replace(best, **changes)
    return msgspec.structs.replace(merged, places=_places(merged, ordered))


def _completed(best: Finding, others: list[Finding], names: tuple[str, ...]) -> dict[str, Any]:
    """For each empty field of those names, the first value that another finding has."""
    empty = (name for name in names if not getattr(best, name))
    found = ((name, next((v for f in others if (v := getattr(f, name))), None)) for name in empty)
    return {name: value for name, value in found if value}


def _rating(ordered: list[Finding]) -> dict[str, Any]:
    """Vector and score of one and the same finding; one with a vector first."""
    rated = sorted(ordered, key=lambda finding: (not finding.cvss, finding.score is None))
    return {"cvss": rated[0].cvss, "score": rated[0].score}


def _spot(finding: Finding) -> tuple[str | int | None, ...]:
    return (finding.path, finding.line, finding.target, finding.url)


def _is_here(finding: Finding, best: Finding) -> bool:
    """Whether what a finding says of its place is true of the best one's, too."""
    if _spot(best) in {_spot(finding), _NOWHERE}:
        return True
    same_line = (finding.path, finding.line, finding.url) == (best.path, best.line, best.url)
    return bool(best.line) and not best.target and same_line


def _richness(finding: Finding) -> tuple[bool, bool, int]:
    """What makes a record the better one: affected branches, a repository file, filled fields."""
    package = finding.package
    values = [getattr(finding, name) for name in finding.__struct_fields__]
    values += [getattr(package, name) for name in package.__struct_fields__] if package else []
    in_repository = bool(finding.path) and not finding.target
    return bool(package and package.ranges), in_repository, sum(bool(value) for value in values)


def _places(merged: Finding, ordered: list[Finding]) -> tuple[Place, ...]:
    """All places but the merged finding's own."""
    own = _place(merged)
    every = (place for f in ordered for place in (_place(f), *f.places))
    others = (place for place in every if place not in {own, Place()} and not _in(place, own))
    return tuple(dict.fromkeys(others))


def _in(place: Place, own: Place) -> bool:
    """Whether a place in code is the finding's own, told with less."""
    return bool(place.line) and all(
        getattr(place, name) in {None, getattr(own, name)} for name in Place.__struct_fields__
    )


def _place(finding: Finding) -> Place:
    return Place(**{name: getattr(finding, name) for name in Place.__struct_fields__})


def _package(packages: list[Package]) -> Package | None:
    """The first package, completed by the others; what several list is put together."""
    if not packages:
        return None
    first = packages[0]
    found: dict[str, Any] = {}
    for name in first.__struct_fields__:
        said = [value for package in packages if (value := getattr(package, name))]
        is_list = isinstance(getattr(first, name), tuple)
        joined = tuple(dict.fromkeys(chain.from_iterable(said))) if is_list else None
        found[name] = joined if is_list else next(iter(said), None)
    return Package(**found)
