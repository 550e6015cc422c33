"""Retention, as a pure function of per-example scores; docs/retention.md says why it is so.

With L, the loss per assistant token pooled over Stage 1's test split:

    gain      = L_base - L_stage1
    retention = (L_base - L_stage2) / gain
    slack     = (1 - threshold) * gain - (L_stage2 - L_stage1)

`retention >= threshold` and `slack >= 0` say the same where there is a gain; the slack decides,
because it divides by nothing: its interval stays sound where the gain is small.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from secdaemon.pipeline.interface import Interval, RetentionResult
from secdaemon.pipeline.training.paired import UNDEFINED, Array, Pooled, interval, pool
from secdaemon.pipeline.training.scores import Score

Bound = Literal["point", "ci_low"]

_MIN_GROUPS = 2
"""One group alone has no spread."""


def judge(
    base: Sequence[Score],
    stage1: Sequence[Score],
    stage2: Sequence[Score],
    *,
    threshold: float,
    bound: Bound,
    when_undefined: Literal["hold", "pass"],
    samples: int,
    seed: int,
) -> RetentionResult:
    """Return how much of Stage 1's gain is left, and whether that is enough.

    All three score the same examples of Stage 1's test split, in any order. By `ci_low` it passes
    where the slack's whole interval is at least 0, by `point` where the slack itself is. `value`
    is null, and `when_undefined` decides, where there is no example, fewer than two groups, or a
    gain whose interval does not lie above 0. Numbers that are not finite never pass.

    Raises:
        ValueError: the three do not score the same examples.
    """
    pooled = pool(base, stage1, stage2)
    obstacle, gain = _gain(pooled, samples, seed)
    undefined = RetentionResult(
        value=None,
        ci_low=None,
        ci_high=None,
        threshold=threshold,
        passed=pooled.finite and when_undefined == "pass",
        gain=gain,
        token_accuracy_ratio=_accuracy_ratio(stage1, stage2),
        reason=obstacle,
        bound=bound,
    )
    if obstacle:
        return undefined
    means, drawn = pooled.means(), pooled.resampled(samples, seed)
    slack = interval(float(_slack(means, threshold)), _slack(drawn, threshold))
    share = _share(means, drawn)
    decided = slack.value if bound == "point" else slack.ci_low
    return msgspec.structs.replace(
        undefined,
        value=share.value,
        ci_low=share.ci_low,
        ci_high=share.ci_high,
        passed=decided is not None and decided >= 0,
        reason=_sentence(share, gain, slack, threshold, bound),
        slack=slack,
        edited=_edited_share(base, stage1, stage2, samples, seed),
    )


def _gain(pooled: Pooled, samples: int, seed: int) -> tuple[str, Interval]:
    """Return why retention cannot be told, "" where it can, and Stage 1's gain over the base."""
    if not pooled.finite:
        why = "retention cannot be told: a loss on the Stage 1 test split is not finite"
        return why, UNDEFINED
    if pooled.groups < _MIN_GROUPS:
        why = (
            "retention is undefined: the scored part of the Stage 1 test split has "
            f"{pooled.groups} of the {_MIN_GROUPS} groups that an interval needs"
        )
        return why, UNDEFINED
    means, drawn = pooled.means(), pooled.resampled(samples, seed)
    gain = interval(means[0] - means[1], drawn[0] - drawn[1])
    why = (
        "retention is undefined: Stage 1 gained nothing over the base that could be told from "
        f"chance ({gain.text} nats per token)"
    )
    return "" if _is_gain(gain) else why, gain


def is_curable(found: RetentionResult) -> bool:
    """Return whether it is not passed for what was forgotten, not for what cannot be told."""
    return not found.passed and found.value is not None


def _slack(losses: Array, threshold: float) -> Array:
    """Return (1 - threshold) * gain - forgotten, of losses in the order base, Stage 1, Stage 2."""
    slack: Array = (1 - threshold) * (losses[0] - losses[1]) - (losses[2] - losses[1])
    return slack


def _is_gain(gain: Interval) -> bool:
    return gain.ci_low is not None and gain.ci_low > 0


def _share(means: Array, drawn: Array) -> Interval:
    """Return retention; resamples without a gain, at most one in forty here, have none."""
    gains = drawn[0] - drawn[1]
    defined = gains > 0
    shares = (drawn[0] - drawn[2])[defined] / gains[defined]
    return interval((means[0] - means[2]) / (means[0] - means[1]), shares)


def _edited_share(
    base: Sequence[Score],
    stage1: Sequence[Score],
    stage2: Sequence[Score],
    samples: int,
    seed: int,
) -> Interval:
    """Return retention over the edited tokens; all null where Stage 1 gained nothing on them."""
    pooled = pool(base, stage1, stage2, part="edited")
    if pooled.groups < _MIN_GROUPS or not pooled.finite:
        return UNDEFINED
    means, drawn = pooled.means(), pooled.resampled(samples, seed)
    if not _is_gain(interval(means[0] - means[1], drawn[0] - drawn[1])):
        return UNDEFINED
    return _share(means, drawn)


def _accuracy_ratio(stage1: Sequence[Score], stage2: Sequence[Score]) -> float | None:
    """Return Stage 2's token accuracy over Stage 1's, of the same tokens."""
    known = sum(score.correct for score in stage1)
    return sum(score.correct for score in stage2) / known if known else None


def _sentence(
    share: Interval, gain: Interval, slack: Interval, threshold: float, bound: Bound
) -> str:
    assert slack.value is not None
    assert slack.ci_low is not None
    assert slack.ci_high is not None
    left = f"{share.text} of Stage 1's gain of {gain.text} nats per token is left"
    against = f"the threshold of {threshold:.2f}"
    if slack.value < 0 and (bound == "point" or slack.ci_high < 0):
        return f"{left}, less than {against}"
    if bound == "point" or slack.ci_low >= 0:
        return f"{left}, at least {against}"
    return f"{left}: the interval holds {against}, so that chance cannot be told from forgetting"
