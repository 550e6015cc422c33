"""Severities of all scanners as one scale."""

from typing import Any

from secdaemon.pipeline.findings.model import Severity
from secdaemon.pipeline.findings.shape import number, text

_WORDS = {
    "critical": Severity.CRITICAL,
    "blocker": Severity.CRITICAL,
    "high": Severity.HIGH,
    "error": Severity.HIGH,
    "major": Severity.HIGH,
    "important": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "warning": Severity.MEDIUM,
    "minor": Severity.LOW,
    "low": Severity.LOW,
    "note": Severity.LOW,
    "recommendation": Severity.LOW,
    "negligible": Severity.INFO,
    "info": Severity.INFO,
    "informational": Severity.INFO,
    "information": Severity.INFO,
    "inventory": Severity.INFO,
    "experiment": Severity.INFO,
    "none": Severity.INFO,
}
_FLOORS = (
    (9.0, Severity.CRITICAL),
    (7.0, Severity.HIGH),
    (4.0, Severity.MEDIUM),
    (0.1, Severity.LOW),
)
_ORDER = {severity: place for place, severity in enumerate(Severity)}


def from_word(value: Any) -> Severity:
    """The severity that a scanner's word means; UNKNOWN for any other value."""
    found = text(value)
    return _WORDS.get(found.lower(), Severity.UNKNOWN) if found else Severity.UNKNOWN


def from_score(score: float | None) -> Severity:
    """The CVSS v3.1 rating of a score of 0 to 10 (section 5 of its specification)."""
    if score is None or not 0 <= score <= 10:  # noqa: PLR2004 - the scale of CVSS
        return Severity.UNKNOWN
    return next((severity for floor, severity in _FLOORS if score >= floor), Severity.INFO)


def from_either(value: Any) -> Severity:
    """A severity written as a score, as GitHub asks for, or as a word, as Semgrep does."""
    score = number(value)
    return from_word(value) if score is None else from_score(score)


def first_known(*severities: Severity) -> Severity:
    """The first that is not UNKNOWN."""
    return next((found for found in severities if found is not Severity.UNKNOWN), Severity.UNKNOWN)


def worst(*severities: Severity) -> Severity:
    """The worst; UNKNOWN only where nothing is known."""
    return min(severities, key=_ORDER.__getitem__, default=Severity.UNKNOWN)
