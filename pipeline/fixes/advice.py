"""What we answer to a finding: the weakness, why it matters at its place, and the remedy.

Every sentence here is ours. Names from a scan (rule, path, package, version) stand in it between
backticks; of the scanner's prose one sentence does, the rule's title or what it asks for, where we
know no more of the rule.
"""

import re
from functools import cache

import msgspec

from secdaemon.pipeline.embedded.pairs import Weakness, load_cwes
from secdaemon.pipeline.findings.model import Category as FindingKind
from secdaemon.pipeline.findings.model import Finding, Package
from secdaemon.pipeline.fixes.categories import Category
from secdaemon.pipeline.fixes.model import Approach
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.fixes.rule_families import Family, families_of, family_of
from secdaemon.pipeline.fixes.rule_text import cloud_of, instruction_of, names_of, title_of
from secdaemon.pipeline.fixes.upgrades import upgrade_edit
from secdaemon.pipeline.fixes.versions import fixed_version, is_system_package

_VULNERABLE_PACKAGE = "CWE-1395"
_VAGUE = frozenset(("CWE-16", "CWE-20", "CWE-200", "CWE-284", "CWE-693"))
"""Classes and pillars, for which a family knows the weakness itself."""
_ADVISORY = re.compile(r"\b(?:CVE-\d{4}-\d+|GHSA(?:-\w{4}){3}|NSWG-ECO-\d+)\b", re.IGNORECASE)
_RATED = frozenset(("critical", "high", "medium", "low"))
_MAX_NAMED = 4
_FALSE_ALARM = (
    "So this is a false alarm as far as the code shows it: leave the code as it is, and suppress "
    "the rule at this one place with the reason beside it."
)

_HERE = {
    "api": "The endpoint answers callers that this project does not control.",
    "code": "",
    "container": "The package is part of the image that is deployed, called or not.",
    "dependency": "Every build with this version carries it.",
    "infrastructure": "The file decides how the software is built and run, and what can reach it.",
    "mobile": "The app runs beside other apps, on devices out of this project's hands.",
    "web": "The answer is handled by every visitor's browser.",
    "webauthn": "It belongs to passkey registration and sign-in, where a gap is a gap in every "
    "account.",
}
_TOLD = frozenset(("infrastructure", "web"))
"""Of these a family's own words say what is at stake there."""


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an answer; `remedy` may end in a fenced edit."""

    cwe: str
    """`CWE-<number>`, empty where neither the scanner nor we name one."""
    weakness: str
    why: str
    remedy: str
    approach: Approach


def advise(finding: Finding, category: Category, sound: str | None = None) -> Advice:
    """Return what to say about a finding; where it is, is said beside it.

    `sound` says why the code is right as it is, where that is certain.
    """
    family = _family(finding)
    cwe = _cwe(finding, family)
    approach, remedy = _remedy(finding, family)
    if sound:
        remedy = f"{_sentence(sound)} {_FALSE_ALARM}"
    why = _sentence(family.why) if family else _why(finding)
    here = "" if family is not None and family.about else _here(finding, category, family)
    return Advice(
        cwe=cwe,
        weakness=_weakness(finding, cwe, family),
        why=f"{why} {here}".strip(),
        remedy=remedy,
        approach=approach,
    )


@cache
def known_weaknesses() -> dict[str, Weakness]:
    """Return the weaknesses that we can describe, by id."""
    return load_cwes()


def _family(finding: Finding) -> Family | None:
    """Return the family of the finding's rule; advisories have none, their rules being ids."""
    if finding.package is not None or _advisory(finding):
        return None
    for names in names_of(finding):
        family = family_of(*names, kind=finding.category)
        if family is not None and _fits(family, finding):
            return family
    return families_of("secrets")[-1] if finding.category is FindingKind.SECRET else None


def _fits(family: Family, finding: Finding) -> bool:
    """Return whether the words of a broad family are borne out by what the scanner names."""
    if not family.broad or finding.category is FindingKind.SECRET:
        return True
    named = [cwe for cwe in finding.cwes if cwe in known_weaknesses()]
    return not named or family.cwe in named


def _advisory(finding: Finding) -> str:
    """Return the advisory that the rule is, where the scan names no package; "" for other rules."""
    if finding.package is not None:
        return ""
    id_ = re.sub(r"^\[\w+\] ", "", finding.rule)
    if finding.category is FindingKind.DEPENDENCY or _ADVISORY.fullmatch(id_):
        return next(iter(finding.aliases), id_)
    return ""


def _cwe(finding: Finding, family: Family | None) -> str:
    """Return the CWE that the scanner names, but for vague ones of which we know better."""
    described = [cwe for cwe in finding.cwes if cwe in known_weaknesses()]
    if family is not None:
        if family.cwe:
            doubtful = _VAGUE.union(family.misnamed)
            described = [cwe for cwe in described if cwe not in doubtful]
        return next(iter(described), family.cwe)
    fallback = ""
    if finding.package is not None or _advisory(finding):
        fallback = _VULNERABLE_PACKAGE
    return next(iter(described), fallback) or next(iter(finding.cwes), "")


