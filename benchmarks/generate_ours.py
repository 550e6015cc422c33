"""Both ways of generation in a process of its own; prints each round's seconds as JSON.

By the clock and of the processor. `python -m benchmarks.generate_ours BASE_DIR COUNT ROUNDS`.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mlx_lm import stream_generate

from benchmarks.generation import MAX_TOKENS
from secdaemon.pipeline.embedded.tiny_model import lay_out
from secdaemon.pipeline.interface import Progress
from secdaemon.pipeline.public.data import load
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.generation import generate
from secdaemon.pipeline.training.tokens import prepare

MAX_SEQ_LENGTH = 2048


def main() -> None:
    """Generate once to compile, then measure the rounds."""
    count, rounds = int(sys.argv[2]), int(sys.argv[3])
    model, tokenizer = load_base(lay_out(Path(sys.argv[1])))
    examples = load(("embedded",), count).examples
    chosen = prepare(tokenizer, examples, MAX_SEQ_LENGTH).examples[:count]
    prompts = [one.ids[: one.offset] for one in chosen]
    room = [min(MAX_TOKENS, len(one.ids) - one.offset) for one in chosen]
    ways: dict[str, Callable[[], list[list[int]]]] = {
        "ours": lambda: generate(model, tokenizer, prompts, room, _unheard),
        "one by one": lambda: _alone(model, tokenizer, prompts, room),
    }
    written = {name: way() for name, way in ways.items()}
    clock: dict[str, list[float]] = {name: [] for name in ways}
    work: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start, worked = time.perf_counter(), time.process_time()
            way()
            clock[name].append(time.perf_counter() - start)
            work[name].append(time.process_time() - worked)
    same = written["ours"] == written["one by one"]
    tokens = sum(map(len, written["ours"]))
    print(json.dumps({"clock": clock, "work": work, "tokens": tokens, "same": same}))


def _alone(
    model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], room: Sequence[int]
) -> list[list[int]]:
    """Return what `mlx_lm.generate` writes, as token ids: it is a loop over this stream."""
    return [
        [
            int(step.token)
            for step in stream_generate(model, tokenizer, list(prompt), max_tokens=most)
            if step.finish_reason != "stop"
        ]
        for prompt, most in zip(prompts, room, strict=True)
    ]


def _unheard(_: Progress) -> None:
    """Take progress and say nothing."""


if __name__ == "__main__":
    main()
