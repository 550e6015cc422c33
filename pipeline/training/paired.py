"""Losses of several models on the same examples, compared pairwise with bootstrap intervals.

Intervals are percentile bootstraps over groups, not examples: what stands in one group (a
repository, an advisory) is not independent. A resample draws the same groups for all models.
"""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from secdaemon.pipeline.interface import Interval
from secdaemon.pipeline.training.scores import Score

UNDEFINED = Interval(value=None, ci_low=None, ci_high=None)

_TAIL = 2.5
"""Per cent on either side of a 95 % interval."""

Array = NDArray[np.float64]
Part = Literal["all", "edited"]
"""Of the assistant's tokens: all of them, or those not copied from the question's code."""


class Pooled(msgspec.Struct, frozen=True):
    """Sums by group, groups in the order of their names; `losses` is (models, groups) in nats.

    Every group has at least one token.
    """

    losses: Array
    tokens: Array

    @property
    def groups(self) -> int:
        """How many independent groups there are."""
        return len(self.tokens)

    @property
    def finite(self) -> bool:
        """Whether every loss is a finite number."""
        return bool(np.isfinite(self.losses).all())

    def means(self) -> Array:
        """Return the loss per token of each model, (models,)."""
        totals: Array = np.array([math.fsum(row) for row in self.losses]) / self.tokens.sum()
        return totals

    def resampled(self, samples: int, seed: int) -> Array:
        """Return the loss per token of each model in each resample, (models, samples)."""
        random = np.random.default_rng(seed)
        drawn = random.multinomial(self.groups, np.full(self.groups, 1 / self.groups), samples)
        means: Array = (self.losses @ drawn.T) / (self.tokens @ drawn.T)
        return means


def pool(*models: Sequence[Score], part: Part = "all") -> Pooled:
    """Sum the models' losses and tokens by group, whatever order the examples are in.

    Raises:
        ValueError: the models do not score the same examples.
    """
    ordered = [sorted(scores, key=lambda score: (score.group, score.id)) for scores in models]
    keys = [[(s.group, s.id, s.tokens, s.edited_tokens) for s in scores] for scores in ordered]
    if any(other != keys[0] for other in keys[1:]):
        msg = "only scores of the same examples can be compared"
        raise ValueError(msg)
    first = ordered[0]
    names, places = np.unique([score.group for score in first], return_inverse=True)

    def by_group(values: list[float]) -> Array:
        return np.bincount(places, values, len(names)).astype(np.float64)

    tokens = by_group([_tokens(score, part) for score in first])
    losses = np.array([by_group([_loss(score, part) for score in scores]) for scores in ordered])
    there = tokens > 0
    return Pooled(losses=losses[:, there], tokens=tokens[there])


def paired_difference(
    one: Sequence[Score],
    other: Sequence[Score],
    *,
    samples: int,
    seed: int,
    part: Part = "all",
) -> Interval:
    """Return how much lower the loss per token of `other` is, in nats, with its interval.

    All null without a token or with numbers that are not finite; a single group has no interval.

    Raises:
        ValueError: the two do not score the same examples.
    """
    pooled = pool(one, other, part=part)
    if not pooled.groups or not pooled.finite:
        return UNDEFINED
    means = pooled.means()
    if pooled.groups == 1:
        return Interval(value=float(means[0] - means[1]), ci_low=None, ci_high=None)
    drawn = pooled.resampled(samples, seed)
    return interval(means[0] - means[1], drawn[0] - drawn[1])


def interval(value: float, resampled: Array) -> Interval:
    """Return the value between the ends of its resamples' middle 95 %."""
    low, high = np.percentile(resampled, (_TAIL, 100 - _TAIL))
    return Interval(value=float(value), ci_low=float(low), ci_high=float(high))


def _tokens(score: Score, part: Part) -> int:
    return score.tokens if part == "all" else score.edited_tokens


def _loss(score: Score, part: Part) -> float:
    loss = score.loss_sum if part == "all" else score.edited_loss_sum
    return math.nan if loss is None else loss
