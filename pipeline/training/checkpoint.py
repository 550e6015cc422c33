"""Checkpoints of a training: everything that the next iteration depends on.

    checkpoints/best.safetensors
    checkpoints/0000100/  adapters.safetensors  best.safetensors  optimizer.safetensors  state.json
                          manifest.json

The manifest holds the training's fingerprint and the SHA-256 of the others; a folder that does not
agree with its manifest is as good as absent. The position in the data order is the iteration.
`best.safetensors`, absent before the first validation, is the adapter with the lowest validation
loss; every checkpoint has the one of its own time, so that none depends on another file.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import msgspec
from mlx.utils import tree_flatten, tree_unflatten

from secdaemon.config.files import staged_folder
from secdaemon.pipeline.interface import TransientError
from secdaemon.pipeline.training.memory import Preflight

FOLDER = "checkpoints"
_KEPT = 2
RESERVE_BYTES = 64 * 2**20
"""What stays free on the disk, for the log and the state of everything else."""
_ADAPTERS, _BEST, _OPTIMIZER, _STATE, _MANIFEST = (
    "adapters.safetensors",
    "best.safetensors",
    "optimizer.safetensors",
    "state.json",
    "manifest.json",
)


Free = Callable[[Path], int]
"""A folder -> the free bytes of its disk."""


class Loss(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A point of a loss curve: the mean over `tokens` tokens, in nats."""

    iteration: int
    tokens: int
    train_loss: float | None = None
    valid_loss: float | None = None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint knows beside the tensors."""

    iteration: int
    random: tuple[int, int]
    """MLX's random key."""
    seconds: float
    """Spent on training so far."""
    losses: tuple[Loss, ...]
    preflight: Preflight
    """Decided once: the same training goes on, whatever else takes memory now."""


class Manifest(msgspec.Struct, frozen=True):
    """Whose checkpoint this is, and the SHA-256 of its files."""

    fingerprint: str
    files: dict[str, str]


def random_key() -> tuple[int, int]:
    """Return the key of MLX's random state, which is this thread's."""
    state: Any = mx.random.state
    high, low = state[0].tolist()
    return high, low


def set_random_key(key: tuple[int, int]) -> None:
    """Put MLX's random state, which is this thread's, where it had this key."""
    high, low = key
    # Assigning mx.random.state detaches it from the compiled step without a word.
    mx.random.seed((high << 32) | low)


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk that `folder` is on, or will be on."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def require_space(folder: Path, model: Any, optimizer: Any, free: Free) -> None:
    """Refuse to begin what the disk will not take.

    Raises:
        TransientError: a checkpoint would not leave RESERVE_BYTES free.
    """
    adapters = sum(array.nbytes for _, array in tree_flatten(model.trainable_parameters()))
    state = sum(array.nbytes for _, array in tree_flatten(optimizer.state))
    wanted = 2 * adapters + state + RESERVE_BYTES
    found = free(folder)
    if found < wanted:
        msg = (
            f"the disk of {folder.parent} is nearly full ({found / 1e6:.0f} MB free, a checkpoint "
            f"needs {wanted / 1e6:.0f} MB): make room; training goes on from its last checkpoint"
        )
        raise TransientError(msg)


def save(folder: Path, fingerprint: str, model: Any, optimizer: Any, state: State) -> None:
    """Write a checkpoint, all of it or nothing, and keep the two newest.

    Raises:
        OSError: the disk does not take it; older checkpoints stand as they were.
    """
    with staged_folder(folder / f"{state.iteration:07d}") as staged:
        _write(staged / _ADAPTERS, dict(tree_flatten(model.trainable_parameters())))
        _write(staged / _OPTIMIZER, dict(tree_flatten(optimizer.state)))
        (staged / _STATE).write_bytes(msgspec.json.encode(state))
        names = [_ADAPTERS, _OPTIMIZER, _STATE]
        if (folder / _BEST).exists():
            shutil.copyfile(folder / _BEST, staged / _BEST)
            names.append(_BEST)
        hashes = {name: _sha256(staged / name) for name in names}
        (staged / _MANIFEST).write_bytes(msgspec.json.encode(Manifest(fingerprint, hashes)))
    _prune(folder, fingerprint, state.iteration)


def save_best(folder: Path, model: Any) -> None:
    """Keep the adapter as the best so far; the next checkpoint makes it durable.

    Raises:
        OSError: the disk does not take it; the one before stands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{_BEST}"
    _write(fresh, dict(tree_flatten(model.trainable_parameters())))
    fresh.replace(folder / _BEST)


def best(folder: Path) -> Path:
    """Return where `save_best` put the best adapter of this process's training."""
    return folder / _BEST


def _write(path: Path, arrays: Any) -> None:
    try:
        mx.save_safetensors(str(path), arrays)
    except RuntimeError as error:
        # What MLX raises where a disk is full.
        msg = f"{path}: the checkpoint cannot be written ({error})"
        raise OSError(msg) from error


def newest(folder: Path, fingerprint: str) -> Path | None:
    """Return the newest whole checkpoint of this training."""
    for path in _paths(folder):
        manifest = _manifest(path)
        if manifest is not None and manifest.fingerprint == fingerprint and _whole(path, manifest):
            return path
    return None


def read_state(path: Path) -> State:
    """Return what a whole checkpoint knows beside the tensors."""
    return msgspec.json.decode((path / _STATE).read_bytes(), type=State)


def begin(folder: Path) -> None:
    """Forget the best adapter that an earlier training left, which is not gone on with."""
    (folder / _BEST).unlink(missing_ok=True)


def restore(path: Path, model: Any, optimizer: Any) -> State:
    """Put model, optimizer, MLX's random state and the best adapter where the checkpoint had them.

    Raises:
        OSError: the disk does not take the best adapter.
    """
    model.load_weights(str(path / _ADAPTERS), strict=False)
    arrays: Any = mx.load(str(path / _OPTIMIZER))
    optimizer.state = tree_unflatten(list(arrays.items()))
    # A state that was only assigned counts as not initialised, and the second step would be
    # compiled again.
    optimizer.init(model.trainable_parameters())
    state = read_state(path)
    set_random_key(state.random)
    mx.eval(model.parameters(), optimizer.state)
    begin(path.parent)
    if (path / _BEST).exists():
        shutil.copyfile(path / _BEST, best(path.parent))
    return state


def _paths(folder: Path) -> list[Path]:
    """Return the checkpoint folders, the newest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.name.isdecimal()), reverse=True)


def _manifest(path: Path) -> Manifest | None:
    try:
        return msgspec.json.decode((path / _MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def _whole(path: Path, manifest: Manifest) -> bool:
    try:
        return all(_sha256(path / name) == value for name, value in manifest.files.items())
    except OSError:
        return False


def _prune(folder: Path, fingerprint: str, iteration: int) -> None:
    """Remove what is older than the two newest, and what is damaged, foreign or from later on.

    A later one than the one just written was passed over when this training resumed.
    """
    kept = 0
    for path in _paths(folder):
        manifest = _manifest(path)
        own = manifest is not None and manifest.fingerprint == fingerprint
        if own and int(path.name) <= iteration and kept < _KEPT:
            kept += 1
        else:
            shutil.rmtree(path, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
