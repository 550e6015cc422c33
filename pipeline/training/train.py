"""LoRA training that resumes exactly: one call of mlx-lm's trainer, with our feed and checkpoints.

The same spec gives the same adapter, byte for byte, however often it was stopped or killed on the
way (same machine, same number of BLAS threads). MLX's random state belongs to the thread: train in
the main thread of a process.
"""

import hashlib
import math
import shutil
import time
from collections import deque
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import mlx.core as mx
import msgspec
import numpy as np

from secdaemon.config import schema
from secdaemon.config.files import staged_folder, write_file
from secdaemon.pipeline.examples import Example, write_jsonl
from secdaemon.pipeline.interface import (
    EndRun,
    PermanentError,
    Progress,
    Report,
    StopRequested,
    TrainingSummary,
)
from secdaemon.pipeline.training import adapter, checkpoint, trainer
from secdaemon.pipeline.training.base_model import file_hash, load_base, weights_hash
from secdaemon.pipeline.training.checkpoint import Loss
from secdaemon.pipeline.training.evaluate import score
from secdaemon.pipeline.training.feed import Feed
from secdaemon.pipeline.training.scores import metrics
from secdaemon.pipeline.training.tokens import Prepared, Tokens, prepare

ADAPTERS = "adapters"
LOSSES_FILE = "losses.jsonl"
SUMMARY_FILE = "summary.json"

VALIDATIONS = 10
"""Validation happens before the first iteration, after the last, and so often on the way.

Less often where the validation split has more batches than there are iterations between two.
"""
VALIDATION_EXAMPLES = 64
_RATE_WINDOW = 32


class TrainSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what a training makes, and where it is made."""

    model_dir: Path
    folder: Path
    """Takes adapters/, losses.jsonl, summary.json and, while training, checkpoints/."""
    train: tuple[Example, ...]
    valid: tuple[Example, ...]
    iterations: int
    learning_rate: float
    training: schema.Training
    """Its `seed` does not count, `seed` below does."""
    lora: schema.Lora
    seed: int
    """Decides the initial adapter, dropout and the order of the data."""
    resume_adapter: Path | None = None
    """An adapter folder whose weights this training starts from."""


class _Finished(msgspec.Struct, frozen=True, kw_only=True):
    """summary.json: written last, and worth nothing unless the adapter is the one it names."""

    fingerprint: str
    adapters_sha256: str
    summary: TrainingSummary


def train(spec: TrainSpec, report: Report) -> TrainingSummary:
    """Train an adapter, or go on where an earlier call with the same spec was stopped.

    A finished training returns its summary at once. `report` is called after every iteration; when
    it raises StopRequested, that iteration is checkpointed first.

    Raises:
        StopRequested: by way of `report`.
        PermanentError: the base model does not load, has no such module, nothing fits into
            max_seq_length, or the adapter to resume does not fit.
        EndRun: held, because a loss or the adapter is no longer finite.
        OSError: the folder cannot be written.
    """
    fingerprint = _fingerprint(spec)
    done = _finished(spec.folder, fingerprint)
    if done is not None:
        shutil.rmtree(spec.folder / checkpoint.FOLDER, ignore_errors=True)
        return done
    if spec.training.grad_checkpoint and spec.lora.dropout > 0:
        msg = "training.grad_checkpoint needs lora.dropout 0: together they give wrong gradients"
        raise PermanentError(msg)
    return _Session(spec, fingerprint, report).run()


class _Session:
    """One process's share of a training; the trainer calls `took` after every iteration."""

    def __init__(self, spec: TrainSpec, fingerprint: str, report: Report) -> None:
        """Load the model and put everything where the newest checkpoint left it."""
        self._spec = spec
        self._fingerprint = fingerprint
        self._report = report
        self._started = time.monotonic()
        self._model, tokenizer = load_base(spec.model_dir)
        self._data = _prepare(tokenizer, spec)
        self._valid = _validation_sample(prepare(tokenizer, spec.valid, _cap(spec)), spec.seed)
        self._feed = Feed(
            self._data.examples,
            batch_size=spec.training.batch_size,
            cap=_cap(spec),
            mask_prompt=spec.training.mask_prompt,
            seed=spec.seed,
        )
        mx.random.seed(spec.seed)
        self._config = adapter.attach(self._model, spec.lora)
        if spec.resume_adapter is not None:
            adapter.load_weights(self._model, spec.resume_adapter, self._config)
        self._optimizer = trainer.optimizer(
            spec.learning_rate, round(spec.training.warmup_ratio * spec.iterations)
        )
        self._optimizer.init(self._model.trainable_parameters())
        self._iteration = self._resumed_at = self._saved_at = 0
        self._earlier_seconds = 0.0
        self._losses: list[Loss] = []
        self._resume()
        self._pace: deque[tuple[float, int]] = deque(maxlen=_RATE_WINDOW)

    def _resume(self) -> None:
        path = checkpoint.newest(self._checkpoints, self._fingerprint)
        if path is None:
            return
        state = checkpoint.restore(path, self._model, self._optimizer)
        self._iteration = self._resumed_at = self._saved_at = state.iteration
        self._earlier_seconds = state.seconds
        self._losses = list(state.losses)

    @property
    def _checkpoints(self) -> Path:
        return self._spec.folder / checkpoint.FOLDER

    def run(self) -> TrainingSummary:
        """Train what is left, and write what remains of a training."""
        spec = self._spec
        with staged_folder(spec.folder / ADAPTERS) as staged:
            self._validate_if_due()
            self._pace.append((time.monotonic(), 0))
            trainer.run(
                self._model,
                self._optimizer,
                self._batches(),
                self.took,
                iterations=spec.iterations - self._iteration,
                grad_checkpoint=spec.training.grad_checkpoint,
                adapter_file=staged / adapter.WEIGHTS_FILE,
            )
            if not adapter.all_finite(self._model):
                self._hold("the adapter is not finite")
            adapter.write_config(staged, self._config)
        write_jsonl(spec.folder / LOSSES_FILE, self._losses)
        curve = [(row.train_loss, row.tokens) for row in self._losses if row.train_loss is not None]
        summary = TrainingSummary(
            iterations=spec.iterations,
            examples=len(self._data.examples),
            tokens=sum(tokens for _, tokens in curve),
            first_loss=curve[0][0],
            last_loss=curve[-1][0],
            seconds=self._seconds(),
            left_out=self._data.left_out,
            resumed_at=self._resumed_at,
        )
        finished = _Finished(
            fingerprint=self._fingerprint,
            adapters_sha256=file_hash(spec.folder / ADAPTERS / adapter.WEIGHTS_FILE),
            summary=summary,
        )
        write_file(spec.folder / SUMMARY_FILE, msgspec.json.encode(finished) + b"\n")
        shutil.rmtree(self._checkpoints, ignore_errors=True)
        return summary

    def _batches(self) -> Iterator[tuple[mx.array, mx.array]]:
        """Yield the batches from the current position on."""
        for ids, spans in self._feed.batches(self._iteration):
            yield mx.array(ids), mx.array(spans)

    def took(self, step: trainer.Step) -> None:
        """Take note of an iteration."""
        self._iteration += 1
        loss = step.loss
        if not math.isfinite(loss):
            self._hold(f"the loss is {loss}")
        self._losses.append(Loss(iteration=self._iteration, tokens=step.tokens, train_loss=loss))
        fed = self._feed.tokens(self._iteration - 1)
        self._pace.append((time.monotonic(), self._pace[-1][1] + fed))
        self._validate_if_due()
        last = self._iteration == self._spec.iterations
        if self._iteration % self._spec.training.checkpoint_every == 0 and not last:
            self._checkpoint()
        self._tell(self._progress(loss))

    def _validate_if_due(self) -> None:
        """Measure the validation loss, unless the checkpoint we resumed from knows it."""
        batches = -(-len(self._valid) // self._spec.training.batch_size)
        every = max(-(-self._spec.iterations // VALIDATIONS), batches)
        due = self._iteration % every == 0 or self._iteration == self._spec.iterations
        known = bool(self._losses) and self._losses[-1].valid_loss is not None
        if not self._valid or not due or known:
            return
        self._model.eval()
        scores = score(
            self._model,
            self._valid,
            self._spec.training.batch_size,
            lambda _: self._tell(self._progress(None)),
        )
        self._model.train()
        measured = metrics(scores)
        if measured.loss is None:
            self._hold("the validation loss is not finite")
        self._losses.append(
            Loss(
                iteration=self._iteration,
                tokens=sum(row.tokens for row in scores),
                valid_loss=measured.loss,
            )
        )

    def _progress(self, loss: float | None) -> Progress:
        """Return where the training is; the pace is that of the last iterations."""
        rate = eta = None
        if len(self._pace) > 1:
            (since, before), (now, tokens) = self._pace[0], self._pace[-1]
            seconds = max(now - since, 1e-9)
            rate = (tokens - before) / seconds
            eta = (self._spec.iterations - self._iteration) * seconds / (len(self._pace) - 1)
        return Progress(
            iteration=self._iteration,
            iterations=self._spec.iterations,
            loss=loss,
            tokens_per_second=rate,
            eta_seconds=eta,
        )

    def _tell(self, progress: Progress) -> None:
        try:
            self._report(progress)
        except StopRequested:
            if self._saved_at != self._iteration:
                self._checkpoint()
            raise

    def _checkpoint(self) -> None:
        if not adapter.all_finite(self._model):
            self._hold("the adapter is not finite")
        state = checkpoint.State(
            iteration=self._iteration,
            random=checkpoint.random_key(),
            seconds=self._seconds(),
            losses=tuple(self._losses),
        )
        checkpoint.save(self._checkpoints, self._fingerprint, self._model, self._optimizer, state)
        write_jsonl(self._spec.folder / LOSSES_FILE, self._losses)
        self._saved_at = self._iteration

    def _seconds(self) -> float:
        return self._earlier_seconds + time.monotonic() - self._started

    def _hold(self, what: str) -> NoReturn:
        msg = (
            f"training diverged: {what} at iteration {self._iteration} of "
            f"{self._spec.iterations}; a lower learning rate than {self._spec.learning_rate} may do"
        )
        raise EndRun(state="held", reason=msg)


def _cap(spec: TrainSpec) -> int:
    return spec.training.max_seq_length


def _prepare(tokenizer: Any, spec: TrainSpec) -> Prepared:
    prepared = prepare(tokenizer, spec.train, _cap(spec))
    if not prepared.examples:
        msg = (
            f"no training example fits into training.max_seq_length ({_cap(spec)} tokens); "
            f"left out: {prepared.left_out or 'none, there was no example'}"
        )
        raise PermanentError(msg)
    return prepared


def _validation_sample(prepared: Prepared, seed: int) -> tuple[Tokens, ...]:
    """Return a bounded, seeded sample of the validation examples."""
    order = np.random.default_rng([seed, 1]).permutation(len(prepared.examples))
    return tuple(prepared.examples[place] for place in sorted(order[:VALIDATION_EXAMPLES]))


def _fingerprint(spec: TrainSpec) -> str:
    """Return the hash of everything that the adapter's bytes depend on."""
    start = None if spec.resume_adapter is None else spec.resume_adapter / adapter.WEIGHTS_FILE
    parts = (
        weights_hash(spec.model_dir),
        None if start is None else file_hash(start),
        spec.train,
        spec.valid,
        spec.iterations,
        spec.learning_rate,
        msgspec.structs.replace(spec.training, checkpoint_every=1, seed=0),
        spec.lora,
        spec.seed,
        [metadata.version(name) for name in ("mlx", "mlx-lm", "numpy")],
    )
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def _finished(folder: Path, fingerprint: str) -> TrainingSummary | None:
    """Return the summary of this very training where its adapter stands complete."""
    try:
        finished = msgspec.json.decode((folder / SUMMARY_FILE).read_bytes(), type=_Finished)
        whole = file_hash(folder / ADAPTERS / adapter.WEIGHTS_FILE) == finished.adapters_sha256
    except (OSError, msgspec.DecodeError):
        return None
    return finished.summary if whole and finished.fingerprint == fingerprint else None
