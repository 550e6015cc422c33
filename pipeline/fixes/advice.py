"""What we answer to a finding: the weakness, why it matters at its place, and the remedy.

Every sentence here is ours. Names from a scan (rule, path, package, version) stand in it between
backticks; the scanner's prose does not, but for a rule's title where nothing else is known.
"""

from functools import cache
from typing import Literal

import msgspec

from secdaemon.pipeline.embedded.pairs import Weakness, load_cwes
from secdaemon.pipeline.findings.model import Category as FindingKind
from secdaemon.pipeline.findings.model import Finding, Package
from secdaemon.pipeline.fixes.categories import Category
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.fixes.rule_families import Family, family_of
from secdaemon.pipeline.fixes.upgrades import upgrade_edit
from secdaemon.pipeline.fixes.versions import fixed_version, is_system_package

Approach = Literal["scanner_fix", "dependency_upgrade", "advice"]

_VULNERABLE_PACKAGE = "CWE-1395"
_VULNERABLE_PACKAGE_NAME = "Dependency on Vulnerable Third-Party Component"
_SECRET = "CWE-798"  # noqa: S105 - a weakness's id
_RATED = frozenset(("critical", "high", "medium", "low"))
_MAX_NAMED = 4

_HERE = {
    "api": "The endpoint answers callers that this project does not control.",
    "code": "",
    "container": "The package is part of the image that is deployed, called or not.",
    "dependency": "Every build with this version carries it.",
    "infrastructure": "The file decides with which rights the software is built and run.",
    "mobile": "The app runs beside other apps, on devices out of this project's hands.",
    "web": "The answer is handled by every visitor's browser.",
    "webauthn": "It belongs to passkey registration and sign-in, where a gap is a gap in every "
    "account.",
}


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an answer; `remedy` may end in a fenced edit."""

    cwe: str
    """`CWE-<number>`, empty where neither the scanner nor we name one."""
    weakness: str
    why: str
    remedy: str
    approach: Approach


def advise(finding: Finding, category: Category) -> Advice:
    """Return what to say about a finding; where it is, is said beside it."""
    family = _family(finding)
    cwe = _cwe(finding, family)
    approach, remedy = _remedy(finding, family)
    why = _sentence(family.why) if family else _why(finding)
    return Advice(
        cwe=cwe,
        weakness=_weakness(finding, cwe),
        why=f"{why} {_HERE[category]}".strip(),
        remedy=remedy,
        approach=approach,
    )


@cache
def known_weaknesses() -> dict[str, Weakness]:
    """Return the weaknesses that we can describe, by id."""
    return load_cwes()


def _family(finding: Finding) -> Family | None:
    """Return the family of the finding's rule; advisories have none, their rules being ids."""
    if finding.package is not None:
        return None
    family = family_of(finding.rule, finding.rule_name)
    if family is None or not family.broad or finding.category is FindingKind.SECRET:
        return family
    named = [cwe for cwe in finding.cwes if cwe in known_weaknesses()]
    return family if not named or family.cwe in named else None


def _cwe(finding: Finding, family: Family | None) -> str:
    described = [cwe for cwe in finding.cwes if cwe in known_weaknesses()]
    fallback = family.cwe if family else ""
    if finding.package is not None:
        fallback = _VULNERABLE_PACKAGE
    elif finding.category is FindingKind.SECRET:
        fallback = _SECRET
    if described:
        return described[0]
    if fallback in known_weaknesses():
        return fallback
    return next(iter(finding.cwes), fallback)


def _weakness(finding: Finding, cwe: str) -> str:
    known = known_weaknesses().get(cwe)
    if known is not None:
        named = f"{known.id}, {known.name}. {_sentence(known.description)}"
    else:
        named = f"{cwe}." if cwe else f"{inline(_title(finding))}; {finding.tool} names no CWE."
    if finding.package is None:
        return named
    if cwe == _VULNERABLE_PACKAGE and known is None:
        named = f"{cwe}, {_VULNERABLE_PACKAGE_NAME}."
    ids = ", ".join(finding.aliases[:_MAX_NAMED] or (finding.rule,))
    return f"Known vulnerability {inline(ids)} in {inline(finding.package.name)}. {named}"


def _why(finding: Finding) -> str:
    """Return what is at stake where no family tells it."""
    if finding.package is not None:
        rated = finding.severity.value
        return "The affected version is in use" + (f", rated {rated}." if rated in _RATED else ".")
    if finding.flow:
        first, last = inline(finding.flow[0]), inline(finding.flow[-1])
        return f"What enters at {first} reaches {last} unchecked."
    if finding.category is FindingKind.CONFIGURATION:
        return ""
    return f"Whatever reaches {_spot(finding)} meets the weakness."


def _remedy(finding: Finding, family: Family | None) -> tuple[Approach, str]:
    if finding.package is not None:
        return _package_remedy(finding, finding.package)
    if family is not None:
        return "advice", family.remedy
    known = next((known_weaknesses()[c] for c in finding.cwes if c in known_weaknesses()), None)
    if known is not None:
        return "advice", f"At {_spot(finding)}: {_sentence(known.remedy)}"
    return "advice", (
        f"Change {_spot(finding)} so that {finding.tool} no longer reports "
        f"{inline(_title(finding))}, and keep that check in the build."
    )


def _title(finding: Finding) -> str:
    """Return what the rule is about, in its own few words."""
    return finding.rule_name or finding.message.strip().partition("\n")[0] or finding.rule


def _spot(finding: Finding) -> str:
    """Return the place in a word or two: the whole of it stands in the answer already."""
    if finding.url:
        return f"parameter {inline(finding.parameter)}" if finding.parameter else "this address"
    if finding.path and finding.line:
        return f"line {finding.line}"
    return "this file" if finding.path else "this place"


def _package_remedy(finding: Finding, package: Package) -> tuple[Approach, str]:
    name = inline(package.name)
    version = fixed_version(package)
    if version is None:
        return "advice", _without_fix(finding, package)
    upgrade = upgrade_edit(package, version, finding.path)
    step = (
        f"Upgrade {name} from {inline(package.version or '')} to {inline(version)}, the smallest "
        f"fixed version above it{_jump(package, version)}. {upgrade.where}"
    )
    return "dependency_upgrade", f"{step}\n\n{upgrade.edit}" if upgrade.edit else step


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


def _jump(package: Package, version: str) -> str:
    """Return a warning where the upgrade leaves the installed major version."""
    old, new = (text.lstrip("v").partition(".")[0] for text in (package.version or "", version))
    if is_system_package(package) or old == new or not (old.isdigit() and new.isdigit()):
        return ""
    return f" (major version {new} instead of {old}: read its migration notes first)"


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
