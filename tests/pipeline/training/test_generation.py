"""Greedy generation in batches: the tokens of one-by-one generation, whatever goes together."""

from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import mlx_lm
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.examples import Example, conversation
from secdaemon.pipeline.interface import Progress, StopRequested
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.generation import MOST, ROOM, batches, generate
from secdaemon.pipeline.training.tokens import prepare


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


def prompts_of(tokenizer: object, count: int) -> list[tuple[int, ...]]:
    """Return prompts with the same system turn and questions of many lengths."""
    examples = [
        Example(
            id=str(n),
            messages=conversation(f"Fix n{n}: " + "eval(x); " * (1 + 3 * n % 17), "No."),
            group=str(n),
        )
        for n in range(count)
    ]
    return [one.ids[: one.offset] for one in prepare(tokenizer, examples, 512).examples]


def alone(model: object, tokenizer: object, prompt: tuple[int, ...], most: int) -> list[int]:
    """Return the greedy continuation by mlx-lm's own stream, without the end token."""
    steps = mlx_lm.stream_generate(model, tokenizer, list(prompt), max_tokens=most)
    tokens = [(int(step.token), step.finish_reason) for step in steps]
    return [token for token, reason in tokens if reason != "stop"]


@pytest.mark.parametrize("count", [1, 2, 11])
def test_batches_give_the_tokens_of_one_by_one(base: Path, count: int) -> None:
    """Prompts of several lengths over one shared prefix give what each gives alone."""
    model, tokenizer = load_base(base)
    prompts = prompts_of(tokenizer, count)
    most = [4 + 5 * (n % 4) for n in range(count)]
    together = generate(model, tokenizer, prompts, most, unheard)
    expected = [alone(model, tokenizer, p, n) for p, n in zip(prompts, most, strict=True)]
    assert together == expected
    assert any(together)


def test_a_prompt_that_is_the_others_beginning_keeps_a_token_of_its_own(base: Path) -> None:
    """Where one prompt is a prefix of another, the shared part leaves each something to read."""
    model, tokenizer = load_base(base)
    longer = prompts_of(tokenizer, 1)[0]
    prompts = [longer[:20], longer, longer[:20]]
    together = generate(model, tokenizer, prompts, [6] * 3, unheard)
    assert together == [alone(model, tokenizer, prompt, 6) for prompt in prompts]


def test_nothing_is_generated_for_no_prompt(base: Path) -> None:
    """No prompts give no continuations."""
    model, tokenizer = load_base(base)
    assert generate(model, tokenizer, [], [], unheard) == []


def test_a_stop_comes_between_two_tokens(base: Path) -> None:
    """A stop request ends a batch long before its most tokens, and generation works again."""
    model, tokenizer = load_base(base)
    prompts = prompts_of(tokenizer, 3)
    heard: list[Progress] = []

    def report(progress: Progress) -> None:
        heard.append(progress)
        if len(heard) == 3:
            msg = "asked to stop"
            raise StopRequested(msg)

    with pytest.raises(StopRequested):
        generate(model, tokenizer, prompts, [200] * 3, report)
    assert len(heard) == 3
    assert len(generate(model, tokenizer, prompts, [2] * 3, unheard)) == 3


def test_a_cache_that_cannot_be_batched_is_generated_one_by_one(base: Path) -> None:
    """A model with a cache of its own kind gives the same tokens, one prompt after the other."""
    model, tokenizer = load_base(base)
    prompts = prompts_of(tokenizer, 3)
    expected = generate(model, tokenizer, prompts, [5] * 3, unheard)

    class Own(mlx_lm.models.cache.KVCache):
        """A cache that mlx-lm cannot merge with others."""

    make: Callable[[], list[object]] = lambda: [Own() for _ in model.layers]  # noqa: E731
    model.make_cache = make
    assert generate(model, tokenizer, prompts, [5] * 3, unheard) == expected
    mx.clear_cache()


@given(st.lists(st.integers(1, 2 * ROOM), max_size=200))
def test_batches_hold_every_prompt_once_within_their_room(lengths: list[int]) -> None:
    """Each place stands in one batch; a batch of several stays within MOST and ROOM."""
    found = list(batches(lengths))
    assert sorted(place for batch in found for place in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) <= MOST
        assert len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= ROOM
