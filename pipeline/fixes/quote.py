"""Text from outside, made safe to stand inside a conversation."""

import re
from itertools import chain

from secdaemon.pipeline.findings.redact import neutralise


def inline(text: str, limit: int = 160) -> str:
    """Return one line of at most `limit` characters between backticks, which it cannot close."""
    line = " ".join(neutralise(text).replace("`", "'").split())
    return f"`{line if len(line) <= limit else line[: limit - 1] + '…'}`"


def quoted(text: str, limit: int) -> str:
    """Return the text as a Markdown quotation of at most `limit` characters of it."""
    clean = neutralise(text).strip()
    if len(clean) > limit:
        clean = clean[:limit].rstrip() + " …"
    return "\n".join(f"> {line}".rstrip() for line in clean.splitlines())


def fenced(text: str, language: str = "") -> str:
    """Return a fenced block that the text in it cannot close."""
    clean = neutralise(text).strip("\n")
    runs = re.findall(r"`{3,}", clean)
    fence = "`" * max(chain([3], (len(run) + 1 for run in runs)))
    return f"{fence}{language}\n{clean}\n{fence}"
