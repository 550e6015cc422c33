"""The PEFT form of an MLX adapter."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training.peft import to_mlx, to_peft
from secdaemon.pipeline.training.tensors import Tensor, read_tensors, tensor_file
from secdaemon.pipeline.training.train import TrainSpec


def adapter_folder(folder: Path, names: list[str], **config: object) -> Path:
    """Return an MLX adapter folder with random factors, 6 in and 5 out, for these modules."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name in names:
        tensors[f"{name}.lora_a"] = random.normal(size=(6, 2)).astype(np.float32)
        tensors[f"{name}.lora_b"] = random.normal(size=(2, 5)).astype(np.float32)
    save_file(tensors, folder / "adapters.safetensors")
    parameters = {"rank": 2, "scale": 20.0, "dropout": 0.05, "keys": None}
    fields = {"fine_tune_type": "lora", "num_layers": 2, "lora_parameters": parameters}
    (folder / "adapter_config.json").write_text(json.dumps(fields | config))
    return folder


def peft_config(out: Path) -> dict[str, object]:
    """Return the written configuration."""
    config: dict[str, object] = json.loads((out / "adapter_config.json").read_text())
    return config


def test_both_forms_add_the_same_to_every_weight(trained: Path, base: Path, tmp_path: Path) -> None:
    """W + alpha / r * B A equals W + scale * (a b)^T, for each weight the adapter names."""
    to_peft(trained / "adapters", tmp_path, "secdaemon/embedded-tiny")
    config = peft_config(tmp_path)
    ours = load_file(trained / "adapters" / "adapters.safetensors")
    theirs = load_file(tmp_path / "adapter_model.safetensors")
    weights = load_file(base / "model.safetensors")
    assert len(theirs) == len(ours)
    modules = {name.rpartition(".")[0] for name in ours}
    assert modules == {
        name.removesuffix(".weight")
        for name in weights
        if name.endswith(("q_proj.weight", "v_proj.weight"))
    }
    for module in modules:
        weight = weights[f"{module}.weight"]
        b = theirs[f"base_model.model.{module}.lora_B.weight"]
        a = theirs[f"base_model.model.{module}.lora_A.weight"]
        scaling = config["lora_alpha"] / config["r"]  # type: ignore[operator]
        merged = weight + 20.0 * (ours[f"{module}.lora_a"] @ ours[f"{module}.lora_b"]).T
        assert np.allclose(weight + scaling * (b @ a), merged, atol=1e-6)
        assert np.abs(b @ a).max() > 0


def test_the_configuration_says_what_is_adapted(tmp_path: Path) -> None:
    """Targets and layers are those of the tensors, whatever num_layers says."""
    names = [f"model.layers.{n}.self_attn.{m}" for n in (2, 11) for m in ("v_proj", "q_proj")]
    to_peft(adapter_folder(tmp_path / "mlx", names), tmp_path / "peft", "some/base")
    config = peft_config(tmp_path / "peft")
    assert config["target_modules"] == ["q_proj", "v_proj"]
    assert config["layers_to_transform"] == [2, 11]
    assert (config["r"], config["lora_alpha"]) == (2, 40)
    assert config["base_model_name_or_path"] == "some/base"
    assert (config["peft_type"], config["task_type"]) == ("LORA", "CAUSAL_LM")


def test_uneven_layers_are_named_in_full(tmp_path: Path) -> None:
    """Where short names would adapt more than was trained, full names stand."""
    names = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"]
    to_peft(adapter_folder(tmp_path / "mlx", names), tmp_path / "peft", "some/base")
    config = peft_config(tmp_path / "peft")
    assert config["target_modules"] == names
    assert config["layers_to_transform"] is None


