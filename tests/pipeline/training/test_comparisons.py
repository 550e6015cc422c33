"""The quality gates beside retention, as properties."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from secdaemon.config.schema import Gates
from secdaemon.pipeline.evaluation.model import Specialisation
from secdaemon.pipeline.training.comparisons import (
    CHAMPION_MARGIN,
    champion,
    edited_tokens,
    improvement,
    specialised,
)
from secdaemon.pipeline.training.paired import paired_difference, pool
from secdaemon.pipeline.training.scores import Score

LOSSES = st.lists(st.floats(0.1, 5.0), min_size=1, max_size=12)


def scores(losses: Sequence[float], *, edited: int = 4, members: int = 1) -> list[Score]:
    """Return scores of ten tokens each, `edited` of which are edited, at the same loss."""
    return [
        Score(
            id=f"e{n}",
            group=f"g{n // members}",
            loss_sum=loss * 10,
            correct=5,
            tokens=10,
            edited_loss_sum=loss * edited,
            edited_correct=0,
            edited_tokens=edited,
        )
        for n, loss in enumerate(losses)
    ]


def test_improvement_tells_by_how_much() -> None:
    """The gate passes when Stage 2 is better, and says so with an interval."""
    before, after = scores([1.0] * 5), scores([0.5] * 5)
    gate = improvement(before, after, samples=100, seed=0)
    assert (gate.name, gate.passed, gate.quality) == ("improvement", True, True)
    assert "0.500 [0.500, 0.500]" in gate.detail
    assert "chance" not in gate.detail
    assert not improvement(after, before, samples=100, seed=0).passed
    assert not improvement(after, after, samples=100, seed=0).passed
    assert not improvement([], [], samples=100, seed=0).passed


def test_an_improvement_that_may_be_chance_passes_and_says_so() -> None:
    """The difference decides; that its interval holds 0 is in the sentence."""
    before, after = scores([1.0] * 10), scores([0.5, 1.4] * 5)
    gate = improvement(before, after, samples=400, seed=0)
    assert gate.passed
    assert gate.detail.endswith("which may be chance")


def test_one_group_has_a_difference_without_interval() -> None:
    """A single group can be compared, but says nothing about chance."""
    before, after = scores([1.0]), scores([0.5])
    difference = paired_difference(before, after, samples=100, seed=0)
    assert difference.value == pytest.approx(0.5)
    assert difference.ci_low is None
    assert improvement(before, after, samples=100, seed=0).passed


@given(LOSSES, st.floats(-0.5, 0.5), st.integers(1, 3))
def test_a_shift_of_every_loss_is_told_exactly(
    losses: list[float], shift: float, members: int
) -> None:
    """The same change everywhere has no spread, in either part of the tokens."""
    one = scores(losses, members=members)
    other = scores([loss - shift for loss in losses], members=members)
    for part in ("all", "edited"):
        found = paired_difference(one, other, samples=100, seed=0, part=part)  # type: ignore[arg-type]
        assert found.value == pytest.approx(shift)
        if found.ci_low is not None:
            assert found.ci_low == pytest.approx(shift)
    assert improvement(one, other, samples=100, seed=0).passed == (
        paired_difference(one, other, samples=100, seed=0).value > 0  # type: ignore[operator]
    )


@given(LOSSES, LOSSES)
def test_a_difference_turned_around_is_its_negative(one: list[float], other: list[float]) -> None:
    """Which of the two comes first changes the sign and nothing else."""
    count = min(len(one), len(other))
    first, second = scores(one[:count]), scores(other[:count])
    there = paired_difference(first, second, samples=100, seed=0)
    back = paired_difference(second, first, samples=100, seed=0)
    assert there.value == pytest.approx(-back.value)  # type: ignore[operator]
    if there.ci_low is not None:
        assert there.ci_low == pytest.approx(-back.ci_high)  # type: ignore[operator]


def test_edited_tokens_are_compared_with_the_base() -> None:
    """Wholly worse fails; better, equal, or worse by chance does not."""
    base = scores([1.0] * 8)
    for losses, passed in (
        ([0.9] * 8, True),
        ([1.0] * 8, True),
        ([1.3, 0.8] * 4, True),
        ([1.2] * 8, False),
    ):
        gate = edited_tokens(base, scores(losses), samples=200, seed=0)
        assert gate is not None
        assert (gate.name, gate.passed, gate.quality) == ("edited_tokens", passed, True)


def test_edited_tokens_that_were_not_measured_say_nothing() -> None:
    """Without an edited token there is no gate, not one that passes."""
    base = scores([1.0] * 4, edited=0)
    assert edited_tokens(base, base, samples=100, seed=0) is None
    some = [*scores([1.0] * 4, edited=0)[:3], scores([1.0] * 4)[3]]
    assert pool(some, part="edited").groups == 1


@given(LOSSES, st.integers(0, 11), st.sampled_from([None, float("nan"), float("inf")]))
def test_a_model_that_is_not_finite_passes_no_gate(
    losses: list[float], place: int, lost: float | None
) -> None:
    """One loss is enough, for every gate."""
    good = scores(losses)
    place %= len(losses)
    bad = [*good]
    bad[place] = replace(bad[place], loss_sum=lost, edited_loss_sum=lost)
    assert not improvement(good, bad, samples=100, seed=0).passed
    assert not champion(good, bad, run="r", samples=100, seed=0).passed
    guard = edited_tokens(good, bad, samples=100, seed=0)
    assert guard is not None
    assert not guard.passed
    assert champion(bad, good, run="r", samples=100, seed=0).passed


def test_the_champion_is_only_defended_against_what_is_shown_to_be_worse() -> None:
    """Worse by chance or within the margin passes; worse beyond both does not."""
    reigning = scores([1.0] * 10)
    within = 1.0 + CHAMPION_MARGIN / 2
    for losses, passed in (
        ([0.5] * 10, True),
        ([within] * 10, True),
        ([1.5, 0.6] * 5, True),
        ([1.1] * 10, False),
    ):
        gate = champion(reigning, scores(losses), run="20261122_101112", samples=200, seed=0)
        assert (gate.name, gate.passed, gate.quality) == ("champion", passed, True)
        assert "20261122_101112" in gate.detail


def test_a_champion_that_knew_every_test_example_is_not_compared() -> None:
    """Nothing unseen is left: the gate passes and says why."""
    gate = champion([], [], run="r", samples=100, seed=0)
    assert gate.passed
    assert "not compared" in gate.detail
    assert "trained on every example" in gate.detail


THRESHOLDS = Gates(
    improvement=True,
    champion=True,
    specialisation=True,
    stage1_score=0.75,
    stage2_score=0.70,
    sequential_score=0.60,
    overall_score=0.75,
    category_score=0.40,
)
ENOUGH = Specialisation(
    stage1=0.75, stage2=0.7, sequential=0.6, overall=0.75, categories={"x": 0.4}, smallest="x"
)


def test_every_score_has_to_reach_its_threshold() -> None:
    """At the thresholds it passes; one score below, or unknown, is named and fails."""
    gate = specialised(ENOUGH, THRESHOLDS)
    assert (gate.name, gate.passed, gate.quality) == ("specialisation", True, True)
    for field in ("stage1", "stage2", "sequential", "overall"):
        for value in (None, 0.59):
            gate = specialised(replace(ENOUGH, **{field: value}), THRESHOLDS)
            assert not gate.passed
            assert ("unknown" if value is None else "0.59") in gate.detail
    gate = specialised(replace(ENOUGH, categories={"x": 0.39}), THRESHOLDS)
    assert not gate.passed
    assert "category x 0.39 of 0.40" in gate.detail
