"""CVSS base scores from their vectors.

Formulas: CVSS v3.1 specification, section 7.1 (v3.0 differs only in the rounding of single cases),
and CVSS v2 guide, section 3.2.1. A v4 vector has no formula, only a table of 270 rows; its score is
taken from what the scan states.
"""

from math import ceil

_V3 = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_V3_PRIVILEGES = {
    "U": {"N": 0.85, "L": 0.62, "H": 0.27},
    "C": {"N": 0.85, "L": 0.68, "H": 0.5},
}
_V2 = {
    "AV": {"L": 0.395, "A": 0.646, "N": 1.0},
    "AC": {"H": 0.35, "M": 0.61, "L": 0.71},
    "Au": {"M": 0.45, "S": 0.56, "N": 0.704},
    "C": {"N": 0.0, "P": 0.275, "C": 0.660},
    "I": {"N": 0.0, "P": 0.275, "C": 0.660},
    "A": {"N": 0.0, "P": 0.275, "C": 0.660},
}


def vector_of(text: str | None) -> str | None:
    """The vector with its version prefix; None where the text is no CVSS vector."""
    if not text:
        return None
    if text.startswith(("CVSS:3.0/", "CVSS:3.1/", "CVSS:4.0/")):
        return text
    bare = text.removeprefix("CVSS:2.0/").strip("()")
    return f"CVSS:2.0/{bare}" if bare.startswith("AV:") and "/Au:" in bare else None


def base_score(vector: str | None) -> float | None:
    """The base score, 0 to 10, of a v2 or v3 vector; None for v4 and for an incomplete vector."""
    if not vector or vector.startswith("CVSS:4"):
        return None
    metrics = dict(part.split(":", 1) for part in vector.split("/")[1:] if ":" in part)
    try:
        return _v2_score(metrics) if vector.startswith("CVSS:2.0/") else _v3_score(metrics)
    except KeyError:
        return None


def _v3_score(metrics: dict[str, str]) -> float:
    value = {name: weights[metrics[name]] for name, weights in _V3.items()}
    scope = metrics["S"]
    privileges = _V3_PRIVILEGES[scope][metrics["PR"]]
    base = 1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"])
    exploitability = 8.22 * value["AV"] * value["AC"] * privileges * value["UI"]
    if scope == "U":
        impact = 6.42 * base
        total = impact + exploitability
    else:
        impact = 7.52 * (base - 0.029) - 3.25 * (base - 0.02) ** 15
        total = 1.08 * (impact + exploitability)
    return _round_up(min(total, 10.0)) if impact > 0 else 0.0


def _round_up(score: float) -> float:
    """To one decimal, upwards, in whole numbers against float dust (v3.1, appendix A)."""
    whole = round(score * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else ceil(whole / 10_000) / 10


def _v2_score(metrics: dict[str, str]) -> float:
    value = {name: weights[metrics[name]] for name, weights in _V2.items()}
    impact = 10.41 * (1 - (1 - value["C"]) * (1 - value["I"]) * (1 - value["A"]))
    exploitability = 20 * value["AV"] * value["AC"] * value["Au"]
    factor = 0.0 if impact == 0 else 1.176
    return round((0.6 * impact + 0.4 * exploitability - 1.5) * factor, 1)
