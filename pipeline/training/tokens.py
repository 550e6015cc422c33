"""Token ids of examples, by the model's own chat template."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.interface import PermanentError

TOO_LONG = "too long"
NO_ANSWER = "no answer"
TOO_BIG = "too long for the memory"
"""What pipeline/training/preflight.py leaves out."""


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """One example as the model reads it; `ids[offset:]` is what the assistant says."""

    id: str
    group: str
    weight: float
    ids: tuple[int, ...]
    offset: int
    """At least 1, as the first token has nothing to be predicted from; less than `len(ids)`."""


class Prepared(msgspec.Struct, frozen=True):
    """The examples that fit, in their order, and how many were left out, by reason."""

    examples: tuple[Tokens, ...]
    left_out: dict[str, int]


def prepare(tokenizer: Any, examples: Sequence[Example], max_seq_length: int) -> Prepared:
    """Return the token ids of every example that fits into `max_seq_length` tokens.

    Used and left out examples add up to `len(examples)`.

    Raises:
        PermanentError: the model has no chat template.
    """
    if examples and not tokenizer.chat_template:
        msg = "the base model has no chat template: choose an instruct model for models.base"
        raise PermanentError(msg)
    used: list[Tokens] = []
    left_out: Counter[str] = Counter()
    for example in examples:
        tokens = _tokens(tokenizer, example)
        if len(tokens.ids) > max_seq_length:
            left_out[TOO_LONG] += 1
        elif tokens.offset >= len(tokens.ids):
            left_out[NO_ANSWER] += 1
        else:
            used.append(tokens)
    return Prepared(tuple(used), dict(left_out))


def _tokens(tokenizer: Any, example: Example) -> Tokens:
    messages = [{"role": turn.role, "content": turn.content} for turn in example.messages]
    ids = tokenizer.apply_chat_template(messages, return_dict=False)
    prompt = tokenizer.apply_chat_template(
        messages[:-1], add_generation_prompt=True, return_dict=False
    )
    return Tokens(
        id=example.id,
        group=example.group,
        weight=example.weight,
        ids=tuple(ids),
        offset=max(1, _common_prefix(prompt, ids)),
    )


def _common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many leading tokens are equal.

    All of the prompt, where the template writes an answer right behind its generation prompt. Some
    templates do not, and a tokenizer may merge across that border: what differs from there on is
    the answer.
    """
    for position, (first, second) in enumerate(zip(one, other, strict=False)):
        if first != second:
            return position
    return min(len(one), len(other))
