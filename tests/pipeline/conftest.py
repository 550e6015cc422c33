"""What the training tests share: the embedded model, short examples, small settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secdaemon.config import schema
from secdaemon.pipeline.embedded.tiny_model import lay_out
from secdaemon.pipeline.examples import Example, Turn
from secdaemon.pipeline.interface import Progress
from secdaemon.pipeline.training.train import TrainSpec, train


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


def short_examples(count: int, first: int = 0) -> tuple[Example, ...]:
    """Return examples of about 20 to 60 tokens in several widths, two to a group."""
    return tuple(
        Example(
            id=f"e{n}",
            messages=(
                Turn("user", f"Fix n{n}: " + "eval(x); " * (1 + n % 5)),
                Turn("assistant", f"n{n}: " + "literal_eval(x); " * (1 + n % 3)),
            ),
            group=f"g{n // 2}",
        )
        for n in range(first, first + count)
    )


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the embedded model."""
    return lay_out(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def make_spec(base: Path) -> Callable[..., TrainSpec]:
    """Return a maker of small training specs; arguments replace what they name."""

    def make(folder: Path, **changes: Any) -> TrainSpec:
        training: dict[str, Any] = {
            "batch_size": 1,
            "checkpoint_every": 5,
            "max_seq_length": 128,
            "mask_prompt": True,
            "warmup_ratio": 0.2,
            "schedule": "constant",
            "weight_decay": 0.01,
            "grad_accumulation_steps": 1,
            "grad_checkpoint": False,
            "early_stopping": None,
            "max_epochs": None,
            "memory_gb": None,
            "hostfile": None,
            "seed": 0,
        }
        lora: dict[str, Any] = {
            "type": "lora",
            "rank": 4,
            "scale": 20.0,
            "alpha": None,
            "dropout": 0.1,
            "layers": 16,
            "target_modules": ("q_proj", "v_proj"),
        }
        training |= {key: changes.pop(key) for key in tuple(changes) if key in training}
        lora |= {key: changes.pop(key) for key in tuple(changes) if key in lora}
        fields: dict[str, Any] = {
            "model_dir": base,
            "folder": folder,
            "train": short_examples(7),
            "valid": short_examples(2, first=20),
            "iterations": 12,
            "learning_rate": 1e-3,
            "seed": 3,
        }
        return TrainSpec(
            **(fields | changes),
            training=schema.Training(**training),
            lora=schema.Lora(**lora),
        )

    return make


@pytest.fixture(scope="session")
def trained(make_spec: Callable[..., TrainSpec], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an uninterrupted training."""
    folder = tmp_path_factory.mktemp("trained")
    train(make_spec(folder), unheard)
    return folder


@pytest.fixture(scope="session")
def make_examples() -> Callable[..., tuple[Example, ...]]:
    """Return the maker of short examples."""
    return short_examples


@pytest.fixture(scope="session")
def evaluation() -> schema.Evaluation:
    """Return settings of a small evaluation."""
    return schema.Evaluation(
        batch_size=3, max_examples=50, generate_examples=2, max_tokens=48, bootstrap_samples=200
    )
