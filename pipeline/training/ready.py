"""A training made ready: everything about it that follows from its spec, and no checkpoint changes.

Every process that trains makes it again, in the same order of random draws.
"""

from typing import Any

import mlx.core as mx
import msgspec

from secdaemon.pipeline.interface import PermanentError, Report
from secdaemon.pipeline.training import (
    adapter,
    checkpoint,
    forgetting,
    preflight,
    prepared,
    rates,
    trainer,
    validation,
)
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.feed import Feed
from secdaemon.pipeline.training.memory import Preflight
from secdaemon.pipeline.training.spec import TrainSpec
from secdaemon.pipeline.training.team import ALONE, Team
from secdaemon.pipeline.training.tokens import TOO_BIG, Prepared, Tokens


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Model and optimizer stand where the training begins."""

    model: Any
    config: adapter.AdapterConfig
    optimizer: Any
    loss: trainer.Loss
    feed: Feed
    valid: tuple[Tokens, ...]
    examples: int
    left_out: dict[str, int]
    iterations: int
    """A multiple of training.grad_accumulation_steps."""
    preflight: Preflight


class _Data(msgspec.Struct, frozen=True):
    train: Prepared
    valid: Prepared
    known: Prepared

    def within(self, cap: int) -> "_Data":
        """Return the data of at most `cap` tokens an example."""
        return _Data(
            *(prepared.within(part, cap, TOO_BIG) for part in (self.train, self.valid, self.known))
        )


def make_ready(
    spec: TrainSpec, decided: Preflight | None, report: Report, team: Team = ALONE
) -> Ready:
    """Load the model, prepare the data, see that it fits into memory, lay out the optimizer.

    Args:
        spec: of this training.
        decided: what an earlier process of this training found out about the memory.
        report: called while the methods against forgetting go through Stage 1's examples.
        team: who trains; all of it decides together about the memory.

    Raises:
        StopRequested: by way of `report`.
        PermanentError: the base model does not load, has no such module, nothing fits into
            max_seq_length or into memory, or the adapter to resume does not fit.
        OSError: the folder cannot be written.
    """
    model, tokenizer = load_base(spec.model_dir)
    data = _data(tokenizer, spec)
    mx.random.seed(spec.seed)
    config = adapter.attach(model, spec.lora)
    if spec.resume_adapter is not None:
        adapter.load_weights(model, spec.resume_adapter, config)
    loss = None
    if decided is None:
        loss = _objective(model, data, spec, report)
        decided = team.agree(_preflight(model, loss, data, spec))
    if loss is None or decided.max_seq_length < spec.training.max_seq_length:
        spec, data = _capped(spec, data, decided.max_seq_length)
        loss = _objective(model, data, spec, report)
    iterations = rates.planned(spec.iterations, len(data.train.examples), spec.training)
    spec = msgspec.structs.replace(spec, iterations=iterations)
    steps = iterations // spec.training.grad_accumulation_steps
    optimizer = rates.optimizer(
        rates.rate(spec.learning_rate, steps, spec.training), spec.training.weight_decay
    )
    optimizer.init(model.trainable_parameters())
    return Ready(
        model=model,
        config=config,
        optimizer=optimizer,
        loss=loss,
        feed=forgetting.order(data.train, data.known, spec),
        valid=validation.sample(data.valid, spec.seed),
        examples=len(data.train.examples),
        left_out=data.train.left_out,
        iterations=iterations,
        preflight=decided,
    )


def _data(tokenizer: Any, spec: TrainSpec) -> _Data:
    cap = spec.training.max_seq_length
    data = _Data(
        *(
            prepared.prepare_once(spec.folder, spec.model_dir, tokenizer, examples, cap)
            for examples in (spec.train, spec.valid, spec.known)
        )
    )
    if not data.train.examples:
        msg = (
            f"no training example fits into training.max_seq_length ({cap} tokens); "
            f"left out: {data.train.left_out or 'none, there was no example'}"
        )
        raise PermanentError(msg)
    return data


def _objective(model: Any, data: _Data, spec: TrainSpec, report: Report) -> trainer.Loss:
    """Return the loss, MLX's random state as it was."""
    key = checkpoint.random_key()
    loss = forgetting.objective(model, data.known, spec, report)
    checkpoint.set_random_key(key)
    return loss


def _preflight(model: Any, loss: trainer.Loss, data: _Data, spec: TrainSpec) -> Preflight:
    budget_bytes = preflight.budget(spec.training)

    def measure(cap: int, checkpointing: bool) -> preflight.Need | None:
        capped, fitting = _capped(spec, data, cap)
        if not fitting.train.examples:
            return None
        ids, spans = forgetting.order(fitting.train, fitting.known, capped).longest()
        batch = ids[: len(ids) // spec.ranks], spans[: len(ids) // spec.ranks]
        rows, width = batch[0].shape
        peak = preflight.peak_bytes(
            model, loss, batch, checkpointing=checkpointing, budget_bytes=budget_bytes
        )
        return preflight.Need(peak, rows, width)

    return preflight.decide(
        measure,
        budget_bytes,
        cap=spec.training.max_seq_length,
        checkpointing=spec.training.grad_checkpoint,
        may_checkpoint=spec.lora.dropout == 0,
    )


def _capped(spec: TrainSpec, data: _Data, cap: int) -> tuple[TrainSpec, _Data]:
    """Return both with another cap."""
    training = msgspec.structs.replace(spec.training, max_seq_length=cap)
    return msgspec.structs.replace(spec, training=training), data.within(cap)
