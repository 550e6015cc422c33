"""The gates on a model's files: each says no to the one thing that it is there for."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from secdaemon.pipeline.gates import check_adapter, check_model
from secdaemon.pipeline.publishing.both_forms import write_both_forms

Change = Callable[[Path], None]


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """The adapter in both forms."""
    write_both_forms(trained / "adapters", tmp_path / "model", "secdaemon/embedded-tiny")
    for path in (tmp_path / "model").rglob("*.safetensors"):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    return tmp_path / "model"


def rewritten(path: Path, change: Callable[[str, np.ndarray], np.ndarray]) -> None:
    """Write a safetensors file with every tensor changed."""
    save_file({name: change(name, t) for name, t in load_file(path).items()}, path)


def configured(path: Path, **fields: object) -> None:
    """Change a JSON file's fields."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def failed(folder: Path, base: Path, stage1: Path | None = None) -> set[str]:
    """Return the names of the gates that say no."""
    return {gate.name for gate in check_model(folder, base, stage1) if not gate.passed}


def test_a_whole_model_passes(model: Path, base: Path) -> None:
    """Nothing stands against it."""
    assert failed(model, base) == set()


@pytest.mark.parametrize(
    ("change", "gate"),
    [
        (lambda m: (m / "adapter_model.safetensors").unlink(), "complete"),
        (lambda m: (m / "mlx" / "adapter_config.json").write_text("[]"), "complete"),
        (
            lambda m: rewritten(m / "mlx" / "adapters.safetensors", lambda _, t: t * np.nan),
            "finite",
        ),
        (lambda m: rewritten(m / "adapter_model.safetensors", lambda _, t: t * 0), "finite"),
        (lambda m: configured(m / "adapter_config.json", r=3), "fits"),
        (lambda m: configured(m / "adapter_config.json", peft_type="IA3"), "fits"),
        (lambda m: configured(m / "adapter_config.json", target_modules=["k_proj"]), "fits"),
        (
            lambda m: rewritten(
                m / "mlx" / "adapters.safetensors",
                lambda n, t: t * (0 if n.endswith("lora_b") else 1),
            ),
            "differs",
        ),
        (
            lambda m: shutil.copyfile(
                m / "adapter_model.safetensors", m / "mlx" / "adapters.safetensors"
            ),
            "differs",
        ),
    ],
)
def test_what_is_wrong_fails_its_gate(model: Path, base: Path, change: Change, gate: str) -> None:
    """One wrong thing at a time."""
    change(model)
    assert gate in failed(model, base)


def test_the_stage_1_adapter_over_again_is_refused(model: Path, base: Path, trained: Path) -> None:
    """A Stage 2 that changed nothing is not published."""
    assert failed(model, base, trained / "adapters") == {"differs"}
    rewritten(model / "mlx" / "adapters.safetensors", lambda _, t: t * 1.5)
    assert failed(model, base, trained / "adapters") == set()


def test_tensors_without_a_place_are_noticed(model: Path, base: Path) -> None:
    """mlx-lm would load the adapter without them and say nothing."""
    path = model / "mlx" / "adapters.safetensors"
    save_file({name.replace("q_proj", "p_proj"): t for name, t in load_file(path).items()}, path)
    (gate,) = (gate for gate in check_adapter(model / "mlx", base) if not gate.passed)
    assert gate.name == "generates"
    assert "p_proj" in gate.detail
