"""The line between two adapters: w(t) = (1 - t) * start + t * end, tensor by tensor.

A sound first cure of forgetting: on the way from Stage 1 to Stage 2 the loss of either is smooth
and convex, so that half the way keeps more than half of both. LoRA's two factors and DoRA's
magnitudes are moved as they are, not their product: measured, it makes no difference.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secdaemon.config.files import staged_folder, write_file
from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training.adapter import CONFIG_FILE, WEIGHTS_FILE
from secdaemon.pipeline.training.tensors import (
    Tensor,
    TensorFileError,
    read_tensors,
    tensor_file,
)

_FLOATS = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
_HALF_BITS = 16


def interpolate(start: Path, end: Path, t: float, target: Path) -> None:
    """Write the adapter that lies the share `t` of the way from one adapter folder to another.

    The same adapters and the same `t` give the same bytes, those of an end at 0 and 1.

    Raises:
        PermanentError: a folder holds no adapter, or the two do not fit each other.
        OSError: the target cannot be written.
    """
    try:
        one, other = (read_tensors(folder / WEIGHTS_FILE) for folder in (start, end))
        config = (end / CONFIG_FILE).read_bytes()
    except (OSError, TensorFileError) as error:
        msg = f"the adapters of {start} and {end} cannot be read ({error})"
        raise PermanentError(msg) from error
    kinds = [
        {name: (tensor.dtype, tensor.bits.shape) for name, tensor in tensors.items()}
        for tensors in (one, other)
    ]
    if kinds[0] != kinds[1]:
        msg = f"the adapters of {start} and {end} have different tensors"
        raise PermanentError(msg)
    moved = {name: between(one[name], other[name], t) for name in one}
    with staged_folder(target) as staged:
        write_file(staged / WEIGHTS_FILE, tensor_file(moved, {"format": "mlx"}))
        write_file(staged / CONFIG_FILE, config)


def between(one: Tensor, other: Tensor, t: float) -> Tensor:
    """Return (1 - t) * one + t * other, computed in double precision, in their own data type.

    Both have the same data type and shape.
    """
    return _packed((1 - t) * _numbers(one) + t * _numbers(other), one.dtype)


def _numbers(tensor: Tensor) -> NDArray[np.float64]:
    """Return a tensor's numbers; a BF16 is the upper half of an F32."""
    if tensor.dtype == "BF16":
        wide = tensor.bits.astype(np.uint32) << _HALF_BITS
        return wide.view(np.float32).astype(np.float64)
    return tensor.bits.view(_FLOATS[tensor.dtype]).astype(np.float64)


def _packed(numbers: NDArray[np.float64], dtype: str) -> Tensor:
    """Return the tensor of these numbers, each rounded to the nearest."""
    if dtype == "BF16":
        wide = numbers.astype(np.float32).view(np.uint32)
        to_even = 0x7FFF + ((wide >> _HALF_BITS) & 1)
        return Tensor(dtype, ((wide + to_even) >> _HALF_BITS).astype(np.uint16))
    rounded = numbers.astype(_FLOATS[dtype])
    return Tensor(dtype, rounded.view(f"<u{rounded.itemsize}"))
