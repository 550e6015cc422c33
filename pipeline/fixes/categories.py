"""The category of a finding: by its tool, its path and its package."""

import re
from typing import Literal

from secdaemon.pipeline.findings.model import Category as FindingKind
from secdaemon.pipeline.findings.model import Finding
from secdaemon.pipeline.fixes.versions import is_system_package

Category = Literal[
    "code", "mobile", "infrastructure", "api", "dependency", "container", "web", "webauthn"
]

CATEGORY_WEIGHTS: dict[Category, float] = {
    "code": 1.0,
    "mobile": 1.2,
    "infrastructure": 1.3,
    "api": 1.1,
    "dependency": 1.0,
    "webauthn": 1.5,
    "web": 1.2,
    "container": 0.9,
}
"""How much a category counts in an overall score: the sequential plan's numbers."""

TRAINING_WEIGHTS: dict[Category, float] = {
    **CATEGORY_WEIGHTS,
    "webauthn": 1.0,
    "web": 1.0,
    "container": 1.0,
}
"""How often its examples are drawn in training: the plan weighs these three in scores alone."""

_WEBAUTHN = re.compile(
    r"web-?authn|fido2?|passkey|ctap2?|attestation|relying-?party", re.IGNORECASE
)
_WEB_TOOLS = re.compile(r"\bzap\b|burp|nuclei|nikto|arachni|wapiti", re.IGNORECASE)
_API_URL = re.compile(r"/(api|graphql|rest|v\d+)(/|$|\?)", re.IGNORECASE)

_BY_PATH: tuple[tuple[Category, re.Pattern[str]], ...] = (
    (
        "infrastructure",
        re.compile(
            r"(^|/)\.(github|gitlab|circleci)/|(^|/)(k8s|kubernetes|helm|terraform|ansible)/"
            r"|(^|/)(docker-)?compose[^/]*\.ya?ml$|(^|/)(jenkinsfile|makefile)$|\.gitlab-ci\.yml$"
            r"|(^|/)(dockerfile|containerfile)[^/]*$|\.dockerfile$|\.(tf|hcl|tfvars)$"
            r"|(cloudformation|template|deployment|values)[^/]*\.(ya?ml|json)$",
            re.IGNORECASE,
        ),
    ),
    (
        "mobile",
        re.compile(
            r"(^|/)(AndroidManifest\.xml|Info\.plist|network_security_config\.xml|Podfile)$"
            r"|(^|/)(android|ios)[^/]*/|\.(swift|m)$",
            re.IGNORECASE,
        ),
    ),
    (
        "api",
        re.compile(
            r"(open-?api|swagger)[^/]*\.(ya?ml|json)$|^api/|(^|/)(routes?|controllers?|endpoints?)/",
            re.IGNORECASE,
        ),
    ),
    (
        "web",
        re.compile(
            r"(^|/)(public|static|templates|views|wwwroot|www|frontend)/"
            r"|\.(html?|css|vue|svelte|jsp|ejs|erb|hbs|jinja2?)$",
            re.IGNORECASE,
        ),
    ),
    ("webauthn", _WEBAUTHN),
)


def category_of(finding: Finding) -> Category:
    """Return the one category that an example of this finding counts in."""
    if finding.package is not None:
        return _of_package(finding)
    if finding.url or _WEB_TOOLS.search(finding.tool):
        return "api" if _API_URL.search(finding.url or "") else "web"
    if finding.path:
        return _of_path(finding, finding.path)
    return "container" if finding.target else "code"


def _of_package(finding: Finding) -> Category:
    assert finding.package is not None
    package = finding.package
    if _WEBAUTHN.search(package.name):
        return "webauthn"
    in_image = finding.target is not None
    return "container" if in_image or is_system_package(package) else "dependency"


def _of_path(finding: Finding, path: str) -> Category:
    if _WEBAUTHN.search(f"{finding.rule} {finding.rule_name or ''}"):
        return "webauthn"
    if finding.category is FindingKind.CONFIGURATION and not _BY_PATH[1][1].search(path):
        return "infrastructure"
    return next((category for category, pattern in _BY_PATH if pattern.search(path)), "code")
