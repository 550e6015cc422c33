"""An adapter of a higher rank that computes the same: where a search over ranks can start from."""

from pathlib import Path

import msgspec
import numpy as np

from secdaemon.config.files import staged_folder, write_file
from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training.adapter import CONFIG_FILE, WEIGHTS_FILE, AdapterConfig
from secdaemon.pipeline.training.tensors import (
    Tensor,
    TensorFileError,
    read_tensors,
    tensor_file,
)


def widen(source: Path, factor: int, target: Path) -> None:
    """Write an adapter of `factor` times the rank whose every output is the same.

    The first matrix (in, rank) gets further columns, its own ones turned and shifted along their
    length so that they are directions of their own; the second one (rank, out) gets rows of zeros,
    which training then fills. DoRA's magnitudes stay.

    Raises:
        PermanentError: the folder holds no LoRA or DoRA adapter of mlx-lm.
        OSError: the target cannot be written.
    """
    try:
        tensors = read_tensors(source / WEIGHTS_FILE)
        config = msgspec.json.decode((source / CONFIG_FILE).read_bytes(), type=AdapterConfig)
    except (OSError, TensorFileError, msgspec.DecodeError) as error:
        msg = f"{source}: holds no readable MLX LoRA adapter ({error})"
        raise PermanentError(msg) from error
    wide = {name: _wider(name, tensor, factor) for name, tensor in tensors.items()}
    parameters = config.lora_parameters
    parameters = msgspec.structs.replace(parameters, rank=parameters.rank * factor)
    config = msgspec.structs.replace(config, lora_parameters=parameters)
    with staged_folder(target) as staged:
        write_file(staged / WEIGHTS_FILE, tensor_file(wide, {"format": "mlx"}))
        write_file(staged / CONFIG_FILE, msgspec.json.encode(config))


def _wider(name: str, tensor: Tensor, factor: int) -> Tensor:
    bits = tensor.bits
    if name.endswith("lora_a"):
        parts = [bits, *(np.roll(bits[::-1], shift, axis=0) for shift in range(1, factor))]
        return Tensor(tensor.dtype, np.concatenate(parts, axis=1))
    if name.endswith("lora_b"):
        zeros = np.zeros((bits.shape[0] * (factor - 1), bits.shape[1]), bits.dtype)
        return Tensor(tensor.dtype, np.concatenate([bits, zeros]))
    return tensor
