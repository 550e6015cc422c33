"""Retention, as properties."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from secdaemon.pipeline.training.retention import is_curable, judge
from secdaemon.pipeline.training.scores import Score

ROW = st.tuples(
    st.integers(1, 50),
    st.floats(0.5, 3.0),
    st.floats(0.1, 2.0),
    st.floats(-1.0, 2.0),
)
ROWS = st.lists(ROW, min_size=2, max_size=25)
Models = tuple[list[Score], list[Score], list[Score]]


def models(rows: list[tuple[int, float, float, float]], *, members: int = 1) -> Models:
    """Return base, Stage 1 and Stage 2 from (tokens, Stage 1's loss, its gain, what is kept)."""
    scores: Models = ([], [], [])
    for n, (tokens, loss, gain, kept) in enumerate(rows):
        for model, value in zip(scores, (loss + gain, loss, loss + gain * (1 - kept)), strict=True):
            model.append(
                Score(
                    id=f"e{n}",
                    group=f"g{n // members}",
                    loss_sum=value * tokens,
                    correct=tokens // 2,
                    tokens=tokens,
                    edited_loss_sum=value * (tokens // 3),
                    edited_correct=0,
                    edited_tokens=tokens // 3,
                )
            )
    return scores


def verdict(scores: Models, **changes: Any) -> Any:
    """Judge with the usual settings."""
    usual: dict[str, Any] = {
        "threshold": 0.9,
        "bound": "ci_low",
        "when_undefined": "hold",
        "samples": 200,
        "seed": 0,
    }
    return judge(*scores, **(usual | changes))


@given(ROWS)
def test_nothing_forgotten_is_all_retained(rows: list[tuple[int, float, float, float]]) -> None:
    """Stage 2 equal to Stage 1 keeps exactly 1, and so does every resample."""
    base, stage1, _ = models(rows)
    result = verdict((base, stage1, stage1))
    assert (result.value, result.ci_low, result.ci_high) == (1.0, 1.0, 1.0)
    assert result.passed


@given(ROWS)
def test_back_at_the_base_nothing_is_retained(
    rows: list[tuple[int, float, float, float]],
) -> None:
    """Stage 2 equal to the base keeps exactly 0 and does not pass."""
    base, stage1, _ = models(rows)
    result = verdict((base, stage1, base))
    assert (result.value, result.passed) == (0.0, False)


@given(ROWS, st.randoms(use_true_random=False))
def test_order_does_not_matter(
    rows: list[tuple[int, float, float, float]], shuffle: random.Random
) -> None:
    """Any order of the examples, in each model its own, gives the same result."""
    scores = models(rows, members=2)
    shuffled = tuple(shuffle.sample(model, len(model)) for model in scores)
    assert verdict(shuffled) == verdict(scores)  # type: ignore[arg-type]


@given(ROWS, st.integers(0, 24), st.integers(0, 2), st.sampled_from(["hold", "pass"]))
def test_numbers_that_are_not_finite_never_pass(
    rows: list[tuple[int, float, float, float]], place: int, model: int, undefined: str
) -> None:
    """One loss that is not finite fails, whatever when_undefined says."""
    scores = models(rows)
    place %= len(rows)
    for lost in (None, float("nan"), float("inf")):
        scores[model][place] = replace(scores[model][place], loss_sum=lost)
        result = verdict(scores, when_undefined=undefined, threshold=0.0)
        assert (result.value, result.passed) == (None, False)
        assert "not finite" in result.reason
        assert not is_curable(result)


@given(ROWS, st.floats(0.0, 1.0), st.sampled_from(["point", "ci_low"]))
def test_the_verdict_is_the_threshold_reached_by_the_bound(
    rows: list[tuple[int, float, float, float]], threshold: float, bound: str
) -> None:
    """The slack decides, and where it is not about 0 the share says the same."""
    result = verdict(models(rows), threshold=threshold, bound=bound)
    value = result.value if bound == "point" else result.ci_low
    slack = result.slack.value if bound == "point" else result.slack.ci_low
    assert result.passed == (slack >= 0)
    if abs(slack) > 1e-9:
        assert result.passed == (value >= threshold)
    assert result.bound == bound
    assert result.ci_low <= result.ci_high
    kept = [row[3] for row in rows]
    assert min(kept) - 1e-6 <= result.value <= max(kept) + 1e-6


@given(ROWS, st.floats(0.0, 1.0))
def test_the_interval_is_stricter_than_the_point(
    rows: list[tuple[int, float, float, float]], threshold: float
) -> None:
    """What passes by the lower end lies above the threshold, up to the bootstrap's own bias."""
    scores = models(rows)
    by_end = verdict(scores, threshold=threshold)
    if by_end.passed and by_end.slack.value >= 0:
        assert verdict(scores, threshold=threshold, bound="point").passed
    if by_end.slack.ci_high < 0:
        assert "less than the threshold" in by_end.reason
    assert is_curable(by_end) == (not by_end.passed)


@given(ROWS, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_lower_threshold_is_never_harder(
    rows: list[tuple[int, float, float, float]], one: float, other: float
) -> None:
    """Who passes a threshold passes every lower one, by either bound, where Stage 1 gained."""
    scores = models(rows)
    for bound in ("point", "ci_low"):
        strict = verdict(scores, threshold=max(one, other), bound=bound)
        lax = verdict(scores, threshold=min(one, other), bound=bound)
        assert lax.passed or not strict.passed


@given(st.lists(ROW.map(lambda row: (row[0] + 2, *row[1:])), min_size=2, max_size=25))
def test_the_edited_tokens_have_a_share_of_their_own(
    rows: list[tuple[int, float, float, float]],
) -> None:
    """It is their own losses' and leaves the share of all tokens as it was."""
    base, stage1, stage2 = models(rows)
    worse = [
        replace(score, edited_loss_sum=before.edited_loss_sum)
        for score, before in zip(stage2, base, strict=True)
    ]
    result, other = verdict((base, stage1, stage2)), verdict((base, stage1, worse))
    assert result.edited.ci_low <= result.edited.ci_high
    assert other.edited.value == 0.0
    assert (other.value, other.passed) == (result.value, result.passed)


@given(ROWS)
def test_without_a_gain_it_is_undefined(rows: list[tuple[int, float, float, float]]) -> None:
    """Where Stage 1 is no better than the base, when_undefined decides."""
    base, stage1, stage2 = models(rows)
    for scores in ((stage1, stage1, stage2), (stage1, base, stage2)):
        for undefined in ("hold", "pass"):
            result = verdict(scores, when_undefined=undefined)
            assert (result.value, result.ci_low, result.ci_high) == (None, None, None)
            assert result.passed == (undefined == "pass")


def test_a_gain_within_chance_is_undefined() -> None:
    """A gain that comes and goes from group to group has an interval around 0."""
    base, stage1, stage2 = models([(10, 1.0, 1.0 if n % 2 else -0.9, 1.0) for n in range(20)])
    result = verdict((base, stage1, stage2))
    assert result.value is None
    assert result.gain.value > 0 > result.gain.ci_low


def test_too_few_groups_are_undefined() -> None:
    """An empty split, or one group however large, tells nothing."""
    for scores in (models([]), models([(10, 1.0, 1.0, 1.0)] * 9, members=9)):
        result = verdict(scores, when_undefined="pass")
        assert (result.value, result.passed) == (None, True)
        assert not verdict(scores).passed


def test_the_sentence_has_the_numbers() -> None:
    """Half of the gain lost is told with its interval and the threshold."""
    result = verdict(models([(10, 1.0, 1.0, 0.5)] * 6))
    assert result.value == pytest.approx(0.5)
    assert "0.500 [0.500, 0.500] of Stage 1's gain of 1.000 [1.000, 1.000]" in result.reason
    assert "less than the threshold of 0.90" in result.reason
    assert result.slack.value == pytest.approx(-0.4)
    assert result.token_accuracy_ratio == 1.0


def test_what_cannot_be_told_from_chance_is_not_passed_by_the_interval() -> None:
    """Enough by the value, perhaps too little by the interval: undecided, which can be healed."""
    rows = [(10, 1.0, 1.0, 1.0 if n % 2 else 0.86) for n in range(12)]
    result = verdict(models(rows))
    assert result.value == pytest.approx(0.93)
    assert result.ci_low < 0.9 < result.ci_high
    assert not result.passed
    assert is_curable(result)
    assert "cannot be told" in result.reason
    assert verdict(models(rows), bound="point").passed


def test_without_edited_tokens_their_share_is_not_measured() -> None:
    """Scores of a model measured before edited tokens were counted have none."""
    scores = models([(2, 1.0, 1.0, 0.95)] * 6)
    assert verdict(scores).value == pytest.approx(0.95)
    assert verdict(scores).edited.value is None


def test_groups_are_drawn_whole() -> None:
    """Twenty copies in two groups are no more certain than two examples."""
    rows = [(10, 1.0, 1.0, 0.2)] * 10 + [(10, 1.0, 1.0, 1.0)] * 10
    clustered = verdict(models(rows, members=10))
    alone = verdict(models(rows))
    assert clustered.value == alone.value
    assert clustered.ci_high - clustered.ci_low > 2 * (alone.ci_high - alone.ci_low)


def test_other_examples_are_refused() -> None:
    """Scores of different examples are not compared."""
    base, stage1, stage2 = models([(10, 1.0, 1.0, 1.0)] * 4)
    with pytest.raises(ValueError, match="same examples"):
        verdict((base, stage1, stage2[1:]))
