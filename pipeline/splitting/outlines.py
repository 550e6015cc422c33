"""What splitting has to know of an example: a few hundred bytes, whatever its length.

Whatever could give a test answer away binds two examples: the same group, finding, advisory or
fixing commit, the same text of a turn, the same fenced code (texts compared without white space),
or code that is almost the same (`near_duplicates`). Bound examples never stand in two splits.
"""

import hashlib
import re
from collections.abc import Hashable, Iterator

import msgspec

from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.splitting.near_duplicates import signature

BINDING = ("finding", "advisory", "fix_commit")
"""Metadata whose equal values bind; the file is what an example's `group` names."""
MIN_CODE = 40
"""Fenced code shorter than this, without white space, is too common to bind examples."""

_FENCED = re.compile(r"^(`{3,})[^`\n]*\n(.*?)\n\1$", re.MULTILINE | re.DOTALL)


class Outline(msgspec.Struct, frozen=True):
    """An example without its text."""

    content: bytes
    """A digest of id, messages, group and weight: metadata names runs, which decide nothing."""
    stratum: tuple[str, str]
    """Category and tool."""
    bonds: tuple[int, ...]
    """64-bit digests of what must not be found in two splits."""
    signature: bytes
    """Of `compared`."""


def outline(example: Example) -> Outline:
    """Return what is to be known of an example."""
    metadata = example.metadata
    return Outline(
        content_digest(example),
        (metadata.get("category", ""), metadata.get("tool") or metadata.get("source", "")),
        tuple(dict.fromkeys(_short_digest(bond) for bond in _bonds(example))),
        signature(compared(example)),
    )


def compared(example: Example) -> str:
    """Return all code of question and answer, their whole text where there is no code."""
    prose = [turn.content for turn in example.messages if turn.role != "system"]
    return "\n".join(_codes(example) or prose)


def normalised(text: str) -> str:
    """Return the text without any white space; texts that are equal so are the same text."""
    return "".join(text.split())


def content_digest(example: Example) -> bytes:
    """Return the SHA-256 of what a model learns of an example, and by what it is called."""
    content = (example.id, example.messages, example.group, example.weight)
    return hashlib.sha256(msgspec.json.encode(content)).digest()


def _codes(example: Example) -> list[str]:
    turns = (turn.content for turn in example.messages if turn.role != "system")
    found = (match[2] for turn in turns for match in _FENCED.finditer(turn))
    return [code for code in found if len(normalised(code)) >= MIN_CODE]


def _bonds(example: Example) -> Iterator[tuple[str, Hashable]]:
    yield "group", example.group
    for name in BINDING:
        if value := example.metadata.get(name):
            yield name, value
    for turn in example.messages:
        if turn.role != "system":
            yield "text", normalised(turn.content)
    for code in _codes(example):
        yield "code", normalised(code)


def _short_digest(bond: tuple[str, Hashable]) -> int:
    digest = hashlib.blake2b(msgspec.json.encode(bond), digest_size=8).digest()
    return int.from_bytes(digest, "little")
