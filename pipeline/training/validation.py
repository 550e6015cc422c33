"""When a training is validated, on what, and what the validation losses say about it."""

from collections.abc import Sequence

import numpy as np

from secdaemon.pipeline.training.checkpoint import Loss
from secdaemon.pipeline.training.tokens import Prepared, Tokens

TIMES = 10
"""Validation happens before the first iteration, after the last, and so often on the way.

Less often where the validation split has more batches than there are iterations between two.
"""
EXAMPLES = 64


def sample(prepared: Prepared, seed: int) -> tuple[Tokens, ...]:
    """Return at most EXAMPLES validation examples, by a seeded draw, in their order."""
    order = np.random.default_rng([seed, 1]).permutation(len(prepared.examples))
    return tuple(prepared.examples[place] for place in sorted(order[:EXAMPLES]))


def is_due(iteration: int, iterations: int, *, batches: int, accumulation: int) -> bool:
    """Whether to validate behind this iteration; only where the optimizer has made its step.

    Args:
        iteration: so many are done.
        iterations: a multiple of `accumulation`.
        batches: that the validation examples make.
        accumulation: iterations that make one step.
    """
    every = max(-(-iterations // TIMES), batches)
    every = accumulation * -(-every // accumulation)
    return iteration % every == 0 or iteration == iterations


def best(losses: Sequence[Loss]) -> int | None:
    """Return the iteration with the lowest validation loss, the later one of two that are equal.

    What there was before the first iteration is nothing that was trained: it is held against, and
    never kept. None where nothing was validated since.
    """
    found: Loss | None = None
    for row in losses:
        if not row.iteration or row.valid_loss is None:
            continue
        if found is None or row.valid_loss <= _of(found):
            found = row
    return None if found is None else found.iteration


def without_progress(losses: Sequence[Loss]) -> int:
    """Return how many validations have come since the loss was last lower than ever before."""
    lowest, since = float("inf"), 0
    for row in losses:
        if row.valid_loss is None:
            continue
        since = 0 if row.valid_loss < lowest else since + 1
        lowest = min(lowest, row.valid_loss)
    return since


def _of(row: Loss) -> float:
    assert row.valid_loss is not None
    return row.valid_loss
