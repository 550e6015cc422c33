"""A rule in its own words: its names, title and cloud, and its sentence that says what to do."""

import re
from collections.abc import Iterator

from secdaemon.pipeline.findings.model import Category, Finding
from secdaemon.pipeline.fixes.rule_families import Cloud

_SAYS_NOTHING = frozenset(("misconfiguration", "secret", "container_scanning", "vulnerability"))
"""Names that a report template gives to every rule; what the rule is about stands in rows."""
_ROW = re.compile(
    r"^(Message|Check|Artifact|Type|Vulnerability|Severity|Link|Resource)\b:? ?(.*)", re.MULTILINE
)
_LONGEST = 158
_SHORTEST = 12
_LINES = 60
_SENTENCE = re.compile(r"[^.!?]*(?:[.!?](?!\s|$)[^.!?]*)*[.!?]?\s*")
_COMMAND = re.compile(
    r"(please )?(add|allow|always|apply|avoid|block|check that|configure|delete|disable|do not"
    r"|don'?t|drop|enable|encrypt|enforce|ensure|escape|limit|make sure|minimi[sz]e|mount|move"
    r"|never|only allow|pass|pin|prefer|protect|remove|replace|require|restrict|run|sanitize|set"
    r"|specify|store|switch|turn|update|upgrade|use|validate|verify)\b(?! of)",
    re.IGNORECASE,
)
_DUTY = re.compile(r"\b(should|must|needs? to|has to|have to|ought to)\b", re.IGNORECASE)
_CLOUDS: tuple[tuple[Cloud, re.Pattern[str]], ...] = (
    ("alibaba", re.compile(r"\bckv2?_ali_|alicloud|alibaba|\balyun|\boss bucket", re.IGNORECASE)),
    (
        "azure",
        re.compile(r"\bckv2?_azure_|azure|\baks\b|\bazu-|\bm(?:s|y) ?sql server", re.IGNORECASE),
    ),
    (
        "google",
        re.compile(r"\bckv2?_gcp_|\bgoogle|\bgcp\b|\bgke\b|cloud ?sql|stackdriver", re.IGNORECASE),
    ),
    (
        "aws",
        re.compile(
            r"\bckv2?_aws_|\baws|amazon|\b(eks|rds|ebs|ec2|s3|ecr|elb|lambda|cfn)\b|"
            r"^'?Resources[.\[]|cloudformation",
            re.IGNORECASE | re.MULTILINE,
        ),
    ),
)
"""By what words a provider is known; services of one name (RDS) are in several."""


def title_of(finding: Finding) -> str:
    """Return what the rule is about, in its own few words."""
    if finding.rule_name and finding.rule_name.lower() not in _SAYS_NOTHING:
        return finding.rule_name
    rows = _rows(finding.message)
    first = finding.message.strip().partition("\n")[0]
    return rows.get("Message") or ("" if rows else first) or finding.rule


def names_of(finding: Finding) -> Iterator[tuple[str, ...]]:
    """Yield the names by which the rule's family may be known, the most telling first.

    A dotted id is asked by its last part before it is asked whole: before it are folders, which
    have names of other rules in them. The title of a report template says nothing, so its rows
    are taken: what it says of this finding, then what it checks.
    """
    last = finding.rule.rpartition(".")[2].rpartition("_rule-")[2]
    if last and last != finding.rule:
        yield (last,)
    if finding.rule_name and finding.rule_name.lower() not in _SAYS_NOTHING:
        yield (finding.rule, finding.rule_name)
        return
    if finding.category is Category.CONFIGURATION or not _is_name(finding.rule):
        yield (finding.rule, title_of(finding))
        if check := _rows(finding.help or "").get("Check"):
            yield (check,)
    yield (finding.rule,)


def instruction_of(finding: Finding) -> str:
    """Return the first sentence of the rule's title, message or text that says what to do, or "".

    It is one line of at most 158 characters; a longer one is passed over, never cut.
    """
    for text in (title_of(finding), finding.message, finding.help or ""):
        for sentence in _sentences(text):
            if _COMMAND.match(sentence) or _DUTY.search(sentence):
                return sentence
    return ""


def cloud_of(finding: Finding) -> Cloud | None:
    """Return the provider whose resource is meant, None where nothing tells it."""
    for text in (finding.rule, finding.message, finding.path or "", title_of(finding)):
        for cloud, pattern in _CLOUDS:
            if pattern.search(text[:4_000]):
                return cloud
    return None


def _is_name(rule: str) -> bool:
    """Return whether an id is made of words, as `unsafe-eval` is and `TST0004` is not."""
    return len(re.findall(r"[a-z]{3,}", rule[:200])) > 1


def _rows(text: str) -> dict[str, str]:
    """Return the rows `Message: …` and `Check: …` of a report template; none in other texts."""
    rows = {found[1]: found[2].strip() for found in _ROW.finditer(text[:4_000])}
    return rows if {"Message", "Severity"} <= rows.keys() else {}


def _sentences(text: str) -> Iterator[str]:
    """Yield the sentences of plain lines; of a report's rows, what is said of this finding."""
    rows = _rows(text)
    lines = [rows["Message"]] if rows else text[:8_000].splitlines()[:_LINES]
    for line in lines:
        for found in _SENTENCE.finditer(line):
            sentence = found[0].strip(" \t-*#>")
            if _SHORTEST <= len(sentence) <= _LONGEST and "://" not in sentence:
                yield sentence
