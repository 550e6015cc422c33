"""Which findings of a project are known and still valid, as artifact after artifact comes in."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.findings.model import Category, FileReport, Finding
from secdaemon.pipeline.past.provenance import SeenIn
from secdaemon.pipeline.past.scans import Looked, Scan, aim_of, looked, scans_by_member, scans_of

SUPPRESSED = "earlier findings that are suppressed now"
CHANGED = "earlier findings that are reported in another form now"


class ScanMade(msgspec.Struct, frozen=True, tag="scan"):
    """A scan, and when it was made last."""

    scan: Scan
    at: str


class SecretIn(msgspec.Struct, frozen=True, tag="secret"):
    """A file in which a scan once found a secret, accepted or not: its old text is never shown."""

    path: str


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag="finding"):
    """A finding and its examples."""

    finding: Finding
    seen: SeenIn
    """Where it was last."""
    scans: tuple[Scan, ...] = ()
    """Those that reported it there."""
    examples: tuple[Example, ...] | None = None
    """None where they are not built yet."""
    gone: SeenIn | None = None
    """The first artifact without it; then the one example is its developers' own fix."""


Line = ScanMade | SecretIn | Entry
"""A line of corpus.jsonl."""


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """What one artifact reports."""

    seen: SeenIn
    kept: Sequence[Finding]
    suppressed: Sequence[Finding]
    files: tuple[FileReport, ...]


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that an artifact does not report any more."""

    entry: Entry
    seen: SeenIn
    present: frozenset[tuple[str, str, str]]
    """What that artifact reports: (tool, rule, path)."""


class KnownFindings:
    """The corpus as it grows, artifact by artifact."""

    def __init__(self) -> None:
        """Start with none."""
        self.scans: dict[Scan, str] = {}
        self.valid: dict[str, Entry] = {}
        self.learned: dict[str, Entry] = {}
        self.gone: list[Gone] = []
        self.secret_paths: set[str] = set()
        self.left_out: Counter[str] = Counter()

    def load(self, lines: Iterable[Line]) -> None:
        """Take up where an earlier run stopped."""
        for line in lines:
            if isinstance(line, ScanMade):
                self.scans[line.scan] = line.at
            elif isinstance(line, SecretIn):
                self.secret_paths.add(line.path)
            elif line.gone is None:
                self.valid[line.finding.id] = line
            else:
                self.learned[line.finding.id] = line

    def advance(self, artifact: Artifact, *, own: bool = False) -> None:
        """Take in what an artifact reports, and what it does not report any more.

        One that came late expires nothing that was seen after it, and adds nothing that a newer
        scan looked for; the run's own findings are always taken.
        """
        now = looked(artifact.files, (*artifact.kept, *artifact.suppressed))
        self._expire(artifact, now)
        members = scans_by_member(artifact.files)
        for finding in (*artifact.kept, *artifact.suppressed):
            self._note_secret(finding)
        for finding in artifact.kept:
            scans = scans_of(finding, members)
            newest = max((self.scans.get(scan, "") for scan in scans), default="")
            if own or (newest <= artifact.seen.at and not self._is_newer(finding, artifact)):
                self.valid[finding.id] = Entry(finding=finding, seen=artifact.seen, scans=scans)
        for scan in now.aims:
            self.scans[scan] = max(artifact.seen.at, self.scans.get(scan, ""))

    def _is_newer(self, finding: Finding, artifact: Artifact) -> bool:
        known = self.valid.get(finding.id)
        return known is not None and known.seen.at > artifact.seen.at

    def _note_secret(self, finding: Finding) -> None:
        if finding.category is Category.SECRET:
            places = (finding.path, *(place.path for place in finding.places))
            self.secret_paths.update(path for path in places if path)

    def _expire(self, artifact: Artifact, now: Looked) -> None:
        reported = {finding.id for finding in artifact.kept}
        silenced = {finding.id for finding in artifact.suppressed}
        present = frozenset((f.tool, f.rule, f.path or "") for f in artifact.kept)
        new = {_shape(f) for f in artifact.kept if f.id not in self.valid}
        silenced_shapes = {_shape(finding) for finding in artifact.suppressed}
        for key, entry in list(self.valid.items()):
            is_later = entry.seen.at > artifact.seen.at
            if key in reported or is_later or not now.again(entry.scans, aim_of(entry.finding)):
                continue
            del self.valid[key]
            if key in silenced or _shape(entry.finding) in silenced_shapes:
                self.left_out[SUPPRESSED] += 1
            elif _shape(entry.finding) in new:
                self.left_out[CHANGED] += 1
            else:
                self.gone.append(Gone(entry=entry, seen=artifact.seen, present=present))

    def lines(self) -> Iterator[Line]:
        """Yield what is written, in an order that the content decides."""
        for scan, at in sorted(self.scans.items()):
            yield ScanMade(scan, at)
        for path in sorted(self.secret_paths):
            yield SecretIn(path)
        for entries in (self.valid, self.learned):
            for _, entry in sorted(entries.items()):
                yield entry


def _shape(finding: Finding) -> tuple[str | None, ...]:
    """Return what two findings share of which the one may be the other, moved or told anew."""
    package = finding.package
    if package is not None:
        return package.name.lower(), min(finding.aliases, default=finding.rule)
    return finding.tool, finding.rule, finding.path, finding.url
