"""The line between two adapters: its ends, its middle, and every data type."""

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training.interpolate import between, interpolate
from secdaemon.pipeline.training.tensors import Tensor

NUMBERS = arrays(np.float32, (3, 2), elements=st.floats(-100, 100, width=16))


def tensor(numbers: np.ndarray, dtype: str) -> Tensor:
    """Return the tensor of numbers that every data type holds exactly."""
    if dtype == "BF16":
        return Tensor(dtype, (numbers.view(np.uint32) >> 16).astype(np.uint16))
    kind = {"F64": np.float64, "F32": np.float32, "F16": np.float16}[dtype]
    typed = numbers.astype(kind)
    return Tensor(dtype, typed.view(f"u{typed.itemsize}"))


@given(NUMBERS, NUMBERS, st.sampled_from(["F64", "F32", "F16", "BF16"]))
def test_the_ends_of_the_line_are_the_adapters(
    one: np.ndarray, other: np.ndarray, dtype: str
) -> None:
    """At 0 and at 1 stand the very bits."""
    start, end = tensor(one, dtype), tensor(other, dtype)
    # Adding nothing turns a negative zero into a positive one, which is the same number.
    for t, expected in ((0.0, start), (1.0, end)):
        found = between(start, end, t)
        zero = (expected.bits << 1) & np.iinfo(expected.bits.dtype).max == 0
        assert np.array_equal(np.where(zero, 0, found.bits), np.where(zero, 0, expected.bits))
        assert found.bits.dtype == expected.bits.dtype


@given(NUMBERS, NUMBERS, st.floats(0, 1))
def test_between_them_lies_the_mean(one: np.ndarray, other: np.ndarray, t: float) -> None:
    """In single precision the point is NumPy's own, and never outside the two ends."""
    found = between(tensor(one, "F32"), tensor(other, "F32"), t).bits.view(np.float32)
    wanted = (1 - t) * one.astype(np.float64) + t * other.astype(np.float64)
    assert np.allclose(found, wanted, rtol=1e-6)
    slack = 1e-5
    assert (found >= np.minimum(one, other) - slack).all()
    assert (found <= np.maximum(one, other) + slack).all()


def test_bfloat16_is_rounded_as_mlx_rounds_it() -> None:
    """The same numbers, halved by MLX and by us, have the same bits."""
    numbers = np.random.default_rng(0).normal(size=(64,)).astype(np.float32)
    ours = between(tensor(numbers, "BF16"), tensor(np.zeros(64, np.float32), "BF16"), 0.7)
    exact = (tensor(numbers, "BF16").bits.astype(np.uint32) << 16).view(np.float32)
    theirs = mx.array(exact * np.float64(1 - 0.7)).astype(mx.float32).astype(mx.bfloat16)
    assert np.array_equal(ours.bits, np.array(theirs.view(mx.uint16)))


def write(folder: Path, **tensors: mx.array) -> Path:
    """Write an adapter folder as mlx-lm does."""
    folder.mkdir()
    mx.save_safetensors(str(folder / "adapters.safetensors"), tensors)
    (folder / "adapter_config.json").write_text('{"num_layers": 1}', encoding="utf-8")
    return folder


def test_a_folder_of_every_tensor_is_written(tmp_path: Path) -> None:
    """LoRA's factors and DoRA's magnitude move alike, and twice the same bytes come out."""
    one = write(tmp_path / "one", lora_a=mx.zeros((2, 2)), m=mx.ones((3,)))
    other = write(tmp_path / "other", lora_a=mx.ones((2, 2)), m=mx.full((3,), 3.0))
    for _ in range(2):
        interpolate(one, other, 0.25, tmp_path / "between")
        content = (tmp_path / "between" / "adapters.safetensors").read_bytes()
    interpolate(one, other, 0.25, tmp_path / "again")
    assert content == (tmp_path / "again" / "adapters.safetensors").read_bytes()
    found = mx.load(str(tmp_path / "between" / "adapters.safetensors"))
    assert found["lora_a"].tolist() == [[0.25, 0.25], [0.25, 0.25]]  # type: ignore[index]
    assert found["m"].tolist() == [1.5, 1.5, 1.5]  # type: ignore[index]
    assert (tmp_path / "between" / "adapter_config.json").read_text() == '{"num_layers": 1}'


def test_adapters_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """Another rank, or no adapter at all, is an error that names the folders."""
    one = write(tmp_path / "one", lora_a=mx.zeros((2, 2)))
    other = write(tmp_path / "other", lora_a=mx.zeros((2, 4)))
    with pytest.raises(PermanentError, match="different tensors"):
        interpolate(one, other, 0.5, tmp_path / "between")
    with pytest.raises(PermanentError, match="cannot be read"):
        interpolate(one, tmp_path / "nowhere", 0.5, tmp_path / "between")
    assert not (tmp_path / "between").exists()
