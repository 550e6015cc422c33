"""What a model folder must be before a byte of it leaves: complete, finite, alive."""

from pathlib import Path
from typing import Any

import msgspec

from secdaemon.pipeline.interface import Gate, PermanentError
from secdaemon.pipeline.training.base_model import load_base

PROMPT = "What is an SQL injection?"
NEW_TOKENS = 8


def check_model(folder: Path, base: Path) -> tuple[Gate, ...]:
    """Check a published model's folder: the PEFT form at its root, the MLX form under mlx/."""
    checks = [
        complete("the PEFT form", folder, ("adapter_model.safetensors", "adapter_config.json")),
        finite(folder / "adapter_model.safetensors"),
    ]
    return (*checks, *check_adapter(folder / "mlx", base))


def check_adapter(adapter: Path, base: Path) -> tuple[Gate, ...]:
    """Check an MLX adapter's folder."""
    checks = [
        complete("the MLX form", adapter, ("adapters.safetensors", "adapter_config.json")),
        finite(adapter / "adapters.safetensors"),
    ]
    if all(check.passed for check in checks):
        checks.append(generates(base, adapter))
    return tuple(checks)


def complete(what: str, folder: Path, names: tuple[str, ...]) -> Gate:
    """Every file is there and not empty; JSON files hold an object."""
    wrong = [name for name in names if not _is_whole(folder / name)]
    return _gate(
        "complete",
        not wrong,
        f"{what}: {len(names)} files are there"
        if not wrong
        else f"{what}: missing, empty or broken: {', '.join(wrong)}",
    )


def _is_whole(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return False
    if path.suffix != ".json":
        return True
    try:
        return isinstance(msgspec.json.decode(path.read_bytes()), dict)
    except msgspec.DecodeError:
        return False


def finite(path: Path) -> Gate:
    """Every number of a safetensors file is finite, and not all of them are zero."""
    import mlx.core as mx

    try:
        tensors: Any = mx.load(str(path))
    except (RuntimeError, ValueError, OSError) as error:
        return _gate("finite", passed=False, detail=f"{path.name} cannot be read: {error}")
    if not all(mx.isfinite(tensor).all().item() for tensor in tensors.values()):
        return _gate(
            "finite", passed=False, detail=f"{path.name} holds numbers that are not finite"
        )
    largest = max((float(mx.abs(tensor).max()) for tensor in tensors.values()), default=0.0)
    detail = f"{path.name}: {len(tensors)} tensors, largest value {largest:.3g}"
    return _gate("finite", largest > 0, detail)


def generates(base: Path, adapter: Path | None) -> Gate:
    """mlx-lm loads the model with the adapter and it writes at least one token."""
    from mlx_lm import stream_generate

    try:
        model, tokenizer = load_base(base, adapter)
    except PermanentError as error:
        return _gate("generates", passed=False, detail=str(error))
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": PROMPT}], add_generation_prompt=True, return_dict=False
    )
    tokens = sum(1 for _ in stream_generate(model, tokenizer, prompt, max_tokens=NEW_TOKENS))
    return _gate("generates", tokens > 0, f"it loads and wrote {tokens} tokens")


def _gate(name: str, passed: bool, detail: str) -> Gate:
    return Gate(name=name, passed=passed, quality=False, detail=detail)
