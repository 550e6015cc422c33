"""What is damaged on the disk is noticed: the work goes round it, or says so in one sentence."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secdaemon.daemon.views import FullRunView
from secdaemon.pipeline.embedded.tiny_model import lay_out, packaged_files
from secdaemon.state.machine import State, Step

pytestmark = pytest.mark.slow

Scene = Any
Compare = Callable[[Scene], FullRunView]


def cut(path: Path) -> None:
    """Leave half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", ["adapters.safetensors", "optimizer.safetensors", "manifest.json"])
def test_a_damaged_checkpoint_is_passed_over(
    name: str, scene: Scene, ends_the_same: Compare
) -> None:
    """Training resumes from the one before it, to the same bytes."""
    daemon = scene.begin()
    scene.until_in(Step.STAGE2)
    scene.kill(daemon)
    *_, older, newest = sorted(scene.home.root.glob("models/fine-tuned/*/stage2/checkpoints/0*"))
    cut(newest / name)
    assert scene.finish() == 0
    ends_the_same(scene)
    assert scene.training(Step.STAGE2).resumed_at == int(older.name)


def test_a_damaged_base_model_is_laid_out_again(scene: Scene, ends_the_same: Compare) -> None:
    """The embedded model comes from the package; training goes on with the same weights."""
    daemon = scene.begin()
    scene.until_in(Step.STAGE1)
    scene.kill(daemon)
    cut(scene.home.root / "models" / "base" / "embedded-tiny" / "model.safetensors")
    assert scene.finish() == 0
    ends_the_same(scene)


def test_a_base_model_that_cannot_be_repaired_is_named(
    make_scene: Callable[..., Scene], scans: Path, tmp_path: Path
) -> None:
    """A folder of the user's own is not touched; one sentence says what is wrong with it."""
    model = lay_out(tmp_path / "base")
    cut(model / "model.safetensors")
    scene = make_scene(models=f"models: {{base: {model}}}")
    shutil.copy(scans, scene.inbox)
    assert scene.finish() == 1
    run = scene.view()
    assert run.state is State.FAILED
    assert run.reason.startswith(f"the base model {model} is incomplete (")
    assert "mlx_lm convert" in run.reason
    assert "\n" not in run.reason
    assert scene.attempts(Step.STAGE1) == [(1, State.FAILED)]
    assert (model / "model.safetensors").stat().st_size < len(packaged_files()["model.safetensors"])


@pytest.mark.parametrize(
    "damaged", ["stage1.json", "adapters/adapters.safetensors", "training-data/train.jsonl"]
)
def test_a_damaged_stage1_result_is_made_again(
    damaged: str,
    scene: Scene,
    make_zip: Callable[..., Path],
    undisturbed: tuple[FullRunView, dict[str, str]],
) -> None:
    """The next run does not build on half a result, and makes the whole one anew."""
    assert scene.finish() == 0
    first = scene.view()
    result = next(scene.home.stage1.iterdir())
    whole = (result / "adapters" / "adapters.safetensors").read_bytes()
    if damaged == "stage1.json":
        cut(result / damaged)
    else:
        (result / damaged).unlink()
    make_zip(scene.inbox / "next.zip", name="b", count=12)
    assert scene.finish() == 0
    run = scene.view()
    assert run.id != first.id
    assert run.state is State.PUBLISHED
    assert not run.stage1.reused
    assert run.stage1.metrics == first.stage1.metrics
    assert (result / "adapters" / "adapters.safetensors").read_bytes() == whole
    assert [path.name for path in scene.home.stage1.iterdir()] == [result.name]
