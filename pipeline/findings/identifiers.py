"""Names that scanners write in many ways: tools, weaknesses, advisories, packages."""

import re
from collections.abc import Iterable
from urllib.parse import quote

_TOOLS = (
    ("semgrep", "semgrep"),
    ("opengrep", "opengrep"),
    ("trivy", "trivy"),
    ("checkov", "checkov"),
    ("gitleaks", "gitleaks"),
    ("osv", "osv"),
    ("owasp zap", "zap"),
    ("zap", "zap"),
    ("codeql", "codeql"),
)
_CWE = re.compile(r"cwe[-_ :/]{0,2}0*(\d{1,5})(?!\d)", re.IGNORECASE)
_ADVISORY = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"CVE-\d{4}-\d{4,9}"
    r"|GHSA(?:-[0-9a-z]{4}){3}"
    r"|(?:PYSEC|GO|RUSTSEC|OSV|MAL|GSD|DSA|DLA|USN|RHSA|ALAS|ELSA)-\d{1,6}(?:[-:]\d{1,7}){0,2}"
    r"|CGA(?:-[0-9a-z]{4}){3}"
    r"|TEMP-\d{7}-[0-9A-F]{6}"
    r")(?![A-Za-z0-9])",
)
_PURL_TYPES = {
    "alpine": "apk",
    "cargo": "cargo",
    "composer": "composer",
    "conda-pkg": "conda",
    "crates.io": "cargo",
    "debian": "deb",
    "gem": "gem",
    "go": "golang",
    "gobinary": "golang",
    "gomod": "golang",
    "gradle": "maven",
    "hex": "hex",
    "jar": "maven",
    "maven": "maven",
    "node-pkg": "npm",
    "npm": "npm",
    "nuget": "nuget",
    "packagist": "composer",
    "pip": "pypi",
    "pipenv": "pypi",
    "pnpm": "npm",
    "poetry": "pypi",
    "pom": "maven",
    "pub": "pub",
    "pypi": "pypi",
    "python-pkg": "pypi",
    "rubygems": "gem",
    "swift": "swift",
    "ubuntu": "deb",
    "uv": "pypi",
    "yarn": "npm",
}


def tool_name(native: str | None) -> str:
    """One lower-case name a tool, whatever edition or brand it signs with; "unknown" for None."""
    if not native:
        return "unknown"
    lower = " ".join(native.lower().split())
    for start, name in _TOOLS:
        if lower.startswith(start):
            return name
    return re.sub(r"[^a-z0-9.+_-]+", "-", lower).strip("-")[:60] or "unknown"


def cwes_in(texts: Iterable[str]) -> tuple[str, ...]:
    """Every `CWE-<number>` named in the texts (also `external/cwe/cwe-079`), in order, once."""
    found = (match.group(1) for text in texts for match in _CWE.finditer(text))
    return tuple(dict.fromkeys(f"CWE-{number}" for number in found if int(number)))


def advisories_in(texts: Iterable[str]) -> tuple[str, ...]:
    """Every advisory id (CVE, GHSA, PYSEC, GO, …) named in the texts, in order, once."""
    found = (match.group(0) for text in texts for match in _ADVISORY.finditer(text))
    return tuple(dict.fromkeys(found))


def purl_type(ecosystem: str | None) -> str | None:
    """The package-URL type of an ecosystem's or lock file's name; None where it has none."""
    return _PURL_TYPES.get(ecosystem.split(":")[0].lower()) if ecosystem else None


def package_url(ecosystem: str | None, name: str, version: str | None) -> str | None:
    """The package URL (purl-spec), where the ecosystem has a type; distributions are left out.

    A Debian package's URL needs its distribution as qualifier, which scans do not state alike.
    """
    kind = purl_type(ecosystem)
    if kind is None or kind in {"deb", "apk"}:
        return None
    path = name.replace(":", "/") if kind == "maven" else name
    if kind == "pypi":
        path = re.sub(r"[-_.]+", "-", path).lower()
    url = f"pkg:{kind}/{quote(path, safe='/.-_~')}"
    return f"{url}@{quote(version, safe='.-_~:')}" if version else url
