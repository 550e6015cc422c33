"""One training of ours in a process of its own, with the worker's own way of reporting.

`python -m benchmarks.train_ours HOME prepare` lays out model and data and prints their tokens,
`... HOME score ADAPTERS` prints the loss on the held-out examples, `... HOME FOLDER` trains.
"""

import json
import os
import sys
from pathlib import Path

from benchmarks.training import EXAMPLES, HELD_OUT
from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.config.settings import load_settings
from secdaemon.pipeline.__main__ import Line, Stop
from secdaemon.pipeline.examples import read_jsonl, write_jsonl
from secdaemon.pipeline.public.data import load
from secdaemon.pipeline.training.base_model import base_folder, load_base
from secdaemon.pipeline.training.evaluate import score
from secdaemon.pipeline.training.scores import metrics
from secdaemon.pipeline.training.tokens import prepare
from secdaemon.pipeline.training.train import TrainSpec, train

POOL = 4 * (EXAMPLES + HELD_OUT)
"""Examples that are read, so that enough of them fit."""


def main() -> None:
    """Do what the words say."""
    home = Home(root=Path(sys.argv[1]), chosen=True)
    settings = load_settings(home, environ={})
    match sys.argv[2:]:
        case ["prepare"]:
            _prepare(home, settings)
        case ["score", adapters]:
            _score(home, settings, Path(adapters))
        case [folder]:
            _train(home, settings, Path(folder))


def _prepare(home: Home, settings: Settings) -> None:
    """Keep the first examples that fit, so that neither side leaves out or cuts off any."""
    _, tokenizer = load_base(base_folder(settings.models))
    pool = load(settings.stage1.sources, POOL).examples
    found = prepare(tokenizer, pool, settings.training.max_seq_length)
    fitting = {tokens.id: len(tokens.ids) for tokens in found.examples}
    chosen = [example for example in pool if example.id in fitting][: EXAMPLES + HELD_OUT]
    write_jsonl(home.root / "data" / "train.jsonl", chosen[:EXAMPLES])
    write_jsonl(home.root / "held-out.jsonl", chosen[EXAMPLES:])
    print(json.dumps({"tokens": sum(fitting[example.id] for example in chosen[:EXAMPLES])}))


def _score(home: Home, settings: Settings, adapters: Path) -> None:
    model, tokenizer = load_base(base_folder(settings.models), adapters)
    held_out = prepare(tokenizer, read_jsonl(home.root / "held-out.jsonl"), sys.maxsize)
    found = metrics(score(model, held_out.examples, 4, lambda _: None))
    print(json.dumps({"loss": found.loss}))


def _train(home: Home, settings: Settings, folder: Path) -> None:
    """Train two epochs and report every iteration on standard output."""
    train(
        TrainSpec(
            model_dir=base_folder(settings.models),
            folder=folder,
            train=read_jsonl(home.root / "data" / "train.jsonl"),
            valid=(),
            iterations=2 * EXAMPLES // settings.training.batch_size,
            learning_rate=settings.stage1.learning_rate,
            training=settings.training,
            lora=settings.lora,
            seed=settings.training.seed,
        ),
        Stop(Line(os.fdopen(1, "wb", closefd=False))).report,
    )


if __name__ == "__main__":
    main()
