"""What a model scores on examples, and the metrics over them: plain data, no model."""

import math
from collections.abc import Sequence

import msgspec

from secdaemon.pipeline.interface import Metrics


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one example, teacher-forced, over the assistant's tokens alone."""

    id: str
    group: str
    loss_sum: float | None
    """In nats, over `tokens` tokens; null where it is not finite."""
    correct: int
    """Tokens that were the most likely ones."""
    tokens: int
    """At least 1."""


def metrics(scores: Sequence[Score], exact: Sequence[bool] = ()) -> Metrics:
    """Return the metrics over all tokens of all examples.

    Loss and perplexity are null where a loss is not finite, everything is where there is no
    example. `exact` tells for each generated example whether it equals the reference.
    """
    tokens = sum(score.tokens for score in scores)
    total = math.fsum(math.nan if s.loss_sum is None else s.loss_sum for s in scores)
    loss = _finite(total / tokens) if tokens else None
    return Metrics(
        examples=len(scores),
        loss=loss,
        perplexity=None if loss is None else _exponential(loss),
        token_accuracy=sum(score.correct for score in scores) / tokens if tokens else None,
        exact_match=sum(exact) / len(exact) if exact else None,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _exponential(loss: float) -> float | None:
    try:
        return math.exp(loss)
    except OverflowError:
        return None
