"""Healing's decisions, without a model: how far back, what to train with, which one is kept."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from secdaemon.config.paths import Home
from secdaemon.config.schema import Stage2
from secdaemon.config.settings import load_settings
from secdaemon.pipeline.healing import (
    LEAST_REPLAY,
    PROBES,
    Candidate,
    attempts,
    choose,
    furthest,
    gentler_settings,
    needs_healing,
    remedy,
)
from secdaemon.pipeline.interface import Gate, Interval, RetentionResult
from secdaemon.pipeline.judging import Judgement
from secdaemon.pipeline.training.evaluate import Evaluation
from secdaemon.pipeline.training.scores import metrics

STAGE2 = load_settings(Home(Path("/nowhere"), chosen=True), environ={}).stage2
NOTHING = Evaluation(metrics=metrics(()), scores=(), total=0, left_out={}, not_sampled=0)
UNKNOWN = Interval(value=None, ci_low=None, ci_high=None)


def candidate(
    kind: str, *failed: str, t: float = 1.0, training: int = 0, value: float | None = 0.5
) -> Candidate:
    """Return a model against which these gates stand."""
    names = ("retention", "edited_tokens", "improvement", "champion")
    found = RetentionResult(
        value=value,
        ci_low=value,
        ci_high=value,
        threshold=0.9,
        passed="retention" not in failed,
        gain=UNKNOWN,
        token_accuracy_ratio=None,
        reason="",
    )
    judgement = Judgement(
        known=NOTHING,
        new=NOTHING,
        retention=found,
        improvement=UNKNOWN,
        gates=tuple(
            Gate(name=name, passed=name not in failed, quality=True, detail=name) for name in names
        ),
    )
    return Candidate(
        kind=kind,
        training=training,
        t=t,
        settings=STAGE2,
        adapter=Path(kind),
        judgement=judgement,
    )


@given(st.floats(0, 1), st.integers(1, 12))
def test_the_furthest_point_is_found_to_a_power_of_two(end: float, probes: int) -> None:
    """Where [0, end) holds, the answer holds, and the next point beyond it does not."""
    asked: list[float] = []

    def keeps(t: float) -> bool:
        asked.append(t)
        return t < end

    found = furthest(keeps, probes)
    assert len(asked) == len(set(asked)) == probes
    assert all(0 < t < 1 for t in asked)
    assert found == 0 or keeps(found)
    assert found + 0.5**probes >= end
    assert found == 0 or found in asked


@given(
    st.floats(0, 1),
    st.floats(1e-7, 1.0),
    st.lists(st.sampled_from(["replay", "ewc", "curriculum"]), unique=True).map(tuple),
)
def test_each_retraining_is_gentler_than_the_one_before(
    ratio: float, rate: float, method: tuple[str, ...]
) -> None:
    """More replay until every example has one, half the rate, and nothing else is changed."""
    before = replace(STAGE2, replay_ratio=ratio, learning_rate=rate, method=method)
    asked: Stage2 = before
    for number in range(1, 5):
        gentler = gentler_settings(before, number)
        assert gentler.replay_ratio >= LEAST_REPLAY
        had = asked.replay_ratio if "replay" in asked.method else 0.0
        assert gentler.replay_ratio > had or gentler.replay_ratio == 1.0
        assert gentler.learning_rate == pytest.approx(asked.learning_rate / 2)
        assert set(gentler.method) == {*method, "replay"}
        same = replace(gentler, replay_ratio=ratio, learning_rate=rate, method=method)
        assert same == before
        asked = gentler


def test_only_forgetting_that_was_measured_is_healed() -> None:
    """Not what passed, not what cannot be told, not a model that diverged, not other gates."""
    assert needs_healing(candidate("trained", "retention"))
    assert needs_healing(candidate("trained", "retention", "improvement"))
    assert needs_healing(candidate("trained", "edited_tokens"))
    assert not needs_healing(candidate("trained"))
    assert not needs_healing(candidate("trained", "improvement"))
    assert not needs_healing(candidate("trained", "champion"))
    assert not needs_healing(candidate("trained", "retention", value=None))
    assert not needs_healing(candidate("trained", "retention", "edited_tokens", value=None))
    assert not needs_healing(replace(candidate("retrained"), judgement=None))


def test_the_furthest_point_that_passed_is_chosen() -> None:
    """Not the nearest, though it passed as well, and not one that forgot too much."""
    trained = candidate("trained", "retention")
    points = [
        candidate("walk", "retention", t=0.5),
        candidate("walk", t=0.25),
        candidate("walk", t=0.375),
    ]
    chosen = choose([trained, *points])
    assert chosen is points[2]
    assert [attempt.chosen for attempt in attempts([trained, *points], chosen)] == [
        False,
        False,
        False,
        True,
    ]
    text = remedy([trained, *points], chosen)
    assert text is not None
    assert "Stage 2 as trained kept 0.500" in text
    assert "0.375 of the way" in text


def test_where_nothing_passed_what_training_made_is_kept() -> None:
    """Unless another one has fewer gates against it; a point that kept too little never is."""
    trained = candidate("trained", "retention")
    forgot = candidate("walk", "improvement", t=0.5)
    again = candidate("retrained", "retention", training=1)
    diverged = replace(candidate("retrained", training=2), judgement=None, diverged="nan")
    assert choose([trained, forgot, again, diverged]) is trained
    worse = candidate("trained", "retention", "champion")
    moved = candidate("walk", "champion", t=0.5)
    assert choose([worse, moved, again]) is moved
    assert choose([worse, forgot, again]) is again
    text = remedy([worse, forgot, again], again)
    assert text is not None
    assert text.startswith("healing was tried (1 point")
    assert "trained again with 15% replay" in text


def test_an_attempt_that_diverged_says_so() -> None:
    """It has no numbers, and its sentence is the training's."""
    trained = candidate("trained", "retention")
    diverged = replace(candidate("retrained", training=1), judgement=None, diverged="it is nan")
    (_, found) = attempts([trained, diverged], trained)
    assert (found.retention, found.improvement, found.passed) == (None, None, False)
    assert found.detail == "it is nan"
    assert found.training == 1


def test_nothing_tried_leaves_nothing_to_tell() -> None:
    """A model that passed has no remedy."""
    trained = candidate("trained")
    assert choose([trained]) is trained
    assert remedy([trained], trained) is None
    assert PROBES == 6
