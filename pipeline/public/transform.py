"""A row of public data as what is kept of it: examples, or why there are none."""

import hashlib
from collections.abc import Iterator

import msgspec

from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.public.code_pairs import CodePair, pairs_of
from secdaemon.pipeline.public.pairs_to_examples import TOO_LONG, example_of_pair, unusable
from secdaemon.pipeline.public.sources import Row
from secdaemon.pipeline.splitting.outlines import Outline, outline

UNREADABLE = "unreadable"

_EXAMPLE = msgspec.json.Decoder(Example)
_ENCODER = msgspec.json.Encoder(order="deterministic")


class Entry(msgspec.Struct, frozen=True):
    """One file's change in a row."""

    reason: str
    """Why there is no example of it, "" where there is one."""
    pair: bytes
    """A digest of both sides without white space; what is equal so is a duplicate."""
    outline: Outline | None
    line: bytes | None
    """The example as JSON; None where it was not asked for."""

    @property
    def example(self) -> Example:
        """The example in it."""
        return _EXAMPLE.decode(self.line or b"")


def entries_of(row: Row | None, source: str, max_chars: int) -> Iterator[Entry]:
    """Yield what becomes of a row, one entry for each file that it changes; one at least."""
    try:
        pairs = pairs_of(row, source) if row is not None else []
    except msgspec.ValidationError:
        pairs = []
    if not pairs:
        yield _left_out(UNREADABLE)
    for pair in pairs:
        yield _entry(pair, max_chars)


def _entry(pair: CodePair, max_chars: int) -> Entry:
    if reason := unusable(pair):
        return _left_out(reason)
    example = example_of_pair(pair, max_chars)
    if example is None:
        return _left_out(TOO_LONG)
    text = "\0".join("".join(side.split()) for side in (pair.before, pair.after))
    digest = hashlib.blake2b(text.encode(errors="replace"), digest_size=16).digest()
    return Entry("", digest, outline(example), _ENCODER.encode(example))


def _left_out(reason: str) -> Entry:
    return Entry(reason, b"", None, None)