def _weakness(finding: Finding, cwe: str, family: Family | None) -> str:
    known = known_weaknesses().get(cwe)
    if family is not None and family.about:
        named = f"{known.id}, {known.name}" if known else inline(title_of(finding))
        return f"{named}: a rule about {family.about}; by itself it is no vulnerability."
    if known is not None:
        named = f"{known.id}, {known.name}. {_sentence(known.description)}"
    else:
        named = f"{cwe}." if cwe else f"{inline(title_of(finding))}; {finding.tool} names no CWE."
    if finding.package is None:
        advisory = _advisory(finding)
        return f"Known vulnerability {inline(advisory)}. {named}" if advisory else named
    ids = ", ".join(finding.aliases[:_MAX_NAMED] or (finding.rule,))
    return f"Known vulnerability {inline(ids)} in {inline(finding.package.name)}. {named}"


def _here(finding: Finding, category: Category, family: Family | None) -> str:
    """Return what the kind of place adds, where the family does not tell of such places alone."""
    if category == "container" and finding.package is None:
        return ""
    return "" if family is not None and category in _TOLD else _HERE[category]


def _why(finding: Finding) -> str:
    """Return what is at stake where no family tells it."""
    rated = finding.severity.value
    if finding.package is not None or _advisory(finding):
        return "The affected version is in use" + (f", rated {rated}." if rated in _RATED else ".")
    if finding.flow[1:]:
        first, last = inline(finding.flow[0]), inline(finding.flow[-1])
        return f"What enters at {first} reaches {last} unchecked."
    alike = [f for f in families_of("code") if f.cwe in finding.cwes[:1]]
    if len(alike) == 1:
        return _sentence(alike[0].why)
    if any(cwe in known_weaknesses() for cwe in finding.cwes):
        return f"Whatever reaches {_spot(finding)} meets the weakness."
    told = f"{finding.tool} rates it {rated}" if rated in _RATED else f"{finding.tool} reports it"
    return f"{told}; what it puts at risk has to be read from {_spot(finding)}."


def _remedy(finding: Finding, family: Family | None) -> tuple[Approach, str]:
    if finding.package is not None:
        return _package_remedy(finding, finding.package)
    if family is not None:
        cloud = cloud_of(finding) if family.clouds else None
        return "advice", family.clouds.get(cloud, family.remedy) if cloud else family.remedy
    if advisory := _advisory(finding):
        return "advice", (
            "The scan names no package and version. Find the package that "
            f"{inline(advisory)} is about, take the first fixed version of the installed release "
            "branch from the advisory, and raise the package where it is declared."
        )
    return "advice", _plain_remedy(finding)


def _plain_remedy(finding: Finding) -> str:
    """Return what the CWE and the rule's own words say is to be done, where no family is known."""
    known = next((known_weaknesses()[c] for c in finding.cwes if c in known_weaknesses()), None)
    asked = inline(instruction_of(finding).rstrip(".")) if instruction_of(finding) else ""
    if known is not None:
        own = f" The rule asks for this: {asked}." if asked else ""
        return f"At {_spot(finding)}: {_sentence(known.remedy)}{own}"
    if asked:
        return (
            f"At {_spot(finding)}, do what the rule asks for, {asked}, and let {finding.tool} "
            "read the change."
        )
    return (
        f"Change {_spot(finding)} so that {finding.tool} no longer reports "
        f"{inline(title_of(finding))}, and keep that check in the build."
    )


def _spot(finding: Finding) -> str:
    """Return the place in a word or two: the whole of it stands in the answer already."""
    if finding.url:
        return f"parameter {inline(finding.parameter)}" if finding.parameter else "this address"
    if finding.path and finding.line:
        return f"line {finding.line}"
    return "this file" if finding.path else "this place"


def _package_remedy(finding: Finding, package: Package) -> tuple[Approach, str]:
    version = fixed_version(package)
    if version is None:
        return "advice", _without_fix(finding, package)
    upgrade = upgrade_edit(package, version, finding.path)
    step = (
        f"Upgrade {inline(package.name)} from {inline(package.version or '')} to "
        f"{inline(version)}, the smallest fixed version above it."
    )
    said = " ".join(filter(None, (step, _caution(package), upgrade.where)))
    return "dependency_upgrade", f"{said}\n\n{upgrade.edit}" if upgrade.edit else said


def _without_fix(finding: Finding, package: Package) -> str:
    """Return what is left to do while no version above the installed one is fixed."""
    name, version = inline(package.name), inline(package.version or "unknown")
    watched = inline((finding.aliases or (finding.rule,))[0])
    known = (
        f"None of the fixed versions named is an upgrade of {name} {version}."
        if package.fixed_versions
        else f"No fixed version of {name} is known for {version}."
    )
    if is_system_package(package) or finding.target:
        return (
            f"{known} Take {name} out of the image if nothing in it needs the package (a smaller "
            f"base image does), rebuild when the distribution answers {watched}, and until then "
            "run the container without root and with a read-only file system."
        )
    return (
        f"{known} Find out whether the project calls the affected part; if it does, replace {name} "
        f"or guard that call, and take the fix as soon as {watched} names one."
    )


def _caution(package: Package) -> str:
    """Return a warning where the upgrade leaves the installed major version."""
    version = fixed_version(package) or ""
    old, new = (text.lstrip("v").partition(".")[0] for text in (package.version or "", version))
    if is_system_package(package) or old == new or not (old.isdigit() and new.isdigit()):
        return ""
    return f"Major version {new} follows {old}: read its migration notes first."


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
