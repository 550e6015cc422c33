"""Safetensors files as bytes: any data type, bfloat16 too, which numpy does not know.

Format: https://github.com/huggingface/safetensors#format (8 bytes little-endian header length,
a JSON header, then the tensors' bytes in row-major order).
"""

import math
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

_LENGTH_BYTES = 8
_MAX_HEADER = 100_000_000
_ALIGNMENT = 8
_WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


class TensorFileError(ValueError):
    """Not a whole safetensors file; the message names it."""


class Tensor(msgspec.Struct, frozen=True):
    """A tensor whose elements are kept as unsigned integers of the same width."""

    dtype: str
    """Safetensors' own name: F64, F32, F16 or BF16."""
    bits: NDArray[np.unsignedinteger]

    @property
    def transposed(self) -> "Tensor":
        """The tensor with its axes reversed."""
        return Tensor(self.dtype, np.ascontiguousarray(self.bits.T))


class _Entry(msgspec.Struct, frozen=True):
    """A tensor's line in the header; offsets count from the header's end."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def read_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return data type and shape of every tensor, after a check that the file is whole.

    Raises:
        TensorFileError: the header is broken or the file ends before its tensors do.
        OSError: the file cannot be read.
    """
    entries, _ = _entries(path)
    return {name: (entry.dtype, entry.shape) for name, entry in entries.items()}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return every tensor of a file of floating-point numbers.

    Raises:
        TensorFileError: not a whole file, or a tensor is of another type.
        OSError: the file cannot be read.
    """
    entries, start = _entries(path)
    content = path.read_bytes()[start:]
    tensors = {}
    for name, entry in entries.items():
        width = _WIDTHS.get(entry.dtype)
        low, high = entry.data_offsets
        if width is None or high - low != width * math.prod(entry.shape):
            msg = f"{path.name}: {name} is {entry.dtype} of a size that does not fit its shape"
            raise TensorFileError(msg)
        bits = np.frombuffer(content[low:high], dtype=f"<u{width}").reshape(entry.shape)
        tensors[name] = Tensor(entry.dtype, bits)
    return tensors


def tensor_file(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """Return the content of a safetensors file; the same tensors give the same bytes."""
    header: dict[str, object] = {"__metadata__": metadata}
    parts, offset = [], 0
    for name in sorted(tensors):
        data = tensors[name].bits.tobytes()
        header[name] = _Entry(
            tensors[name].dtype, tensors[name].bits.shape, (offset, offset + len(data))
        )
        parts.append(data)
        offset += len(data)
    text = msgspec.json.encode(header)
    text += b" " * (-len(text) % _ALIGNMENT)
    return b"".join((len(text).to_bytes(_LENGTH_BYTES, "little"), text, *parts))


def header_text(path: Path) -> str:
    """Return a safetensors file's header, the only text in it, as it stands there.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        return file.read(min(length, _MAX_HEADER)).decode(errors="replace")


def _entries(path: Path) -> tuple[dict[str, _Entry], int]:
    """Return the header's entries and where the tensors' bytes begin."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        start = _LENGTH_BYTES + length
        if not 0 < length <= _MAX_HEADER or start > size:
            msg = f"{path.name} is not a whole safetensors file"
            raise TensorFileError(msg)
        text = file.read(length)
    try:
        header = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        entries = {
            name: msgspec.json.decode(raw, type=_Entry)
            for name, raw in header.items()
            if name != "__metadata__"
        }
    except msgspec.DecodeError as error:
        msg = f"{path.name} has a broken safetensors header"
        raise TensorFileError(msg) from error
    if start + max((entry.data_offsets[1] for entry in entries.values()), default=0) > size:
        msg = f"{path.name} is cut off"
        raise TensorFileError(msg)
    return entries, start
