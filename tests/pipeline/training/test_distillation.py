"""Distillation: the formula, its gradient, and a teacher that stays what it was."""

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from numpy.typing import NDArray

from secdaemon.config.schema import Lora
from secdaemon.pipeline.training import adapter, trainer
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.distillation import distilled, divergence, teacher_of

Array = NDArray[np.float64]

LORA = Lora(
    type="lora",
    rank=4,
    scale=20.0,
    alpha=None,
    dropout=0.5,
    layers=16,
    target_modules=("q_proj", "v_proj"),
)


def softmax(logits: Array) -> Array:
    """Return probabilities, the plain way."""
    powers: Array = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def logits(seed: int, *shape: int) -> Array:
    """Return random logits."""
    return np.random.default_rng(seed).normal(0.0, 3.0, shape)


def adapted(base: Path, lora: Lora = LORA) -> Any:
    """Return the embedded model with an adapter that does something."""
    model, _ = load_base(base)
    mx.random.seed(5)
    adapter.attach(model, lora)
    drawn = {
        name: mx.random.normal(array.shape, scale=0.02)
        for name, array in tree_flatten(model.trainable_parameters())
    }
    model.load_weights(list(drawn.items()), strict=False)
    model.eval()
    mx.eval(model.parameters())
    return model


def batch() -> tuple[mx.array, mx.array]:
    """Return two rows, one of them padded."""
    ids = np.random.default_rng(1).integers(1, 400, (2, 12)).astype(np.int32)
    ids[1, 9:] = 0
    return mx.array(ids), mx.array([[4, 12], [3, 9]])


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_divergence_is_the_formula(temperature: float) -> None:
    """KL of two softmaxes at a temperature, against NumPy in double precision."""
    one, other = logits(1, 3, 7), logits(2, 3, 7)
    p, q = softmax(one / temperature), softmax(other / temperature)
    wanted = (p * (np.log(p) - np.log(q))).sum(axis=-1)
    found = divergence(mx.array(one), mx.array(other), temperature)
    np.testing.assert_allclose(np.array(found), wanted, rtol=1e-4)


def test_equal_logits_have_no_divergence() -> None:
    """The teacher against itself is 0, to the bit."""
    same = mx.array(logits(3, 5, 9), mx.float32)
    assert divergence(same, same, 4.0).tolist() == [0.0] * 5


def test_the_gradient_is_the_difference_of_the_softmaxes() -> None:
    """T^2 times the divergence has the gradient T (q - p); the teacher gets none."""
    temperature = 4.0
    one, other = logits(4, 6), logits(5, 6)

    def loss(teacher: mx.array, student: mx.array) -> mx.array:
        return temperature**2 * divergence(teacher, student, temperature)

    to_teacher, to_student = mx.grad(loss, argnums=(0, 1))(mx.array(one), mx.array(other))
    wanted = temperature * (softmax(other / temperature) - softmax(one / temperature))
    np.testing.assert_allclose(np.array(to_student), wanted, rtol=1e-4, atol=1e-6)
    assert not np.array(to_teacher).any()


def test_the_loss_is_the_mix_over_the_spans(base: Path) -> None:
    """The loss and its count, against NumPy from both models' own logits."""
    student = adapted(base)
    teacher, _ = load_base(base)
    ids, spans = batch()
    inputs, targets = ids[:, :-1], np.array(ids[:, 1:])
    young = np.array(student(inputs), np.float64)
    wise = np.array(teacher(inputs), np.float64)
    places = np.arange(1, 12)
    mask = (places >= np.array(spans)[:, :1]) & (places < np.array(spans)[:, 1:])
    hard = -np.log(np.take_along_axis(softmax(young), targets[..., None], -1))[..., 0]
    p, q = softmax(wise / 4), softmax(young / 4)
    soft = 16 * (p * (np.log(p) - np.log(q))).sum(axis=-1)
    wanted = ((0.7 * hard + 0.3 * soft) * mask).sum() / mask.sum()
    value, count = distilled(teacher, 0.3, 4.0)(student, ids, spans)
    assert count.item() == mask.sum()
    assert value.item() == pytest.approx(wanted, rel=1e-4)


def test_its_own_teacher_leaves_the_answers_loss(base: Path) -> None:
    """With the model as its own teacher only (1 - w) times the cross-entropy is left."""
    model = adapted(base)
    ids, spans = batch()
    plain, _ = trainer.answer_loss(model, ids, spans)
    value, _ = distilled(teacher_of(model), 0.3, 4.0)(model, ids, spans)
    assert value.item() == pytest.approx(0.7 * plain.item(), rel=1e-5)


def test_a_teacher_is_frozen_and_shares_the_base(base: Path) -> None:
    """It trains nothing, drops nothing out, takes no memory, and keeps its adapter."""
    model = adapted(base)
    ids, _ = batch()
    before = model(ids)
    mx.eval(before)
    memory = mx.get_active_memory()
    teacher = teacher_of(model)
    assert mx.get_active_memory() == memory
    model.train()
    assert not tree_flatten(teacher.trainable_parameters())
    assert tree_flatten(model.trainable_parameters())
    zeroes = [
        (name, mx.zeros_like(array)) for name, array in tree_flatten(model.trainable_parameters())
    ]
    model.load_weights(zeroes, strict=False)
    assert mx.array_equal(teacher(ids), before).item()
    assert not mx.array_equal(model(ids), before).item()


def test_a_quantised_base_is_shared_too(base: Path) -> None:
    """A q4 model's teacher answers the same from the same arrays."""
    from mlx import nn

    model, _ = load_base(base)
    nn.quantize(model, group_size=32, bits=4)
    adapter.attach(model, LORA)
    ids, spans = batch()
    before = model(ids)
    mx.eval(before)
    memory = mx.get_active_memory()
    teacher = teacher_of(model)
    assert mx.get_active_memory() == memory
    assert mx.array_equal(teacher(ids), before).item()
    value, _ = distilled(teacher, 1.0, 4.0)(model, ids, spans)
    assert value.item() == pytest.approx(0.0, abs=1e-6)
