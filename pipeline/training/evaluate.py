"""What a model does on a split: teacher-forced scores, greedy generations, metrics, files."""

import hashlib
import math
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import mlx.core as mx
import msgspec
import numpy as np
from mlx import nn
from numpy.typing import NDArray

from secdaemon.config import schema
from secdaemon.config.files import write_file
from secdaemon.pipeline.evaluation.answers import judge, summary
from secdaemon.pipeline.evaluation.edited import edited_mask
from secdaemon.pipeline.evaluation.model import Generated, Generation
from secdaemon.pipeline.examples import Example, write_jsonl
from secdaemon.pipeline.interface import Metrics, Progress, Report
from secdaemon.pipeline.training.adapter import CONFIG_FILE, WEIGHTS_FILE
from secdaemon.pipeline.training.base_model import file_hash, load_base, weights_hash
from secdaemon.pipeline.training.feed import pad
from secdaemon.pipeline.training.generation import generate
from secdaemon.pipeline.training.scores import Score, metrics
from secdaemon.pipeline.training.tokens import Tokens, prepare

RESULTS_FILE = "evaluation_results.json"
SCORES_FILE = "scores.jsonl"
GENERATIONS_FILE = "generations.jsonl"

VERSION = 2
"""Raised with every change to what a score or a generation of the same model and example says."""
_SLACK = 16
"""Tokens by which a short answer may be longer than its reference."""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one split; `total` = scored + left out + not sampled."""

    metrics: Metrics
    scores: tuple[Score, ...]
    """In the split's order."""
    total: int
    left_out: dict[str, int]
    not_sampled: int
    """Examples beyond evaluation.max_examples, by a seeded draw."""
    generations: tuple[Generation, ...] = ()
    """Of evaluation.generate_examples of the scored ones, by the same draw."""


class _Results(msgspec.Struct, frozen=True, kw_only=True):
    """evaluation_results.json; the scores stand beside it."""

    metrics: Metrics
    total: int
    scored: int
    left_out: dict[str, int]
    not_sampled: int
    generated: Generated
    seed: int
    fingerprint: str
    scores_sha256: str
    generations_sha256: str


def score(
    model: Any,
    examples: Sequence[Tokens],
    batch_size: int,
    report: Report,
    *,
    edited: Sequence[NDArray[np.bool_]] | None = None,
) -> tuple[Score, ...]:
    """Return the score of every example, in their order; none is dropped.

    The model must be in evaluation mode. Examples of similar length go through it together.
    `edited` has `edited_mask` of each example; without it no token counts as edited.

    Raises:
        StopRequested: by way of `report`, between two batches.
    """
    order = sorted(range(len(examples)), key=lambda place: len(examples[place].ids))
    scores: dict[int, Score] = {}
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        masks = None if edited is None else [edited[place] for place in places]
        rows = _score_batch(model, [examples[place] for place in places], masks)
        scores.update(zip(places, rows, strict=True))
        report(Progress(iteration=len(scores), iterations=len(examples)))
    return tuple(scores[place] for place in range(len(examples)))


def _score_batch(
    model: Any, examples: Sequence[Tokens], edited: Sequence[NDArray[np.bool_]] | None
) -> list[Score]:
    ids, spans = pad(examples, cap=max(len(example.ids) for example in examples))
    targets = mx.array(ids[:, 1:])
    first, end = mx.array(spans[:, 0:1]), mx.array(spans[:, 1:])
    places = mx.arange(1, ids.shape[1])
    mask = mx.logical_and(places >= first, places < end)
    logits = model(mx.array(ids[:, :-1]))
    losses = nn.losses.cross_entropy(logits, targets).astype(mx.float32)
    hits = logits.argmax(axis=-1) == targets
    chosen = _edited_places(examples, edited, ids.shape[1])
    # where, not a product: a pad's infinite loss times zero would be NaN.
    sums = [mx.where(m, losses, 0.0).sum(axis=1) for m in (mask, chosen)]
    correct = [mx.logical_and(hits, m).sum(axis=1) for m in (mask, chosen)]
    mx.eval(sums, correct)
    found: Any = [array.tolist() for array in (*sums, *correct, chosen.sum(axis=1))]
    return [
        Score(
            id=example.id,
            group=example.group,
            loss_sum=_finite(loss),
            correct=right,
            tokens=len(example.ids) - example.offset,
            edited_loss_sum=_finite(edited_loss),
            edited_correct=edited_right,
            edited_tokens=edited_tokens,
        )
        for example, loss, edited_loss, right, edited_right, edited_tokens in zip(
            examples, *found, strict=True
        )
    ]


