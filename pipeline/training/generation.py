"""Greedy generation in batches over a shared prefix: mlx-lm's own batch generator, fed by size."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx
from mlx_lm.generate import BatchGenerator, generate_step
from mlx_lm.models.cache import KVCache, make_prompt_cache

from secdaemon.pipeline.interface import Progress, Report

ROOM = 16_384
"""Tokens, prompts with their answers, whose keys and values are held at once: 2 GB with the default
base model (16 layers of 16 heads of 128 numbers of 2 bytes, twice)."""
MOST = 32
"""Prompts in a batch: more gained nothing where it was measured."""


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    max_tokens: Sequence[int],
    report: Report,
) -> list[list[int]]:
    """Return the greedy continuation of each prompt, without the end token.

    The tokens that all prompts begin with go through the model once. Prompts of similar length are
    generated together. A model whose cache mlx-lm cannot batch generates one by one.

    Args:
        model: in evaluation mode.
        tokenizer: knows the end tokens.
        prompts: token ids, at least one each.
        max_tokens: the most tokens to generate, for each prompt; at least 1.
        report: hears of every token; the iterations are the prompts.

    Raises:
        StopRequested: by way of `report`, between two tokens.
    """
    if not all(type(layer) is KVCache for layer in make_prompt_cache(model)):
        return _one_by_one(model, tokenizer, prompts, max_tokens, report)
    shared = _shared_prefix(prompts) if len(prompts) > 1 else 0
    prefix = _read(model, prompts[0][:shared]) if shared else None
    found: dict[int, list[int]] = {}
    for places in batches([len(p) + n for p, n in zip(prompts, max_tokens, strict=True)]):
        written = _batch(
            model,
            tokenizer.eos_token_ids,
            [list(prompts[place][shared:]) for place in places],
            [max_tokens[place] for place in places],
            prefix,
            lambda: report(Progress(iteration=len(found), iterations=len(prompts))),
        )
        found.update(zip(places, written, strict=True))
        report(Progress(iteration=len(found), iterations=len(prompts)))
    return [found[place] for place in range(len(prompts))]


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the places of prompts that go together: of similar length, within MOST and ROOM."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if batch and (len(batch) == MOST or (len(batch) + 1) * lengths[place] > ROOM):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _batch(  # noqa: PLR0917 - what a batch is made of
    model: Any,
    ends: set[int],
    prompts: list[list[int]],
    max_tokens: list[int],
    prefix: list[Any] | None,
    heard: Any,
) -> list[list[int]]:
    """Return the continuations of one batch; the prefix is shared, the generator copies it."""
    with contextlib.closing(
        BatchGenerator(model, stop_tokens=[[end] for end in ends], completion_batch_size=MOST)
    ) as generator:
        caches = None if prefix is None else [prefix] * len(prompts)
        uids = generator.insert(prompts, max_tokens, caches=caches)
        written: dict[int, list[int]] = {uid: [] for uid in uids}
        while responses := generator.next_generated():
            for response in responses:
                if response.finish_reason != "stop":
                    written[response.uid].append(int(response.token))
            heard()
    return [written[uid] for uid in uids]


def _one_by_one(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    max_tokens: Sequence[int],
    report: Report,
) -> list[list[int]]:
    found: list[list[int]] = []
    for prompt, most in zip(prompts, max_tokens, strict=True):
        ids: list[int] = []
        for token, _ in generate_step(mx.array(list(prompt)), model, max_tokens=most):
            report(Progress(iteration=len(found), iterations=len(prompts)))
            if int(token) in tokenizer.eos_token_ids:
                break
            ids.append(int(token))
        found.append(ids)
    return found


def _shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many leading tokens all prompts share, at least one fewer than the shortest."""
    first, most = prompts[0], min(len(prompt) for prompt in prompts) - 1
    for other in prompts[1:]:
        most = next((at for at in range(most) if first[at] != other[at]), most)
    return most


def _read(model: Any, ids: Sequence[int]) -> list[Any]:
    """Return the cache of a model that has read `ids`."""
    cache: list[Any] = make_prompt_cache(model)
    model(mx.array([list(ids)]), cache=cache)
    mx.eval([layer.state for layer in cache])
    return cache
