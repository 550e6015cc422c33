"""Elastic weight consolidation: the penalty, its gradient, the Fisher information, its file."""

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx import nn
from mlx.utils import tree_flatten

from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training import consolidation, trainer
from secdaemon.pipeline.training.tokens import Tokens


class Bigrams(nn.Module):
    """The smallest language model: the next token's logits are a row of a table."""

    def __init__(self) -> None:
        """Draw the table."""
        super().__init__()
        self.table = mx.array(np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32))

    def __call__(self, ids: mx.array) -> mx.array:
        """Return logits (..., 5)."""
        return self.table[ids]


def tokens(*ids: int, offset: int = 1) -> Tokens:
    """Return an example."""
    return Tokens(id="e", group="g", weight=1.0, ids=ids, offset=offset)


def plain_gradient(table: Any, example: Tokens) -> Any:
    """Return the gradient of the answer's log-likelihood: one-hot minus softmax, by row."""
    gradient = np.zeros_like(table)
    for place in range(example.offset, len(example.ids)):
        row = example.ids[place - 1]
        powers = np.exp(table[row] - table[row].max())
        gradient[row] -= powers / powers.sum()
        gradient[row, example.ids[place]] += 1
    return gradient


def test_the_penalty_is_the_formula() -> None:
    """Half of the weighted squares, over all arrays."""
    parameters = {"a": mx.array([1.0, 2.0]), "b": mx.array([[3.0]])}
    anchor = {"a": mx.array([0.0, 4.0]), "b": mx.array([[1.0]])}
    fisher = {"a": mx.array([2.0, 0.5]), "b": mx.array([[0.25]])}
    found = consolidation.penalty(parameters, anchor, fisher)
    assert found.item() == pytest.approx((2 * 1 + 0.5 * 4 + 0.25 * 4) / 2)


def test_nothing_is_paid_at_the_anchor() -> None:
    """At theta* the penalty and its gradient are 0, and the loss is the plain one."""
    model = Bigrams()
    anchor = consolidation.parameters_of(model)
    fisher = {"table": mx.ones((5, 5))}
    held = consolidation.held(trainer.answer_loss, anchor, fisher, 1e6)
    batch = (mx.array([[0, 1, 2, 3]]), mx.array([[1, 4]]))
    plain, gradient = nn.value_and_grad(model, trainer.answer_loss)(model, *batch)
    value, pulled = nn.value_and_grad(model, held)(model, *batch)
    assert value[0].item() == plain[0].item()
    assert mx.array_equal(pulled["table"], gradient["table"]).item()


def test_the_gradient_pulls_back_by_the_fisher_information() -> None:
    """Away from theta* the gradient gains lambda F (theta - theta*)."""
    model = Bigrams()
    anchor = {"table": model.table - 0.5}
    fisher = {"table": mx.array(np.arange(25, dtype=np.float32).reshape(5, 5))}
    held = consolidation.held(trainer.answer_loss, anchor, fisher, 3.0)
    batch = (mx.array([[0, 1, 2, 3]]), mx.array([[1, 4]]))
    _, gradient = nn.value_and_grad(model, trainer.answer_loss)(model, *batch)
    _, pulled = nn.value_and_grad(model, held)(model, *batch)
    wanted = gradient["table"] + 3.0 * fisher["table"] * 0.5
    np.testing.assert_allclose(np.array(pulled["table"]), np.array(wanted), rtol=1e-5)


def test_the_fisher_information_is_that_of_single_examples() -> None:
    """Squares of each example's gradient, summed, over all their tokens; prompts do not count."""
    examples = [tokens(0, 1, 2, 3, offset=2), tokens(4, 4, 1), tokens(3, 0, offset=1)]
    model = Bigrams()
    importance = consolidation.Importance(model)
    for example in examples:
        importance.add(example)
    table = np.array(model.table, np.float64)
    squares = sum(plain_gradient(table, example) ** 2 for example in examples)
    np.testing.assert_allclose(
        np.array(importance.fisher()["table"]), squares / (2 + 2 + 1), rtol=1e-4, atol=1e-7
    )


def test_the_penalty_estimates_the_rise_of_the_loss() -> None:
    """Where the model fits its data, the penalty is the second-order rise in nats a token."""
    table = np.log(np.array([[0.7, 0.3], [0.4, 0.6]]))
    expected = np.zeros_like(table)
    moved = table + np.array([[0.05, -0.02], [0.03, 0.04]])
    rise = 0.0
    for row, share in enumerate((0.5, 0.5)):
        p = np.exp(table[row])
        expected[row] = share * (p * (1 - p))
        log_sum = np.log(np.exp(moved[row]).sum())
        rise += share * (p * (table[row] - moved[row] + log_sum)).sum()
    diagonal = (expected * (moved - table) ** 2).sum() / 2
    cross = sum(
        0.5 * np.exp(table[row]).prod() * np.prod(moved[row] - table[row]) for row in range(2)
    )
    assert diagonal - cross == pytest.approx(rise, rel=0.02)


def test_infinite_gradients_are_refused() -> None:
    """A model whose gradient is not a number says so instead of holding nothing."""
    model = Bigrams()
    model.table = mx.full((5, 5), float("inf"))
    importance = consolidation.Importance(model)
    importance.add(tokens(0, 1, 2))
    with pytest.raises(PermanentError, match="not finite"):
        importance.fisher()


def test_the_sample_is_seeded_and_bounded() -> None:
    """64 examples at most, the same for the same seed, in their order."""
    known = [tokens(n, n + 1) for n in range(200)]
    drawn = consolidation.sample(known, 7)
    assert len(drawn) == consolidation.EXAMPLES
    assert drawn == consolidation.sample(known, 7) != consolidation.sample(known, 8)
    places = [known.index(example) for example in drawn]
    assert places == sorted(places)
    assert consolidation.sample(known[:3], 7) == tuple(known[:3])


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    """The same bytes under the same key; nothing under another, and nothing that is damaged."""
    folder = tmp_path / "fisher"
    assert consolidation.read(folder, "key") is None
    fisher = {"a": mx.random.normal((3, 4)), "b": mx.array([1e-30])}
    consolidation.save(folder, "key", fisher)
    found = consolidation.read(folder, "key")
    assert found is not None
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in fisher.items()
    }
    assert consolidation.read(folder, "other") is None
    content = bytearray((folder / consolidation.FISHER_FILE).read_bytes())
    content[-1] ^= 1
    (folder / consolidation.FISHER_FILE).write_bytes(content)
    assert consolidation.read(folder, "key") is None


def test_the_key_follows_what_it_depends_on(tmp_path: Path) -> None:
    """Another adapter, another sample or another base is another key."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    examples = [tokens(1, 2)]
    keys = {
        consolidation.key_of(one, examples, "base"),
        consolidation.key_of(other, examples, "base"),
        consolidation.key_of(one, [tokens(1, 3)], "base"),
        consolidation.key_of(one, examples, "another"),
    }
    assert len(keys) == 4
    assert consolidation.key_of(one, examples, "base") in keys


def test_a_models_parameters_are_named_as_its_tree(base: Path) -> None:
    """Names are those of the tree, so that gradients, anchor and Fisher information meet."""
    model = Bigrams()
    assert list(consolidation.parameters_of(model)) == [
        name for name, _ in tree_flatten(model.trainable_parameters())
    ]
