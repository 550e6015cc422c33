"""Whether a training fits into memory, found out before hours are spent on it.

The longest batch goes forward and backward once, and nothing is updated. What does not fit gets
gradient checkpointing, then a shorter cap, then a refusal.
"""

import gc
import os
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import msgspec
from mlx import nn
from mlx.utils import tree_flatten

from secdaemon.config.schema import Training
from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training import checkpoint, trainer
from secdaemon.pipeline.training.feed import Batch
from secdaemon.pipeline.training.memory import Preflight

GIGABYTE = 10**9
SHORTEST_CAP = 16
"""What `training.max_seq_length` may be at least."""
_STEP_COPIES = 4
"""Of the trainable parameters: new parameters, two new moments, gradients that are summed up."""


class Need(msgspec.Struct, frozen=True):
    """What the longest batch takes."""

    peak_bytes: int
    rows: int
    width: int
    """Tokens a row, padding included."""


Measure = Callable[[int, bool], Need | None]
"""(cap, gradient checkpointing) -> what it takes; None where no example is as short as the cap."""


def budget(training: Training) -> int:
    """Return how many bytes a training may take: the setting, else what the machine has.

    On Metal that is what the system recommends for the GPU, elsewhere all memory.
    """
    if training.memory_gb is not None:
        return round(training.memory_gb * GIGABYTE)
    recommended = mx.device_info().get("max_recommended_working_set_size")
    if recommended:
        return int(recommended)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def decide(
    measure: Measure, budget_bytes: int, *, cap: int, checkpointing: bool, may_checkpoint: bool
) -> Preflight:
    """Return what fits, the first of: as it is, with gradient checkpointing, with half the cap.

    Args:
        measure: finds out what a batch takes; an example is within the cap.
        budget_bytes: what it may take.
        cap: training.max_seq_length.
        checkpointing: whether the settings ask for gradient checkpointing.
        may_checkpoint: whether it may be used where they do not.

    Raises:
        PermanentError: nothing fits; the sentence has the numbers and the keys to change.
    """
    found = first = measure(cap, checkpointing)
    shortened = cap
    if may_checkpoint and not checkpointing and _exceeds(found, budget_bytes):
        checkpointing = True
        found = measure(cap, checkpointing)
    while found is not None and _exceeds(found, budget_bytes) and shortened // 2 >= SHORTEST_CAP:
        shortened //= 2
        if shortened < found.width:
            found = measure(shortened, checkpointing)
    if found is None or _exceeds(found, budget_bytes):
        raise PermanentError(_refusal(first, budget_bytes, cap, may_checkpoint=may_checkpoint))
    return Preflight(
        peak_bytes=found.peak_bytes,
        budget_bytes=budget_bytes,
        tokens=found.rows * found.width,
        max_seq_length=shortened,
        grad_checkpoint=checkpointing,
        unaided_bytes=None if first is None or found is first else first.peak_bytes,
    )


def cache_bytes(found: Preflight) -> int:
    """Return how much freed memory MLX may keep from one iteration to the next.

    As much as an iteration takes, if the budget has twice that left. By mlx-lm's default everything
    goes back to the system behind every iteration, and every page of it is zeroed for the next.
    """
    return max(0, min(found.peak_bytes, (found.budget_bytes - found.peak_bytes) // 2))


def _exceeds(need: Need | None, budget_bytes: int) -> bool:
    return need is not None and need.peak_bytes > budget_bytes


def _refusal(need: Need | None, budget_bytes: int, cap: int, *, may_checkpoint: bool) -> str:
    assert need is not None
    cures = ["training.batch_size", "training.max_seq_length", "lora.rank", "lora.layers"]
    if not may_checkpoint:
        cures.append("lora.dropout to 0, which allows gradient checkpointing,")
    return (
        f"the training does not fit into memory: the longest batch ({need.rows} x {need.width} "
        f"tokens) takes {need.peak_bytes / GIGABYTE:.3g} GB of {budget_bytes / GIGABYTE:.3g} GB, "
        f"and no shorter cap than {cap} tokens does; lower {', '.join(cures)} or raise "
        "training.memory_gb"
    )


def peak_bytes(
    model: Any, loss: trainer.Loss, batch: Batch, *, checkpointing: bool, budget_bytes: int
) -> int:
    """Return the memory at its fullest in one step; MLX's random state is as it was.

    It varies by a percent or two, as MLX frees memory while it goes on to the next operation.
    What MLX refuses to allocate at all counts as more than the budget.
    """
    key = checkpoint.random_key()
    trainable = sum(array.nbytes for _, array in tree_flatten(model.trainable_parameters()))
    model.train()
    # What an earlier model of this process leaves in reference cycles is not this training's.
    gc.collect()
    mx.synchronize()
    mx.clear_cache()
    mx.reset_peak_memory()
    ids, spans = batch
    with trainer.gradient_checkpointing(model, wanted=checkpointing):
        try:
            result = nn.value_and_grad(model, loss)(model, mx.array(ids), mx.array(spans))
            mx.eval(result)
            peak: int = mx.get_peak_memory() + _STEP_COPIES * trainable
        except (RuntimeError, MemoryError):
            peak = max(mx.get_peak_memory(), budget_bytes + 1)
    mx.clear_cache()
    checkpoint.set_random_key(key)
    return peak
