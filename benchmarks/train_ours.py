"""One training of ours in a process of its own, with the worker's own way of reporting.

`python -m benchmarks.train_ours HOME ITERATIONS FOLDER`; 0 iterations only lay out model and data.
"""

import os
import sys
from pathlib import Path

from benchmarks.training import EXAMPLES
from secdaemon.config.paths import Home
from secdaemon.config.settings import load_settings
from secdaemon.pipeline.__main__ import Line, Stop
from secdaemon.pipeline.examples import read_jsonl, write_jsonl
from secdaemon.pipeline.public.data import load
from secdaemon.pipeline.training.base_model import base_folder
from secdaemon.pipeline.training.train import TrainSpec, train


def main() -> None:
    """Prepare, or train and report every iteration on standard output."""
    home = Home(root=Path(sys.argv[1]), chosen=True)
    settings = load_settings(home, environ={})
    base = base_folder(settings.models)
    data = home.root / "data"
    iterations = int(sys.argv[2])
    if not iterations:
        examples = load(settings.stage1.sources, EXAMPLES).examples
        write_jsonl(data / "train.jsonl", examples)
        return
    train(
        TrainSpec(
            model_dir=base,
            folder=Path(sys.argv[3]),
            train=read_jsonl(data / "train.jsonl"),
            valid=(),
            iterations=iterations,
            learning_rate=settings.stage1.learning_rate,
            training=settings.training,
            lora=settings.lora,
            seed=settings.training.seed,
        ),
        Stop(Line(os.fdopen(1, "wb", closefd=False))).report,
    )


if __name__ == "__main__":
    main()
