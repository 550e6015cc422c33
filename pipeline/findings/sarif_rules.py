"""The rules of a SARIF run: reportingDescriptors of the driver and its extensions (3.49, 3.52)."""

from typing import Any

import msgspec

from secdaemon.pipeline.findings.cvss import base_score, vector_of
from secdaemon.pipeline.findings.document import decoded
from secdaemon.pipeline.findings.identifiers import cwes_in
from secdaemon.pipeline.findings.sarif_log import Component, Tool
from secdaemon.pipeline.findings.shape import (
    at,
    index,
    mapping,
    mappings,
    number,
    sequence,
    text,
    unique,
    word,
    words,
)

_VECTORS = ("cvssv4_vector", "cvssv3_vector", "cvssv31_vector", "cvss_vector", "cvssV3_vector")
_SCORES = ("cvssv4_baseScore", "cvssv3_baseScore", "cvssv31_baseScore", "cvssV3_baseScore")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says about each of its results; all of it may be missing."""

    id: str = ""
    name: str | None = None
    summary: str | None = None
    help: str | None = None
    references: tuple[str, ...] = ()
    level: str | None = None
    severity: str | None = None
    security_severity: str | None = None
    precision: str | None = None
    cvss: str | None = None
    score: float | None = None
    tags: tuple[str, ...] = ()
    cwes: tuple[str, ...] = ()
    deprecated_ids: tuple[str, ...] = ()
    messages: dict[str, str] = {}


class _Named(msgspec.Struct, gc=False):
    id: str = ""


_NAMED = msgspec.json.Decoder(_Named)


class Rules:
    """Finds the rule of a result by index or by id; each is read once, when it is asked for."""

    def __init__(self, components: list[Component], taxonomies: list[Any]) -> None:
        """Take the driver first, then the extensions."""
        self._lists = [part.rules for part in components]
        self._ids = [[_identifier(rule) for rule in rules] for rules in self._lists]
        self._taxonomies = taxonomies
        self._read: dict[tuple[int, int], Rule] = {}
        self._by_id: dict[str, tuple[int, int]] = {}
        for component, ids in enumerate(self._ids):
            for position, found in enumerate(ids):
                if found:
                    self._by_id.setdefault(found, (component, position))

    def of(self, result: dict[str, Any]) -> Rule:
        """The result's rule; one with only the id where it is not described (section 3.27.5-7)."""
        reference = mapping(result.get("rule"))
        named = word(result.get("ruleId")) or word(reference.get("id"))
        place = self._by_index(result, reference)
        if place and (not named or self._fits(place, named)):
            rule = self._rule(place)
            return msgspec.structs.replace(rule, id=named) if named else rule
        if not named:
            return Rule()
        found = self._by_id.get(named) or self._by_id.get(named.rpartition("/")[0])
        return msgspec.structs.replace(self._rule(found), id=named) if found else Rule(id=named)

    def weaknesses(self, result: dict[str, Any]) -> tuple[str, ...]:
        """The CWEs among the result's own taxa (section 3.27.8)."""
        return _weaknesses(mappings(result.get("taxa")), self._taxonomies)

    def _by_index(
        self, result: dict[str, Any], reference: dict[str, Any]
    ) -> tuple[int, int] | None:
        position = index(result.get("ruleIndex"))
        position = index(reference.get("index")) if position is None else position
        extension = index(mapping(reference.get("toolComponent")).get("index"))
        component = 0 if extension is None else extension + 1
        if position is None or component >= len(self._lists):
            return None
        return (component, position) if position < len(self._lists[component]) else None

    def _fits(self, place: tuple[int, int], named: str) -> bool:
        """Whether the rule at the index is the one named; `ID/sub` is a part of ID (3.52.4)."""
        found = self._ids[place[0]][place[1]]
        return not found or named == found or named.startswith(found + "/")

    def _rule(self, place: tuple[int, int]) -> Rule:
        if place not in self._read:
            native = mapping(decoded(self._lists[place[0]][place[1]]))
            self._read[place] = _read_rule(native, self._taxonomies)
        return self._read[place]


