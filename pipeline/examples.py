"""Training examples: ChatML messages with their provenance, and the JSONL they are kept in."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from secdaemon.config.files import write_file

SYSTEM_PROMPT = (
    "You are a security analyst. You explain a weakness in the code, configuration or dependency "
    "you are shown, say why it matters there, and give the fix."
)

Role = Literal["system", "user", "assistant"]


class Turn(msgspec.Struct, frozen=True):
    """One message of a conversation."""

    role: Role
    content: str


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation (system, user, assistant) and where it came from.

    Examples of one `group` never stand in different splits.
    """

    id: str
    messages: tuple[Turn, ...]
    group: str
    weight: float = 1.0
    """How often the sampler draws it, relative to the others."""
    metadata: dict[str, str] = {}
    """At least source, category, cwe, language, approach, quality; on replay replay_from_stage1."""


class Splits(msgspec.Struct, frozen=True):
    """Examples by split; no group stands in two of them."""

    train: tuple[Example, ...]
    valid: tuple[Example, ...]
    test: tuple[Example, ...]


def conversation(user: str, assistant: str) -> tuple[Turn, ...]:
    """Return the three messages of an example."""
    return (
        Turn("system", SYSTEM_PROMPT),
        Turn("user", user),
        Turn("assistant", assistant),
    )


def write_jsonl(path: Path, rows: Iterable[msgspec.Struct]) -> None:
    """Write one object a line, all of the file or nothing."""
    encoder = msgspec.json.Encoder(order="deterministic")
    write_file(path, b"".join(encoder.encode(row) + b"\n" for row in rows))


def read_jsonl(path: Path) -> tuple[Example, ...]:
    """Return the examples of a file written by `write_jsonl`.

    Raises:
        OSError: the file cannot be read.
        msgspec.DecodeError: a line is no example.
    """
    return tuple(msgspec.json.Decoder(Example).decode_lines(path.read_bytes()))


def write_splits(folder: Path, splits: Splits) -> None:
    """Write train.jsonl, valid.jsonl and test.jsonl."""
    for name in ("train", "valid", "test"):
        write_jsonl(folder / f"{name}.jsonl", getattr(splits, name))


def read_splits(folder: Path) -> Splits:
    """Return what `write_splits` wrote."""
    return Splits(*(read_jsonl(folder / f"{name}.jsonl") for name in ("train", "valid", "test")))


def fingerprint(splits: Splits) -> str:
    """Return the hash of all rows of all splits, in their order."""
    digest = hashlib.sha256()
    encoder = msgspec.json.Encoder(order="deterministic")
    for name in ("train", "valid", "test"):
        for example in getattr(splits, name):
            digest.update(encoder.encode((name, example.messages, example.weight)))
    return digest.hexdigest()
