"""What a model folder must be before a byte of it leaves: complete, finite, alive."""

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from secdaemon.pipeline.interface import Gate, PermanentError
from secdaemon.pipeline.training.adapter import CONFIG_FILE, WEIGHTS_FILE
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.peft import PEFT_CONFIG, PEFT_WEIGHTS, to_mlx
from secdaemon.pipeline.training.tensors import TensorFileError, read_header, read_tensors

PROMPT = "What is an SQL injection?"
ROUND_TRIP = 'def f(x):\n    return {"id": x, "n": 1.5}  # ok\n'
NEW_TOKENS = 8


class _Layers(msgspec.Struct, frozen=True):
    """The part of a base model's config.json that tells its depth."""

    num_hidden_layers: int


class _PeftConfig(msgspec.Struct, frozen=True):
    """The part of PEFT's adapter_config.json that its tensors must agree with."""

    peft_type: str
    r: int
    lora_alpha: float
    target_modules: tuple[str, ...]
    use_dora: bool = False


def check_model(folder: Path, base: Path, stage1: Path | None = None) -> tuple[Gate, ...]:
    """Check a published model's folder: the PEFT form at its root, the MLX form under mlx/.

    `stage1` is the adapter folder that it must differ from, where there is one.
    """
    checks = check_peft_form(folder)
    checks.extend(check_adapter(folder / "mlx", base, stage1))
    if (merged := folder / "merged").is_dir():
        checks.append(complete("the fused model", merged, ("config.json", "tokenizer.json")))
        checks.append(generates(merged, None))
    return tuple(checks)


def check_peft_form(folder: Path) -> list[Gate]:
    """Check the files of a PEFT adapter."""
    checks = [
        complete("the PEFT form", folder, (PEFT_WEIGHTS, PEFT_CONFIG)),
        finite(folder / PEFT_WEIGHTS),
    ]
    if all(check.passed for check in checks):
        checks.append(fits(folder))
    return checks


def check_exported(folder: Path, base: Path) -> tuple[Gate, ...]:
    """Check a PEFT adapter that stands alone: turned into mlx-lm's form, it loads and generates."""
    checks = check_peft_form(folder)
    if not all(check.passed for check in checks):
        return tuple(checks)
    with tempfile.TemporaryDirectory() as temporary:
        adapter = Path(temporary)
        try:
            layers = msgspec.json.decode((base / "config.json").read_bytes(), type=_Layers)
            to_mlx(folder, adapter, layers.num_hidden_layers)
        except (OSError, msgspec.DecodeError, PermanentError) as error:
            return (*checks, _gate("generates", passed=False, detail=str(error)))
        return (*checks, differs(adapter, None), generates(base, adapter))


def check_adapter(adapter: Path, base: Path, stage1: Path | None = None) -> tuple[Gate, ...]:
    """Check an MLX adapter's folder, as `check_model` does."""
    checks = check_files(adapter)
    if all(check.passed for check in checks):
        checks += (differs(adapter, stage1), generates(base, adapter))
    return checks


def check_files(adapter: Path) -> tuple[Gate, ...]:
    """Check that an MLX adapter's folder has both files, and what numbers the tensors are."""
    return (
        complete(f"the MLX form{_stage(adapter)}", adapter, (WEIGHTS_FILE, CONFIG_FILE)),
        finite(adapter / WEIGHTS_FILE),
    )


def _stage(adapter: Path) -> str:
    return f" of {adapter.parent.name}" if adapter.parent.name in {"stage1", "stage2"} else ""


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


def fits(folder: Path) -> Gate:
    """PEFT's configuration is one of LoRA and describes every tensor's shape."""
    try:
        config = msgspec.json.decode((folder / PEFT_CONFIG).read_bytes(), type=_PeftConfig)
        shapes = {name: shape for name, (_, shape) in read_header(folder / PEFT_WEIGHTS).items()}
    except (OSError, msgspec.DecodeError, TensorFileError) as error:
        return _gate("fits", passed=False, detail=f"the PEFT form cannot be read: {error}")
    wrong = [name for name, shape in shapes.items() if not _fits(name, shape, config)]
    if config.peft_type != "LORA" or config.lora_alpha <= 0:
        wrong.append(PEFT_CONFIG)
    detail = f"not as {PEFT_CONFIG} says: {', '.join(wrong[:3])}"
    return _gate(
        "fits", not wrong, detail if wrong else f"{len(shapes)} tensors of rank {config.r}"
    )


def _fits(name: str, shape: tuple[int, ...], config: _PeftConfig) -> bool:
    module = name.removeprefix("base_model.model.").partition(".lora_")[0]
    named = any(module == t or module.endswith(f".{t}") for t in config.target_modules)
    if not named:
        return False
    if ".lora_A." in name:
        return shape[0] == config.r
    if ".lora_B." in name:
        return shape[-1] == config.r
    return config.use_dora or "lora_embedding" in name


def differs(adapter: Path, stage1: Path | None) -> Gate:
    """The adapter changes the base's answers, and is not the Stage 1 adapter over again."""
    tensors = read_tensors(adapter / WEIGHTS_FILE)
    second = [tensor for name, tensor in tensors.items() if name.endswith("lora_b")]
    # Shifted by one, the sign bit is gone: minus zero is zero.
    if not any((tensor.bits << 1).any() for tensor in second):
        return _gate("differs", passed=False, detail="the adapter changes nothing in the base")
    if stage1 is None:
        return _gate("differs", passed=True, detail="the adapter changes the base")
    known = read_tensors(stage1 / WEIGHTS_FILE)
    same = known.keys() == tensors.keys() and all(
        np.array_equal(known[name].bits, tensor.bits) for name, tensor in tensors.items()
    )
    detail = "it is the Stage 1 adapter, unchanged" if same else "it is neither base nor Stage 1"
    return _gate("differs", not same, detail)


def generates(base: Path, adapter: Path | None) -> Gate:
    """mlx-lm loads the model with all of the adapter, and it reads and writes.

    mlx-lm passes over tensors that it has no place for without a word, so they are looked for.
    """
    from mlx.utils import tree_flatten
    from mlx_lm import stream_generate

    try:
        model, tokenizer = load_base(base, adapter)
    except PermanentError as error:
        return _gate("generates", passed=False, detail=str(error))
    if adapter is not None:
        places = {name: tuple(array.shape) for name, array in tree_flatten(model.parameters())}
        shapes = {name: shape for name, (_, shape) in read_header(adapter / WEIGHTS_FILE).items()}
        stray = [name for name, shape in shapes.items() if places.get(name) != shape]
        if stray:
            detail = f"the base model has no place for {', '.join(stray[:3])}"
            return _gate("generates", passed=False, detail=detail)
    if tokenizer.decode(tokenizer.encode(ROUND_TRIP, add_special_tokens=False)) != ROUND_TRIP:
        return _gate("generates", passed=False, detail="its tokenizer changes what it reads")
    if tokenizer.chat_template is None:
        prompt = tokenizer.encode(PROMPT)
    else:
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": PROMPT}], add_generation_prompt=True, return_dict=False
        )
    tokens = sum(1 for _ in stream_generate(model, tokenizer, prompt, max_tokens=NEW_TOKENS))
    return _gate("generates", tokens > 0, f"it loads and wrote {tokens} tokens")


def _gate(name: str, passed: bool, detail: str) -> Gate:
    return Gate(name=name, passed=passed, quality=False, detail=detail)
