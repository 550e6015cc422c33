"""Models side by side: the matrix, gains, groups, weights and the plan's scores."""

from collections.abc import Sequence
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.evaluation.model import Generation
from secdaemon.pipeline.evaluation.tables import (
    Resampling,
    SplitMeasured,
    compare,
    gain,
    specialisation,
    weighted,
)
from secdaemon.pipeline.examples import Example, conversation
from secdaemon.pipeline.fixes.categories import CATEGORY_WEIGHTS, Category
from secdaemon.pipeline.training.scores import Score

RESAMPLING = Resampling(200, 3)
CATEGORIES = ("code", "web", "webauthn")


class Found(msgspec.Struct, frozen=True):
    """What a model made of a split."""

    scores: tuple[Score, ...]
    generations: tuple[Generation, ...] = ()


def examples(count: int, prefix: str = "e") -> tuple[Example, ...]:
    """Return examples of three categories and two tools."""
    return tuple(
        Example(
            id=f"{prefix}{n}",
            messages=conversation(f"Question {n}", f"Answer {n}"),
            group=f"g{n}",
            metadata={
                "category": CATEGORIES[n % 3],
                "tool": ("zap", "trivy")[n % 2],
                "language": "python" if n else "",
                "cwe": "CWE-79",
            },
        )
        for n in range(count)
    )


def scored(split: Sequence[Example], loss: float, correct: int) -> Found:
    """Return a model that has the same loss and as many of ten tokens right everywhere."""
    return Found(
        tuple(
            Score(
                id=example.id,
                group=example.group,
                loss_sum=loss * 10,
                correct=correct,
                tokens=10,
                edited_loss_sum=loss * 4,
                edited_correct=correct // 3,
                edited_tokens=2,
            )
            for example in split
        ),
        tuple(
            Generation(
                id=example.id,
                text="x",
                exact=correct > 7,
                exact_normalised=True,
                cut=False,
                checks={"names_weakness": correct > 5},
            )
            for example in split[:2]
        ),
    )


@pytest.fixture
def splits() -> dict[str, SplitMeasured]:
    """Return both test splits with four models."""
    known, new = examples(6, "k"), examples(6, "n")
    return {
        "stage1": SplitMeasured(
            known,
            {
                "stage2": scored(known, 1.2, 7),
                "base": scored(known, 2.0, 4),
                "stage1": scored(known, 1.0, 8),
                "champion": scored(known, 1.5, 6),
            },
        ),
        "stage2": SplitMeasured(
            new,
            {
                "base": scored(new, 3.0, 2),
                "stage1": scored(new, 2.5, 3),
                "stage2": scored(new, 1.5, 6),
                "champion": scored(new, 1.7, 5),
            },
        ),
    }


def test_the_matrix_has_a_row_a_model_and_a_column_a_split(
    splits: dict[str, SplitMeasured],
) -> None:
    """R[i][j] stands where it belongs, models in their own order."""
    found = compare(splits, RESAMPLING, "20260101_000000").matrix
    assert found.models == ("base", "stage1", "stage2", "champion")
    assert found.splits == ("stage1", "stage2")
    assert found.token_accuracy == ((0.4, 0.2), (0.8, 0.3), (0.7, 0.6), (0.6, 0.5))
    assert found.loss[2] == (1.2, 1.5)
    assert found.edited_loss[0] == (4.0, 6.0)


def test_backward_transfer_is_what_stage_2_did_to_stage_1_s_split(
    splits: dict[str, SplitMeasured],
) -> None:
    """BWT is R[2][1] - R[1][1], FWT is R[1][2] - R[0][2], each with an interval."""
    found = compare(splits, RESAMPLING, None).transfer
    assert found.backward is not None
    assert found.backward.token_accuracy.value == pytest.approx(-0.1)
    assert found.backward.loss.value == pytest.approx(-0.2)
    assert found.backward.loss.ci_low == pytest.approx(-0.2)
    assert found.forward is not None
    assert found.forward.token_accuracy.value == pytest.approx(0.1)


