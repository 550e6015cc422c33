"""LoRA layers on a loaded model, and the adapter folder in mlx-lm's own form."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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

_ADAPTABLE = (nn.Linear, nn.QuantizedLinear, SwitchLinear, QuantizedSwitchLinear)


class LoraParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What mlx-lm's `linear_to_lora_layers` reads; `keys` are module names within a layer."""

    rank: int
    scale: float
    dropout: float = 0.0
    keys: tuple[str, ...] | None = None
    """Every module that can be adapted, where it is null."""


class AdapterConfig(msgspec.Struct, frozen=True, kw_only=True):
    """adapter_config.json as `mlx_lm.load` reads it; `num_layers` counts from the last layer."""

    fine_tune_type: str = "lora"
    num_layers: int
    lora_parameters: LoraParameters


def attach(model: Any, lora: Lora) -> AdapterConfig:
    """Freeze the model and put LoRA layers, the only trainable parameters, into its last layers.

    The first factor is drawn from MLX's random state, the second one is zero.

    Raises:
        PermanentError: a target module is not in the model.
    """
    layers = min(lora.layers, len(model.layers))
    parameters = LoraParameters(
        rank=lora.rank,
        scale=lora.scale,
        dropout=lora.dropout,
        keys=_module_keys(model.layers[-layers:], lora.target_modules),
    )
    model.freeze()
    linear_to_lora_layers(model, layers, msgspec.to_builtins(parameters))
    return AdapterConfig(num_layers=layers, lora_parameters=parameters)


def _module_keys(layers: Sequence[Any], names: Sequence[str]) -> tuple[str, ...]:
    """Return the full names within a layer that `names`, short or full, stand for."""
    known = sorted(
        {
            key
            for layer in layers
            for key, module in layer.named_modules()
            if isinstance(module, _ADAPTABLE)
        }
    )
    keys: set[str] = set()
    for name in names:
        found = [key for key in known if key == name or key.endswith(f".{name}")]
        if not found:
            choices = ", ".join(sorted({key.rpartition(".")[2] for key in known}))
            msg = f"lora.target_modules: the base model has no module {name!r}; it has {choices}"
            raise PermanentError(msg)
        keys.update(found)
    return tuple(sorted(keys))


def load_weights(model: Any, folder: Path, config: AdapterConfig) -> None:
    """Give the attached LoRA layers, of this configuration, the weights of an adapter folder.

    Raises:
        PermanentError: the folder holds no adapter, or one of another shape or scale.
    """
    try:
        found = msgspec.json.decode((folder / CONFIG_FILE).read_bytes(), type=AdapterConfig)
        weights: Any = mx.load(str(folder / WEIGHTS_FILE))
    except (OSError, RuntimeError, ValueError) as error:
        msg = f"{folder}: holds no readable MLX LoRA adapter ({error})"
        raise PermanentError(msg) from error
    wanted = {name: array.shape for name, array in tree_flatten(model.trainable_parameters())}
    same_shape = {name: array.shape for name, array in weights.items()} == wanted
    if not same_shape or found.lora_parameters.scale != config.lora_parameters.scale:
        msg = (
            f"{folder}: this adapter does not fit the settings; it was trained on another base "
            "model or with another lora.rank, lora.scale, lora.layers or lora.target_modules"
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
