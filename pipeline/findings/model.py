"""A finding: one normalised result of one scanner, whatever format it came in.

`gc=False`: these are trees of immutable values, in which no cycle can be, and there are many.
"""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """Normalised severity, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"
    UNKNOWN = "unknown"


class Category(StrEnum):
    """What a finding is about, and so what kind of fix it can have."""

    CODE = "code"
    DEPENDENCY = "dependency"
    CONFIGURATION = "configuration"
    SECRET = "secret"  # noqa: S105 - the name of a category
    WEB = "web"


class VersionRange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One affected branch of a package, as an advisory states it; `introduced` "0" is always."""

    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None


class Package(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The dependency that a finding is about."""

    name: str
    ecosystem: str | None = None
    version: str | None = None
    purl: str | None = None
    fixed_versions: tuple[str, ...] = ()
    ranges: tuple[VersionRange, ...] = ()
    """The affected branches, each with the version that fixes that branch."""


class Source(msgspec.Struct, frozen=True, gc=False):
    """Where a finding was read: the artifact's member, and the JSON pointer in it (RFC 6901)."""

    member: str
    pointer: str
    tool: str


class Edit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A replacement that a scanner proposes; columns are 1-based, the end is exclusive."""

    path: str
    start_line: int
    start_column: int | None = None
    end_line: int | None = None
    end_column: int | None = None
    text: str


class Place(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One more place of the same finding: a file, an image, or a request."""

    path: str | None = None
    line: int | None = None
    end_line: int | None = None
    column: int | None = None
    target: str | None = None
    url: str | None = None
    method: str | None = None
    parameter: str | None = None
    attack: str | None = None
    evidence: str | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One result; every text in it is already redacted and neutralised.

    `id` is content, made by `identity.py`: tool, rule, place and code where there is code, so that
    the same result of two scans has the same id although lines have moved. Paths are
    repository-relative with `/`; where `target` is an image, they are paths in that image.
    """

    id: str = ""
    tool: str
    rule: str
    severity: Severity
    message: str
    category: Category = Category.CODE
    tool_version: str | None = None
    rule_name: str | None = None
    help: str | None = None
    references: tuple[str, ...] = ()
    native_severity: str | None = None
    confidence: str | None = None
    score: float | None = None
    """CVSS base score or the rule's security-severity, 0 to 10."""
    cvss: str | None = None
    """The CVSS vector with its version prefix."""
    cwes: tuple[str, ...] = ()
    """`CWE-<number>`, in the order given, without repetition."""
    aliases: tuple[str, ...] = ()
    """CVE, GHSA and other advisory ids, without repetition."""
    package: Package | None = None
    path: str | None = None
    line: int | None = None
    end_line: int | None = None
    column: int | None = None
    end_column: int | None = None
    """1-based, exclusive."""
    snippet: str | None = None
    target: str | None = None
    """The image, host or resource that was scanned, where it is no file of the repository."""
    url: str | None = None
    method: str | None = None
    parameter: str | None = None
    attack: str | None = None
    evidence: str | None = None
    places: tuple[Place, ...] = ()
    """The other places of the same finding."""
    edits: tuple[Edit, ...] = ()
    flow: tuple[str, ...] = ()
    """The code flow as `path:line` steps."""
    fingerprints: dict[str, str] = {}
    baseline: str | None = None
    """What the scanner says against its own baseline: new, unchanged, updated."""
    suppression: str | None = None
    """Why the scanner itself suppressed or skipped it; such findings are not trained on."""
    sources: tuple[Source, ...] = ()


class FileKind(StrEnum):
    """What a member of an artifact turned out to be."""

    OK = "ok"
    EMPTY = "empty"
    UNREADABLE = "unreadable"
    UNSUPPORTED = "unsupported"
    NOT_A_SCAN = "not_a_scan"


class FileReport(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What was read from one member; `findings` counts all its results, whatever became of them."""

    path: str
    kind: FileKind
    tool: str | None = None
    format: str | None = None
    findings: int = 0
    error: str | None = None


class Parsed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one file holds: its report, its findings in file order, and what was unusable."""

    report: FileReport
    findings: tuple[Finding, ...] = ()
    rejected: tuple[str, ...] = ()
    """One reason for each result that could not be read as a finding."""


class Counts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Conserved counts: `entered` is the sum of the other four."""

    entered: int = msgspec.field(name="in")
    kept: int
    duplicate: int
    suppressed: int
    rejected: int


class Collected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one artifact holds; `files` is in path order, findings are in the order they were met.

    `duplicates` are the results that were folded into a kept finding; their sources stand there.
    """

    kept: tuple[Finding, ...]
    suppressed: tuple[Finding, ...]
    files: tuple[FileReport, ...]
    counts: Counts
    by_tool: dict[str, int]
    """Kept findings by tool; a merged one counts for the tool whose record was the richest."""
    rejected: tuple[str, ...] = ()
