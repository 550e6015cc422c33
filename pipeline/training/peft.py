"""An MLX adapter as a PEFT adapter: names, transposes, configuration.

MLX computes `y + scale * (x @ lora_a) @ lora_b`, PEFT `y + lora_alpha / r * B(A(x))` with A and B
as `nn.Linear` weights, (out, in). Names and configuration are those of PEFT's LoraConfig:
https://huggingface.co/docs/peft/package_reference/lora
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from secdaemon.config.files import write_file
from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training.tensors import Tensor, TensorFileError, read_tensors, tensor_file

PEFT_WEIGHTS = "adapter_model.safetensors"
PEFT_CONFIG = "adapter_config.json"
_PREFIX = "base_model.model."
_LINEAR = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight", "m": "lora_magnitude_vector"}
_EMBEDDING = {"lora_a": "lora_embedding_A", "lora_b": "lora_embedding_B"}
_EMBEDDINGS = frozenset({"embed_tokens", "wte", "word_embeddings"})
_IN_LAYER = re.compile(r"\.(\d+)\.")
_MATRIX = 2


class _LoraParameters(msgspec.Struct, frozen=True):
    rank: int
    scale: float
    dropout: float = 0.0


class _MlxConfig(msgspec.Struct, frozen=True):
    """The part of mlx-lm's adapter_config.json that PEFT needs."""

    lora_parameters: _LoraParameters
    fine_tune_type: str = "lora"


class _FromPeft(msgspec.Struct, frozen=True):
    """The part of PEFT's adapter_config.json that mlx-lm needs."""

    r: Annotated[int, msgspec.Meta(ge=1)]
    lora_alpha: float
    lora_dropout: float = 0.0
    use_dora: bool = False


class PeftConfig(msgspec.Struct, frozen=True, kw_only=True):
    """PEFT's adapter_config.json."""

    base_model_name_or_path: str
    r: int
    lora_alpha: float | int
    lora_dropout: float
    target_modules: tuple[str, ...]
    layers_to_transform: tuple[int, ...] | None
    use_dora: bool
    peft_type: str = "LORA"
    task_type: str = "CAUSAL_LM"
    bias: str = "none"
    fan_in_fan_out: bool = False
    inference_mode: bool = True
    init_lora_weights: bool = True
    layers_pattern: str | None = None
    modules_to_save: tuple[str, ...] | None = None
    use_rslora: bool = False


def to_peft(mlx_adapter: Path, out: Path, base_id: str) -> None:
    """Write adapter_model.safetensors and adapter_config.json into `out`, data types kept.

    Raises:
        PermanentError: the folder holds no LoRA or DoRA adapter of mlx-lm, or one of a kind that
            PEFT does not have.
        OSError: `out` cannot be written.
    """
    try:
        config = msgspec.json.decode(
            (mlx_adapter / "adapter_config.json").read_bytes(), type=_MlxConfig
        )
        tensors = read_tensors(mlx_adapter / "adapters.safetensors")
    except (OSError, msgspec.DecodeError, TensorFileError) as error:
        msg = f"{mlx_adapter}: holds no readable MLX LoRA adapter ({error})"
        raise PermanentError(msg) from error
    if config.fine_tune_type not in {"lora", "dora"} or not tensors:
        msg = f"{mlx_adapter}: only LoRA and DoRA adapters have a PEFT form"
        raise PermanentError(msg)
    renamed = {}
    for name, tensor in tensors.items():
        renamed[_PREFIX + peft_name(name)] = tensor if name.endswith(".m") else tensor.transposed
        if tensor.bits.ndim > _MATRIX:
            msg = f"{name}: an adapter of a mixture of experts has no PEFT form"
            raise PermanentError(msg)
    modules = sorted({name.rpartition(".")[0] for name in tensors})
    text = msgspec.json.encode(_config(config, modules, tensors, base_id))
    write_file(out / PEFT_WEIGHTS, tensor_file(renamed, {"format": "pt"}))
    write_file(out / PEFT_CONFIG, msgspec.json.format(text, indent=2) + b"\n")


