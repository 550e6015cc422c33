"""LoRA or DoRA layers on a loaded model, and the adapter folder in mlx-lm's own form."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx
import msgspec
from mlx import nn
from mlx.utils import tree_flatten
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear
from mlx_lm.tuner.utils import linear_to_lora_layers

from secdaemon.config.files import write_file
from secdaemon.config.schema import Lora
from secdaemon.pipeline.interface import PermanentError

WEIGHTS_FILE = "adapters.safetensors"
CONFIG_FILE = "adapter_config.json"

_ADAPTABLE = {
    "lora": (nn.Linear, nn.QuantizedLinear, SwitchLinear, QuantizedSwitchLinear),
    "dora": (nn.Linear, nn.QuantizedLinear),
}


class LoraParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What mlx-lm's `linear_to_lora_layers` reads; `keys` are module names within a layer."""

    rank: int
    scale: float
    dropout: float = 0.0
    keys: tuple[str, ...] | None = None
    """Every module that can be adapted, where it is null."""


class AdapterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """adapter_config.json as `mlx_lm.load` reads it; `num_layers` counts from the last layer."""

    fine_tune_type: Literal["lora", "dora"] = "lora"
    num_layers: int
    lora_parameters: LoraParameters


def attach(model: Any, lora: Lora) -> AdapterConfig:
    """Freeze the model and put adapters, its only trainable parameters, into its last layers.

    The first factor is drawn from MLX's random state, the second one is zero; DoRA's magnitudes
    are those of the frozen weights, so that the model computes what it did before.

    Raises:
        PermanentError: a target module is not in the model.
    """
    layers = min(lora.layers, len(model.layers))
    parameters = LoraParameters(
        rank=lora.rank,
        scale=lora.scale if lora.alpha is None else lora.alpha / lora.rank,
        dropout=lora.dropout,
        keys=_module_keys(model.layers[-layers:], lora.target_modules, lora.type),
    )
    model.freeze()
    linear_to_lora_layers(
        model, layers, msgspec.to_builtins(parameters), use_dora=lora.type == "dora"
    )
    return AdapterConfig(fine_tune_type=lora.type, num_layers=layers, lora_parameters=parameters)


def _module_keys(layers: Sequence[Any], names: Sequence[str], kind: str) -> tuple[str, ...]:
    """Return the full names within a layer that `names`, short or full, stand for."""
    known = sorted(
        {
            key
            for layer in layers
            for key, module in layer.named_modules()
            if isinstance(module, _ADAPTABLE[kind])
        }
    )
    keys: set[str] = set()
    for name in names:
        found = [key for key in known if key == name or key.endswith(f".{name}")]
        if not found:
            choices = ", ".join(sorted({key.rpartition(".")[2] for key in known}))
            msg = (
                f"lora.target_modules: the base model has no module {name!r} that {kind} adapts; "
                f"it has {choices}"
            )
            raise PermanentError(msg)
        keys.update(found)
    return tuple(sorted(keys))


def load_weights(model: Any, folder: Path, config: AdapterConfig) -> None:
    """Give the attached layers, of this configuration, the weights of an adapter folder.

    Raises:
        PermanentError: the folder holds no adapter, or one of another type, shape or scale.
    """
    try:
        found = msgspec.json.decode((folder / CONFIG_FILE).read_bytes(), type=AdapterConfig)
        weights: Any = mx.load(str(folder / WEIGHTS_FILE))
    except (OSError, RuntimeError, ValueError) as error:
        msg = f"{folder}: holds no readable MLX LoRA adapter ({error})"
        raise PermanentError(msg) from error
    wanted = {name: array.shape for name, array in tree_flatten(model.trainable_parameters())}
    same_shape = {name: array.shape for name, array in weights.items()} == wanted
    same_type = found.fine_tune_type == config.fine_tune_type
    same_scale = found.lora_parameters.scale == config.lora_parameters.scale
    if not (same_type and same_shape and same_scale):
        msg = (
            f"{folder}: this adapter does not fit the settings; it was trained on another base "
            "model or with another lora.type, lora.rank, lora.scale (or lora.alpha), lora.layers "
            "or lora.target_modules"
        )
        raise PermanentError(msg)
    model.load_weights(list(weights.items()), strict=False)


def all_finite(model: Any) -> bool:
    """Return whether every trainable parameter is a finite number."""
    return all(
        mx.isfinite(array).all().item() for _, array in tree_flatten(model.trainable_parameters())
    )


def write_config(folder: Path, config: AdapterConfig) -> None:
    """Write adapter_config.json."""
    text = msgspec.json.format(msgspec.json.encode(config, order="deterministic"), indent=2)
    write_file(folder / CONFIG_FILE, text + b"\n")
