"""Token ids that were prepared once: kept beside a training until it is finished.

A file `tokens/<key>.msgpack` is the SHA-256 of its content, then the content. The key is the hash
of the base model with its tokenizer, the examples and the cap; a damaged file is as good as none.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from secdaemon.config.files import write_file
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.training.base_model import weights_hash
from secdaemon.pipeline.training.tokens import Prepared, Tokens, prepare

FOLDER = "tokens"
_DIGEST_BYTES = 32


def prepare_once(
    folder: Path, model_dir: Path, tokenizer: Any, examples: Sequence[Example], cap: int
) -> Prepared:
    """Return what `prepare` returns, from the training's folder where an earlier process left it.

    Raises:
        PermanentError: the model has no chat template.
        OSError: the folder cannot be written.
    """
    if not examples:
        return Prepared((), {})
    key = _key(model_dir, examples, cap)
    path = folder / FOLDER / f"{key}.msgpack"
    found = _read(path)
    if found is None:
        found = prepare(tokenizer, examples, cap)
        content = msgspec.msgpack.encode(found)
        write_file(path, hashlib.sha256(content).digest() + content)
    return _compact(found)


def within(prepared: Prepared, cap: int, reason: str) -> Prepared:
    """Return the examples of at most `cap` tokens; the others are left out for this reason."""
    kept = tuple(example for example in prepared.examples if len(example.ids) <= cap)
    fallen = len(prepared.examples) - len(kept)
    if not fallen:
        return prepared
    return Prepared(kept, prepared.left_out | {reason: prepared.left_out.get(reason, 0) + fallen})


def _key(model_dir: Path, examples: Sequence[Example], cap: int) -> str:
    parts = (weights_hash(model_dir), examples, cap)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


def _read(path: Path) -> Prepared | None:
    try:
        data = path.read_bytes()
        if hashlib.sha256(data[_DIGEST_BYTES:]).digest() != data[:_DIGEST_BYTES]:
            return None
        return msgspec.msgpack.decode(data[_DIGEST_BYTES:], type=Prepared)
    except (OSError, msgspec.DecodeError):
        return None


def _compact(prepared: Prepared) -> Prepared:
    """Return the same with one object for each token id.

    Twenty million ids of their own would take 28 bytes each, for as long as the training lasts.
    """
    seen: dict[int, int] = {}
    examples = tuple(
        Tokens(
            id=one.id,
            group=one.group,
            weight=one.weight,
            ids=tuple(map(seen.setdefault, one.ids, one.ids)),
            offset=one.offset,
        )
        for one in prepared.examples
    )
    return Prepared(examples, prepared.left_out)