def rules_of(tool: Tool, taxonomies: Any) -> Rules:
    """The rules of a run's tool; `taxonomies` are the run's own (section 3.14.8)."""
    return Rules([tool.driver, *tool.extensions], sequence(taxonomies))


def _identifier(rule: msgspec.Raw) -> str | None:
    try:
        return text(_NAMED.decode(rule).id)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return word(mapping(decoded(rule)).get("id"))


def _read_rule(native: dict[str, Any], taxonomies: list[Any]) -> Rule:
    properties = mapping(native.get("properties"))
    short = _multiformat(native.get("shortDescription"))
    full = _multiformat(native.get("fullDescription"))
    tags = words(properties.get("tags"))
    identifier = word(native.get("id")) or ""
    vector = next((v for k in _VECTORS if (v := vector_of(text(properties.get(k))))), None)
    stated = next((s for k in _SCORES if (s := number(properties.get(k))) is not None), None)
    return Rule(
        id=identifier,
        name=text(native.get("name")),
        summary=short or full or text(native.get("name")),
        help=_multiformat(native.get("help")) or full,
        references=unique(u for u in (text(native.get("helpUri")),) if u),
        level=text(mapping(native.get("defaultConfiguration")).get("level")),
        severity=text(properties.get("severity")) or text(properties.get("issue_severity")),
        security_severity=word(properties.get("security-severity")) or _float_word(properties),
        precision=text(properties.get("precision")),
        cvss=vector,
        score=stated if stated is not None else base_score(vector),
        tags=tags,
        cwes=_cwes(native, properties, (identifier, *tags), taxonomies),
        deprecated_ids=words(native.get("deprecatedIds")),
        messages=_messages(native),
    )


def _float_word(properties: dict[str, Any]) -> str | None:
    found = number(properties.get("security-severity"))
    return None if found is None else str(found)


def _multiformat(value: Any) -> str | None:
    """A multiformatMessageString (section 3.12): the plain text, else the Markdown."""
    message = mapping(value)
    return text(message.get("text")) or text(message.get("markdown"))


def _messages(native: dict[str, Any]) -> dict[str, str]:
    strings = mapping(native.get("messageStrings"))
    return {key: found for key, value in strings.items() if (found := _multiformat(value))}


def _cwes(
    native: dict[str, Any],
    properties: dict[str, Any],
    stated: tuple[str, ...],
    taxonomies: list[Any],
) -> tuple[str, ...]:
    """CWEs from tags, properties, the rule's own id, and relationships to a CWE taxonomy."""
    named = (*words(properties.get("cwe")), *words(properties.get("cwes")))
    targets = [mapping(r.get("target")) for r in mappings(native.get("relationships"))]
    return cwes_in((*stated, *named, *_weaknesses(targets, taxonomies)))


def _weaknesses(references: list[dict[str, Any]], taxonomies: list[Any]) -> tuple[str, ...]:
    """The CWEs among reportingDescriptorReferences, whichever way they name taxonomy and taxon."""
    found = []
    for reference in references:
        component = mapping(reference.get("toolComponent"))
        taxonomy = at(taxonomies, component.get("index")) or _of_guid(taxonomies, component)
        if "CWE" in {text(component.get("name")), text(taxonomy.get("name"))}:
            taxa = sequence(taxonomy.get("taxa"))
            taxon = at(taxa, reference.get("index")) or _of_guid(taxa, reference)
            identifier = word(reference.get("id")) or word(taxon.get("id")) or ""
            found.append(f"CWE-{identifier.upper().removeprefix('CWE-')}")
    return tuple(found)


def _of_guid(items: list[Any], reference: dict[str, Any]) -> dict[str, Any]:
    """The item that a reference names by its guid; empty where it names none."""
    named = text(reference.get("guid"))
    found = (item for item in mappings(items) if named and text(item.get("guid")) == named)
    return next(found, {})
