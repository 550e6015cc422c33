"""Elastic weight consolidation: what mattered to Stage 1 is held in place, the rest is free.

    loss + lambda / 2 * sum_i F_i (theta_i - theta*_i)^2

over the adapter's parameters theta, theta* those of Stage 1 (Kirkpatrick et al. 2017,
arXiv:1612.00796, equation 3). F is the diagonal of the empirical Fisher information on Stage 1
examples: with g_n the gradient of the answer's log-likelihood log p(y_n | x_n), summed over its
tokens and without dropout,

    F_i = sum_n g_n,i^2 / sum_n tokens_n

Dividing by tokens, not examples, makes the quadratic an estimate (Laplace's) of how much Stage 1's
loss per token rises, in the unit of the loss it is added to. So lambda says how many times as much
a nat of Stage 1 weighs as one of the project, whatever the adapter's size, rank or layers.
"""

import hashlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import mlx.core as mx
import msgspec
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten

from secdaemon.config.files import staged_folder
from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training.feed import pad
from secdaemon.pipeline.training.tokens import Tokens
from secdaemon.pipeline.training.trainer import Loss

EXAMPLES = 64
"""So many Stage 1 examples, drawn by the seed, make the Fisher information: 64 iterations' time."""

FISHER_FILE = "fisher.safetensors"
RECORD_FILE = "fisher.json"

Parameters = dict[str, mx.array]
"""Arrays by the parameter's name."""


class _Record(msgspec.Struct, frozen=True):
    """fisher.json: what the numbers were made of, and the SHA-256 of their file."""

    key: str
    sha256: str


def parameters_of(model: Any) -> Parameters:
    """Return the trainable parameters as they are now."""
    return dict(tree_flatten(model.trainable_parameters()))


def sample(known: Sequence[Tokens], seed: int) -> tuple[Tokens, ...]:
    """Return at most EXAMPLES of the examples; the seed decides, their order stays."""
    drawn = np.random.default_rng([seed, 2]).permutation(len(known))[:EXAMPLES]
    return tuple(known[place] for place in sorted(drawn))


class Importance:
    """Sums of squared gradients, example by example."""

    def __init__(self, model: Any) -> None:
        """Take a model in evaluation mode, at Stage 1's weights."""
        self._gradient = nn.value_and_grad(model, _log_likelihood)
        self._model = model
        self._squares = {name: mx.zeros_like(a) for name, a in parameters_of(model).items()}
        self._tokens = 0

    def add(self, example: Tokens) -> None:
        """Take one example in."""
        ids, spans = pad([example], cap=len(example.ids))
        _, gradient = self._gradient(self._model, mx.array(ids), mx.array(spans))
        found = dict(tree_flatten(gradient))
        self._squares = {name: sums + found[name] ** 2 for name, sums in self._squares.items()}
        self._tokens += len(example.ids) - example.offset
        mx.eval(self._squares)

    def fisher(self) -> Parameters:
        """Return F of everything that was taken in, at least one example.

        Raises:
            PermanentError: a number is not finite.
        """
        found = {name: sums / self._tokens for name, sums in self._squares.items()}
        if not all(mx.isfinite(array).all().item() for array in found.values()):
            msg = (
                "stage2.method ewc: a gradient on a Stage 1 example is not finite; take ewc out of "
                "stage2.method"
            )
            raise PermanentError(msg)
        return found


def _log_likelihood(model: Any, ids: mx.array, spans: mx.array) -> mx.array:
    """Return the answers' log-likelihood, summed over their tokens, in nats."""
    targets = ids[:, 1:]
    places = mx.arange(1, targets.shape[1] + 1)
    mask = mx.logical_and(places >= spans[:, 0:1], places < spans[:, 1:2])
    losses = nn.losses.cross_entropy(model(ids[:, :-1]), targets).astype(mx.float32)
    return -mx.where(mask, losses, 0.0).sum()


def penalty(parameters: Parameters, anchor: Parameters, fisher: Parameters) -> mx.array:
    """Return half of sum F (theta - theta*)^2: the estimated rise of Stage 1's loss per token."""
    zero = mx.array(0.0)
    terms = [
        (fisher[name] * (array - anchor[name]) ** 2).sum() for name, array in parameters.items()
    ]
    return sum(terms, zero) / 2


def anchor_of(model: Any) -> Parameters:
    """Return aliases of the trainable parameters as they are now, without a copy.

    A compiled step refuses to close over an array that is its input too.
    """
    anchor = {name: mx.stop_gradient(array) for name, array in parameters_of(model).items()}
    mx.eval(anchor)
    return anchor


def held(loss: Loss, anchor: Parameters, fisher: Parameters, strength: float) -> Loss:
    """Return the loss with the penalty, `strength` (lambda) times, on top."""

    def consolidated(model: Any, ids: mx.array, spans: mx.array) -> tuple[mx.array, mx.array]:
        value, count = loss(model, ids, spans)
        return value + strength * penalty(parameters_of(model), anchor, fisher), count

    return consolidated


def key_of(anchor: Path, examples: Sequence[Tokens], base: str) -> str:
    """Return the hash of all that F depends on: adapter file, examples, base model, versions.

    Raises:
        OSError: the adapter's file cannot be read.
    """
    parts = (
        hashlib.sha256(anchor.read_bytes()).hexdigest(),
        [(example.ids, example.offset) for example in examples],
        base,
        [metadata.version(name) for name in ("mlx", "mlx-lm")],
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def save(folder: Path, key: str, fisher: Parameters) -> None:
    """Write F and its record, both or nothing.

    Raises:
        OSError: the folder cannot be written.
    """
    with staged_folder(folder) as staged:
        try:
            mx.save_safetensors(str(staged / FISHER_FILE), fisher)
        except RuntimeError as error:
            # What MLX raises where a disk is full.
            msg = f"{folder}: the Fisher information cannot be written ({error})"
            raise OSError(msg) from error
        record = _Record(key, _sha256(staged / FISHER_FILE))
        (staged / RECORD_FILE).write_bytes(msgspec.json.encode(record))


def read(folder: Path, key: str) -> Parameters | None:
    """Return the F that `save` wrote under this key; None where there is none, or a damaged one."""
    try:
        record = msgspec.json.decode((folder / RECORD_FILE).read_bytes(), type=_Record)
        if record.key != key or _sha256(folder / FISHER_FILE) != record.sha256:
            return None
    except (OSError, msgspec.DecodeError):
        return None
    fisher: Any = mx.load(str(folder / FISHER_FILE))
    return dict(fisher)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
