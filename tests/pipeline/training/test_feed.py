"""The order of training batches."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.training.feed import PAD_TO, Feed, Share, pad
from secdaemon.pipeline.training.tokens import Tokens


def tokens(length: int, weight: float = 1.0) -> Tokens:
    """Return an example of `length` tokens whose answer begins in its middle."""
    ids = tuple(range(1, length + 1))
    return Tokens(id=str(length), group="g", weight=weight, ids=ids, offset=max(1, length // 2))


lengths = st.lists(st.integers(2, 100), min_size=1, max_size=30)


def feed(sizes: list[int], batch_size: int, weights: list[float] | None = None) -> Feed:
    """Return a feed over examples of these lengths."""
    weights = weights or [1.0] * len(sizes)
    examples = [tokens(size, weight) for size, weight in zip(sizes, weights, strict=True)]
    return Feed(examples, batch_size=batch_size, cap=100, mask_prompt=True, seed=1)


@given(lengths, st.integers(1, 5))
def test_an_epoch_holds_every_example(sizes: list[int], batch_size: int) -> None:
    """Every example comes once an epoch; only what fills the last batch comes again."""
    one = feed(sizes, batch_size)
    for epoch in range(2):
        start = epoch * one.batches_per_epoch
        counts = Counter(
            int(row) for k in range(one.batches_per_epoch) for row in one.rows(start + k)
        )
        assert set(counts) == set(range(len(sizes)))
        assert sum(counts.values()) - len(sizes) < batch_size


@given(lengths, st.integers(1, 5), st.integers(0, 50))
def test_any_position_can_be_entered(sizes: list[int], batch_size: int, position: int) -> None:
    """A feed that starts in the middle goes on as one that came from the beginning."""
    through, entered = feed(sizes, batch_size).batches(0), feed(sizes, batch_size).batches(position)
    for _ in range(position):
        next(through)
    for _ in range(3):
        for one, other in zip(next(through), next(entered), strict=True):
            assert np.array_equal(one, other)


@given(lengths, st.integers(1, 5))
def test_the_examples_arrive_whole(sizes: list[int], batch_size: int) -> None:
    """A batch's rows are whole examples with their spans, padded to few widths."""
    one = feed(sizes, batch_size)
    ids, spans = next(one.batches(0))
    assert len(ids) == batch_size
    assert ids.shape[1] == 100 or (ids.shape[1] - 1) % PAD_TO == 0
    for row, (first, end), place in zip(ids, spans, one.rows(0), strict=True):
        assert end == sizes[place]
        assert first == max(1, sizes[place] // 2)
        assert row[:end].tolist() == list(range(1, end + 1))
        assert not row[end:].any()
    assert one.tokens(0) == spans[:, 1].sum()


def test_weights_are_drawn_by() -> None:
    """An example of weight 3 comes three times as often, one of weight 0 never."""
    one = feed([5, 6, 7], 1, [3.0, 1.0, 0.0])
    counts = Counter(int(one.rows(k)[0]) for k in range(4000))
    assert counts[2] == 0
    assert 2.6 < counts[0] / counts[1] < 3.4


def test_batches_hold_similar_lengths() -> None:
    """Short and long examples do not share a batch."""
    one = feed([10, 90] * 8, 4)
    assert all(len({int(row) % 2 for row in one.rows(k)}) == 1 for k in range(8))


def test_without_mask_the_prompt_is_learned() -> None:
    """The span begins at the first token where the prompt is not masked."""
    _, spans = pad([tokens(9)], cap=100, mask_prompt=False)
    assert spans.tolist() == [[0, 9]]


@given(lengths, st.integers(1, 3), st.integers(1, 4), st.integers(0, 20))
def test_shares_make_the_whole_batch(
    sizes: list[int], rows: int, processes: int, position: int
) -> None:
    """Each process gets as many rows as any other, all of them together every row once."""
    one = feed(sizes, rows * processes)
    ends = [
        next(one.batches(position, Share(rank, processes)))[1][:, 1].tolist()
        for rank in range(processes)
    ]
    assert {len(part) for part in ends} == {rows}
    assert sorted(end for part in ends for end in part) == sorted(
        sizes[row] for row in one.rows(position)
    )


@given(lengths, st.integers(1, 3), st.integers(1, 3), st.integers(0, 20), st.booleans())
def test_learned_tokens_are_those_of_the_spans(
    sizes: list[int], rows: int, processes: int, position: int, masked: bool
) -> None:
    """What a share is weighted by are its learned tokens, and the shares' make up the batch's."""
    examples = [tokens(size) for size in sizes]
    one = Feed(examples, batch_size=rows * processes, cap=100, mask_prompt=masked, seed=1)
    found = []
    for rank in range(processes):
        _, spans = next(one.batches(position, Share(rank, processes)))
        found.append(one.learned(position, Share(rank, processes)))
        # A first token has nothing before it to be predicted from.
        assert found[-1] == sum(end - max(first, 1) for first, end in spans.tolist())
    assert sum(found) == one.learned(position)


@given(lengths, st.integers(1, 5))
def test_no_batch_is_larger_than_the_longest(sizes: list[int], batch_size: int) -> None:
    """The batch that the memory is tried with has the full size and the greatest width."""
    one = feed(sizes, batch_size)
    batches = one.batches(0)
    widths = [next(batches)[0].shape for _ in range(one.batches_per_epoch)]
    assert one.longest()[0].shape == max(widths)
