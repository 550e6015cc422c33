"""Findings of a running service, each with the handler that answered the request."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from secdaemon.pipeline.context import revision
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.routes.discover import routes_at
from secdaemon.pipeline.routes.match import Matcher


class Handled(msgspec.Struct, frozen=True):
    """A finding with the path and the lines of its handler, and how that was found."""

    finding: Finding
    route: str
    """Framework, methods and pattern."""
    how: str
    """`exact`, `base path` or `unknown prefix`."""

    @property
    def metadata(self) -> dict[str, str]:
        """What an example says of it."""
        return {"route": self.route, "route_match": self.how}


def is_dast(finding: Finding) -> bool:
    """Say whether a finding is of a request, and of no place in the repository."""
    return bool(finding.url) and finding.path is None and finding.package is None


class Handlers:
    """The handlers of a checkout at one commit; it is not read where no finding needs it."""

    def __init__(self, source_dir: Path, commit: str | None, findings: Iterable[Finding]) -> None:
        """Take all findings of the run: their URLs show under which base path the service is."""
        asked = [finding for finding in findings if is_dast(finding)]
        self._matchers: dict[str | None, Matcher] = {}
        if not asked:
            return
        routes = routes_at(source_dir, revision(source_dir, commit))
        for site in {finding.target for finding in asked}:
            urls = [
                url
                for finding in asked
                if finding.target == site
                for url in (finding.url, *(place.url for place in finding.places))
                if url
            ]
            self._matchers[site] = Matcher(routes, urls)

    def of(self, finding: Finding) -> Handled | None:
        """Return the finding with its handler, None where there is not exactly one."""
        matcher = self._matchers.get(finding.target) if is_dast(finding) else None
        found = matcher.find(finding.method, finding.url or "") if matcher else None
        if found is None or found.route.handler is None:
            return None
        at = found.route.handler
        placed = msgspec.structs.replace(finding, path=at.path, line=at.first, end_line=at.last)
        return Handled(placed, found.words, found.how)
