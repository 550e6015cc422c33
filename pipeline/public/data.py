"""Stage 1's data: public vulnerability fixes as examples, every row of them accounted for."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.public.code_pairs import CodePair, pairs_of
from secdaemon.pipeline.public.pairs_to_examples import (
    DUPLICATE,
    TOO_LONG,
    TRANSFORM_VERSION,
    example_of_pair,
    unusable,
)
from secdaemon.pipeline.public.sources import RowSource, add_revision, open_source, revisions

__all__ = ["TRANSFORM_VERSION", "PublicData", "load", "revisions"]

UNREADABLE = "unreadable"

MAX_CHARS = 6_000
"""Of an example's question and answer together: about 2,000 tokens of code."""


class PublicData(msgspec.Struct, frozen=True, kw_only=True):
    """The usable examples, why others were left out, and the sources' revisions.

    `entered` is the number of rows and `left_out` sums to the rest; a commit that changes several
    files counts as that many.
    """

    examples: tuple[Example, ...]
    left_out: dict[str, int]
    revisions: dict[str, str]
    entered: int


def load(
    sources: Sequence[str], max_examples: int | None, max_chars: int = MAX_CHARS
) -> PublicData:
    """Return the examples of all sources, taken from them in turns.

    Rows are read as a stream, and reading ends at `max_examples`, so that memory holds the
    examples that are returned and a digest for each. The same data gives the same examples.

    Args:
        sources: as `public_sources.open_source` takes them; one named twice is read once.
        max_examples: of all sources together; None for all there are.
        max_chars: of an example's question and answer together.

    Raises:
        TransientError: a source on the network cannot be reached.
        PermanentError: a source does not exist or lacks the columns.
    """
    opened = [open_source(source) for source in dict.fromkeys(sources)]
    examples: list[Example] = []
    left_out: Counter[str] = Counter()
    seen: set[bytes] = set()
    for pair in _in_turns([_pairs(source) for source in opened]):
        example, reason = _usable(pair, max_chars, seen)
        if example is None:
            left_out[reason] += 1
            continue
        examples.append(example)
        if max_examples is not None and len(examples) >= max_examples:
            break
    found: dict[str, str] = {}
    for source in opened:
        add_revision(found, source.name, source.revision)
    return PublicData(
        examples=tuple(examples),
        left_out=dict(sorted(left_out.items())),
        revisions=found,
        entered=len(examples) + left_out.total(),
    )


def _pairs(source: RowSource) -> Iterator[CodePair | None]:
    """Yield the pairs of a source, None for a row that cannot be read."""
    for row in source.rows:
        try:
            pairs = pairs_of(row, source.name) if row is not None else [None]
        except msgspec.ValidationError:
            pairs = [None]
        yield from pairs


def _in_turns(streams: Sequence[Iterator[CodePair | None]]) -> Iterator[CodePair | None]:
    """Yield one of each stream in turn, so that a bound leaves none of them out."""
    waiting = list(streams)
    while waiting:
        going = []
        for stream in waiting:
            for pair in stream:
                going.append(stream)
                yield pair
                break
        waiting = going


def _usable(pair: CodePair | None, max_chars: int, seen: set[bytes]) -> tuple[Example | None, str]:
    """Return the pair's example, or None and why there is none; `seen` remembers usable pairs."""
    if pair is None:
        return None, UNREADABLE
    if reason := unusable(pair):
        return None, reason
    text = "\0".join("".join(side.split()) for side in (pair.before, pair.after))
    digest = hashlib.blake2b(text.encode(errors="replace"), digest_size=16).digest()
    if digest in seen:
        return None, DUPLICATE
    example = example_of_pair(pair, max_chars)
    if example is None:
        return None, TOO_LONG
    seen.add(digest)
    return example, ""
