"""Where a SARIF result points and by what it is known again.

Locations, code flows, fixes (sections 3.28-3.30, 3.36, 3.55) and fingerprints.
"""

from typing import Any

import msgspec

from secdaemon.pipeline.findings.model import Edit, Finding, Place
from secdaemon.pipeline.findings.paths import clean_uri, is_web_address
from secdaemon.pipeline.findings.shape import at, code, line, mapping, mappings, sequence, text

_MAX_PLACES = 200
MAX_STEPS = 200
_ABOUT_PEOPLE = frozenset({"email", "author", "date", "commitMessage"})
_NO_FINGERPRINT = frozenset({"requires login", "[line-hash]"})


class Places:
    """Turns the locations of one run into places."""

    def __init__(self, *, bases: Any, artifacts: Any, image: str | None) -> None:
        """Take the run's uri bases, its artifacts, and the image that was scanned, if one was."""
        self._bases = bases
        self._artifacts = sequence(artifacts)
        self._image = image

    def of(self, result: dict[str, Any]) -> tuple[Place, ...]:
        """The result's places, the primary one first."""
        locations = mappings(result.get("locations"))[:_MAX_PLACES]
        return tuple(self._place(location) for location in locations)

    def placed(
        self, finding: Finding, places: tuple[Place, ...], result: dict[str, Any]
    ) -> Finding:
        """The finding at the first of its places, with the code that stands there."""
        location = at(sequence(result.get("locations")), 0)
        region = mapping(mapping(location.get("physicalLocation")).get("region"))
        first = places[0] if places else Place(target=self._image)
        return msgspec.structs.replace(
            finding,
            path=first.path,
            line=first.line,
            end_line=first.end_line,
            column=first.column,
            end_column=line(region.get("endColumn")) if first.line else None,
            target=first.target,
            url=first.url,
            snippet=_snippet(location),
        )

    def path(self, physical: dict[str, Any]) -> str | None:
        """The repository-relative path of a physicalLocation."""
        where = self._artifact(mapping(physical.get("artifactLocation")))
        return clean_uri(where.get("uri"), where.get("uriBaseId"), self._bases)

    def _artifact(self, where: dict[str, Any]) -> dict[str, Any]:
        if text(where.get("uri")):
            return where
        artifact = at(self._artifacts, where.get("index"))
        return mapping(artifact.get("location"))

    def _place(self, location: dict[str, Any]) -> Place:
        physical = mapping(location.get("physicalLocation"))
        region = mapping(physical.get("region")) or mapping(physical.get("contextRegion"))
        uri = text(self._artifact(mapping(physical.get("artifactLocation"))).get("uri"))
        path = self.path(physical)
        target = self._image or (None if path else _logical_name(location))
        if self._is_image(path):
            return Place(target=target)
        url = uri if uri and is_web_address(uri) else None
        if _is_nowhere(region):
            return Place(path=path, target=target, url=url)
        start = line(region.get("startLine"))
        return Place(
            path=path,
            line=start,
            end_line=line(region.get("endLine")) or start,
            column=line(region.get("startColumn")),
            target=target,
            url=url,
        )

    def _is_image(self, path: str | None) -> bool:
        """Whether the "file" is the image itself, which is how Trivy places its OS packages."""
        if not path or not self._image:
            return False
        name = self._image.split("@")[0]
        head, _, last = name.rpartition("/")
        untagged = f"{head}/{last.split(':')[0]}" if head else last.split(":")[0]
        return untagged == path or untagged.endswith("/" + path)


def _is_nowhere(region: dict[str, Any]) -> bool:
    """Whether the region is the empty one at 1:1, Trivy's "somewhere in the file"."""
    names = ("startLine", "startColumn", "endLine", "endColumn")
    return all(line(region.get(name)) == 1 for name in names)


def _snippet(location: dict[str, Any]) -> str | None:
    physical = mapping(location.get("physicalLocation"))
    regions = (mapping(physical.get(name)) for name in ("region", "contextRegion"))
    found = (code(mapping(region.get("snippet")).get("text")) for region in regions)
    return next((snippet for snippet in found if snippet), None)


def _logical_name(location: dict[str, Any]) -> str | None:
    first = at(sequence(location.get("logicalLocations")), 0)
    return text(first.get("fullyQualifiedName")) or text(first.get("name"))


def fingerprints(*stated: Any) -> dict[str, str]:
    """Both kinds, with their versions in the key (sections 3.27.16 and 3.27.17)."""
    return {
        key[:100]: found[:300]
        for prints in stated
        for key, value in mapping(prints).items()
        if (found := text(value)) and found not in _NO_FINGERPRINT and key not in _ABOUT_PEOPLE
    }


def code_flow(result: dict[str, Any], places: Places) -> tuple[str, ...]:
    """The steps of the first thread flow as `path:line`, repeated ones once."""
    flow = at(sequence(result.get("codeFlows")), 0)
    thread = at(sequence(flow.get("threadFlows")), 0)
    steps: list[str] = []
    for step in mappings(thread.get("locations"))[:MAX_STEPS]:
        physical = mapping(mapping(step.get("location")).get("physicalLocation"))
        path = places.path(physical)
        start = line(mapping(physical.get("region")).get("startLine"))
        name = f"{path}:{start}" if path and start else path
        if name and steps[-1:] != [name]:
            steps.append(name)
    return tuple(steps)


def edits(result: dict[str, Any], places: Places) -> tuple[Edit, ...]:
    """The edits of the first fix; the others are alternatives to it, not additions (3.55.1).

    None where one of them cannot be read: half a fix is none.
    """
    fix = at(sequence(result.get("fixes")), 0)
    found = [
        _edit(places.path(change), replacement)
        for change in mappings(fix.get("artifactChanges"))
        for replacement in mappings(change.get("replacements"))
    ]
    readable = tuple(edit for edit in found if edit)
    return readable if len(readable) == len(found) else ()


def _edit(path: str | None, replacement: dict[str, Any]) -> Edit | None:
    region = mapping(replacement.get("deletedRegion"))
    start = line(region.get("startLine"))
    inserted = mapping(replacement.get("insertedContent")).get("text")
    if path is None or start is None or (inserted is not None and not isinstance(inserted, str)):
        return None
    return Edit(
        path=path,
        start_line=start,
        start_column=line(region.get("startColumn")),
        end_line=line(region.get("endLine")) or start,
        end_column=line(region.get("endColumn")),
        text=inserted or "",
    )
