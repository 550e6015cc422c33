"""The order of training batches: seeded, and addressable by position.

Batch `k` is computed from the seed and `k` alone, so that a resumed training enters the order where
the killed one left it.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from secdaemon.pipeline.training.tokens import Tokens

PAD_TO = 32
"""Inputs are padded to a multiple of this: few widths, so few compilations."""

Batch = tuple[NDArray[np.int32], NDArray[np.int32]]
"""Token ids (batch, width), padded with 0, and (batch, 2) with the span [first, end) to learn."""


class Share(msgspec.Struct, frozen=True):
    """Which rows of a batch are this process's: every `of`-th from `rank` on."""

    rank: int
    of: int


WHOLE = Share(rank=0, of=1)


def pad(examples: Sequence[Tokens], cap: int, *, mask_prompt: bool = True) -> Batch:
    """Return a batch whose inputs, all tokens but the last, fill a multiple of PAD_TO.

    Args:
        examples: no longer than `cap` tokens each.
        cap: the most tokens a row may have.
        mask_prompt: learn the assistant's tokens only, not the whole conversation.
    """
    longest = max(len(example.ids) for example in examples)
    width = min(1 + PAD_TO * -(-(longest - 1) // PAD_TO), cap)
    ids = np.zeros((len(examples), width), np.int32)
    spans = np.zeros((len(examples), 2), np.int32)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = example.ids
        spans[row] = (example.offset if mask_prompt else 0, len(example.ids))
    return ids, spans


class Feed:
    """An endless sequence of batches over the examples.

    An epoch is every example once in a random order or, where weights differ, as many draws by
    weight with replacement; it is filled up to whole batches from its own beginning. Batches hold
    examples of similar length and come in a random order.
    """

    def __init__(
        self,
        examples: Sequence[Tokens],
        *,
        batch_size: int,
        cap: int,
        mask_prompt: bool,
        seed: int,
    ) -> None:
        """Keep the examples (at least one) and what decides their order."""
        self._examples = examples
        self._batch_size = batch_size
        self._cap = cap
        self._mask_prompt = mask_prompt
        self._seed = seed
        weights = np.array([example.weight for example in examples], np.float64)
        self._shares = None if np.ptp(weights) == 0 else weights / weights.sum()
        self._widths = np.array([-(-(len(example.ids) - 1) // PAD_TO) for example in examples])
        self._epoch: tuple[int, NDArray[np.int64]] | None = None

    @property
    def batches_per_epoch(self) -> int:
        """How many batches one epoch has."""
        return -(-len(self._examples) // self._batch_size)

    def rows(self, position: int) -> NDArray[np.int64]:
        """Return the indices (batch_size,) of the examples in batch `position`, from 0 on."""
        epoch, place = divmod(position, self.batches_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self._order(epoch))
        rows: NDArray[np.int64] = self._epoch[1][place]
        return rows

    def tokens(self, position: int) -> int:
        """Return the tokens of batch `position`, prompts included and padding not."""
        return sum(len(self._examples[row].ids) for row in self.rows(position))

    def learned(self, position: int, share: Share = WHOLE) -> int:
        """Return how many tokens of this process's share of batch `position` are learned."""
        chosen = (self._examples[row] for row in self.rows(position)[share.rank :: share.of])
        first = (lambda example: example.offset) if self._mask_prompt else (lambda _: 1)
        return sum(len(example.ids) - first(example) for example in chosen)

    def batches(self, position: int, share: Share = WHOLE) -> Iterator[Batch]:
        """Yield this process's share of the batches from `position` on, without end."""
        while True:
            yield self._batch(self.rows(position)[share.rank :: share.of])
            position += 1

    def longest(self) -> Batch:
        """Return a batch that takes as much memory as any: the longest examples, full size."""
        by_length = sorted(range(len(self._examples)), key=lambda n: -len(self._examples[n].ids))
        return self._batch(np.resize(np.array(by_length, np.int64), self._batch_size))

    def _batch(self, rows: NDArray[np.int64]) -> Batch:
        chosen = [self._examples[row] for row in rows]
        return pad(chosen, self._cap, mask_prompt=self._mask_prompt)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Return the indices of an epoch, (batches_per_epoch, batch_size)."""
        random = np.random.default_rng([self._seed, epoch])
        count = len(self._examples)
        places = self.batches_per_epoch * self._batch_size
        if self._shares is None:
            drawn = np.resize(random.permutation(count), places)
        else:
            drawn = random.choice(count, size=places, p=self._shares)
        by_width = drawn[np.argsort(self._widths[drawn], kind="stable")]
        return random.permutation(by_width.reshape(-1, self._batch_size))
