"""The approaches to a fix, in the order in which they are trusted."""

from collections.abc import Iterator

from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.fixes import scanner_edit
from secdaemon.pipeline.fixes.configuration import choose as configuration
from secdaemon.pipeline.fixes.manifests import choose as manifests
from secdaemon.pipeline.fixes.model import Files, Fix, Flagged
from secdaemon.pipeline.fixes.patterns import choose as patterns
from secdaemon.pipeline.fixes.versions import fixed_version


def proposals(
    finding: Finding, flagged: Flagged | None, files: Files | None
) -> Iterator[tuple[Fix, ...]]:
    """Yield what each approach proposes, the most trusted first; of one, each is a choice.

    Args:
        finding: what is to be mended.
        flagged: the text that it is about; None where it is about a package, or no text is known.
        files: the project's files at the run's commit, where there is a checkout.
    """
    if finding.package is not None:
        version = fixed_version(finding.package)
        if version is not None and files is not None:
            yield manifests.fixes_for(finding, version, files)
        return
    if flagged is None:
        return
    yield scanner_edit.fixes_for(finding, flagged)
    yield configuration.fixes_for(finding, flagged)
    yield patterns.fixes_for(finding, flagged)
