"""How many iterations a training has, and the learning rate over its steps.

An iteration is a batch; `grad_accumulation_steps` iterations make one step of the optimizer, and
the schedule counts steps.
"""

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx import optimizers

from secdaemon.config.schema import Training

Rate = float | Callable[[mx.array], mx.array]


def planned(asked: int, examples: int, training: Training) -> int:
    """Return how many iterations there will be.

    As many as were asked for, or as go over the examples (at least one) `training.max_epochs`
    times, rounded up to whole steps of the optimizer.
    """
    iterations = asked
    if training.max_epochs is not None:
        epochs = math.ceil(training.max_epochs * examples / training.batch_size)
        iterations = max(1, min(asked, epochs))
    return training.grad_accumulation_steps * -(-iterations // training.grad_accumulation_steps)


def rate(peak: float, steps: int, training: Training) -> Rate:
    """Return the learning rate by the optimizer's step, from 0 on.

    It rises over `warmup_ratio` of the steps, its first value above zero already, then is constant,
    or falls by a cosine or a line that would be zero one step behind the last.
    """
    warm_up = round(training.warmup_ratio * steps)
    left = max(steps - warm_up, 1)
    after: Rate = peak
    if training.schedule == "cosine":
        after = optimizers.cosine_decay(peak, left)
    elif training.schedule == "linear":
        after = optimizers.linear_schedule(peak, 0.0, left)
    if not warm_up:
        return after
    rising = optimizers.linear_schedule(peak / (warm_up + 1), peak, warm_up)
    if not callable(after):
        return rising  # type: ignore[no-any-return]
    return optimizers.join_schedules([rising, after], [warm_up])  # type: ignore[no-any-return]


def optimizer(learning_rate: Rate, weight_decay: float) -> Any:
    """Return AdamW.

    Bias is corrected, which MLX does not do by default: without it the first steps of a short
    training are three times too long.
    """
    return optimizers.AdamW(
        learning_rate=learning_rate, weight_decay=weight_decay, bias_correction=True
    )
