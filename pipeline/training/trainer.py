"""One call of mlx-lm's own training loop, with our loss, our batches and a report per iteration."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import mlx.core as mx
import msgspec
from mlx import nn
from mlx_lm.tuner import trainer
from mlx_lm.tuner.callbacks import TrainingCallback


class Step(msgspec.Struct, frozen=True):
    """One iteration: the mean loss over its `tokens` learned tokens, in nats."""

    loss: float
    tokens: int


Took = Callable[[Step], None]

Arrays = tuple[mx.array, ...]
"""Token ids, spans and, where several processes share a batch, a weight."""

Loss = Callable[[Any, mx.array, mx.array], tuple[mx.array, mx.array]]
"""(model, ids, spans) -> what is minimised, a mean over the learned tokens, and how many they are.

It is compiled with the training step: what it closes over is constant.
"""


def run(
    model: Any,
    optimizer: Any,
    batches: Iterator[Arrays],
    took: Took,
    *,
    loss: Callable[..., tuple[mx.array, mx.array]],
    iterations: int,
    accumulation: int,
    grad_checkpoint: bool,
    cache_bytes: int,
    adapter_file: Path,
) -> None:
    """Train for so many batches, or until they end, and write the adapter to `adapter_file`.

    `took` is called after each iteration, when everything that it changed is evaluated; what it
    raises ends the training and comes out here. The batches are not drawn ahead.

    Args:
        model: only its trainable parameters change.
        optimizer: initialised; it makes a step every `accumulation` iterations, counted from here.
        batches: what `loss` reads behind the model; in a team, this process's share.
        took: hears of every iteration.
        loss: what is minimised.
        iterations: the most batches to draw.
        accumulation: over how many iterations gradients are averaged.
        grad_checkpoint: compute activations again instead of keeping them.
        cache_bytes: how much freed memory MLX may keep for the next iteration.
        adapter_file: takes the trainable parameters.
    """
    arguments = trainer.TrainingArgs(
        iters=iterations,
        steps_per_report=1,
        steps_per_save=iterations + 1,
        adapter_file=str(adapter_file),
        grad_checkpoint=grad_checkpoint,
        grad_accumulation_steps=accumulation,
        clear_cache_threshold=cache_bytes,
    )
    stdout = sys.stdout
    # mlx-lm prints its progress; a worker's standard output belongs to its messages.
    with (
        gradient_checkpointing(model, wanted=False),
        Path(os.devnull).open("w", encoding="utf-8") as sink,
        redirect_stdout(sink),
    ):
        trainer.train(
            model=model,
            optimizer=optimizer,
            train_dataset=(),
            args=arguments,
            loss=loss,
            iterate_batches=lambda **_: batches,
            training_callback=_Callback(took, stdout),
        )


class _Callback(TrainingCallback):  # type: ignore[misc]
    """Turns mlx-lm's running totals into steps."""

    def __init__(self, took: Took, stdout: TextIO) -> None:
        """Call `took` with this standard output."""
        self._took = took
        self._stdout = stdout
        self._tokens = 0

    def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
        """Report one iteration, as `steps_per_report` is 1."""
        tokens = round(train_info["trained_tokens"]) - self._tokens
        self._tokens += tokens
        with redirect_stdout(self._stdout):
            self._took(Step(train_info["train_loss"], tokens))


def answer_loss(model: Any, ids: mx.array, spans: mx.array) -> tuple[mx.array, mx.array]:
    """Return the mean loss over the spans' tokens, in nats, and how many tokens these are.

    mlx-lm's own `default_loss` takes `steps <= end`, which learns a pad behind every answer.
    """
    targets = ids[:, 1:]
    logits = model(ids[:, :-1])
    places = mx.arange(1, targets.shape[1] + 1)
    mask = mx.logical_and(places >= spans[:, 0:1], places < spans[:, 1:2])
    losses = nn.losses.cross_entropy(logits, targets) * mask
    count = mask.sum()
    return losses.astype(mx.float32).sum() / count, count


def weighted(loss: Loss) -> Callable[..., tuple[mx.array, mx.array]]:
    """Return the loss of a process's share of a batch, times the weight behind ids and spans.

    mlx-lm averages over the processes, whatever they learn from. With each weighted by its learned
    tokens over the processes' mean, loss and gradient are those of the whole batch in one process.
    """

    def of_share(
        model: Any, ids: mx.array, spans: mx.array, weight: mx.array
    ) -> tuple[mx.array, mx.array]:
        value, count = loss(model, ids, spans)
        return value * weight, count

    return of_share


@contextmanager
def gradient_checkpointing(model: Any, *, wanted: bool) -> Iterator[None]:
    """Have the layers compute their activations again, where it is wanted; undo it at the end.

    mlx-lm wraps the layers' class once more at every `train()` call that asks for it, which is
    undone here as well.
    """
    layer_class = type(model.layers[0])
    call = layer_class.__call__
    if wanted:
        trainer.grad_checkpoint(model.layers[0])
    try:
        yield
    finally:
        layer_class.__call__ = call
