"""The table of formats: a new scanner is one module and one line here.

Its module has `recognise(document) -> bool`, which looks at the shape and never at a name, and
`parse(document, gather) -> Results`, which gives every result to the gatherer. Order matters only
where two shapes overlap: the first that recognises a document reads it.
"""

from collections.abc import Callable

import msgspec

from secdaemon.pipeline.findings import checkov, gitleaks, osv, sarif, semgrep, trivy, zap
from secdaemon.pipeline.findings.document import Document
from secdaemon.pipeline.findings.gather import Gatherer, Results


class Format(msgspec.Struct, frozen=True):
    """A shape that is read."""

    name: str
    recognise: Callable[[Document], bool]
    parse: Callable[[Document, Gatherer], Results]


FORMATS: tuple[Format, ...] = (
    Format("sarif", sarif.recognise, sarif.parse),
    Format("trivy-json", trivy.recognise, trivy.parse),
    Format("zap-json", zap.recognise, zap.parse),
    Format("checkov-json", checkov.recognise, checkov.parse),
    Format("semgrep-json", semgrep.recognise, semgrep.parse),
    Format("osv-json", osv.recognise, osv.parse),
    Format("gitleaks-json", gitleaks.recognise, gitleaks.parse),
)


def format_of(document: Document) -> Format | None:
    """The format that a document is in; None where it is none that is read."""
    return next((known for known in FORMATS if known.recognise(document)), None)
