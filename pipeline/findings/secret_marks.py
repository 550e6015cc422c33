"""Which of the rules a text can match at all, told by plain searches for their marks.

Looking for the marks first is what makes forty patterns over every text affordable.
"""

from secdaemon.pipeline.findings.secret_rules import RULES, SecretRule

RUN = 15
"""The shortest run of token characters in a rule of tokens: a Slack token's."""
TOKEN_CHARACTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_RUNS_ALONE = bytes(c if c in TOKEN_CHARACTERS else 32 for c in range(256))
_SHAPES = bytes(120 if c in TOKEN_CHARACTERS else 32 for c in range(256))
_LONG_SHAPE = b"x" * RUN
ROOTS = (
    *("pass", "pwd", "secret", "token", "key", "credential", "session", "cookie", "aws", "bearer"),
    *("basic", "digest", "://", "gl", "eyj", "atatt3", "-----begin", "hooks.slack.com"),
)
"""Every mark of a rule without a run holds one of these."""
_BY_ROOT = {
    root: tuple(
        place
        for place, rule in enumerate(RULES)
        if not rule.run and any(root in mark for mark in rule.marks)
    )
    for root in ROOTS
}

_RUN_MARKS = tuple(mark for rule in RULES for mark in rule.run)
_MARKS_IN_RUNS = tuple(mark for mark in _RUN_MARKS if set(mark.encode()) <= TOKEN_CHARACTERS)
MARKS_BEFORE_RUNS = tuple(mark for mark in _RUN_MARKS if mark not in _MARKS_IN_RUNS)


def rules_for(text: str) -> list[SecretRule]:
    """The rules that a text can match at all, in the order of the table."""
    lower = text.lower()
    if not text.isascii():
        return [rule for rule in RULES if _is_marked(rule, lower)]
    found = {place for root, places in _BY_ROOT.items() if root in lower for place in places}
    found = {place for place in found if _is_marked(RULES[place], lower)}
    if runs := token_marks(text):
        found |= {place for place, rule in enumerate(RULES) if not runs.isdisjoint(rule.run)}
    return [RULES[place] for place in sorted(found)]


def _is_marked(rule: SecretRule, lower: str) -> bool:
    return rule.also in lower and any(mark in lower for mark in rule.marks)


def has_run(text: str) -> bool:
    """Whether an ASCII text has RUN token characters in a row."""
    return _LONG_SHAPE in text.encode().translate(_SHAPES)


def token_marks(text: str) -> set[str]:
    """The marks of tokens in an ASCII text: those in, or before, a run of RUN token characters."""
    if not has_run(text):
        return set()
    words = text.encode().translate(_RUNS_ALONE).split()
    runs = b" ".join([word for word in words if len(word) >= RUN]).decode()
    found = {mark for mark in _MARKS_IN_RUNS if mark in runs}
    return found.union([mark for mark in MARKS_BEFORE_RUNS if mark in text])
