"""Our batch generation against one-by-one `mlx_lm.generate`: same model, prompts, answers' lengths.

Both run in one process with the worker's environment, alternating; the prompts are those of the
embedded pairs, which share their system turn, and each answer may be as long as its reference.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.table import Row, show, spread, times
from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.config.settings import load_settings
from secdaemon.daemon.worker import environment

COUNTS = (8, 16, 32)
"""Answers written together; evaluation.generate_examples is 16."""
MAX_TOKENS = 256
"""Of one answer, as evaluation.max_tokens."""
SETTINGS = """\
models: {base: "embedded:tiny"}
stage1: {sources: [embedded]}
"""


def measure(work: Path, rounds: int) -> None:
    """Alternate between the two and compare the tokens a second."""
    home = Home(root=work / "generation", chosen=True)
    home.make()
    home.config_file.write_text(SETTINGS, encoding="utf-8")
    settings: Settings = load_settings(home, environ={})
    env = environment("retention", dict(os.environ))
    for count in COUNTS:
        command = [sys.executable, "-m", "benchmarks.generate_ours", settings.models.base_dir]
        done = subprocess.run(
            [*command, str(count), str(rounds)], env=env, check=True, capture_output=True
        )
        found = json.loads(done.stdout)
        title = f"Generation, {count} answers, {found['tokens']:,} tokens"
        show(title, _rows(found["clock"], found["work"], found["tokens"], same=found["same"]))


def _rows(
    clock: dict[str, list[float]], work: dict[str, list[float]], tokens: int, *, same: bool
) -> list[Row]:
    """Return what was measured; the processor's seconds leave out what others did meanwhile."""
    ours, alone = clock["ours"], clock["one by one"]
    rates = {"ours, in batches": ours, "one by one": alone}
    rows = [
        Row(name, spread([tokens / one for one in seconds], lambda rate: f"{rate:.0f} tokens/s"))
        for name, seconds in rates.items()
    ]
    ratio = statistics.median(alone) / statistics.median(ours)
    rows.append(Row("ours against one by one, medians", times(ratio), "at least 3.00x"))
    by_round = [one / other for one, other in zip(alone, ours, strict=True)]
    rows.append(Row("ours against one by one, by round", spread(by_round, times)))
    by_work = statistics.median(work["one by one"]) / statistics.median(work["ours"])
    rows.append(Row("ours against one by one, processor", times(by_work)))
    rows.append(Row("token ids", "the same" if same else "DIFFERENT", "the same"))
    return rows
