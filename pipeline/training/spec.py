"""What a training is told: everything that decides what it makes, and where."""

from pathlib import Path

import msgspec

from secdaemon.config import schema
from secdaemon.pipeline.examples import Example


class TrainSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what a training makes, and where it is made."""

    model_dir: Path
    folder: Path
    """Takes adapters/, losses.jsonl, summary.json and, while training, checkpoints/."""
    train: tuple[Example, ...]
    valid: tuple[Example, ...]
    iterations: int
    """At most; `training.max_epochs` and `training.early_stopping` may make them fewer."""
    learning_rate: float
    training: schema.Training
    """Its `seed` does not count, `seed` below does."""
    lora: schema.Lora
    seed: int
    """Decides the initial adapter, dropout and the order of the data."""
    resume_adapter: Path | None = None
    """An adapter folder whose weights this training starts from."""
    against_forgetting: schema.Stage2 | None = None
    """The methods and their numbers; None where there is nothing to forget (Stage 1)."""
    known: tuple[Example, ...] = ()
    """Stage 1's training examples, for the methods that need them."""
    ranks: int = 1
    """How many computers share every batch; `training.hostfile` does not count."""
