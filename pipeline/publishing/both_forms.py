"""An adapter as it is published: the PEFT form at the root, the MLX form under `mlx/`."""

from pathlib import Path

import msgspec

from secdaemon.config.files import copy_tree, write_file
from secdaemon.pipeline.training.peft import to_peft


def write_both_forms(adapter: Path, target: Path, base_id: str) -> None:
    """Lay an MLX adapter's folder out in both forms, neither naming a folder of this computer.

    Raises:
        PermanentError: it is no LoRA or DoRA adapter of mlx-lm.
        OSError: `target` cannot be written.
    """
    target.mkdir(parents=True, exist_ok=True)
    to_peft(adapter, target, base_id)
    copy_tree(adapter, target / "mlx")
    _without_paths(target / "mlx" / "adapter_config.json", base_id)


def _without_paths(config: Path, base_id: str) -> None:
    """Name the base by its id: mlx-lm writes the folder of this computer into the configuration."""
    fields = msgspec.json.decode(config.read_bytes())
    fields = {key: value for key, value in fields.items() if not key.endswith(("_path", "_file"))}
    fields["model"] = base_id
    write_file(config, msgspec.json.format(msgspec.json.encode(fields), indent=2) + b"\n")
