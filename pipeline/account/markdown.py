"""Markdown for README.md files, in which text from outside stays text."""

import re
from collections.abc import Iterable, Mapping, Sequence

import yaml

from secdaemon.pipeline.findings.redact import neutralise

_ACTING = re.compile(r"([\\`*_{}\[\]|~$])")
_ENTITIES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "@": "&#64;",
    "://": "&#58;//",
    "www.": "www&#46;",
}
"""What would be HTML, a mention, or a link that nobody wrote."""
_ENTITY = re.compile("|".join(map(re.escape, _ENTITIES)), re.IGNORECASE)


def plain(text: str) -> str:
    """Return foreign text as one line that Markdown shows as it is, where no line begins."""
    line = " ".join(neutralise(text).split())
    safe = _ENTITY.sub(lambda found: _ENTITIES[found[0].lower()], line)
    return _ACTING.sub(r"\\\1", safe)


def listed(names: Iterable[str]) -> str:
    """Return foreign names in one line."""
    return ", ".join(plain(name) for name in names) or "nothing"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown, made by `plain` where they are foreign."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def document(front_matter: Mapping[str, object], *blocks: str) -> str:
    """Return a whole README.md: YAML front matter, then blocks apart by an empty line."""
    text = yaml.safe_dump(dict(front_matter), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n\n" + "\n\n".join(block.strip("\n") for block in blocks) + "\n"
