"""The quality gates, as pure functions of per-example scores.

Retention is the share of Stage 1's gain over the base that is left after Stage 2, measured on Stage
1's test split with L, the loss per assistant token pooled over all examples:

    retention = (L_base - L_stage2) / (L_base - L_stage1)

Intervals are percentile bootstraps over groups, not examples: what stands in one group (a
repository, an advisory) is not independent. Models are compared pairwise: a resample draws the same
groups for all of them.
"""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from secdaemon.pipeline.interface import Gate, Interval, RetentionResult
from secdaemon.pipeline.training.scores import Score

_TAIL = 2.5
"""Per cent on either side of a 95 % interval."""

_UNDEFINED = Interval(value=None, ci_low=None, ci_high=None)

Array = NDArray[np.float64]


class _Pooled(msgspec.Struct, frozen=True):
    """Sums by group, groups in the order of their names; `losses` is (models, groups)."""

    losses: Array
    correct: Array
    tokens: Array

    @property
    def groups(self) -> int:
        return len(self.tokens)

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.losses).all())

    def means(self) -> Array:
        """Return the loss per token of each model, (models,)."""
        totals: Array = np.array([math.fsum(row) for row in self.losses]) / self.tokens.sum()
        return totals

    def resampled(self, samples: int, seed: int) -> Array:
        """Return the loss per token of each model in each resample, (models, samples)."""
        random = np.random.default_rng(seed)
        drawn = random.multinomial(self.groups, np.full(self.groups, 1 / self.groups), samples)
        means: Array = (self.losses @ drawn.T) / (self.tokens @ drawn.T)
        return means


def judge(
    base: Sequence[Score],
    stage1: Sequence[Score],
    stage2: Sequence[Score],
    *,
    threshold: float,
    when_undefined: Literal["hold", "pass"],
    samples: int,
    seed: int,
) -> RetentionResult:
    """Return how much of Stage 1's gain is left, and whether that is enough.

    All three score the same examples of Stage 1's test split, in any order. `value` is null, and
    `when_undefined` decides, where there is no example, fewer than two groups, or a gain whose
    interval does not lie above 0. Numbers that are not finite never pass.

    Raises:
        ValueError: the three do not score the same examples.
    """
    pooled = _pool(base, stage1, stage2)
    ratio = _accuracy_ratio(stage1, stage2)
    if not pooled.finite:
        reason = "retention cannot be told: a loss on the Stage 1 test split is not finite"
        return _result(None, _UNDEFINED, threshold, passed=False, ratio=ratio, reason=reason)
    passes = when_undefined == "pass"
    if pooled.groups < 2:  # noqa: PLR2004 - one group alone has no spread
        reason = f"retention is undefined: the Stage 1 test split has {pooled.groups} groups"
        return _result(None, _UNDEFINED, threshold, passed=passes, ratio=ratio, reason=reason)
    means, drawn = pooled.means(), pooled.resampled(samples, seed)
    gain = _interval(means[0] - means[1], drawn[0] - drawn[1])
    if gain.ci_low is None or gain.ci_low <= 0:
        reason = (
            "retention is undefined: Stage 1 gained nothing over the base that could be told from "
            f"chance ({_text(gain)} nats per token)"
        )
        return _result(None, gain, threshold, passed=passes, ratio=ratio, reason=reason)
    share = _share(means, drawn)
    assert share.value is not None
    passed = share.value >= threshold
    reason = (
        f"{_text(share)} of Stage 1's gain of {_text(gain)} nats per token is left, "
        f"{'at least' if passed else 'less than'} the threshold of {threshold:.2f}"
    )
    return _result(share, gain, threshold, passed=passed, ratio=ratio, reason=reason)


