"""One call of mlx-lm's own training loop, with our loss, our batches and a report per iteration."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import mlx.core as mx
import msgspec
from mlx import nn, optimizers
from mlx_lm.tuner import trainer
from mlx_lm.tuner.callbacks import TrainingCallback


class Step(msgspec.Struct, frozen=True):
    """One iteration: the mean loss over its `tokens` learned tokens, in nats."""

    loss: float
    tokens: int


Took = Callable[[Step], None]


def run(
    model: Any,
    optimizer: Any,
    batches: Iterator[tuple[mx.array, mx.array]],
    took: Took,
    *,
    iterations: int,
    grad_checkpoint: bool,
    adapter_file: Path,
) -> None:
    """Train for so many batches and write the trainable parameters to `adapter_file`.

    `took` is called after each iteration, when everything that it changed is evaluated; what it
    raises ends the training and comes out here. The batches are not drawn ahead.
    """
    arguments = trainer.TrainingArgs(
        iters=iterations,
        steps_per_report=1,
        steps_per_save=iterations + 1,
        adapter_file=str(adapter_file),
        grad_checkpoint=grad_checkpoint,
    )
    stdout = sys.stdout
    # mlx-lm prints its progress; a worker's standard output belongs to its messages.
    with (
        _unwrapped_afterwards(model),
        Path(os.devnull).open("w", encoding="utf-8") as sink,
        redirect_stdout(sink),
    ):
        trainer.train(
            model=model,
            optimizer=optimizer,
            train_dataset=(),
            args=arguments,
            loss=answer_loss,
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
    mask = mx.logical_and(places >= spans[:, 0:1], places < spans[:, 1:])
    losses = nn.losses.cross_entropy(logits, targets) * mask
    count = mask.sum()
    return losses.astype(mx.float32).sum() / count, count


def optimizer(learning_rate: float, warm_up: int) -> Any:
    """Return AdamW whose rate rises over `warm_up` steps; the first one is already above zero.

    Bias is corrected, which MLX does not do by default: without it the first steps of a short
    training are three times too long.
    """
    rate: Any = learning_rate
    if warm_up:
        rate = optimizers.linear_schedule(rate / (warm_up + 1), rate, warm_up)
    return optimizers.AdamW(learning_rate=rate, bias_correction=True)


@contextmanager
def _unwrapped_afterwards(model: Any) -> Iterator[None]:
    """Undo what gradient checkpointing does to the layers' class, once per `train()` call."""
    layer_class = type(model.layers[0])
    call = layer_class.__call__
    try:
        yield
    finally:
        layer_class.__call__ = call
