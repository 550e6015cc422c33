"""How many iterations there are, and the learning rate over the optimizer's steps."""

import mlx.core as mx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.config import schema
from secdaemon.pipeline.training.rates import optimizer, planned, rate

TRAINING = schema.Training(
    batch_size=4,
    checkpoint_every=10,
    max_seq_length=128,
    mask_prompt=True,
    warmup_ratio=0.1,
    schedule="constant",
    weight_decay=0.01,
    grad_accumulation_steps=1,
    grad_checkpoint=False,
    early_stopping=None,
    max_epochs=None,
    memory_gb=None,
    hostfile=None,
    seed=0,
)


def settings(**changes: object) -> schema.Training:
    """Return training settings with these changes."""
    return msgspec.structs.replace(TRAINING, **changes)


def curve(steps: int, **changes: object) -> list[float]:
    """Return the rates of all steps, whose peak is 1."""
    found = rate(1.0, steps, settings(**changes))
    if not callable(found):
        return [found] * steps
    return [float(found(mx.array(step, mx.uint64)).item()) for step in range(steps)]


@given(
    st.integers(1, 5000),
    st.integers(1, 2000),
    st.integers(1, 8),
    st.integers(1, 8),
    st.none() | st.floats(0.1, 20),
)
def test_iterations_follow_from_the_data(
    asked: int, examples: int, batch_size: int, accumulation: int, epochs: float | None
) -> None:
    """They are at least one, whole steps, and beyond what was asked for only to fill a step."""
    found = planned(
        asked,
        examples,
        settings(batch_size=batch_size, grad_accumulation_steps=accumulation, max_epochs=epochs),
    )
    assert found > 0
    assert found % accumulation == 0
    assert found - asked < accumulation
    if epochs is None:
        assert found >= asked
    else:
        assert (found - accumulation) * batch_size < max(epochs * examples, 1) + batch_size


def test_a_tiny_set_is_not_trained_on_blindly() -> None:
    """Ten times over 23 examples in batches of 4 are 58 iterations, whatever was asked for."""
    assert planned(1600, 23, settings(max_epochs=10)) == 58
    assert planned(1600, 23, settings(max_epochs=10, grad_accumulation_steps=4)) == 60
    assert planned(20, 23, settings(max_epochs=10)) == 20


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
@pytest.mark.parametrize("steps", [1, 2, 9, 40])
def test_the_rate_rises_to_its_peak_and_never_is_zero(schedule: str, steps: int) -> None:
    """The warm-up starts above zero, the peak comes right behind it, every step counts."""
    rates = curve(steps, schedule=schedule)
    warm_up = round(0.1 * steps)
    assert rates[:warm_up] == sorted(rates[:warm_up])
    assert rates[warm_up if warm_up < steps else -1] == pytest.approx(1)
    assert all(0 < value <= 1.000001 for value in rates)


def test_the_schedules_fall_as_they_are_called() -> None:
    """Half way behind the warm-up both falling schedules have half the rate."""
    assert curve(40, schedule="constant")[-1] == pytest.approx(1)
    for schedule in ("cosine", "linear"):
        rates = curve(40, schedule=schedule)
        assert rates[4:] == sorted(rates[4:], reverse=True)
        assert rates[4 + 18] == pytest.approx(0.5)
        assert rates[-1] < 0.03
    assert curve(40, schedule="linear")[13] == pytest.approx(0.75)
    assert curve(40, schedule="cosine")[13] == pytest.approx(0.853, abs=1e-3)


def test_weight_decay_reaches_the_optimizer() -> None:
    """A parameter without a gradient shrinks by rate times decay."""
    adam = optimizer(0.1, 0.5)
    parameters = {"w": mx.array([2.0])}
    found = adam.apply_gradients({"w": mx.array([0.0])}, parameters)
    assert found["w"].item() == pytest.approx(2.0 * (1 - 0.1 * 0.5))
