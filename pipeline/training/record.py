"""summary.json: what a finished training was, and that its adapter is the one it made."""

import hashlib
import shutil
from importlib import metadata
from pathlib import Path

import msgspec

from secdaemon.config.files import write_file
from secdaemon.pipeline.interface import TrainingSummary
from secdaemon.pipeline.training import adapter, checkpoint, prepared
from secdaemon.pipeline.training.base_model import file_hash, weights_hash
from secdaemon.pipeline.training.spec import TrainSpec

ADAPTERS = "adapters"
SUMMARY_FILE = "summary.json"
LIBRARIES = ("mlx", "mlx-lm", "numpy")
"""Whose versions decide the bytes."""
_VERSION = 2
"""Of the training code: a change that makes other bytes of the same spec raises it."""


class _Finished(msgspec.Struct, frozen=True, kw_only=True):
    """Written last, and worth nothing unless the adapter is the one it names."""

    fingerprint: str
    adapters_sha256: str
    summary: TrainingSummary


def fingerprint(spec: TrainSpec) -> str:
    """Return the hash of everything that the adapter's bytes depend on.

    Raises:
        OSError: the base model or the adapter to resume cannot be read.
    """
    start = None if spec.resume_adapter is None else spec.resume_adapter / adapter.WEIGHTS_FILE
    parts = (
        _VERSION,
        weights_hash(spec.model_dir),
        None if start is None else file_hash(start),
        spec.train,
        spec.valid,
        spec.iterations,
        spec.learning_rate,
        msgspec.structs.replace(spec.training, checkpoint_every=1, seed=0, hostfile=None),
        spec.lora,
        spec.seed,
        spec.against_forgetting,
        spec.known,
        spec.ranks,
        [metadata.version(name) for name in LIBRARIES],
    )
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def finished(folder: Path, key: str) -> TrainingSummary | None:
    """Return the summary of this very training where its adapter stands complete."""
    try:
        found = msgspec.json.decode((folder / SUMMARY_FILE).read_bytes(), type=_Finished)
        whole = file_hash(folder / ADAPTERS / adapter.WEIGHTS_FILE) == found.adapters_sha256
    except (OSError, msgspec.DecodeError):
        return None
    if not whole or found.fingerprint != key:
        return None
    _sweep(folder)
    return found.summary


def finish(folder: Path, key: str, summary: TrainingSummary) -> None:
    """Vouch for the adapter, and remove what only a training needs that goes on.

    Raises:
        OSError: the folder cannot be written.
    """
    found = _Finished(
        fingerprint=key,
        adapters_sha256=file_hash(folder / ADAPTERS / adapter.WEIGHTS_FILE),
        summary=summary,
    )
    write_file(folder / SUMMARY_FILE, msgspec.json.encode(found) + b"\n")
    _sweep(folder)


def _sweep(folder: Path) -> None:
    for name in (checkpoint.FOLDER, prepared.FOLDER):
        shutil.rmtree(folder / name, ignore_errors=True)
