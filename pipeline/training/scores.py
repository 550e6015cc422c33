"""What a model scores on examples, and the metrics over them: plain data, no model."""

import math
from collections.abc import Iterable, Sequence

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
    edited_loss_sum: float | None = 0.0
    """The same three over the edited tokens (`evaluation.edited`), of which there may be none."""
    edited_correct: int = 0
    edited_tokens: int = 0


def metrics(
    scores: Sequence[Score], exact: Sequence[bool] = (), codebleu: Sequence[float] = ()
) -> Metrics:
    """Return the metrics over all tokens of all examples.

    Losses and perplexity are null where a loss is not finite, everything is where there is no
    example, and what is about edited tokens where there is none. `exact` tells for each generated
    example whether it equals the reference, `codebleu` has the values of those that have one.
    """
    tokens = sum(score.tokens for score in scores)
    changed = sum(score.edited_tokens for score in scores)
    loss = _mean((score.loss_sum for score in scores), tokens)
    return Metrics(
        examples=len(scores),
        loss=loss,
        perplexity=None if loss is None else _exponential(loss),
        token_accuracy=sum(score.correct for score in scores) / tokens if tokens else None,
        exact_match=sum(exact) / len(exact) if exact else None,
        codebleu=math.fsum(codebleu) / len(codebleu) if codebleu else None,
        edited_loss=_mean((score.edited_loss_sum for score in scores), changed),
        edited_token_accuracy=(
            sum(score.edited_correct for score in scores) / changed if changed else None
        ),
    )


def _mean(sums: Iterable[float | None], tokens: int) -> float | None:
    """Return the loss per token; null without a token, and where a sum is not finite."""
    total = math.fsum(math.nan if value is None else value for value in sums)
    return total / tokens if tokens and math.isfinite(total) else None


def _exponential(loss: float) -> float | None:
    try:
        return math.exp(loss)
    except OverflowError:
        return None
