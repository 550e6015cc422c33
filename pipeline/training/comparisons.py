"""The quality gates beside retention, as pure functions of per-example scores."""

from collections.abc import Sequence

from secdaemon.config.schema import Gates
from secdaemon.pipeline.evaluation.model import Specialisation
from secdaemon.pipeline.interface import Gate, Interval
from secdaemon.pipeline.training.paired import paired_difference, pool
from secdaemon.pipeline.training.scores import Score

CHAMPION_MARGIN = 0.01
"""How much worse than the champion a model may be, as a share of the champion's loss."""


def improvement(
    baseline: Sequence[Score], stage2: Sequence[Score], *, samples: int, seed: int
) -> Gate:
    """Return whether Stage 2's loss on the Stage 2 test split is below the Stage 1 adapter's.

    Both score the same examples. The difference itself decides, not its interval: a project's test
    split has a dozen examples, and few honest improvements could be told from chance on it. The
    sentence says when this one cannot. Without an example, or with numbers that are not finite, it
    is not passed.

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
            f"split: by {difference.text} nats per token{_chance(difference) if passed else ''}"
        )
    return Gate(name="improvement", passed=passed, quality=True, detail=detail)


def edited_tokens(
    base: Sequence[Score], stage2: Sequence[Score], *, samples: int, seed: int
) -> Gate | None:
    """Return whether Stage 2 is no worse than the *base* where an answer is not copied.

    Both score the same examples of Stage 1's test split. Most tokens of a fix are copies, so that
    retention hides a model that only copies. It fails where the whole interval lies on the worse
    side (of one group alone, where the difference does), and where a loss is not finite. None
    where no edited token was scored.

    Raises:
        ValueError: the two do not score the same examples.
    """
    pooled = pool(base, stage2, part="edited")
    if not pooled.groups:
        return None
    difference = paired_difference(base, stage2, samples=samples, seed=seed, part="edited")
    where = "on the edited tokens of the Stage 1 test split"
    if difference.value is None:
        passed, detail = False, f"a loss {where} is not finite"
    else:
        passed = not _wholly_below(difference, 0.0)
        detail = (
            f"{where}, Stage 2 is {'no worse' if passed else 'worse'} than the base: its loss is "
            f"lower by {difference.text} nats per token"
        )
    return Gate(name="edited_tokens", passed=passed, quality=True, detail=detail)


def champion(
    reigning: Sequence[Score], stage2: Sequence[Score], *, run: str, samples: int, seed: int
) -> Gate:
    """Return whether Stage 2 is no worse than the last published adapter, that of run `run`.

    Both score the same examples of the current Stage 2 test split, none of which the champion was
    trained on. It fails where the whole interval lies more than CHAMPION_MARGIN of the champion's
    loss on the worse side (of one group alone, where the difference does): a newer model takes the
    published one's place unless it is shown to be worse, so that a small test split does not stop
    every update.

    Raises:
        ValueError: the two do not score the same examples.
    """
    difference = paired_difference(reigning, stage2, samples=samples, seed=seed)
    against = f"the published model of run {run}"
    if difference.value is None:
        challenger_finite = pool(stage2).finite
        why = f"{against} has a loss that is not finite" if challenger_finite else "a loss is not"
        if not stage2:
            why = f"{against} was trained on every example of the test split"
        detail = f"not compared with the last published model: {why}"
        return Gate(name="champion", passed=challenger_finite, quality=True, detail=detail)
    margin = CHAMPION_MARGIN * float(pool(reigning).means()[0])
    passed = not _wholly_below(difference, -margin)
    detail = (
        f"Stage 2 is {'no worse' if passed else 'worse'} than {against} on the Stage 2 test split: "
        f"its loss is lower by {difference.text} nats per token"
    )
    return Gate(name="champion", passed=passed, quality=True, detail=detail)


def specialised(found: Specialisation, thresholds: Gates) -> Gate:
    """Return whether every score of the plan reaches its threshold; the sentence has them all.

    What could not be scored, for want of an example, misses its threshold.
    """
    scores = (
        ("Stage 1", found.stage1, thresholds.stage1_score),
        ("Stage 2", found.stage2, thresholds.stage2_score),
        ("sequential", found.sequential, thresholds.sequential_score),
        ("overall", found.overall, thresholds.overall_score),
        (f"category {found.smallest}", found.smallest_score, thresholds.category_score),
    )
    missed = [(name, value, least) for name, value, least in scores if not _reached(value, least)]
    parts = (
        f"{name} {'unknown' if value is None else format(value, '.2f')} of {least:.2f}"
        for name, value, least in missed or scores
    )
    word = "below their thresholds" if missed else "all at their thresholds"
    detail = f"specialisation scores {word}: {', '.join(parts)}"
    return Gate(name="specialisation", passed=not missed, quality=True, detail=detail)


def _reached(value: float | None, least: float) -> bool:
    return value is not None and value >= least


def _wholly_below(difference: Interval, line: float) -> bool:
    """Return whether the interval, or where there is none the value, lies below the line."""
    upper = difference.value if difference.ci_high is None else difference.ci_high
    return upper is not None and upper < line


def _chance(difference: Interval) -> str:
    if difference.ci_low is None or difference.ci_high is None:
        return ""
    if difference.ci_low <= 0 <= difference.ci_high:
        return ", which may be chance"
    return ""
