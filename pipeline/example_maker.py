"""Findings as examples: each with a fix that was proposed and judged good, else with advice."""

from collections import Counter
from collections.abc import Iterator

import msgspec

from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.fixes import local_model
from secdaemon.pipeline.fixes.diffs import hunks_of
from secdaemon.pipeline.fixes.model import Fix, Flagged
from secdaemon.pipeline.fixes.patterns.already_right import sound
from secdaemon.pipeline.fixes.propose import proposals
from secdaemon.pipeline.fixes.shown import Excerpt, Unit, excerpt, unit_of
from secdaemon.pipeline.from_findings import Mended, example_of
from secdaemon.pipeline.interface import Job, Report
from secdaemon.pipeline.past.corpus import seen_in
from secdaemon.pipeline.past.provenance import source_of
from secdaemon.pipeline.quality import judge
from secdaemon.pipeline.rescan import Rescan
from secdaemon.pipeline.sites import Site, Sites

_NOT_SHOWN = "cannot be shown"


class ExampleMaker:
    """Makes the examples of findings, and counts the fixes that were not good enough."""

    def __init__(self, job: Job, findings: list[Finding], suppressed: list[Finding]) -> None:
        self._job = job
        self._sites = Sites(job, findings, suppressed)
        self._quality_weight = job.settings.stage2.quality_weight_multiplier
        self._source = source_of(seen_in(job))
        self.dropped: Counter[str] = Counter()

    def examples(self, findings: list[Finding], report: Report) -> tuple[Example, ...]:
        """Return, for each finding, an example for each good way to mend it, else advice."""
        sites = [self._sites.of(finding) for finding in findings]
        mended = self._confirmed(sites, [self._mended(site) for site in sites])
        mended = self._proposed(sites, mended, report)
        return tuple(
            example
            for site, ways in zip(sites, mended, strict=True)
            for example in self._of(site, ways)
        )

    def learned(self, finding: Finding, fix: Fix) -> Example | None:
        """Return the example of a fix that developers made, None where it is not good enough."""
        flagged = Flagged(
            path=fix.path,
            text=fix.before,
            line=finding.line,
            end_line=finding.end_line,
            whole=True,
        )
        site = Site(
            finding=finding,
            flagged=None if finding.package else flagged,
            context=None,
            metadata={},
        )
        way = self._judged(fix, site)
        return example_of(finding, None, self._quality_weight, way) if way else None

    def plain(self, finding: Finding) -> tuple[Example, ...]:
        """Return the examples of another artifact's finding, from what its scan says alone."""
        return (example_of(finding, None, self._quality_weight),)

    def _of(self, site: Site, ways: tuple[Mended, ...]) -> Iterator[Example]:
        weight, source = self._quality_weight, {**self._source, **site.metadata}
        for way in ways:
            sharing = msgspec.structs.replace(way, ways=len(ways))
            yield example_of(site.finding, None, weight, sharing, source=source)
        if not ways:
            right = sound(site.finding, site.flagged) if site.flagged else None
            right = self._sites.secrets.redact(right) if right else None
            yield example_of(site.finding, site.context, weight, source=source, sound=right)

    def _mended(self, site: Site) -> tuple[Mended, ...]:
        """Return the good ways of the most trusted approach that has one."""
        for ways in proposals(site.finding, site.flagged, self._sites.checkout):
            good = tuple(way for fix in ways if (way := self._judged(fix, site)))
            if good:
                return good
        return ()

    def _confirmed(
        self, sites: list[Site], mended: list[tuple[Mended, ...]]
    ) -> list[tuple[Mended, ...]]:
        """Return the ways that are good with the installed scanners' own word in the judgement."""
        asked = [
            (number, way)
            for number, (site, ways) in enumerate(zip(sites, mended, strict=True))
            for way in ways
            if site.flagged is None or site.flagged.whole
        ]
        said = Rescan(self._sites.checkout).gone(
            [(sites[at].finding, way.fix) for at, way in asked]
        )
        answers = {(at, way.fix): gone for (at, way), gone in zip(asked, said, strict=True)}
        return [
            tuple(
                found
                for way in ways
                if (found := self._asked_again(way, site, answers.get((at, way.fix))))
            )
            for at, (site, ways) in enumerate(zip(sites, mended, strict=True))
        ]

    def _asked_again(self, way: Mended, site: Site, gone: bool | None) -> Mended | None:
        """Return the way as its scanner sees it, None where the scanner still reports it."""
        if gone is None:
            return way
        judgement = judge(way.fix, site.finding, site.flagged, gone)
        if judgement.dropped is None:
            return msgspec.structs.replace(way, judgement=judgement)
        self.dropped[f"{way.fix.approach}: {judgement.dropped}"] += 1
        return None

    def _proposed(
        self, sites: list[Site], mended: list[tuple[Mended, ...]], report: Report
    ) -> list[tuple[Mended, ...]]:
        """Return the ways with what the project's own model proposes where there are none."""
        if not self._job.settings.stage2.local_model:
            return mended
        asked = {
            site.finding.id: (site, request)
            for site, ways in zip(sites, mended, strict=True)
            if not ways and (request := self._request(site))
        }
        fixes = local_model.propose(
            [request for _, request in asked.values()], self._job, self._passes, report
        )
        found = {
            id_: way
            for id_, fix in fixes.items()
            if (way := self._judged(fix, asked[id_][0], gone=True))
        }
        return [
            ways or ((found[site.finding.id],) if site.finding.id in found else ())
            for site, ways in zip(sites, mended, strict=True)
        ]

    def _request(self, site: Site) -> local_model.Request | None:
        """Return what the model is asked about a finding, None where there is no code to mend."""
        if site.flagged is None:
            return None
        (example,) = self._of(site, ())
        return local_model.Request(
            finding=site.finding,
            flagged=site.flagged,
            shown=site.context.text if site.context else site.flagged.text,
            question=example.messages[-2].content,
        )

    def _passes(self, request: local_model.Request, fix: Fix) -> bool:
        """Return whether a model's fix passes every check in full, its scanner's own among them."""
        parts = judge(fix, request.finding, request.flagged).parts
        if any(value < 1 for name, value in parts.items() if name != "gone"):
            return False
        gone = Rescan(self._sites.checkout).gone([(request.finding, fix)])[0]
        return judge(fix, request.finding, request.flagged, gone).parts["gone"] == 1

    def _judged(self, fix: Fix, site: Site, *, gone: bool | None = None) -> Mended | None:
        """Return the fix as it is shown, None where it is dropped, which is counted."""
        judgement = judge(fix, site.finding, site.flagged, gone)
        dropped = judgement.dropped
        if dropped is None:
            shown = self._excerpt(fix, site)
            if shown is not None:
                return Mended(fix=self._told(fix), judgement=judgement, excerpt=shown)
            dropped = _NOT_SHOWN
        self.dropped[f"{fix.approach}: {dropped}"] += 1
        return None

    def _excerpt(self, fix: Fix, site: Site) -> Excerpt | None:
        flagged = site.flagged
        if flagged is None or fix.path != flagged.path:
            return excerpt(fix, Unit(), self._sites.secrets, self._sites.leaks(fix.path))
        if flagged.whole:
            unit = unit_of(site.context)
            return excerpt(fix, unit, self._sites.secrets, self._sites.leaks(fix.path))
        # A snippet went through the parser: what is secret in it is hidden already.
        return excerpt(fix, Unit(), self._sites.secrets, {}, site.finding.line or 1)

    def _told(self, fix: Fix) -> Fix:
        """Return the fix with a reason that gives nothing away."""
        hunks = hunks_of(fix.before, fix.after)
        leaks = self._sites.leaks(fix.path)
        leaking = any(line in leaks for hunk in hunks for line in range(hunk.start, hunk.stop))
        reason = "" if leaking else self._sites.secrets.redact(fix.reason)
        return msgspec.structs.replace(fix, reason=reason)
