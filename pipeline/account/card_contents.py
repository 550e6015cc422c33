"""What the examples of a data set are about, and how their answers came about."""

from collections.abc import Mapping

from secdaemon.pipeline.account.manifest_model import Manifest
from secdaemon.pipeline.account.markdown import plain, table

_ANSWERS = (
    "How each answer came about. A fix was checked before it was taken: it parses, changes what "
    "was flagged, and the weakness is gone as far as anybody can tell. Advice shows no fixed code. "
    "Rows with `augmented` in their metadata are others in other words, and not counted here."
)


def contents(manifest: Manifest) -> tuple[str, ...]:
    """Return the paragraphs of a data set's card on categories and answers."""
    return (
        "## Categories",
        table(("Category", "Examples"), _ranked(manifest.examples_by_category)),
        "## Answers",
        _ANSWERS,
        table(("Approach", "Examples"), _ranked(manifest.examples_by_approach)),
    )


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return names and counts as a table's rows, the largest first."""
    found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(plain(name), str(count)) for name, count in found]