def test_embeddings_and_dora_have_their_own_names(tmp_path: Path) -> None:
    """An embedding's factors and DoRA's magnitudes are renamed as PEFT reads them."""
    folder = adapter_folder(tmp_path / "mlx", ["model.embed_tokens"], fine_tune_type="dora")
    tensors = read_tensors(folder / "adapters.safetensors")
    magnitude = Tensor("F32", np.arange(5, dtype="<u4"))
    tensors["model.layers.0.self_attn.q_proj.m"] = magnitude
    (folder / "adapters.safetensors").write_bytes(tensor_file(tensors, {}))
    to_peft(folder, tmp_path / "peft", "some/base")
    theirs = read_tensors(tmp_path / "peft" / "adapter_model.safetensors")
    assert theirs["base_model.model.model.embed_tokens.lora_embedding_A"].bits.shape == (2, 6)
    kept = theirs["base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector"]
    assert np.array_equal(kept.bits, magnitude.bits)
    assert peft_config(tmp_path / "peft")["use_dora"] is True


def test_bfloat16_is_kept(tmp_path: Path) -> None:
    """Halves of a float32's bits go through unchanged, transposed."""
    folder = adapter_folder(tmp_path / "mlx", [])
    bits = np.arange(6, dtype="<u2").reshape(2, 3)
    name = "model.layers.0.self_attn.q_proj.lora_a"
    (folder / "adapters.safetensors").write_bytes(tensor_file({name: Tensor("BF16", bits)}, {}))
    to_peft(folder, tmp_path / "peft", "some/base")
    ((_, tensor),) = read_tensors(tmp_path / "peft" / "adapter_model.safetensors").items()
    assert tensor.dtype == "BF16"
    assert np.array_equal(tensor.bits, bits.T)


def test_what_peft_does_not_have_is_refused(tmp_path: Path) -> None:
    """Full fine-tuning, experts, foreign tensors and broken files end in one sentence."""
    full = adapter_folder(tmp_path / "full", ["model.a"], fine_tune_type="full")
    with pytest.raises(PermanentError, match="only LoRA and DoRA"):
        to_peft(full, tmp_path / "out", "some/base")
    expert = adapter_folder(tmp_path / "expert", [])
    save_file({"m.lora_a": np.zeros((2, 3, 4), np.float32)}, expert / "adapters.safetensors")
    with pytest.raises(PermanentError, match="mixture of experts"):
        to_peft(expert, tmp_path / "out", "some/base")
    save_file({"model.weight": np.zeros(2, np.float32)}, expert / "adapters.safetensors")
    with pytest.raises(PermanentError, match=r"model\.weight"):
        to_peft(expert, tmp_path / "out", "some/base")
    (expert / "adapters.safetensors").write_bytes(b"no tensors")
    with pytest.raises(PermanentError, match="not a whole safetensors file"):
        to_peft(expert, tmp_path / "out", "some/base")
    assert not (tmp_path / "out").exists()


def test_the_same_adapter_gives_the_same_bytes(
    trained: Path, make_spec: Callable[..., TrainSpec], tmp_path: Path
) -> None:
    """Two conversions are equal, so that a publish can be compared by content."""
    assert make_spec(tmp_path).lora.rank == 4
    for name in ("one", "two"):
        to_peft(trained / "adapters", tmp_path / name, "some/base")
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_there_and_back_is_the_same_adapter(tmp_path: Path) -> None:
    """Names, numbers and scale of mlx-lm's form come back from PEFT's, embeddings included."""
    names = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj", "model.embed_tokens"]
    first, theirs, again = (tmp_path / name for name in ("mlx", "peft", "again"))
    to_peft(adapter_folder(first, names), theirs, "any/base")
    to_mlx(theirs, again, 2)
    before, after = (load_file(folder / "adapters.safetensors") for folder in (first, again))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    config = json.loads((again / "adapter_config.json").read_text())
    assert (config["fine_tune_type"], config["num_layers"]) == ("lora", 2)
    assert config["lora_parameters"]["scale"] == 20.0
    assert config["lora_parameters"]["keys"] == [
        "mlp.up_proj",
        "model.embed_tokens",
        "self_attn.q_proj",
    ]


@pytest.mark.parametrize("config", ["{", "{}", '{"r": 0, "lora_alpha": 1}'])
def test_what_is_no_peft_adapter_is_refused(tmp_path: Path, config: str) -> None:
    """The folder is named."""
    (tmp_path / "adapter_config.json").write_text(config)
    with pytest.raises(PermanentError, match="no readable PEFT adapter"):
        to_mlx(tmp_path, tmp_path, 2)
