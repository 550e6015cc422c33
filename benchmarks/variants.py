"""What the forgetting benchmark trains, and what it keeps of each training."""

from typing import Any

import msgspec

from secdaemon.pipeline.training.scores import Score

SETTINGS = """\
models: {{base: "embedded:tiny"}}
training: {{seed: {seed}, max_seq_length: 1024, early_stopping: null, max_epochs: null}}
stage1: {{sources: [embedded], iterations: 200, learning_rate: 1.0e-3}}
stage2: {{iterations: 60, learning_rate: 1.0e-3, method: []}}
evaluation: {{generate_examples: 0}}
"""

SEEDS = (0, 1, 2)
_ALL = ("replay", "distillation", "ewc", "multitask", "curriculum")

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "plain, a third of the rate": {"learning_rate": 1.0e-3 / 3},
    "replay": {"method": ("replay",)},
    "distillation": {"method": ("distillation",)},
    "ewc": {"method": ("ewc",)},
    "multitask": {"method": ("multitask",)},
    "curriculum": {"method": ("curriculum",)},
    "replay+distillation": {"method": ("replay", "distillation")},
    "replay+ewc": {"method": ("replay", "ewc")},
    "multitask+ewc": {"method": ("multitask", "ewc")},
    "all five": {"method": _ALL},
    "replay 5 %": {"method": ("replay",), "replay_ratio": 0.05},
    "replay 30 %": {"method": ("replay",), "replay_ratio": 0.3},
}
"""What each changes in the settings of Stage 2, by its name."""

REFERENCE = "replay"
METHODS = tuple(name for name in VARIANTS if "%" not in name)
ABLATION = {"0 %": "plain", "5 %": "replay 5 %", "15 %": "replay", "30 %": "replay 30 %"}
"""The variants by their replay ratio."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One training: paired scores on Stage 1's test split (known) and on Stage 2's (new)."""

    base_known: tuple[Score, ...]
    stage1_known: tuple[Score, ...]
    stage2_known: tuple[Score, ...]
    stage1_new: tuple[Score, ...]
    stage2_new: tuple[Score, ...]
