"""Families of CWEs: numbers that scanners give to one and the same flaw."""

from secdaemon.pipeline.findings.model import Category, Finding

_FAMILIES = {
    "injection-sql": (89, 564, 943),
    "injection-command": (77, 78, 88),
    "injection-code": (94, 95, 96),
    "cross-site-scripting": (79, 80, 83, 87, 116),
    "path-traversal": (22, 23, 36, 73),
    "credentials": (259, 321, 522, 798),
    "weak-cryptography": (326, 327, 328, 916),
    "weak-randomness": (330, 335, 338),
    "deserialisation": (502,),
    "xml-entities": (611, 776, 827),
    "request-forgery-server": (918,),
    "request-forgery-client": (352,),
    "open-redirect": (601,),
    "certificate-validation": (295, 297),
    "permissions": (250, 266, 269, 276, 732),
    "information-exposure": (200, 209, 532),
    "resource-exhaustion": (400, 770, 1333),
}
_FAMILY_OF = {
    f"CWE-{number}": family for family, numbers in _FAMILIES.items() for number in numbers
}


def families(finding: Finding) -> tuple[str, ...]:
    """The families of a finding's CWEs; a CWE without one is its own family."""
    if finding.category is Category.SECRET:
        return ("credentials",)
    return tuple(dict.fromkeys(_FAMILY_OF.get(cwe, cwe) for cwe in finding.cwes))
