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
from mlx_lm.generate import batch_generate

from secdaemon.config import schema
from secdaemon.config.files import write_file
from secdaemon.pipeline.examples import Example, write_jsonl
from secdaemon.pipeline.interface import Metrics, Progress, Report
from secdaemon.pipeline.training.adapter import CONFIG_FILE, WEIGHTS_FILE
from secdaemon.pipeline.training.base_model import file_hash, load_base, weights_hash
from secdaemon.pipeline.training.feed import pad
from secdaemon.pipeline.training.scores import Score, metrics
from secdaemon.pipeline.training.tokens import Tokens, prepare

__all__ = ["Evaluation", "Generation", "Score", "evaluate", "generate", "metrics", "score"]

RESULTS_FILE = "evaluation_results.json"
SCORES_FILE = "scores.jsonl"
GENERATIONS_FILE = "generations.jsonl"


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What the model wrote for one example, and whether it is the reference, token for token."""

    id: str
    exact: bool
    text: str


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One model on one split; `total` = scored + left out + not sampled."""

    metrics: Metrics
    scores: tuple[Score, ...]
    """In the split's order."""
    total: int
    left_out: dict[str, int]
    not_sampled: int
    """Examples beyond evaluation.max_examples, by a seeded draw."""


class _Results(msgspec.Struct, frozen=True, kw_only=True):
    """evaluation_results.json; the scores stand beside it."""

    metrics: Metrics
    total: int
    scored: int
    left_out: dict[str, int]
    not_sampled: int
    generated: int
    seed: int
    fingerprint: str
    scores_sha256: str


def score(
    model: Any, examples: Sequence[Tokens], batch_size: int, report: Report
) -> tuple[Score, ...]:
    """Return the score of every example, in their order; none is dropped.

    The model must be in evaluation mode. Examples of similar length go through it together.

    Raises:
        StopRequested: by way of `report`, between two batches.
    """
    order = sorted(range(len(examples)), key=lambda place: len(examples[place].ids))
    scores: dict[int, Score] = {}
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        rows = _score_batch(model, [examples[place] for place in places])
        scores.update(zip(places, rows, strict=True))
        report(Progress(iteration=len(scores), iterations=len(examples)))
    return tuple(scores[place] for place in range(len(examples)))


def _score_batch(model: Any, examples: Sequence[Tokens]) -> list[Score]:
    ids, spans = pad(examples, cap=max(len(example.ids) for example in examples))
    targets = mx.array(ids[:, 1:])
    first, end = mx.array(spans[:, 0:1]), mx.array(spans[:, 1:])
    places = mx.arange(1, ids.shape[1])
    mask = mx.logical_and(places >= first, places < end)
    logits = model(mx.array(ids[:, :-1]))
    losses = nn.losses.cross_entropy(logits, targets).astype(mx.float32)
    # where, not a product: a pad's infinite loss times zero would be NaN.
    sums = mx.where(mask, losses, 0.0).sum(axis=1)
    correct = mx.logical_and(logits.argmax(axis=-1) == targets, mask).sum(axis=1)
    mx.eval(sums, correct)
    found: Any = (sums.tolist(), correct.tolist())
    return [
        Score(
            id=example.id,
            group=example.group,
            loss_sum=loss if math.isfinite(loss) else None,
            correct=hits,
            tokens=len(example.ids) - example.offset,
        )
        for example, loss, hits in zip(examples, *found, strict=True)
    ]


def generate(
    model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], max_tokens: Sequence[int]
) -> list[list[int]]:
    """Return the greedy continuation of each prompt, in batches, without the end token.

    Args:
        model: in evaluation mode.
        tokenizer: knows the end tokens.
        prompts: token ids, at least one each.
        max_tokens: the most tokens to generate, for each prompt.
    """
    if not prompts:
        return []
    response = batch_generate(
        model,
        tokenizer,
        [list(prompt) for prompt in prompts],
        max_tokens=list(max_tokens),
        return_token_ids=True,
    )
    return [list(ids) for ids in response.token_ids]


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
    known = _read(out, key)
    if known is not None:
        return known
    if not examples:
        return _write(out, key, seed, (), _nothing())
    model, tokenizer = load_base(model_dir, adapter)
    prepared = prepare(tokenizer, examples, training.max_seq_length)
    order = np.random.default_rng([seed, 0]).permutation(len(prepared.examples))
    drawn = order[: evaluation.max_examples]
    chosen = [prepared.examples[place] for place in sorted(drawn)]
    scores = score(model, chosen, evaluation.batch_size, report)
    asked = [prepared.examples[place] for place in drawn[: evaluation.generate_examples]]
    generations = _generations(model, tokenizer, asked, evaluation.max_tokens)
    result = Evaluation(
        metrics=metrics(scores, [generation.exact for generation in generations]),
        scores=scores,
        total=len(examples),
        left_out=prepared.left_out,
        not_sampled=len(prepared.examples) - len(chosen),
    )
    return _write(out, key, seed, generations, result)


def _generations(
    model: Any, tokenizer: Any, examples: Sequence[Tokens], max_tokens: int
) -> tuple[Generation, ...]:
    """Generate for each example one token more than its reference has, and compare."""
    references = [_reference(example, tokenizer.eos_token_ids) for example in examples]
    written = generate(
        model,
        tokenizer,
        [example.ids[: example.offset] for example in examples],
        [min(len(reference) + 1, max_tokens) for reference in references],
    )
    return tuple(
        Generation(id=example.id, exact=ids == reference, text=tokenizer.decode(ids))
        for example, reference, ids in zip(examples, references, written, strict=True)
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
        weights_hash(model_dir),
        None if adapter is None else [file_hash(adapter / n) for n in (WEIGHTS_FILE, CONFIG_FILE)],
        [(example.id, example.group, example.messages) for example in examples],
        evaluation,
        max_seq_length,
        seed,
        [metadata.version(name) for name in ("mlx", "mlx-lm")],
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _write(
    out: Path, key: str, seed: int, generations: Sequence[Generation], result: Evaluation
) -> Evaluation:
    """Write the files, the one that vouches for the others last."""
    write_jsonl(out / SCORES_FILE, result.scores)
    write_jsonl(out / GENERATIONS_FILE, generations)
    results = _Results(
        metrics=result.metrics,
        total=result.total,
        scored=len(result.scores),
        left_out=result.left_out,
        not_sampled=result.not_sampled,
        generated=len(generations),
        seed=seed,
        fingerprint=key,
        scores_sha256=file_hash(out / SCORES_FILE),
    )
    text = msgspec.json.format(msgspec.json.encode(results), indent=2)
    write_file(out / RESULTS_FILE, text + b"\n")
    return result


def _read(out: Path, key: str) -> Evaluation | None:
    """Return the results in `out` where they are whole and of this key."""
    try:
        results = msgspec.json.decode((out / RESULTS_FILE).read_bytes(), type=_Results)
        if results.fingerprint != key or file_hash(out / SCORES_FILE) != results.scores_sha256:
            return None
        lines = (out / SCORES_FILE).read_bytes()
    except (OSError, msgspec.DecodeError):
        return None
    return Evaluation(
        metrics=results.metrics,
        scores=tuple(msgspec.json.Decoder(Score).decode_lines(lines)),
        total=results.total,
        left_out=results.left_out,
        not_sampled=results.not_sampled,
    )
