"""Texts with nothing to redact and nothing to neutralise, told by what they do not hold.

Most texts of a scan are of this kind, so that it pays to find out first. The answer is careful:
"no" says nothing.
"""

import re

from secdaemon.pipeline.findings.secret_rules import has_run, token_marks

PLAIN = bytes([*b"\n\t", *range(0x20, 0x7F)])
"""What an ASCII text may hold without acting on anyone by a single character."""
_DIGEST = re.compile(r"[0-9a-f]{16,128}(?:[:_]\d{1,9})?")
"""A hash as fingerprints are: every mark of a rule has a letter beyond `f`, or is in capitals."""

_ASSIGNS = re.compile(r"[0-9=:,]")
"""One of these stands between a name and its value, or in the value."""


def is_innocent(text: str) -> bool:
    """Whether redacting would leave the text as it is, as far as can be told at once.

    Plain searches: one pattern with these alternatives takes five times as long. What a word needs
    beside it is a single character that is found much faster, and so is looked for first.
    """
    if "@" in text or "<" in text or "[" in text or not text.isascii() or not is_plain(text):
        return False
    if has_run(text) and (is_digest(text) or token_marks(text)):
        return is_digest(text)
    lower = text.lower()
    if (
        "token" in lower
        or "aws" in lower
        or "basic" in lower
        or "bearer" in lower
        or "digest" in lower
        or (("/" in text or "\\" in text) and _has_folder(lower))
        or (("-" in text or "_" in text) and ("gl" in lower or "-----begin" in lower))
        or ("." in text and ("eyj" in lower or "hooks.slack.com" in lower))
        or ("3" in text and "atatt3" in lower)
    ):
        return False
    return _ASSIGNS.search(text) is None or not (
        "key" in lower
        or "pass" in lower
        or "secret" in lower
        or "session" in lower
        or "pwd" in lower
        or "credential" in lower
        or "cookie" in lower
        or "::" in lower
    )


def _has_folder(lower: str) -> bool:
    return "home" in lower or "users" in lower or "documents and settings" in lower


def is_digest(text: str) -> bool:
    """Whether the text is a hash as fingerprints are, of 16 to 128 digits."""
    return _DIGEST.fullmatch(text) is not None


def is_plain(ascii_text: str) -> bool:
    """Whether an ASCII text has no control character but line feeds and tabs."""
    return ascii_text.isprintable() or not ascii_text.encode().translate(None, PLAIN)