def _edited_places(
    examples: Sequence[Tokens], edited: Sequence[NDArray[np.bool_]] | None, width: int
) -> mx.array:
    """Return which targets are edited tokens, (batch, width - 1)."""
    mask = np.zeros((len(examples), width), np.bool_)
    for row, (example, marks) in enumerate(zip(examples, edited or (), strict=edited is not None)):
        mask[row, example.offset : len(example.ids)] = marks
    return mx.array(mask[:, 1:])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def evaluate(
    model_dir: Path,
    adapter: Path | None,
    examples: Sequence[Example],
    *,
    evaluation: schema.Evaluation,
    training: schema.Training,
    seed: int,
    out: Path,
    report: Report,
) -> Evaluation:
    """Score a model on a split and write evaluation_results.json, scores and generations.

    Results that stand in `out` already, of the same model, adapter, examples and settings, are
    returned without loading anything.

    Raises:
        PermanentError: mlx-lm cannot load the model or the adapter.
        StopRequested: by way of `report`; nothing is written.
        OSError: the results cannot be written.
    """
    key = _fingerprint(
        model_dir,
        adapter,
        examples,
        evaluation=evaluation,
        max_seq_length=training.max_seq_length,
        seed=seed,
    )
    known = _read(out)
    if known is not None and known[0] == key:
        return known[1]
    if not examples:
        return _write(out, key, seed, _nothing())
    model, tokenizer = load_base(model_dir, adapter)
    prepared = prepare(tokenizer, examples, training.max_seq_length)
    order = np.random.default_rng([seed, 0]).permutation(len(prepared.examples))
    drawn = order[: evaluation.max_examples]
    chosen = [prepared.examples[place] for place in sorted(drawn)]
    by_id = {example.id: example for example in examples}
    marks = [edited_mask(tokenizer, by_id[tokens.id], tokens) for tokens in chosen]
    scores = score(model, chosen, evaluation.batch_size, report, edited=marks)
    asked = [prepared.examples[place] for place in drawn[: evaluation.generate_examples]]
    generations = _generations(
        model, tokenizer, [(by_id[tokens.id], tokens) for tokens in asked], evaluation, report
    )
    result = Evaluation(
        metrics=metrics(
            scores,
            [one.exact for one in generations],
            [one.codebleu.value for one in generations if one.codebleu],
        ),
        scores=scores,
        total=len(examples),
        left_out=prepared.left_out,
        not_sampled=len(prepared.examples) - len(chosen),
        generations=generations,
    )
    return _write(out, key, seed, result)


def _generations(
    model: Any,
    tokenizer: Any,
    asked: Sequence[tuple[Example, Tokens]],
    evaluation: schema.Evaluation,
    report: Report,
) -> tuple[Generation, ...]:
    """Generate for each example up to a quarter more than its reference has, and compare."""
    references = [_reference(tokens, tokenizer.eos_token_ids) for _, tokens in asked]
    room = [min(len(one) + len(one) // 4 + _SLACK, evaluation.max_tokens) for one in references]
    written = generate(
        model, tokenizer, [tokens.ids[: tokens.offset] for _, tokens in asked], room, report
    )
    return tuple(
        judge(example, tokenizer.decode(ids), exact=ids == reference, cut=len(ids) == most)
        for (example, _), reference, ids, most in zip(asked, references, written, room, strict=True)
    )


def _reference(example: Tokens, ends: set[int]) -> list[int]:
    """Return the assistant's tokens up to the end token, which generation leaves out as well."""
    answer = list(example.ids[example.offset :])
    places = [place for place, token in enumerate(answer) if token in ends]
    return answer[: places[0]] if places else answer


def _nothing() -> Evaluation:
    return Evaluation(metrics=metrics(()), scores=(), total=0, left_out={}, not_sampled=0)


def _fingerprint(
    model_dir: Path,
    adapter: Path | None,
    examples: Sequence[Example],
    *,
    evaluation: schema.Evaluation,
    max_seq_length: int,
    seed: int,
) -> str:
    """Return the hash of everything the results depend on."""
    parts = (
        VERSION,
        weights_hash(model_dir),
        None if adapter is None else [file_hash(adapter / n) for n in (WEIGHTS_FILE, CONFIG_FILE)],
        [(example.id, example.group, example.messages, example.metadata) for example in examples],
        evaluation,
        max_seq_length,
        seed,
        [metadata.version(name) for name in ("mlx", "mlx-lm")],
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _write(out: Path, key: str, seed: int, result: Evaluation) -> Evaluation:
    """Write the files, the one that vouches for the others last."""
    write_jsonl(out / SCORES_FILE, result.scores)
    write_jsonl(out / GENERATIONS_FILE, result.generations)
    results = _Results(
        metrics=result.metrics,
        total=result.total,
        scored=len(result.scores),
        left_out=result.left_out,
        not_sampled=result.not_sampled,
        generated=summary(result.generations),
        seed=seed,
        fingerprint=key,
        scores_sha256=file_hash(out / SCORES_FILE),
        generations_sha256=file_hash(out / GENERATIONS_FILE),
    )
    text = msgspec.json.format(msgspec.json.encode(results), indent=2)
    write_file(out / RESULTS_FILE, text + b"\n")
    return result


def known_evaluation(out: Path) -> Evaluation | None:
    """Return the results in a folder, whatever they were asked for; None where none are whole."""
    found = _read(out)
    return None if found is None else found[1]


def _read(out: Path) -> tuple[str, Evaluation] | None:
    """Return the results in `out` and what they are the results of; None where none are whole."""
    scores, generations = out / SCORES_FILE, out / GENERATIONS_FILE
    try:
        results = msgspec.json.decode((out / RESULTS_FILE).read_bytes(), type=_Results)
        if file_hash(scores) != results.scores_sha256:
            return None
        if file_hash(generations) != results.generations_sha256:
            return None
        score_lines, generation_lines = scores.read_bytes(), generations.read_bytes()
    except (OSError, msgspec.DecodeError):
        return None
    return results.fingerprint, Evaluation(
        metrics=results.metrics,
        scores=tuple(msgspec.json.Decoder(Score).decode_lines(score_lines)),
        total=results.total,
        left_out=results.left_out,
        not_sampled=results.not_sampled,
        generations=tuple(msgspec.json.Decoder(Generation).decode_lines(generation_lines)),
    )
