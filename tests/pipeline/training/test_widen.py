"""A wider adapter computes the same."""

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import load_file

from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.widen import widen


@pytest.mark.parametrize("factor", [2, 4])
def test_the_model_answers_the_same(trained: Path, base: Path, tmp_path: Path, factor: int) -> None:
    """Every logit stays, to the rounding of a longer sum; the rank is what was asked for."""
    widen(trained / "adapters", factor, tmp_path / "wide")
    config = json.loads((tmp_path / "wide" / "adapter_config.json").read_text())
    assert config["lora_parameters"]["rank"] == 4 * factor
    ids = mx.array(np.random.default_rng(0).integers(0, 512, size=(2, 24)))
    answers = [
        np.array(load_base(base, folder)[0](ids))
        for folder in (trained / "adapters", tmp_path / "wide")
    ]
    assert np.abs(answers[0] - answers[1]).max() < 1e-4
    assert np.abs(answers[0] - np.array(load_base(base)[0](ids))).max() > 1e-3


def test_the_new_columns_are_directions_of_their_own(trained: Path, tmp_path: Path) -> None:
    """The first matrix has full rank, so that training can use all of it."""
    widen(trained / "adapters", 4, tmp_path / "wide")
    tensors = load_file(tmp_path / "wide" / "adapters.safetensors")
    ranks = {np.linalg.matrix_rank(t) for name, t in tensors.items() if name.endswith("lora_a")}
    assert ranks == {16}


def test_what_is_no_adapter_is_refused(tmp_path: Path) -> None:
    """The sentence names the folder."""
    with pytest.raises(PermanentError, match=str(tmp_path)):
        widen(tmp_path, 2, tmp_path / "wide")
