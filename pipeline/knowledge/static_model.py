"""A static embedding model: a vector for each token, and a text's is their normalised mean.

The folder is of the open model2vec format (`minishlab/potion-*` on the Hub, MIT): config.json,
tokenizer.json, and model.safetensors with `embeddings` and, where its vocabulary is quantised,
`weights` (a number a token) and `mapping` (token -> row). No network, no GPU, and the same bytes
every time.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from secdaemon.config.schema import Models
from secdaemon.pipeline.interface import PermanentError

FILES = ("config.json", "tokenizer.json", "model.safetensors")
MAX_TOKENS = 512
"""Of a text that count."""

Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]


class _Config(msgspec.Struct, frozen=True):
    """config.json; what else stands in it changes no vector."""

    max_length: int | None = MAX_TOKENS


class StaticModel:
    """A loaded model; `identity` is the hash of its files."""

    def __init__(self, folder: Path) -> None:
        """Load the folder.

        Raises:
            PermanentError: it holds no such model.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load
        from tokenizers import Tokenizer

        self._tokenizer: Any
        try:
            content = {name: (folder / name).read_bytes() for name in FILES}
            limit = msgspec.json.decode(content["config.json"], type=_Config).max_length
            self._tokenizer = Tokenizer.from_buffer(content["tokenizer.json"])
            tensors: dict[str, Any] = load(content["model.safetensors"])
            self._rows = np.asarray(tensors["embeddings"], dtype=np.float32)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise PermanentError(_said(folder, " ".join(str(error).split())[:200])) from error
        self._weights = tensors.get("weights")
        self._mapping = tensors.get("mapping")
        tokens = self._tokenizer.get_vocab_size(with_added_tokens=True)
        if not self._fits(tokens):
            raise PermanentError(_said(folder, "its tensors do not fit its tokenizer"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(min(limit or MAX_TOKENS, MAX_TOKENS))
        digest = hashlib.sha256()
        for name in FILES:
            digest.update(hashlib.sha256(content[name]).digest())
        self.identity = digest.hexdigest()

    @property
    def size(self) -> int:
        """The numbers of a vector."""
        return int(self._rows.shape[1])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row a text, of length 1; of length 0 where it has no known token."""
        found = np.zeros((len(texts), self.size), dtype=np.float32)
        unknown = self._unknown
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        for at, tokens in enumerate(encoded):
            ids = np.array([token for token in tokens.ids if token != unknown], dtype=np.int64)
            if not len(ids):
                continue
            rows = self._rows[ids if self._mapping is None else self._mapping[ids]]
            if self._weights is not None:
                rows = rows * self._weights[ids][:, None]
            mean = rows.mean(axis=0, dtype=np.float64)
            length = float(np.linalg.norm(mean))
            if np.isfinite(length) and length > 0:
                found[at] = mean / length
        return found

    @property
    def _unknown(self) -> int | None:
        """The id of the token for what the vocabulary lacks; it says nothing."""
        named = getattr(self._tokenizer.model, "unk_token", None)
        return self._tokenizer.token_to_id(named) if named else None

    def _fits(self, tokens: int) -> bool:
        if self._rows.ndim != 2 or not self._rows.size:  # noqa: PLR2004 - tokens, numbers
            return False
        if self._weights is not None and self._weights.shape != (tokens,):
            return False
        if self._mapping is None:
            return len(self._rows) == tokens
        return self._mapping.shape == (tokens,) and 0 <= int(self._mapping.min()) <= int(
            self._mapping.max()
        ) < len(self._rows)


def embedding_folder(models: Models) -> Path | None:
    """Return the folder that `models.embedding` names, in base_dir or anywhere; None for none."""
    if models.embedding is None:
        return None
    return Path(models.base_dir) / models.embedding


def _said(folder: Path, why: str) -> str:
    return (
        f"{folder}: no static embedding model ({why}): get one with `hf download "
        f"minishlab/potion-base-8M --local-dir {folder}`, or set models.embedding to null"
    )
