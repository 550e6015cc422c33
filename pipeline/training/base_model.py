"""The base model's folder: where it is, whether it is whole, what it is by content."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from secdaemon.config.schema import EMBEDDED_BASE, Models
from secdaemon.pipeline.embedded import tiny_model
from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training.tensors import TensorFileError, read_header

_HASHED = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tiktoken.model")


class _Index(msgspec.Struct, frozen=True):
    """model.safetensors.index.json: which file holds which tensor."""

    weight_map: dict[str, str]


def base_folder(models: Models) -> Path:
    """Return the folder of the base model, whole; `embedded:tiny` is laid out when needed.

    Raises:
        PermanentError: it is not there or not whole; the sentence says how to get it.
        OSError: the embedded model cannot be written.
    """
    if models.base == EMBEDDED_BASE:
        return tiny_model.lay_out(Path(models.base_dir))
    folder = Path(models.base_dir) / Path(models.base).expanduser()
    problem = _problem(folder)
    if problem is not None:
        msg = (
            f"the base model {folder} {problem}: get it with `python -m mlx_lm convert --hf-path "
            f"{models.base_id} -q --mlx-path {folder}`, or a converted one with `hf download "
            f"mlx-community/... --local-dir {folder}`; `secdaemon doctor` checks it"
        )
        raise PermanentError(msg)
    return folder


def load_base(folder: Path, adapter: Path | None = None) -> tuple[Any, Any]:
    """Return the model, in evaluation mode, and its tokenizer, with an adapter where one is given.

    Raises:
        PermanentError: mlx-lm cannot load it.
    """
    from mlx_lm import load

    if not folder.is_dir():
        # mlx-lm would take the path for a name on the Hub and try to download it.
        msg = f"the base model {folder} is not there"
        raise PermanentError(msg)
    try:
        model, tokenizer = load(str(folder), adapter_path=None if adapter is None else str(adapter))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        what = folder if adapter is None else f"{adapter} on {folder}"
        msg = f"{what}: mlx-lm cannot load it ({' '.join(str(error).split())})"
        raise PermanentError(msg) from error
    model.eval()
    return model, tokenizer


def weights_hash(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of configuration, tokenizer and weights.

    A worker asks for it at every measurement, so that it is remembered for as long as no file's
    size or time changes.

    Raises:
        OSError: a file cannot be read.
    """
    named = [folder / name for name in _HASHED if (folder / name).is_file()]
    files = (*named, *sorted(folder.glob("*.safetensors")))
    seen = [(path, path.stat()) for path in files]
    return _hash_of(tuple((path, s.st_size, s.st_mtime_ns, s.st_ino) for path, s in seen))


@lru_cache(maxsize=4)
def _hash_of(files: tuple[tuple[Path, int, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, *_ in files:
        digest.update(f"{path.name}\0{file_hash(path)}\n".encode())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _problem(folder: Path) -> str | None:
    """Return what keeps mlx-lm from loading the folder, as a phrase; None where nothing does."""
    if not folder.is_dir():
        return "is not there"
    if not (folder / "config.json").is_file():
        return "has no config.json"
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        return "has no tokenizer"
    weights = {path.name for path in folder.glob("model*.safetensors")}
    index = folder / "model.safetensors.index.json"
    try:
        if index.is_file():
            shards = msgspec.json.decode(index.read_bytes(), type=_Index).weight_map.values()
            if missing := sorted(set(shards) - weights):
                return f"is incomplete ({missing[0]} is missing)"
        for name in sorted(weights):
            read_header(folder / name)
    except (OSError, msgspec.DecodeError, TensorFileError) as error:
        return f"is incomplete ({error})"
    return None if weights else "has no model*.safetensors"
