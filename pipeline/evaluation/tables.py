"""Every model side by side: by split, tool, category, weakness and language; plain data throughout.

docs/evaluation.md has the definitions and formulas.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from secdaemon.pipeline.evaluation.answers import summary
from secdaemon.pipeline.evaluation.model import (
    MODELS,
    By,
    Comparison,
    Gain,
    Generation,
    Matrix,
    Row,
    Specialisation,
    SplitResult,
    Stage,
    Transfer,
)
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.fixes.categories import CATEGORY_WEIGHTS
from secdaemon.pipeline.interface import Metrics
from secdaemon.pipeline.training.paired import paired_difference
from secdaemon.pipeline.training.scores import Score, metrics

GROUPINGS: tuple[By, ...] = ("tool", "category", "cwe", "language")
_SPLITS: tuple[Stage, ...] = ("stage1", "stage2")


class Measured(Protocol):
    """What one model made of a split."""

    @property
    def scores(self) -> tuple[Score, ...]:
        """Of the examples that were scored."""

    @property
    def generations(self) -> tuple[Generation, ...]:
        """Of a few of them."""


class SplitMeasured(msgspec.Struct, frozen=True):
    """A test split and what every model made of it, by the models' names."""

    examples: Sequence[Example]
    models: Mapping[str, Measured]


class Resampling(msgspec.Struct, frozen=True):
    """How intervals are drawn."""

    samples: int
    seed: int


def compare(
    splits: Mapping[Stage, SplitMeasured], resampling: Resampling, champion_run: str | None
) -> Comparison:
    """Return all tables over both test splits.

    Raises:
        ValueError: two models do not score the same examples of a split.
    """
    results = {stage: _split_result(splits[stage], resampling) for stage in _SPLITS}
    known, new = splits["stage1"], splits["stage2"]
    final = final_model(new.models)
    return Comparison(
        champion_run=champion_run,
        splits=results,
        matrix=matrix({stage: result.models for stage, result in results.items()}),
        transfer=Transfer(
            backward=_gain(known.models, final, "stage1", resampling),
            forward=_gain(new.models, "stage1", "base", resampling),
        ),
        specialisation=specialisation(
            _scores(known.models, "stage1"),
            _scores(known.models, final),
            _scores(new.models, final),
            {example.id: example.metadata.get("category", "") for example in new.examples},
        ),
    )


def final_model(models: Mapping[str, Measured]) -> str:
    """Return the name of the model that would be published."""
    return "healed" if "healed" in models else "stage2"


def specialisation(
    stage1_on_stage1: Sequence[Score],
    final_on_stage1: Sequence[Score],
    final_on_stage2: Sequence[Score],
    categories: Mapping[str, str],
) -> Specialisation:
    """Return the plan's scores, each a token accuracy over the assistant's tokens.

    Args:
        stage1_on_stage1: the Stage 1 adapter on Stage 1's test split.
        final_on_stage1: the final model on the same.
        final_on_stage2: the final model on Stage 2's test split.
        categories: the category of each example of Stage 2's test split, by id.
    """
    by_category = _accuracy_by(final_on_stage2, categories)
    return Specialisation(
        stage1=metrics(stage1_on_stage1).token_accuracy,
        stage2=metrics(final_on_stage2).token_accuracy,
        sequential=metrics(final_on_stage1).token_accuracy,
        overall=weighted(by_category),
        categories=by_category,
        smallest=min(by_category, key=lambda name: by_category[name], default=None),
    )


def weighted(by_category: Mapping[str, float]) -> float | None:
    """Return the mean by CATEGORY_WEIGHTS (an unknown category weighs 1), None of none."""
    weights: dict[str, float] = {str(name): weight for name, weight in CATEGORY_WEIGHTS.items()}
    total = math.fsum(weights.get(name, 1.0) for name in by_category)
    summed = math.fsum(weights.get(name, 1.0) * value for name, value in by_category.items())
    return summed / total if total else None


def matrix(splits: Mapping[Stage, Mapping[str, Metrics]]) -> Matrix:
    """Return R[i][j] for every model that was measured on any of the splits."""
    models = tuple(name for name in MODELS if any(name in found for found in splits.values()))

    def values(field: str) -> tuple[tuple[float | None, ...], ...]:
        return tuple(
            tuple(getattr(splits[stage].get(model), field, None) for stage in splits)
            for model in models
        )

    return Matrix(
        models=models,
        splits=tuple(splits),
        token_accuracy=values("token_accuracy"),
        loss=values("loss"),
        edited_token_accuracy=values("edited_token_accuracy"),
        edited_loss=values("edited_loss"),
    )