def to_mlx(peft_adapter: Path, out: Path, layers: int) -> None:
    """Write a PEFT adapter as mlx-lm reads it, for a base of so many layers; as `to_peft`, back.

    Raises:
        PermanentError: the folder holds no readable LoRA or DoRA adapter of PEFT.
        OSError: `out` cannot be written.
    """
    try:
        config = msgspec.json.decode((peft_adapter / PEFT_CONFIG).read_bytes(), type=_FromPeft)
        tensors = read_tensors(peft_adapter / PEFT_WEIGHTS)
    except (OSError, msgspec.DecodeError, TensorFileError) as error:
        msg = f"{peft_adapter}: holds no readable PEFT adapter ({error})"
        raise PermanentError(msg) from error
    renamed = {}
    for name, tensor in tensors.items():
        own = mlx_name(name.removeprefix(_PREFIX))
        renamed[own] = tensor if own.endswith(".m") else tensor.transposed
    modules = {name.rpartition(".")[0] for name in renamed}
    found = {
        "fine_tune_type": "dora" if config.use_dora else "lora",
        "num_layers": layers,
        "lora_parameters": {
            "rank": config.r,
            "scale": config.lora_alpha / config.r,
            "dropout": config.lora_dropout,
            "keys": sorted({_IN_LAYER.split(module)[-1] for module in modules}),
        },
    }
    write_file(out / "adapters.safetensors", tensor_file(renamed, {"format": "mlx"}))
    write_file(out / "adapter_config.json", msgspec.json.encode(found))


def mlx_name(name: str) -> str:
    """Return mlx-lm's name of one of PEFT's tensors, given without its prefix.

    Raises:
        PermanentError: it is no tensor of a LoRA or DoRA adapter.
    """
    for leaf, theirs in (*_LINEAR.items(), *_EMBEDDING.items()):
        if name.endswith(f".{theirs}"):
            return f"{name.removesuffix(theirs)}{leaf}"
    msg = f"{name}: not a tensor of a LoRA or DoRA adapter that mlx-lm has"
    raise PermanentError(msg)


def peft_name(name: str) -> str:
    """Return PEFT's name, without its prefix, of one of mlx-lm's tensors.

    Raises:
        PermanentError: it is no tensor of an adapter.
    """
    module, _, leaf = name.rpartition(".")
    kinds = _EMBEDDING if module.rpartition(".")[2] in _EMBEDDINGS else _LINEAR
    if leaf not in kinds:
        msg = f"{name}: not a tensor of a LoRA or DoRA adapter that PEFT has"
        raise PermanentError(msg)
    return f"{module}.{kinds[leaf]}"


def _config(
    config: _MlxConfig, modules: Sequence[str], tensors: dict[str, Tensor], base_id: str
) -> PeftConfig:
    """Return the configuration that makes PEFT adapt exactly `modules`."""
    parameters = config.lora_parameters
    alpha = parameters.scale * parameters.rank
    targets, layers = _targets(modules)
    return PeftConfig(
        base_model_name_or_path=base_id,
        r=parameters.rank,
        lora_alpha=int(alpha) if alpha.is_integer() else alpha,
        lora_dropout=parameters.dropout,
        target_modules=targets,
        layers_to_transform=layers,
        use_dora=any(name.endswith(".m") for name in tensors),
    )


def _targets(modules: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...] | None]:
    """Return short names and layers where these describe `modules`, else the full names."""
    found = [_IN_LAYER.search(module) for module in modules]
    names = tuple(sorted({module.rpartition(".")[2] for module in modules}))
    layers = tuple(sorted({int(match[1]) for match in found if match}))
    if all(found) and len(modules) == len(names) * len(layers):
        return names, layers
    return tuple(modules), None
