"""Stage 1's data: public vulnerability fixes as examples, every row of them accounted for.

`prepare` writes the splits that Stage 1 trains on. It goes over the rows twice: first for what
splitting has to know of each (`outlines`), then for the text, which goes from the cache to the
split's file; so memory does not hold the examples, however many there are.
"""

import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from pathlib import Path
from typing import Protocol

import msgspec

from secdaemon.config.files import write_chunks
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.interface import ExampleCounts, PermanentError, TransientError
from secdaemon.pipeline.public.cache import opened
from secdaemon.pipeline.public.cache_folder import Key, last_known
from secdaemon.pipeline.public.pairs_to_examples import DUPLICATE, TRANSFORM_VERSION
from secdaemon.pipeline.public.sources import (
    EMBEDDED,
    START,
    Cursor,
    Rows,
    RowSource,
    add_revision,
    file_of,
    open_source,
)
from secdaemon.pipeline.public.transform import UNREADABLE, Entry, entries_of
from secdaemon.pipeline.splitting import leaks
from secdaemon.pipeline.splitting.outlines import Outline
from secdaemon.pipeline.splitting.splits import Parts, assign

__all__ = ["TRANSFORM_VERSION", "UNREADABLE", "Prepared", "PublicData", "load", "prepare"]

MAX_CHARS = 6_000
"""Of an example's question and answer together: about 2,000 tokens of code."""

_FILES = ("train.jsonl", "valid.jsonl", "test.jsonl")
_REPORTED = 64
"""Entries between two signs of life."""

log = logging.getLogger(__name__)


class PublicData(msgspec.Struct, frozen=True, kw_only=True):
    """The usable examples, why others were left out, and the sources' revisions.

    `entered` is the number of rows and `left_out` sums to the rest; a commit that changes several
    files counts as that many.
    """

    examples: tuple[Example, ...]
    left_out: dict[str, int]
    revisions: dict[str, str]
    entered: int


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What `prepare` wrote: as `PublicData`, with counts in the examples' place."""

    examples: ExampleCounts
    left_out: dict[str, int]
    revisions: dict[str, str]
    entered: int
    caution: str = ""
    """What makes the held-out splits weak, as `splits.Parts` has it."""


class _Entries(Protocol):
    """The entries of one source, to be gone over twice."""

    def entries(self) -> Iterator[Entry]: ...

    def lines(self, chosen: Sequence[int], mark: int) -> Iterator[bytes]: ...


class _HeldRows:
    """The entries of a source that is small enough to be held: our own pairs."""

    def __init__(self, source: RowSource, max_chars: int) -> None:
        self._held = [
            entry
            for row, _ in source.rows(START)
            for entry in entries_of(row, source.name, max_chars)
        ]

    def entries(self) -> Iterator[Entry]:
        return iter(self._held)

    def lines(self, chosen: Sequence[int], mark: int) -> Iterator[bytes]:
        for entry, found in zip(self._held, chosen, strict=False):
            if found == mark:
                yield entry.line or b""


def load(
    sources: Sequence[str], max_examples: int | None, max_chars: int = MAX_CHARS
) -> PublicData:
    """Return the examples of all sources, taken from them in turns, without a cache.

    Rows are read as a stream, and reading ends at `max_examples`. The same data gives the same
    examples.

    Args:
        sources: as `sources.open_source` takes them; one named twice is read once.
        max_examples: of all sources together; None for all there are.
        max_chars: of an example's question and answer together.

    Raises:
        TransientError: a source on the network cannot be reached.
        PermanentError: a source does not exist or lacks the columns.
    """
    named = [open_source(source) for source in dict.fromkeys(sources)]
    streams = [_fresh(source, max_chars) for source in named]
    chosen = _Chosen(streams, max_examples)
    examples = tuple(entry.example for _, entry in chosen)
    return PublicData(
        examples=examples,
        left_out=chosen.left_out,
        revisions=_revisions(named),
        entered=len(examples) + sum(chosen.left_out.values()),
    )


def prepare(
    sources: Sequence[str],
    max_examples: int | None,
    *,
    seed: int,
    cache: Path,
    into: Path,
    alive: Callable[[int], None] = lambda _: None,
) -> Prepared:
    """Write train.jsonl, valid.jsonl and test.jsonl of the sources' examples, taken in turns.

    What is in the cache is neither fetched nor made again. The same data, bound and seed give the
    same bytes, from the cache or not.

    Args:
        sources: as `sources.open_source` takes them; one named twice is read once.
        max_examples: of all sources together; None for all there are.
        seed: decides the splits.
        cache: the folder of kept rows, `cache_folder.CACHE_FOLDER` among Stage 1's results.
        into: the folder of the splits.
        alive: is told the examples found so far, now and then; what it raises ends the work.

    Raises:
        TransientError: a source on the network cannot be reached; what was read is kept.
        PermanentError: a source does not exist, lacks the columns or holds nothing usable.
        EndRun: skipped, where there are too few independent examples to split.
    """
    with ExitStack() as stack:
        named: list[RowSource] = []
        kept: list[_Entries] = []
        for source in dict.fromkeys(sources):
            found, entries = _opened(source, cache, MAX_CHARS)
            named.append(found)
            kept.append(stack.enter_context(entries))
        chosen = _Chosen([each.entries() for each in kept], max_examples)
        places: list[int] = []
        with closing(_outlines(chosen, places, alive)) as outlines:
            parts = assign(outlines, seed)
        marks = _marks(parts, places, chosen.counts)
        for mark, name in enumerate(_FILES, 1):
            write_chunks(into / name, _lines(kept, marks, mark))
    leaks.check_files(into, cache)
    if parts.caution:
        log.warning("Stage 1's data: %s", parts.caution)
    return Prepared(
        examples=ExampleCounts(
            train=len(parts.train), validation=len(parts.valid), test=len(parts.test)
        ),
        left_out=chosen.left_out,
        revisions=_revisions(named),
        entered=len(places) + sum(chosen.left_out.values()),
        caution=parts.caution,
    )


