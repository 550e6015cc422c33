"""Methods against forgetting: each is an order of the data or a loss for the one trainer.

Both functions are called once in every process that trains, before its checkpoint is restored, and
must come to the same end each time: whatever they compute follows from their arguments and from
`spec.seed`. MLX's random state is put back behind `objective`, so that it may draw from it.

Replay is no work of theirs: its examples stand among the project's. Any subset of the methods makes
one order and one loss.
"""

from pathlib import Path
from typing import Any

from secdaemon.config import schema
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.interface import PermanentError, Progress, Report
from secdaemon.pipeline.splitting.splits import REPLAY_MARK
from secdaemon.pipeline.training import adapter, checkpoint, consolidation, rehearsal, trainer
from secdaemon.pipeline.training.base_model import weights_hash
from secdaemon.pipeline.training.distillation import distilled, teacher_of
from secdaemon.pipeline.training.feed import Feed
from secdaemon.pipeline.training.spec import TrainSpec
from secdaemon.pipeline.training.tokens import Prepared, Tokens

NEEDS_KNOWN = frozenset({"ewc", "multitask", "curriculum"})
"""The methods that get Stage 1's training examples; replay has its own among the project's."""

_NEEDS_ADAPTER = ("distillation", "ewc")
_QUALITIES = ("high", "medium", "low")
"""Of an example's answer, the easiest first: a checked fix, an upgrade, advice."""


def order(prepared: Prepared, known: Prepared, spec: TrainSpec) -> Feed:
    """Return the order in which batches come.

    Args:
        prepared: what is to be learned, at least one example.
        known: Stage 1's training examples, empty where the spec has none.
        spec: `training.max_seq_length` is the cap that both sets of examples fit into, and
            `iterations` the number that there will be at most.

    Raises:
        PermanentError: a method needs Stage 1's examples and none fits.
    """
    _check(known, spec)
    settings = spec.against_forgetting
    phases = () if settings is None else _phases(prepared, spec, settings)
    if not phases:
        return Feed(
            prepared.examples,
            batch_size=spec.training.batch_size,
            cap=spec.training.max_seq_length,
            mask_prompt=spec.training.mask_prompt,
            seed=spec.seed,
        )
    return rehearsal.Rehearsal(
        prepared.examples,
        known.examples,
        phases,
        batch_size=spec.training.batch_size,
        cap=spec.training.max_seq_length,
        mask_prompt=spec.training.mask_prompt,
        seed=spec.seed,
    )


def _phases(
    prepared: Prepared, spec: TrainSpec, settings: schema.Stage2
) -> tuple[rehearsal.Phase, ...]:
    """Return what the data order is made of, nothing where no method changes it."""
    multitask = "multitask" in settings.method
    if "curriculum" in settings.method:
        # With both, the multi-task share is the least that every phase has.
        return rehearsal.curriculum(
            _difficulties(prepared.examples, spec.train),
            spec.iterations,
            settings.multitask_ratio,
            settings.multitask_ratio if multitask else 0.0,
        )
    if multitask:
        return rehearsal.constant(len(prepared.examples), settings.multitask_ratio)
    return ()


def _difficulties(
    tokens: tuple[Tokens, ...], examples: tuple[Example, ...]
) -> list[tuple[int, int]]:
    """Return how hard each example is: by what vouches for its answer, then by its length.

    A replayed example is the easiest, as the model knows it.
    """
    ranks = {example.id: _rank(example) for example in examples}
    return [(ranks[row.id], len(row.ids)) for row in tokens]


def _rank(example: Example) -> int:
    if REPLAY_MARK in example.metadata:
        return -1
    quality = example.metadata.get("quality")
    return _QUALITIES.index(quality) if quality in _QUALITIES else len(_QUALITIES)


def objective(model: Any, known: Prepared, spec: TrainSpec, report: Report) -> trainer.Loss:
    """Return what is minimised.

    Args:
        model: with its adapter attached, at the weights the training starts from (Stage 1's); it
            may be left in evaluation mode.
        known: as for `order`.
        spec: as for `order`.
        report: called while Stage 1's examples are gone through.

    Raises:
        StopRequested: by way of `report`; what was computed so far is lost.
        PermanentError: a method has no Stage 1 adapter or examples to work with.
        OSError: the folder cannot be written.
    """
    _check(known, spec)
    settings = spec.against_forgetting
    loss: trainer.Loss = trainer.answer_loss
    if settings is None or spec.resume_adapter is None:
        return loss
    if "distillation" in settings.method:
        loss = distilled(
            teacher_of(model), settings.distillation_weight, settings.distillation_temperature
        )
    if "ewc" in settings.method:
        anchor = consolidation.anchor_of(model)
        fisher = _fisher(model, known, spec, spec.resume_adapter, report)
        loss = consolidation.held(loss, anchor, fisher, settings.ewc_lambda)
    return loss


def _fisher(
    model: Any, known: Prepared, spec: TrainSpec, start: Path, report: Report
) -> consolidation.Parameters:
    """Return the Fisher information: computed once, then read from beside the checkpoints."""
    folder = spec.folder / checkpoint.FOLDER / "fisher"
    examples = consolidation.sample(known.examples, spec.seed)
    key = consolidation.key_of(start / adapter.WEIGHTS_FILE, examples, weights_hash(spec.model_dir))
    saved = consolidation.read(folder, key)
    if saved is not None:
        return saved
    # An adapter is attached in training mode, and dropout would be in the gradients.
    model.eval()
    importance = consolidation.Importance(model)
    for example in examples:
        importance.add(example)
        report(Progress(iteration=0, iterations=spec.iterations))
    fisher = importance.fisher()
    consolidation.save(folder, key, fisher)
    return fisher


def _check(known: Prepared, spec: TrainSpec) -> None:
    """Refuse methods that lack what they work with.

    Raises:
        PermanentError: the sentence says which and why.
    """
    methods = () if spec.against_forgetting is None else spec.against_forgetting.method
    for method in methods:
        if method in _NEEDS_ADAPTER and spec.resume_adapter is None:
            msg = f"stage2.method {method} needs a Stage 1 adapter to start from; there is none"
            raise PermanentError(msg)
        if method in NEEDS_KNOWN and not known.examples:
            msg = (
                f"stage2.method {method} needs Stage 1 training examples, and none fits into "
                "training.max_seq_length; raise it, or take the method out"
            )
            raise PermanentError(msg)
