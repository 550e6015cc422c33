"""CVSS scores from their vectors, of versions 2.0, 3.0, 3.1 and 4.0 (by Red Hat's `cvss`)."""

from functools import lru_cache

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

_V2 = "CVSS:2.0/"
_READERS = {_V2: CVSS2, "CVSS:3.0/": CVSS3, "CVSS:3.1/": CVSS3, "CVSS:4.0/": CVSS4}
_PREFIX = len(_V2)
_LONGEST = 300
"""Characters; a v4 vector with all its metrics has under 200."""
_REMEMBERED = 4096


def vector_of(text: str | None) -> str | None:
    """The vector with its version prefix; None where the text is no CVSS vector."""
    if not text:
        return None
    if text.startswith(("CVSS:3.0/", "CVSS:3.1/", "CVSS:4.0/")):
        return text
    bare = text.removeprefix(_V2).strip("()")
    return f"{_V2}{bare}" if bare.startswith("AV:") and "/Au:" in bare else None


@lru_cache(_REMEMBERED)
def base_score(vector: str | None) -> float | None:
    """The base score, 0 to 10; None for a vector that is incomplete or against its specification.

    Version 4 has one score for all metrics that a vector states (its section 8), so that a threat
    metric such as `E:P` counts there; in older versions such metrics are left aside.
    """
    if not vector or len(vector) > _LONGEST or (read := _READERS.get(vector[:_PREFIX])) is None:
        return None
    try:
        return float(read(vector.removeprefix(_V2)).base_score)
    except CVSSError:
        return None