def gain(
    model: str,
    over: str,
    better: Sequence[Score],
    worse: Sequence[Score],
    resampling: Resampling,
) -> Gain:
    """Return how much better `model` (with scores `better`) is than `over`.

    Raises:
        ValueError: the two do not score the same examples.
    """
    samples, seed = resampling.samples, resampling.seed
    one, other = list(worse), list(better)
    one_errors, other_errors = _errors(worse), _errors(better)
    return Gain(
        model=model,
        over=over,
        loss=paired_difference(one, other, samples=samples, seed=seed),
        token_accuracy=paired_difference(one_errors, other_errors, samples=samples, seed=seed),
        edited_loss=paired_difference(one, other, samples=samples, seed=seed, part="edited"),
        edited_token_accuracy=paired_difference(
            one_errors, other_errors, samples=samples, seed=seed, part="edited"
        ),
    )


def _errors(scores: Sequence[Score]) -> list[Score]:
    """Return scores whose loss is the wrong tokens: a lower one is a higher accuracy."""
    return [
        msgspec.structs.replace(
            score,
            loss_sum=float(score.tokens - score.correct),
            edited_loss_sum=float(score.edited_tokens - score.edited_correct),
        )
        for score in scores
    ]


def _gain(
    models: Mapping[str, Measured], model: str, over: str, resampling: Resampling
) -> Gain | None:
    if model not in models or over not in models:
        return None
    return gain(model, over, models[model].scores, models[over].scores, resampling)


def _split_result(split: SplitMeasured, resampling: Resampling) -> SplitResult:
    names = [name for name in MODELS if name in split.models]
    pairs = [(name, "base") for name in names[1:] if "base" in names]
    pairs += [(name, "stage1") for name in names if name not in {"base", "stage1"}]
    gains = [_gain(split.models, name, over, resampling) for name, over in pairs]
    measured = {name: split.models[name] for name in names}
    return SplitResult(
        examples=len(split.examples),
        models={name: _metrics(one.scores, one.generations) for name, one in measured.items()},
        generated={name: summary(one.generations) for name, one in measured.items()},
        gains=tuple(found for found in gains if found is not None),
        rows=tuple(row for by in GROUPINGS for row in _rows(split, by)),
        weighted={
            name: weighted(_accuracy_by(one.scores, _values(split.examples, "category")))
            for name, one in measured.items()
        },
    )


def _rows(split: SplitMeasured, by: By) -> Iterable[Row]:
    """Yield one row a value of the grouping, the one with the most scored examples first."""
    values = _values(split.examples, by)
    scored = {score.id for one in split.models.values() for score in one.scores}
    ids: dict[str, set[str]] = {}
    for example in sorted(scored & set(values)):
        ids.setdefault(values[example], set()).add(example)
    for value in sorted(ids, key=lambda name: (-len(ids[name]), name)):
        chosen = ids[value]
        of = {
            name: (
                [score for score in one.scores if score.id in chosen],
                [generation for generation in one.generations if generation.id in chosen],
            )
            for name, one in split.models.items()
        }
        yield Row(
            by=by,
            value=value,
            examples=len(chosen),
            models={name: _metrics(*of[name]) for name in MODELS if name in of},
            generated={name: summary(of[name][1]) for name in MODELS if name in of},
        )


def _values(examples: Sequence[Example], by: By) -> dict[str, str]:
    """Return a property of each example by id; public fixes have their data set for a tool."""
    return {
        example.id: example.metadata.get(by, "")
        or (example.metadata.get("source", "") if by == "tool" else "")
        for example in examples
    }


def _accuracy_by(scores: Sequence[Score], values: Mapping[str, str]) -> dict[str, float]:
    """Return the token accuracy of each value, in the order of their names."""
    sums: dict[str, tuple[int, int]] = {}
    for score in scores:
        correct, tokens = sums.get(values.get(score.id, ""), (0, 0))
        sums[values.get(score.id, "")] = (correct + score.correct, tokens + score.tokens)
    return {name: correct / tokens for name, (correct, tokens) in sorted(sums.items())}


def _metrics(scores: Sequence[Score], generations: Sequence[Generation]) -> Metrics:
    return metrics(
        scores,
        [one.exact for one in generations],
        [one.codebleu.value for one in generations if one.codebleu],
    )


def _scores(models: Mapping[str, Measured], name: str) -> tuple[Score, ...]:
    return models[name].scores if name in models else ()
