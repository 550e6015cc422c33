"""Any folder with a model in it: what it is, whether it is whole, and how it is published alone."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Literal

import msgspec

from secdaemon.config.files import write_file
from secdaemon.config.schema import Settings
from secdaemon.pipeline import gates
from secdaemon.pipeline.account import manifest
from secdaemon.pipeline.account.cards import adapter_card
from secdaemon.pipeline.interface import Gate, PermanentError, PublishOutput, Report
from secdaemon.pipeline.layout import RUN_DIR_PREFIX
from secdaemon.pipeline.publishing.both_forms import write_both_forms
from secdaemon.pipeline.publishing.checks import check_folder
from secdaemon.pipeline.publishing.folder import put
from secdaemon.pipeline.publishing.staging import MANIFEST
from secdaemon.pipeline.training.base_model import base_folder
from secdaemon.pipeline.training.peft import PEFT_WEIGHTS

_ADAPTER_FILES = ("adapter_config.json", "adapters.safetensors")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


class Model(msgspec.Struct, frozen=True):
    """A folder with a model: both forms of an adapter, either alone, or a whole model."""

    kind: Literal["published", "adapter", "exported", "whole"]
    path: Path
    dataset: Path | None = None
    """Published together with it."""
    stages: tuple[Path, ...] = ()
    """The adapters of both stages, where it is a run directory."""


def recognise(path: Path) -> Model:
    """Return what a folder holds: a run directory, a published run, or a model folder itself."""
    if (path / MANIFEST).is_file() and (path / "final-model").is_dir():
        stages = tuple(path / stage / "adapters" for stage in ("stage1", "stage2"))
        return Model("published", path / "final-model", stages=stages)
    if (path / "model").is_dir() and not (path / "config.json").exists():
        dataset = path / "dataset"
        return Model("published", path / "model", dataset if dataset.is_dir() else None)
    if (path / "mlx").is_dir() or (path / MANIFEST).is_file():
        return Model("published", path)
    if (path / PEFT_WEIGHTS).is_file():
        return Model("exported", path)
    if (path / "adapters").is_dir():
        path /= "adapters"
    return Model("adapter" if any(path.glob("adapter*")) else "whole", path)


def mlx_form(path: Path) -> Path:
    """Return the MLX adapter of a folder with an adapter of any kind.

    Raises:
        PermanentError: it holds a whole model, or a PEFT adapter alone.
    """
    found = recognise(path)
    if found.kind == "exported":
        msg = f"{path}: is a PEFT adapter already, and the MLX adapter it was made from is wanted"
        raise PermanentError(msg)
    if found.kind == "whole":
        msg = f"{path}: holds no adapter"
        raise PermanentError(msg)
    return found.path / "mlx" if found.kind == "published" else found.path


def check(model: Model, settings: Settings) -> tuple[Gate, ...]:
    """Return the result of every gate that a folder of its kind has to pass."""
    if model.kind == "whole":
        whole = gates.complete("the model", model.path, ("config.json", "tokenizer.json"))
        return (whole, gates.generates(model.path, None)) if whole.passed else (whole,)
    base = base_folder(settings.models)
    if model.kind == "exported":
        return gates.check_exported(model.path, base)
    if model.kind == "adapter":
        return gates.check_adapter(model.path, base)
    bytes_checks = [*check_folder(model.path, _own(settings))]
    if model.dataset is not None:
        bytes_checks.extend(check_folder(model.dataset, _own(settings)))
    wrong = () if _is_simple(model.path) else manifest.check(model.path / MANIFEST)
    described = Gate(
        name="manifest",
        passed=not wrong,
        quality=False,
        detail="; ".join(wrong) or "it is described",
    )
    stages = [gate for stage in model.stages for gate in gates.check_files(stage)]
    return (described, *stages, *gates.check_model(model.path, base), *bytes_checks)


def _is_simple(path: Path) -> bool:
    """Whether it is an adapter that was trained alone: a card, and no run to tell of."""
    return not (path / MANIFEST).exists() and (path / "README.md").is_file()


def _own(settings: Settings) -> list[str]:
    """Return the folders of this computer that nothing published may name."""
    models = settings.models
    return [models.base_dir, models.fine_tuned_dir, settings.publish.folder]


def publish(path: Path, settings: Settings, report: Report) -> PublishOutput:
    """Validate a folder and send it to the target, under the run's names or, without one, its own.

    Raises:
        PermanentError: a gate said no, or the folder is of a kind that is not published alone.
        TransientError: the Hub has trouble.
        OSError: a folder cannot be read or written.
    """
    model = recognise(path)
    if model.kind == "whole":
        msg = f"{path}: holds no adapter, and only adapters are published"
        raise PermanentError(msg)
    mlx_form(path)
    _demand(check(model, settings))
    home = Path(settings.models.fine_tuned_dir)
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".publishing-") as folder:
        staged = Path(folder)
        _stage(model, staged, settings.models.base_id)
        _demand(check(recognise(staged / "model"), settings))
        return _send(staged, _name(model), settings, report)


def _stage(model: Model, staged: Path, base_id: str) -> None:
    """Copy what is to be sent: true copies, as its owner may write into the folder again.

    Of an adapter's folder only the adapter is taken, and no older one that mlx-lm left beside it.
    """
    if model.kind == "published":
        shutil.copytree(model.path, staged / "model", symlinks=True)
    else:
        with tempfile.TemporaryDirectory(dir=staged) as folder:
            adapter = Path(folder)
            for name in _ADAPTER_FILES:
                shutil.copyfile(model.path / name, adapter / name)
            write_both_forms(adapter, staged / "model", base_id)
        write_file(staged / "model" / "README.md", adapter_card(base_id))
    if model.dataset is not None:
        shutil.copytree(model.dataset, staged / "dataset", symlinks=True)


def _demand(checks: tuple[Gate, ...]) -> None:
    failed = [gate.detail for gate in checks if not gate.passed]
    if failed:
        msg = f"{'; '.join(failed)}; nothing was published"
        raise PermanentError(msg)


def _name(model: Model) -> str:
    """Return the run id where there is one, else the folder's own name."""
    found = model.path / MANIFEST
    if found.is_file():
        return str(msgspec.json.decode(found.read_bytes())["run_id"])
    folder = model.path.parent if model.path.name in {"adapters", "mlx", "model"} else model.path
    name = folder.name
    if folder.parent.name.startswith(RUN_DIR_PREFIX):
        # `stage2` alone would be the name of every run's.
        name = f"{folder.parent.name.removeprefix(RUN_DIR_PREFIX)}-{name}"
    return _NOT_IN_NAMES.sub("-", name).strip("-.") or "adapter"


def _send(staged: Path, name: str, settings: Settings, report: Report) -> PublishOutput:
    target = settings.publish
    if target.target == "folder":
        return put(staged, Path(target.folder) / name)
    from secdaemon.pipeline.publishing.hub import Repository, open_hub

    hub, names = open_hub(staged, target, name, report)
    is_run = (staged / "model" / MANIFEST).is_file()
    template = target.model_repo if is_run else "{prefix}/{run_id}"
    model = Repository("model", template.format_map(names))
    dataset = Repository("dataset", target.dataset_repo.format_map(names))
    both = [(model, staged / "model")]
    if (staged / "dataset").is_dir():
        both.insert(0, (dataset, staged / "dataset"))
    for repository, _ in both:
        hub.ensure(repository, private=target.private)
    placed = [hub.put(repository, folder, name) for repository, folder in both]
    return PublishOutput(
        target="huggingface",
        model_url=placed[-1].url,
        dataset_url=placed[0].url if len(placed) > 1 else "",
        revision=placed[-1].revision,
    )