def _marks(parts: Parts, places: Sequence[int], counts: Sequence[int]) -> list[bytearray]:
    """Return the split of every entry of every stream: 1 to 3 as in `_FILES`, 0 for none."""
    marks = [bytearray(count) for count in counts]
    for mark, members in enumerate((parts.train, parts.valid, parts.test), 1):
        for member in members:
            place, stream = divmod(places[member], len(counts))
            marks[stream][place] = mark
    return marks


def _lines(kept: Sequence[_Entries], marks: Sequence[bytearray], mark: int) -> Iterator[bytes]:
    for each, found in zip(kept, marks, strict=True):
        for line in each.lines(found, mark):
            yield line + b"\n"


def revisions(sources: Sequence[str], cache: Path | None = None) -> dict[str, str]:
    """Return the revision of each source by its name, without reading a row.

    A file's is the hash of its content, as is that of `embedded`; a data set's is its commit, or,
    where the hub cannot be reached, the one that was its commit when rows were last kept of it.

    Raises:
        TransientError, PermanentError: as `open_source`.
    """
    return _revisions([_named(source, cache, MAX_CHARS)[0] for source in dict.fromkeys(sources)])


def _revisions(named: Sequence[RowSource]) -> dict[str, str]:
    found: dict[str, str] = {}
    for source in named:
        add_revision(found, source.name, source.revision)
    return found


def _named(source: str, cache: Path | None, max_chars: int) -> tuple[RowSource, bool]:
    """Return a source, and whether its revision is confirmed; offline, the last known one."""
    try:
        return open_source(source), True
    except TransientError as error:
        known = last_known(cache, source, TRANSFORM_VERSION, max_chars)
        if known is None or file_of(source):
            raise
        log.warning("offline: %s is taken from the cache at its revision %s", source, known)
        return RowSource(source, known, _unreachable(error)), False


def _unreachable(error: TransientError) -> Callable[[Cursor], Rows]:
    def rows(_: Cursor) -> Rows:
        raise error

    return rows


def _opened(
    source: str, cache: Path, max_chars: int
) -> tuple[RowSource, AbstractContextManager[_Entries]]:
    named, is_confirmed = _named(source, cache, max_chars)
    if source == EMBEDDED:
        return named, nullcontext(_HeldRows(named, max_chars))
    key = Key(
        source=named.name,
        revision=named.revision,
        transform=TRANSFORM_VERSION,
        max_chars=max_chars,
    )
    return named, opened(cache, key, named, confirmed=is_confirmed)


def _fresh(source: RowSource, max_chars: int) -> Iterator[Entry]:
    for row, _ in source.rows(START):
        yield from entries_of(row, source.name, max_chars)


class _Chosen:
    """The usable entries of several streams in turns, each with a number that tells where it is.

    The number is the place in the stream times the number of streams, plus that of the stream.
    """

    def __init__(self, streams: Sequence[Iterator[Entry]], max_examples: int | None) -> None:
        self._streams, self._most = streams, max_examples
        self._left_out: Counter[str] = Counter()
        self.counts = [0] * len(streams)
        """Entries read of each stream."""

    @property
    def left_out(self) -> dict[str, int]:
        return dict(sorted(self._left_out.items()))

    def __iter__(self) -> Generator[tuple[int, Entry], None, None]:
        seen: set[bytes] = set()
        with ExitStack() as stack:
            for stream in self._streams:
                stack.callback(getattr(stream, "close", lambda: None))
            for number, entry in self._in_turns():
                place = self.counts[number] * len(self._streams) + number
                self.counts[number] += 1
                reason = entry.reason or (DUPLICATE if entry.pair in seen else "")
                if reason:
                    self._left_out[reason] += 1
                    continue
                seen.add(entry.pair)
                yield place, entry
                if len(seen) == self._most:
                    return

    def _in_turns(self) -> Iterator[tuple[int, Entry]]:
        """Yield one of each stream in turn, so that a bound leaves none of them out."""
        waiting = list(enumerate(self._streams))
        while waiting:
            going = []
            for number, stream in waiting:
                for entry in stream:
                    going.append((number, stream))
                    yield number, entry
                    break
            waiting = going


def _outlines(
    chosen: _Chosen, places: list[int], alive: Callable[[int], None]
) -> Generator[Outline, None, None]:
    """Yield what splitting needs of each usable entry, noting its place."""
    with closing(iter(chosen)) as found:
        for place, entry in found:
            assert entry.outline is not None
            places.append(place)
            if len(places) % _REPORTED == 0:
                alive(len(places))
            yield entry.outline
    if not places:
        msg = "stage1.sources hold no usable example: name other ones"
        raise PermanentError(msg)
