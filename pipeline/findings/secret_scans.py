"""Findings of secret scanners: which results are about a secret, and how to hide it."""

import re

from secdaemon.pipeline.findings.redact import Redactor

_TOOLS = frozenset(
    {"gitleaks", "trufflehog", "detect-secrets", "ggshield", "noseyparker", "whispers", "spam"}
)
_RULE = re.compile(r"(?:^|[./])(?:detected-)?secrets?[./]|^CKV2?_SECRET_|^CSCAN\d", re.IGNORECASE)
_MATCH_LINE = re.compile(r"^(?P<label>(?:Match|Secret|Value|Line): ?)(?P<value>.+)$", re.MULTILINE)
_MATCH_CELL = re.compile(r"\|[^|\n]{1,4000}\|\s*$")


def is_secret_rule(
    tool: str, rule: str, name: str | None = None, tags: tuple[str, ...] = ()
) -> bool:
    """Whether results of the rule quote a secret."""
    tagged = name == "Secret" or "secret" in tags or "secrets" in tags
    return tool in _TOOLS or tagged or bool(_RULE.search(rule))


def secret_kind(rule: str) -> str:
    """A short kind from a rule's id: its last part, without words that every rule has."""
    last = re.split(r"[./]", rule.lower())[-1]
    return re.sub(r"^detected-", "", last) or "secret"


def hide_in_text(text: str, kind: str, secrets: Redactor) -> str:
    """The text without what it quotes after `Match:` or in a table's last cell (Trivy's forms)."""
    hidden = _MATCH_LINE.sub(
        lambda match: match["label"] + secrets.placeholder(kind, match["value"]), text
    )
    return _MATCH_CELL.sub("| |", hidden)
