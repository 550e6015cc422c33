"""A run that is ready to be published, with a real adapter, and a Hub on loopback."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import hub_server
import mlx.core as mx
import msgspec
import pytest
from mlx.utils import tree_flatten

from secdaemon.config.paths import Home
from secdaemon.config.settings import load_settings
from secdaemon.pipeline.account import cards, manifest
from secdaemon.pipeline.embedded.tiny_model import lay_out
from secdaemon.pipeline.examples import Example, Splits, conversation, write_splits
from secdaemon.pipeline.interface import Job, Outputs
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.splitting.splits import replay
from secdaemon.pipeline.training import adapter
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.peft import to_peft

SAMPLE = Path(__file__).parents[1] / "account" / "sample_run.json"
TOKEN = "hf_" + "Loopback" * 4
BASE_ID = "secdaemon/embedded-tiny"


def examples(count: int, source: str) -> tuple[Example, ...]:
    """Return examples of their own groups."""
    return tuple(
        Example(
            id=f"{source}-{n}",
            messages=conversation(
                f"What is wrong in line {n} of {source}?", f"Nothing, it is {n}."
            ),
            group=f"{source}-{n}",
            metadata={"source": source, "category": "code", "cwe": "CWE-89"},
        )
        for n in range(count)
    )


def write_adapter(base: Path, folder: Path, seed: int) -> None:
    """Write an MLX adapter with seeded numbers in it, as a training leaves one."""
    settings = load_settings(Home(folder, chosen=True), environ={})
    model, _ = load_base(base)
    mx.random.seed(seed)
    config = adapter.attach(model, settings.lora)
    weights = {
        name: mx.random.normal(array.shape) * 0.02
        for name, array in tree_flatten(model.trainable_parameters())
    }
    folder.mkdir(parents=True)
    mx.save_safetensors(str(folder / adapter.WEIGHTS_FILE), weights)
    adapter.write_config(folder, config)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model's folder."""
    return lay_out(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def retained(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A home whose only run waits to be published; copied by `make_job`, never changed."""
    home = tmp_path_factory.mktemp("retained")
    folder = RunFolder(home / "run")
    for seed, stage in enumerate((folder.stage1, folder.stage2)):
        write_adapter(tiny, stage.adapters, seed)
        for model in ("base", "stage1", "stage2"):
            results = stage.evaluation / model / "evaluation_results.json"
            results.parent.mkdir(parents=True)
            results.write_text('{"metrics": {"loss": 1.5}}')
    project = Splits(examples(6, "project"), examples(2, "valid"), examples(2, "test"))
    write_splits(folder.project_data, project)
    replayed = replay(examples(4, "crossvul"), 2, seed=0)
    write_splits(
        folder.stage2.data, msgspec.structs.replace(project, train=(*project.train, *replayed))
    )
    job = job_in(home)
    described = manifest.build_manifest(job, job.previous)
    to_peft(folder.stage2.adapters, folder.final_model, BASE_ID)
    shutil.copytree(folder.stage2.adapters, folder.final_model / "mlx")
    for path in (folder.manifest, folder.final_model / "run-manifest.json"):
        manifest.write(described, path)
    (folder.final_model / "README.md").write_text(cards.model_card(described))
    return home


def job_in(home: Path, **environ: str) -> Job:
    """Return the publish job of the sample run in this home."""
    sample = msgspec.json.decode(SAMPLE.read_bytes())
    variables = {
        "SECDAEMON_MODELS__BASE": "embedded:tiny",
        "SECDAEMON_STAGE1__SOURCES": "[crossvul]",
        "SECDAEMON_PUBLISH__PREFIX": "tester",
        **environ,
    }
    places = {
        "run_dir": str(home / "run"),
        "stage1_dir": str(home / "stage1"),
        "archive": str(home / "archive" / "a.zip"),
        "lock_file": str(home / "lock"),
        "settings": load_settings(Home(home, chosen=True), environ=variables),
        "salt": "00",
        "previous": msgspec.convert(sample["outputs"], Outputs),
    }
    return msgspec.convert({**sample["job"], **places}, Job)


@pytest.fixture
def make_job(retained: Path, tmp_path: Path) -> Callable[..., Job]:
    """Return a maker of publish jobs in a copy of the retained home."""
    shutil.copytree(retained, tmp_path / "home")
    return lambda **environ: job_in(tmp_path / "home", **environ)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[hub_server.Hub]:
    """A Hub on loopback that the real client is pointed at."""
    server = hub_server.Hub(TOKEN)
    with hub_server.serving(server) as url:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_ENDPOINT", url)
        yield server