def improvement(
    baseline: Sequence[Score], stage2: Sequence[Score], *, samples: int, seed: int
) -> Gate:
    """Return whether Stage 2's loss on the Stage 2 test split is below the Stage 1 adapter's.

    Both score the same examples. Without an example, or with numbers that are not finite, it is
    not passed.

    Raises:
        ValueError: the two do not score the same examples.
    """
    difference = paired_difference(baseline, stage2, samples=samples, seed=seed)
    passed = difference.value is not None and difference.value > 0
    if difference.value is None:
        why = "a loss is not finite" if baseline else "it has no example"
        detail = f"Stage 2 cannot be compared with Stage 1 on the Stage 2 test split: {why}"
    else:
        detail = (
            f"Stage 2 {'lowers' if passed else 'does not lower'} the loss on the Stage 2 test "
            f"split: by {_text(difference)} nats per token"
        )
    return Gate(name="improvement", passed=passed, quality=True, detail=detail)


def paired_difference(
    one: Sequence[Score], other: Sequence[Score], *, samples: int, seed: int
) -> Interval:
    """Return how much lower the loss per token of `other` is, in nats, with its interval.

    All null without an example or with numbers that are not finite; a single group has no interval.

    Raises:
        ValueError: the two do not score the same examples.
    """
    pooled = _pool(one, other)
    if not pooled.groups or not pooled.finite:
        return _UNDEFINED
    means = pooled.means()
    if pooled.groups == 1:
        return Interval(value=float(means[0] - means[1]), ci_low=None, ci_high=None)
    drawn = pooled.resampled(samples, seed)
    return _interval(means[0] - means[1], drawn[0] - drawn[1])


def _pool(*models: Sequence[Score]) -> _Pooled:
    """Sum losses, correct tokens and tokens by group, whatever order the examples are in."""
    ordered = [sorted(scores, key=lambda score: (score.group, score.id)) for scores in models]
    keys = [[(score.group, score.id, score.tokens) for score in scores] for scores in ordered]
    if any(other != keys[0] for other in keys[1:]):
        msg = "only scores of the same examples can be compared"
        raise ValueError(msg)
    first = ordered[0]
    names, places = np.unique([score.group for score in first], return_inverse=True)

    def by_group(values: list[float]) -> Array:
        return np.bincount(places, values, len(names)).astype(np.float64)

    return _Pooled(
        losses=np.array([by_group([_loss(score) for score in scores]) for scores in ordered]),
        correct=np.array([by_group([score.correct for score in scores]) for scores in ordered]),
        tokens=by_group([score.tokens for score in first]),
    )


def _loss(score: Score) -> float:
    return math.nan if score.loss_sum is None else score.loss_sum


def _share(means: Array, drawn: Array) -> Interval:
    """Return retention; resamples without a gain, at most one in forty here, have none."""
    gains = drawn[0] - drawn[1]
    defined = gains > 0
    shares = (drawn[0] - drawn[2])[defined] / gains[defined]
    return _interval((means[0] - means[2]) / (means[0] - means[1]), shares)


def _interval(value: float, resampled: Array) -> Interval:
    low, high = np.percentile(resampled, (_TAIL, 100 - _TAIL))
    return Interval(value=float(value), ci_low=float(low), ci_high=float(high))


def _accuracy_ratio(stage1: Sequence[Score], stage2: Sequence[Score]) -> float | None:
    """Return Stage 2's token accuracy over Stage 1's, of the same tokens."""
    known = sum(score.correct for score in stage1)
    return sum(score.correct for score in stage2) / known if known else None


def _result(
    share: Interval | None,
    gain: Interval,
    threshold: float,
    *,
    passed: bool,
    ratio: float | None,
    reason: str,
) -> RetentionResult:
    share = share or _UNDEFINED
    return RetentionResult(
        value=share.value,
        ci_low=share.ci_low,
        ci_high=share.ci_high,
        threshold=threshold,
        passed=passed,
        gain=gain,
        token_accuracy_ratio=ratio,
        reason=reason,
    )


def _text(interval: Interval) -> str:
    """Return the value and, where there is one, its interval."""
    if interval.ci_low is None or interval.ci_high is None:
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} [{interval.ci_low:.3f}, {interval.ci_high:.3f}]"
