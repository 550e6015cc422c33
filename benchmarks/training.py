"""Our training against plain `python -m mlx_lm lora`: same model, data, settings, environment.

Each runs in a fresh process. Both go over the same examples twice; the second time is measured,
by when its reports reach us, so that start-up and compilation stay out and every example counts
once on both sides, whatever the order. Neither validates within the measure; both adapters are
scored afterwards by the same evaluator on the same held-out examples.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.processes import usage
from benchmarks.table import Row, show, spread, times
from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.config.settings import load_settings
from secdaemon.daemon.worker import environment
from secdaemon.pipeline.interface import Advanced, Message

EXAMPLES = 64
HELD_OUT = 16
AIMS = {1: 1.0, 4: 1.5, 8: 2.2}
"""Batch size to how much faster ours is to be."""
REPORT_EVERY = 8
"""mlx-lm's reports must fall on the end of an epoch; its own default is 10."""
CORPUS = Path(__file__).resolve().parents[2] / "shared/corpus/stage1/crossvul_shape.jsonl"
"""Real fix pairs, where they lie beside the project; else the embedded ones are used."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TABLE_ROW = re.compile(r"\s*(\d+)\s+[\d.]+ [▼▲] ")
"""What mlx-lm 0.32 prints at every report: iteration, loss, tokens a second, tokens so far."""


class Epoch(msgspec.Struct, frozen=True):
    """What one side's second time over the examples took."""

    seconds: float
    cpu_seconds: float
    loss: float
    """Of its adapter on the held-out examples, in nats a token."""


def measure(work: Path, rounds: int) -> None:
    """Compare at each batch size, the two sides alternating."""
    home = Home(root=work / "training", chosen=True)
    home.make()
    for batch_size in AIMS:
        settings = _settings(home, batch_size)
        tokens = json.loads(_run_ours(home, "prepare"))["tokens"]
        found: dict[str, list[Epoch]] = {"ours": [], "mlx_lm lora": []}
        for number in range(rounds):
            for name, epochs in found.items():
                folder = work / f"{name.split()[0]}-{batch_size}-{number}"
                command = _ours(home, folder) if name == "ours" else _plain(home, settings, folder)
                epochs.append(_epoch(home, command, folder, batch_size))
        show(_title(batch_size, tokens), _rows(found, tokens, batch_size))


def _title(batch_size: int, tokens: int) -> str:
    data = "real fix pairs" if CORPUS.exists() else "embedded pairs"
    blas = "OpenBLAS preloaded" if "LD_PRELOAD" in _environment() else "mlx's own BLAS"
    return f"Training, batch {batch_size}, {EXAMPLES} {data} of {tokens} tokens, {blas}, one thread"


def _rows(found: dict[str, list[Epoch]], tokens: int, batch_size: int) -> list[Row]:
    rows = [
        Row(name, spread([tokens / epoch.seconds for epoch in epochs], "{:.0f} tokens/s".format))
        for name, epochs in found.items()
    ]
    aim = f"at least {AIMS[batch_size]:.1f}x"
    ours, plain = found.values()
    rows.extend(
        Row(f"ours against plain, {what}", _ratio(ours, plain, field), aim)
        for what, field in (("by the clock", "seconds"), ("by CPU time", "cpu_seconds"))
    )
    rows.extend(
        Row(f"held-out loss, {name}", f"{statistics.median(e.loss for e in epochs):.4f}")
        for name, epochs in found.items()
    )
    return rows


def _ratio(ours: list[Epoch], plain: list[Epoch], field: str) -> str:
    return spread(
        [
            getattr(other, field) / getattr(one, field)
            for one, other in zip(ours, plain, strict=True)
        ],
        times,
    )


def _settings(home: Home, batch_size: int) -> Settings:
    """Write the home's settings and return them."""
    source = json.dumps(str(CORPUS) if CORPUS.exists() else "embedded")
    home.config_file.write_text(
        f"""\
models: {{base: "embedded:tiny"}}
training: {{warmup_ratio: 0, batch_size: {batch_size}}}
stage1: {{sources: [{source}]}}
""",
        encoding="utf-8",
    )
    return load_settings(home, environ={})


def _environment() -> dict[str, str]:
    """Return what a Stage 1 worker gets."""
    return environment("stage1", dict(os.environ))


def _ours(home: Home, *words: object) -> list[str]:
    return [sys.executable, "-m", "benchmarks.train_ours", str(home.root), *map(str, words)]


def _run_ours(home: Home, *words: object) -> str:
    """Have a process of its own do something beside the measure; return what it prints."""
    return subprocess.run(
        _ours(home, *words), env=_environment(), check=True, capture_output=True, text=True
    ).stdout


def _plain(home: Home, settings: Settings, folder: Path) -> list[str]:
    """Return `mlx_lm lora` with what the settings say, validation off on both sides."""
    training, lora = settings.training, settings.lora
    model = Path(settings.models.base_dir) / "embedded-tiny"
    config = {
        "model": str(model),
        "train": True,
        "data": str(home.root / "data"),
        "seed": training.seed,
        "num_layers": json.loads((model / "config.json").read_text())["num_hidden_layers"],
        "batch_size": training.batch_size,
        "iters": 2 * EXAMPLES // training.batch_size,
        "learning_rate": settings.stage1.learning_rate,
        "steps_per_report": REPORT_EVERY,
        "save_every": training.checkpoint_every,
        "max_seq_length": training.max_seq_length,
        "mask_prompt": training.mask_prompt,
        "optimizer": "adamw",
        "optimizer_config": {
            "adamw": {"bias_correction": True, "weight_decay": training.weight_decay}
        },
        "adapter_path": str(folder / "adapters"),
        "lora_parameters": {
            "rank": lora.rank,
            "scale": lora.scale,
            "dropout": lora.dropout,
            "keys": [f"self_attn.{name}" for name in lora.target_modules],
        },
    }
    path = home.root / "plain.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return [sys.executable, "-m", "mlx_lm", "lora", "--config", str(path)]


def _epoch(home: Home, command: list[str], folder: Path, batch_size: int) -> Epoch:
    """Train, and measure the second epoch from this side."""
    stamps = {iteration: (clock, cpu) for iteration, clock, cpu in _stamps(command)}
    half = EXAMPLES // batch_size
    (since, cpu_since), (end, cpu_end) = stamps[half], stamps[2 * half]
    scored = json.loads(_run_ours(home, "score", folder / "adapters"))
    return Epoch(end - since, cpu_end - cpu_since, scored["loss"])


def _stamps(command: list[str]) -> Iterator[tuple[int, float, float]]:
    """Yield (iteration, when its report arrived, the process's CPU seconds by then)."""
    env = _environment() | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        for line in process.stdout:
            now = time.perf_counter()
            if (iteration := _iteration(line)) is not None:
                yield iteration, now, usage(process.pid).cpu_seconds


def _iteration(line: bytes) -> int | None:
    """Return which iteration a line of either side reports."""
    if found := _TABLE_ROW.match(_COLOUR.sub("", line.decode())):
        return int(found[1])
    if line.startswith(b"{"):
        message = msgspec.json.decode(line, type=Message)
        if isinstance(message, Advanced):
            return message.progress.iteration
    return None