def test_every_model_is_held_against_the_base_and_stage_1(
    splits: dict[str, SplitMeasured],
) -> None:
    """Gains over the base stand for all, over Stage 1 for what came after it."""
    gains = compare(splits, RESAMPLING, None).splits["stage2"].gains
    assert [(one.model, one.over) for one in gains] == [
        ("stage1", "base"),
        ("stage2", "base"),
        ("champion", "base"),
        ("stage2", "stage1"),
        ("champion", "stage1"),
    ]
    assert gains[1].loss.value == pytest.approx(1.5)
    assert gains[1].edited_loss.value == pytest.approx(3.0)


def test_the_healed_model_is_the_final_one(splits: dict[str, SplitMeasured]) -> None:
    """Where a healed model was measured, transfer and scores are its own."""
    healed = {
        stage: SplitMeasured(
            split.examples, {**split.models, "healed": scored(split.examples, 1.1, 9)}
        )
        for stage, split in splits.items()
    }
    found = compare(healed, RESAMPLING, None)
    assert found.transfer.backward is not None
    assert found.transfer.backward.model == "healed"
    assert found.specialisation.sequential == 0.9


def test_groups_add_up_to_the_split(splits: dict[str, SplitMeasured]) -> None:
    """Every scored example stands in one row of each grouping, biggest group first."""
    found = compare(splits, RESAMPLING, None).splits["stage1"]
    for by in ("tool", "category", "cwe", "language"):
        rows = [row for row in found.rows if row.by == by]
        counts = [row.examples for row in rows]
        assert sum(counts) == 6
        assert counts == sorted(counts, reverse=True)
        assert sum(row.generated["base"].examples for row in rows) == 2
    assert {row.value for row in found.rows if row.by == "language"} == {"python", ""}
    assert found.models["stage1"].exact_match == 1.0
    assert found.generated["stage1"].checks["names_weakness"].passed == 2


def test_every_category_has_the_plan_s_weight() -> None:
    """No category is without a weight, and the weights are the plan's."""
    assert set(CATEGORY_WEIGHTS) == set(get_args(Category))
    assert CATEGORY_WEIGHTS["webauthn"] == 1.5
    assert weighted({"code": 0.5, "webauthn": 1.0}) == pytest.approx((0.5 + 1.5) / 2.5)
    assert weighted({}) is None


@given(st.dictionaries(st.sampled_from([*CATEGORY_WEIGHTS, "", "new"]), st.floats(0, 1)))
def test_a_weighted_score_lies_between_its_categories(scores: dict[str, float]) -> None:
    """It is never above the best category nor below the worst."""
    found = weighted(scores)
    if found is None:
        assert not scores
    else:
        assert min(scores.values()) - 1e-9 <= found <= max(scores.values()) + 1e-9


def test_the_plan_s_scores_are_token_accuracies() -> None:
    """Each score is that of its model on its split; the smallest category is named."""
    split = examples(3)
    low, high = scored(split, 1.0, 4).scores, scored(split, 1.0, 8).scores
    mixed = (high[0], low[1], high[2])
    found = specialisation(high, low, mixed, {e.id: e.metadata["category"] for e in split})
    assert (found.stage1, found.sequential) == (0.8, 0.4)
    assert found.stage2 == pytest.approx(20 / 30)
    assert found.categories == {"code": 0.8, "web": 0.4, "webauthn": 0.8}
    assert (found.smallest, found.smallest_score) == ("web", 0.4)
    assert found.overall == pytest.approx((0.8 + 1.2 * 0.4 + 1.5 * 0.8) / 3.7)


def test_scores_of_nothing_are_null() -> None:
    """An empty test split has no score and no smallest category."""
    found = specialisation((), (), (), {})
    assert (found.stage1, found.stage2, found.overall, found.smallest_score) == (None,) * 4


def test_a_gain_needs_the_same_examples() -> None:
    """Scores of other examples are refused, and equal scores gain nothing."""
    one = scored(examples(4), 1.0, 5).scores
    same = gain("stage2", "stage1", one, one, RESAMPLING)
    assert (same.loss.value, same.token_accuracy.value) == (0.0, 0.0)
    with pytest.raises(ValueError, match="same examples"):
        gain("stage2", "stage1", one, one[1:], RESAMPLING)
