"""Exact resume: killed or paused at random, a training ends with the bytes of one left alone."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx_lm
import pytest

from secdaemon.pipeline.interface import Progress
from secdaemon.pipeline.training.train import TrainSpec, train

Make = Callable[..., TrainSpec]
Interrupt = Callable[[TrainSpec, int], None]
Made = Callable[[Path], tuple[bytes, str, bytes]]

ITERATIONS = 32

KINDS: dict[str, dict[str, Any]] = {
    "batches, cosine after warm-up": {"batch_size": 2, "schedule": "cosine"},
    "accumulation over 4, linear": {"grad_accumulation_steps": 4, "schedule": "linear"},
    "gradient checkpointing, prompt learned": {
        "batch_size": 3,
        "mask_prompt": False,
        "dropout": 0.0,
        "grad_checkpoint": True,
    },
    "other modules": {"target_modules": ("q_proj", "o_proj", "down_proj"), "layers": 2},
    "DoRA": {"type": "dora", "schedule": "cosine"},
    "quantised base": {"quantised": True},
    "everything": {
        "type": "dora",
        "quantised": True,
        "batch_size": 2,
        "schedule": "cosine",
        "grad_accumulation_steps": 4,
        "early_stopping": 2,
        "weight_decay": 0.1,
    },
}
"""Dropout is 0.1 and the rate warms up, where nothing else is said."""


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


@pytest.fixture(scope="session")
def quantised(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the embedded model, quantised to 4 bits."""
    folder = tmp_path_factory.mktemp("bases") / "q4"
    mlx_lm.convert(
        str(base), str(folder), quantize=True, q_group_size=32, q_bits=4, dtype="float32"
    )
    return folder


@pytest.fixture
def make_kind(make_spec: Make, quantised: Path) -> Make:
    """Return a maker of specs of one of KINDS."""

    def make(folder: Path, kind: str) -> TrainSpec:
        changes = {"iterations": ITERATIONS, **KINDS[kind]}
        if changes.pop("quantised", False):
            changes["model_dir"] = quantised
        return make_spec(folder, **changes)

    return make


@pytest.fixture(scope="session")
def alone() -> dict[str, tuple[bytes, str, bytes]]:
    """Return what trainings that were left alone have made, by kind."""
    return {}


@pytest.fixture
def as_alone(
    make_kind: Make, made: Made, alone: dict[str, tuple[bytes, str, bytes]], tmp_path: Path
) -> Callable[[Path, str], bool]:
    """Return what tells whether a training ended as one of its kind that was left alone."""

    def same(folder: Path, kind: str) -> bool:
        if kind not in alone:
            train(make_kind(tmp_path / "alone", kind), unheard)
            alone[kind] = made(tmp_path / "alone")
        return made(folder) == alone[kind]

    return same


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_random_kills_give_the_same_bytes(
    make_kind: Make,
    killed_at: Interrupt,
    as_alone: Callable[[Path, str], bool],
    tmp_path: Path,
    kind: str,
) -> None:
    """However often and wherever SIGKILL ends a training, it ends as one left alone."""
    spec = make_kind(tmp_path / "run", kind)
    draw = random.Random(kind)
    for start in (0, 8, 12, 20):
        # A step is saved every 8 iterations at the latest, so that each kill finds more done.
        killed_at(spec, start + draw.randint(1, 4))
    train(spec, unheard)
    assert as_alone(spec.folder, kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_random_pauses_give_the_same_bytes(
    make_kind: Make,
    stopped_at: Interrupt,
    as_alone: Callable[[Path, str], bool],
    tmp_path: Path,
    kind: str,
) -> None:
    """However often and wherever a training is paused, it ends as one left alone."""
    spec = make_kind(tmp_path / "run", kind)
    draw = random.Random(kind)
    for start in (0, 8, 12, 20):
        stopped_at(spec, start + draw.randint(1, 4))
    train(spec, unheard)
    assert as_alone(spec.folder, kind)
