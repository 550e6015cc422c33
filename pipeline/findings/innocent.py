"""Texts with nothing to redact and nothing to neutralise, told by their words.

Most texts of a scan are of this kind, and most of their words have been met before, so that it pays
to find out first. The answer is careful: "no" says nothing.

A word is a run of the characters that tokens are made of. Every match of every rule holds a word,
or the end or the start of one, by which it can be known; so a text of harmless words has no match,
whatever stands between them. What is told by other characters is looked for in the text itself.
"""

import re

from secdaemon.pipeline.findings.secret_marks import MARKS_BEFORE_RUNS, RUN, TOKEN_CHARACTERS
from secdaemon.pipeline.findings.secret_rules import NAMES, RULES

PLAIN = bytes([*b"\n\t", *range(0x20, 0x7F)])
"""What an ASCII text may hold without acting on anyone by a single character."""
_ACTING = b"\x01"
"""Stands for every byte that is not in PLAIN."""
_WORDS_APART = bytes(
    c if c in TOKEN_CHARACTERS else ord(" ") if c in PLAIN else _ACTING[0] for c in range(256)
)
_SHA256 = 64
_DIGITS = "0123456789abcdef"
_DIGEST = re.compile(r"[0-9a-f]{16,128}(?:[:_]\d{1,9})?")
"""A hash as fingerprints are: every mark of a rule has a letter beyond `f`, or is in capitals."""

_NAME = re.compile((NAMES + "|accountkey|sharedaccesskey|cookie").encode(), re.IGNORECASE)
"""In a word whose value is a secret."""
_ASSIGNS = re.compile(r"[0-9=:,<]")
"""One of these stands between a name and its value, or in the value."""
_BEFORE_DOTS = "|".join(mark[:-1] for mark in MARKS_BEFORE_RUNS if mark.endswith("."))
_AFTER_COLONS = "|".join(mark[1:] for mark in MARKS_BEFORE_RUNS if mark.startswith(":"))
_SUSPECT = re.compile(
    rb"(?i:-----begin|aws|slack|eyj|atatt3|gl(?:pat|ptt|dt|rt|soat|cbt|agent|oas)-|gl(?:sa|c)_"
    rb"|(?:\A|-)(?:bearer|basic|digest|token)\Z)"
    rb"|\A(?:home|Users|Documents|SYS|INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\Z"
    rb"|(?:" + _BEFORE_DOTS.encode() + rb")\Z|\A(?:" + _AFTER_COLONS.encode() + rb")|" + _ACTING
)
"""In a word of any other rule, of a home folder or a chat token, or with an acting character."""
_TOKENS = tuple(rule for rule in RULES if rule.run)
_IN_RUNS = re.compile("|".join(re.escape(mark) for rule in _TOKENS for mark in rule.run))

_ADDRESS = re.compile(r"@(?<=[A-Za-z0-9._%+-]@)[A-Za-z0-9]")
_TAG_TOKEN = re.compile(r"<(?:\||/?(?:s|bos|eos|pad|unk|mask|(?:start|end)_of_(?:turn|text))>)")
_COMMAND = re.compile(r"::(?<![^\s]::)[A-Za-z]")

_MAX_WORD = 32
_MAX_WORDS = 16_384
_harmless: set[bytes] = set()
"""Words that no text is hidden for; what a process has met of them, within bounds."""


def is_innocent(text: str) -> bool:
    """Whether redacting would leave the text as it is, as far as can be told at once."""
    words = text.encode("utf-8", "surrogatepass").translate(_WORDS_APART).split()
    if not _harmless.issuperset(words) and not _are_harmless(words, text):
        return False
    return not (
        ("@" in text and ("://" in text or _ADDRESS.search(text)))
        or ("<" in text and _TAG_TOKEN.search(text))
        or ("::" in text and _COMMAND.search(text))
    )


def _are_harmless(words: list[bytes], text: str) -> bool:
    """Whether no word of the text can be of a secret; remembers those that never are."""
    for word in set(words) - _harmless:
        if _SUSPECT.search(word) or (len(word) >= RUN and _holds_token(word.decode())):
            return False
        if _NAME.search(word):
            if _ASSIGNS.search(text):
                return False
        elif len(word) <= _MAX_WORD:
            if len(_harmless) >= _MAX_WORDS:
                _harmless.clear()
            _harmless.add(word)
    return True


def _holds_token(word: str) -> bool:
    """Whether a word is, or holds, a token of a service by its pattern."""
    return bool(_IN_RUNS.search(word)) and any(rule.pattern.search(word) for rule in _TOKENS)


def is_digest(text: str) -> bool:
    """Whether the text is a hash as fingerprints are, of 16 to 128 digits."""
    if len(text) == _SHA256 and not text.strip(_DIGITS):
        return True
    return _DIGEST.fullmatch(text) is not None


def is_plain(ascii_text: str) -> bool:
    """Whether an ASCII text has no control character but line feeds and tabs."""
    return ascii_text.isprintable() or not ascii_text.encode().translate(None, PLAIN)
