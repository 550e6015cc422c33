"""Orders that mix Stage 1's batches into the project's: a constant share, or a curriculum.

Batch `k` follows from the seed and `k` alone, as in every feed, so that a resumed training enters
the order where the killed one left it.
"""

import itertools
import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from secdaemon.pipeline.training.feed import Feed
from secdaemon.pipeline.training.tokens import Tokens

PHASE_SHARES = (1.75, 1.25, 0.75, 0.25)
"""Stage 1's share of the batches in each quarter of a curriculum, times its mean share.

With the mean share of 0.4 that is 70, 50, 30 and 10 per cent.
"""
PHASE_POOLS = (0.4, 0.6, 0.8, 1.0)
"""The share of the project's examples, the easiest first, that each quarter draws from."""
_MOST = 0.95
"""Of the batches may be Stage 1's, or a phase would teach nothing of the project."""


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the training."""

    batches: int
    """The last phase goes on without end."""
    known_share: float
    """Of its batches that are Stage 1's, below 1."""
    own: tuple[int, ...]
    """The places of the project's examples that it draws from, at least one."""


def constant(own: int, known_share: float) -> tuple[Phase, ...]:
    """Return one phase over all `own` examples of the project: the multi-task order."""
    return (Phase(batches=0, known_share=known_share, own=tuple(range(own))),)


def curriculum(
    difficulty: Sequence[tuple[int, int]], iterations: int, mean_share: float, least_share: float
) -> tuple[Phase, ...]:
    """Return four phases: mostly Stage 1 and the easy examples first, mostly the hard ones last.

    Args:
        difficulty: of each of the project's examples, at least one; the smallest is the easiest.
        iterations: of the whole training, a quarter of them for each phase.
        mean_share: of the batches that are Stage 1's, over all of the training.
        least_share: of the batches that are Stage 1's in any phase.
    """
    easiest = sorted(range(len(difficulty)), key=lambda place: (difficulty[place], place))
    edges = [iterations * number // len(PHASE_SHARES) for number in range(len(PHASE_SHARES) + 1)]
    return tuple(
        Phase(
            batches=end - start,
            known_share=min(max(share * mean_share, least_share), _MOST),
            own=tuple(easiest[: math.ceil(pool * len(easiest))]),
        )
        for (start, end), share, pool in zip(
            itertools.pairwise(edges), PHASE_SHARES, PHASE_POOLS, strict=True
        )
    )


class Rehearsal(Feed):
    """A feed over the project's examples followed by Stage 1's, whose batches hold one kind each.

    Within a phase Stage 1's batches come at even distances, so that any stretch of it has its
    share, to a batch. Each kind is drawn as a feed of its own draws it.
    """

    def __init__(
        self,
        own: Sequence[Tokens],
        known: Sequence[Tokens],
        phases: Sequence[Phase],
        *,
        batch_size: int,
        cap: int,
        mask_prompt: bool,
        seed: int,
    ) -> None:
        """Keep the examples, at least one of each kind, and what decides their order."""
        super().__init__(
            (*own, *known), batch_size=batch_size, cap=cap, mask_prompt=mask_prompt, seed=seed
        )

        def feed(examples: Sequence[Tokens], stream: int) -> Feed:
            return Feed(
                examples,
                batch_size=batch_size,
                cap=cap,
                mask_prompt=mask_prompt,
                seed=_seed(seed, stream),
            )

        self._phases = tuple(phases)
        self._starts = tuple(
            itertools.accumulate((phase.batches for phase in phases[:-1]), initial=0)
        )
        self._known = feed(known, len(phases))
        self._known_from = len(own)
        self._own = [
            feed([own[place] for place in phase.own], number) for number, phase in enumerate(phases)
        ]
        self._offset = float(np.random.default_rng([seed, 3]).random())

    @property
    def batches_per_epoch(self) -> int:
        """How many batches it takes, at the last phase's share, until the project was seen once."""
        return math.ceil(self._own[-1].batches_per_epoch / (1 - self._phases[-1].known_share))

    def rows(self, position: int) -> NDArray[np.int64]:
        """Return the places (batch_size,) of a batch's examples, Stage 1's behind the project's."""
        number = max(n for n, start in enumerate(self._starts) if start <= position)
        place = position - self._starts[number]
        before = self._known_before(number, place)
        if self._known_before(number, place + 1) > before:
            earlier = sum(
                self._known_before(n, phase.batches)
                for n, phase in enumerate(self._phases[:number])
            )
            known: NDArray[np.int64] = self._known.rows(earlier + before) + self._known_from
            return known
        chosen = self._own[number].rows(place - before)
        own: NDArray[np.int64] = np.array(self._phases[number].own, np.int64)[chosen]
        return own

    def is_known(self, position: int) -> bool:
        """Return whether a batch is Stage 1's."""
        return bool(self.rows(position)[0] >= self._known_from)

    def _known_before(self, number: int, place: int) -> int:
        """Return how many of a phase's first `place` batches are Stage 1's."""
        return math.floor(place * self._phases[number].known_share + self._offset)


def _seed(seed: int, stream: int) -> int:
    """Return the seed of one of several feeds; the first is the training's own."""
    if stream == 0:
        return seed
    return int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0])
