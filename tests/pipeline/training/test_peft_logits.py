"""The PEFT form answers as the MLX form does: torch, transformers and peft against mlx-lm.

They are no dependency of secdaemon: `make test-peft` installs them into an environment of its own.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import msgspec
import numpy as np
import pytest
from mlx.utils import tree_flatten

from secdaemon.config.paths import Home
from secdaemon.config.settings import load_settings
from secdaemon.pipeline.account.cards import model_card
from secdaemon.pipeline.account.manifest import build_manifest
from secdaemon.pipeline.interface import Job, Outputs
from secdaemon.pipeline.publishing.both_forms import write_both_forms
from secdaemon.pipeline.training import adapter
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.peft import to_peft

torch = pytest.importorskip("torch", reason="needs torch: make test-peft")
peft = pytest.importorskip("peft", reason="needs peft: make test-peft")
transformers = pytest.importorskip("transformers")

SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 4096,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
}
THETA = 500_000.0
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
EVERYTHING = (*ATTENTION, "gate_proj", "up_proj", "down_proj")


def torch_base(kind: str, folder: Path, tokenizer: Path) -> Path:
    """Write a random model of this architecture as transformers does, with our tokenizer."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **SHAPE)
    config.rope_parameters = {"rope_type": "default", "rope_theta": THETA}
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.05 + (1.0 if weight.ndim == 1 else 0.0))
    model.save_pretrained(folder)
    path = folder / "config.json"
    fields = json.loads(path.read_text())
    # transformers 5 writes the base of the rotation where mlx-lm does not look for it.
    path.write_text(json.dumps({**fields, "rope_theta": THETA}))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    return folder


def random_adapter(base: Path, folder: Path, **changes: Any) -> tuple[Any, Path]:
    """Return an MLX model with a random adapter in it, and the adapter's folder."""
    model, _ = load_base(base)
    variables = {
        f"SECDAEMON_LORA__{key.upper()}": json.dumps(value) for key, value in changes.items()
    }
    lora = load_settings(Home(folder, chosen=True), environ=variables).lora
    mx.random.seed(1)
    config = adapter.attach(model, lora)
    weights = [
        (name, array + mx.random.normal(array.shape) * 0.05)
        for name, array in tree_flatten(model.trainable_parameters())
    ]
    model.load_weights(weights, strict=False)
    model.eval()
    folder.mkdir(parents=True)
    mx.save_safetensors(str(folder / adapter.WEIGHTS_FILE), dict(weights))
    adapter.write_config(folder, config)
    return model, folder


def largest_difference(model: Any, base: Path, peft_folder: Path) -> float:
    """Return the largest difference of any logit at any position of a random text."""
    ids = np.random.default_rng(2).integers(0, 512, size=(2, 48))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    theirs = peft.PeftModel.from_pretrained(theirs, str(peft_folder)).eval()
    with torch.no_grad():
        wanted = theirs(torch.tensor(ids)).logits.numpy()
    found = np.array(model(mx.array(ids)).astype(mx.float32))
    assert np.abs(found).max() > 0.1
    return float(np.abs(found - wanted).max())


@pytest.mark.parametrize("kind", ["olmo2", "llama", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    "changes",
    [
        {"target_modules": ["q_proj", "v_proj"]},
        {"target_modules": list(EVERYTHING), "rank": 4, "layers": 2},
        {"target_modules": list(ATTENTION), "type": "dora"},
        {"target_modules": ["q_proj"], "alpha": 16.0},
    ],
    ids=["default", "everything in two layers", "dora", "alpha"],
)
def test_logits_agree(kind: str, changes: dict[str, Any], base: Path, tmp_path: Path) -> None:
    """Every logit at every position differs by less than 1e-3 in float32."""
    folder = torch_base(kind, tmp_path / "base", base)
    model, mlx_adapter = random_adapter(folder, tmp_path / "mlx", **changes)
    (tmp_path / "peft").mkdir()
    to_peft(mlx_adapter, tmp_path / "peft", "a/base")
    assert largest_difference(model, folder, tmp_path / "peft") < 1e-3


def test_the_embedded_model_agrees(base: Path, tmp_path: Path) -> None:
    """The embedded model itself, with an adapter, is the same one for both libraries."""
    model, mlx_adapter = random_adapter(base, tmp_path / "mlx")
    (tmp_path / "peft").mkdir()
    to_peft(mlx_adapter, tmp_path / "peft", "secdaemon/embedded-tiny")
    assert largest_difference(model, base, tmp_path / "peft") < 1e-3


def test_an_adapter_changes_the_answer(base: Path, tmp_path: Path) -> None:
    """Left out, the adapter would be noticed: the comparison above can fail."""
    model, mlx_adapter = random_adapter(base, tmp_path / "mlx")
    (tmp_path / "peft").mkdir()
    to_peft(mlx_adapter, tmp_path / "peft", "secdaemon/embedded-tiny")
    bare, _ = load_base(base)
    assert largest_difference(bare, base, tmp_path / "peft") > 1e-2
    assert largest_difference(model, base, tmp_path / "peft") < 1e-3


def test_the_cards_snippets_run(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the model card says to type loads the model, in mlx-lm and in PEFT."""
    _, mlx_adapter = random_adapter(base, tmp_path / "trained")
    published = tmp_path / "published"
    write_both_forms(mlx_adapter, published, "secdaemon/embedded-tiny")
    card = model_card(sample_manifest(tmp_path))
    snippets = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(snippets) == 2
    monkeypatch.chdir(published)
    for snippet in snippets:
        names: dict[str, Any] = {}
        exec(snippet.replace("path/to/embedded-tiny", str(base)), names)
        assert names["model"] is not None


def sample_manifest(home: Path) -> Any:
    """Return the account tests' sample manifest."""
    sample = json.loads((Path(__file__).parents[1] / "account" / "sample_run.json").read_text())
    settings = load_settings(
        Home(home, chosen=True), environ={"SECDAEMON_MODELS__BASE": "embedded:tiny"}
    )
    places = {"run_dir": "x", "stage1_dir": "x", "archive": "x.zip", "lock_file": "x", "salt": "00"}
    job = msgspec.convert({**sample["job"], **places, "settings": settings}, Job)
    return build_manifest(job, msgspec.convert(sample["outputs"], Outputs), libraries={})
