"""Our training against plain `python -m mlx_lm lora`: same model, data, settings, environment.

Each runs in a fresh process. Both go over the same examples twice; the second time is measured,
by when its reports reach us, so that start-up and compilation stay out and every example counts
once on both sides, whatever the order.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.table import Row, show, spread, times
from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.config.settings import load_settings
from secdaemon.daemon.worker import environment
from secdaemon.pipeline.interface import Advanced, Message

EXAMPLES = 64
REPORT_EVERY = 16
"""mlx-lm's reports must fall on the end of an epoch; its own default is 10."""
SETTINGS = """\
models: {base: "embedded:tiny"}
training: {warmup_ratio: 0}
stage1: {sources: [embedded]}
"""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TABLE_ROW = re.compile(r"\s*(\d+)\s+[\d.]+ [▼▲] ")
"""What mlx-lm 0.32 prints at every report: iteration, loss, tokens a second, tokens so far."""


def measure(work: Path, rounds: int) -> None:
    """Alternate between the two and compare the medians."""
    home = Home(root=work / "training", chosen=True)
    home.make()
    home.config_file.write_text(SETTINGS, encoding="utf-8")
    settings = load_settings(home, environ={})
    folder = Path(settings.models.base_dir)
    _prepare(home)
    plain = _plain_command(folder / "embedded-tiny", work / "training", settings)
    ours = [sys.executable, "-m", "benchmarks.train_ours", str(home.root), str(2 * EXAMPLES)]
    rates: dict[str, list[float]] = {"ours": [], "mlx_lm lora": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=work) as output:
            rates["ours"].append(_rate([*ours, output]))
            rates["mlx_lm lora"].append(_rate([*plain, "--adapter-path", output]))
    rows = [
        Row(name, spread(found, lambda value: f"{value:.2f} it/s")) for name, found in rates.items()
    ]
    ratio = statistics.median(rates["ours"]) / statistics.median(rates["mlx_lm lora"])
    rows.append(Row("ours against plain, medians", times(ratio), "at least 1.00x"))
    pairs = [one / other for one, other in zip(*rates.values(), strict=True)]
    rows.append(Row("ours against plain, by round", spread(pairs, times)))
    blas = "OpenBLAS preloaded" if "LD_PRELOAD" in _environment() else "mlx's own BLAS"
    show(f"Training, {EXAMPLES} examples, batch 1, {blas}, one thread", rows)


def _environment() -> dict[str, str]:
    """Return what a Stage 1 worker gets."""
    return environment("stage1", dict(os.environ))


def _prepare(home: Home) -> None:
    """Have a process of its own lay out the model and the data."""
    command = [sys.executable, "-m", "benchmarks.train_ours", str(home.root), "0", ""]
    subprocess.run(command, env=_environment(), check=True)


def _plain_command(model: Path, data: Path, settings: Settings) -> list[str]:
    """Return `mlx_lm lora` with what the settings say, validation off on both sides."""
    training, lora = settings.training, settings.lora
    config = {
        "model": str(model),
        "train": True,
        "data": str(data / "data"),
        "seed": training.seed,
        "num_layers": json.loads((model / "config.json").read_text())["num_hidden_layers"],
        "batch_size": training.batch_size,
        "iters": 2 * EXAMPLES,
        "learning_rate": settings.stage1.learning_rate,
        "steps_per_report": REPORT_EVERY,
        "save_every": training.checkpoint_every,
        "max_seq_length": training.max_seq_length,
        "mask_prompt": training.mask_prompt,
        "optimizer": "adamw",
        "optimizer_config": {"adamw": {"bias_correction": True}},
        "lora_parameters": {
            "rank": lora.rank,
            "scale": lora.scale,
            "dropout": lora.dropout,
            "keys": [f"self_attn.{name}" for name in lora.target_modules],
        },
    }
    path = data / "plain.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return [sys.executable, "-m", "mlx_lm", "lora", "--config", str(path)]


def _rate(command: list[str]) -> float:
    """Return the iterations per second of the second epoch, by the clock on this side."""
    stamps = dict(_stamps(command))
    return EXAMPLES / (stamps[2 * EXAMPLES] - stamps[EXAMPLES])


def _stamps(command: list[str]) -> Iterator[tuple[int, float]]:
    """Yield (iteration, when its report arrived)."""
    env = _environment() | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        for line in process.stdout:
            now = time.perf_counter()
            if found := _TABLE_ROW.match(_COLOUR.sub("", line.decode())):
                yield int(found[1]), now
            elif line.startswith(b"{"):
                message = msgspec.json.decode(line, type=Message)
                if isinstance(message, Advanced):
                    yield message.progress.iteration, now
