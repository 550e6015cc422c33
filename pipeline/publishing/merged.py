"""The fused model: base and adapter as one folder that needs neither."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

import msgspec

from secdaemon.config.files import write_file
from secdaemon.pipeline.training.base_model import load_base

FOLDER = "merged"
_PATHS = ("name_or_path", "_name_or_path")


def write_merged(base: Path, adapter: Path, target: Path, base_id: str) -> None:
    """Write the base with the adapter fused into it: weights, configuration, tokenizer, template.

    A quantised base is dequantised first: fusing into its few bits would round the adapter away.

    Raises:
        PermanentError: mlx-lm cannot load the model.
        OSError: `target` cannot be written.
    """
    from mlx.utils import tree_unflatten
    from mlx_lm.utils import dequantize_model, save

    model, tokenizer = load_base(base, adapter)
    fused = [
        (name, module.fuse(dequantize=True))
        for name, module in model.named_modules()
        if hasattr(module, "fuse")
    ]
    model.update_modules(tree_unflatten(fused))
    config = msgspec.json.decode((base / "config.json").read_bytes())
    if config.pop("quantization", None) is not None:
        config.pop("quantization_config", None)
        model = dequantize_model(model)
    with redirect_stdout(sys.stderr):
        save(target, base, model, tokenizer, config, donate_model=False)
    (target / "README.md").unlink()
    for code in target.glob("*.py"):
        code.unlink()
    for path in target.glob("*.json"):
        _name_the_base(path, base_id)


def _name_the_base(path: Path, base_id: str) -> None:
    """Write the base's id where a library has written the folder of this computer."""
    fields = msgspec.json.decode(path.read_bytes())
    if isinstance(fields, dict) and any(name in fields for name in _PATHS):
        fields |= {name: base_id for name in _PATHS if name in fields}
        write_file(path, msgspec.json.format(msgspec.json.encode(fields), indent=2) + b"\n")
