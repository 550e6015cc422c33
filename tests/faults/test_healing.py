"""A Stage 2 that forgot is healed, killed or not, or held; nothing worse is published over it."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secdaemon.pipeline.account.manifest import Manifest, check
from secdaemon.pipeline.interface import HealingAttempt
from secdaemon.state.machine import State, Step

pytestmark = pytest.mark.slow

Scene = Any

RECKLESS = {
    "training": "training: {max_seq_length: 640, checkpoint_every: 2}",
    "stage1": (
        "stage1: {sources: [embedded], iterations: 20, learning_rate: 4.0e-4, max_examples: 60}"
    ),
    "stage2": "stage2: {iterations: 8, learning_rate: 1.0e-3, method: [replay]}",
    "evaluation": (
        "evaluation: {max_examples: 24, generate_examples: 1, max_tokens: 8, "
        "bootstrap_samples: 200}"
    ),
    "retention": "retention: {threshold: 0.9}",
    "gates": "gates: {improvement: true}",
}
"""A Stage 2 that keeps about a third of what Stage 1 learnt."""


def published_manifest(scene: Scene) -> Manifest:
    """Return the manifest of the newest run, which has to be whole."""
    path = Path(scene.runs()[0].run_dir) / "run-manifest.json"
    assert check(path) == []
    return msgspec.json.decode(path.read_bytes(), type=Manifest)


def told(scene: Scene) -> str:
    """Return what `status RUN` prints."""
    where = ["--home", str(scene.home.root)]
    command = [sys.executable, "-m", "secdaemon.daemon", *where, "status", scene.runs()[0].id]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


@pytest.fixture(scope="module")
def healed(
    tmp_path_factory: pytest.TempPathFactory, scans: Path, scene_in: Callable[..., Scene]
) -> Iterator[Scene]:
    """Yield a home in which a Stage 2 that forgot was healed and published, undisturbed."""
    with closing(scene_in(tmp_path_factory.mktemp("healed") / "home", **RECKLESS)) as scene:
        (scene.inbox / scans.name).write_bytes(scans.read_bytes())
        assert scene.finish() == 0
        yield scene


def test_a_model_that_forgot_is_healed_and_published(healed: Scene) -> None:
    """It is moved back as far as it has to be; what training made stays beside it."""
    run = healed.view()
    assert run.state is State.PUBLISHED
    assert run.retention.passed
    assert run.retention.ci_low >= run.retention.threshold
    tried: tuple[HealingAttempt, ...] = run.healing
    assert [attempt.kind for attempt in tried] == ["trained", *["walk"] * 6]
    assert tried[0].retention < 0.9
    assert not tried[0].passed
    (final,) = [attempt for attempt in tried if attempt.chosen]
    assert final.kind == "walk"
    assert final.t == max(attempt.t for attempt in tried if attempt.passed)
    assert final.improvement > 0
    folder = Path(run.run_dir)
    weights = "adapters.safetensors"
    moved = (folder / "final-model" / "mlx" / weights).read_bytes()
    assert moved != (folder / "stage2" / "adapters" / weights).read_bytes()
    assert moved == (Path(run.published.model_url) / "mlx" / weights).read_bytes()
    left = [path.parent.parent.name for path in (folder / "healing").rglob(weights)]
    assert left == [f"{final.t:.6f}"]


def test_what_was_tried_is_told(healed: Scene) -> None:
    """Status, manifest and card have every attempt; Stage 2's own metrics stay as they were."""
    run, manifest = healed.view(), published_manifest(healed)
    assert manifest.healing == run.healing
    assert manifest.remedy is not None
    assert manifest.remedy.startswith("healed (6 points")
    assert manifest.metrics.stage2_test.stage2.loss == run.stage2.metrics.loss
    assert manifest.metrics.stage2_test.healed is not None
    assert manifest.metrics.stage2_test.healed.loss > run.stage2.metrics.loss
    assert manifest.metrics.stage1_test.healed.loss < manifest.metrics.stage1_test.stage2.loss
    (judged,) = [event for event in run.events if event.target is State.RETAINED]
    assert manifest.remedy in judged.detail
    text = told(healed)
    assert manifest.remedy in text
    assert text.count("\nhealing    ") == 7
    card = (Path(run.published.model_url) / "README.md").read_text(encoding="utf-8")
    assert "of the way from Stage 1 to the training" in card
    assert "Healing" in (Path(run.run_dir) / "report.html").read_text(encoding="utf-8")


def test_killed_in_the_middle_of_healing_it_ends_the_same(
    healed: Scene, make_scene: Callable[..., Scene], scans: Path
) -> None:
    """Two kills while points are measured: the same files with the same bytes come out."""
    scene = make_scene(**RECKLESS)
    (scene.inbox / scans.name).write_bytes(scans.read_bytes())
    for points in (2, 4):
        daemon = scene.begin()
        walk = "models/fine-tuned/*/healing/walk-0/*/evaluation/stage1-test/scores.jsonl"
        scene.until(
            lambda walk=walk, points=points: len([*scene.home.root.glob(walk)]) >= points,
            f"{points} points are measured",
        )
        scene.kill(daemon)
        assert scene.runs()[0].step is Step.RETENTION
    assert scene.finish() == 0
    assert scene.results() == healed.results()
    assert scene.view().healing == healed.view().healing
    assert scene.view().retention == healed.view().retention


def test_without_healing_it_is_held_and_can_be_released(
    make_scene: Callable[..., Scene], scans: Path
) -> None:
    """The Stage 2 adapter as trained is what a person releases; nothing else was tried."""
    scene = make_scene(**{**RECKLESS, "retention": "retention: {threshold: 0.9, heal: false}"})
    (scene.inbox / scans.name).write_bytes(scans.read_bytes())
    assert scene.finish() == 1
    run = scene.view()
    assert run.state is State.HELD
    assert "less than the threshold of 0.90" in run.reason
    assert "healing" not in run.reason
    assert not (Path(run.run_dir) / "healing").exists()
    assert published_manifest(scene).healing == ()
    where = ["--home", str(scene.home.root)]
    command = [sys.executable, "-m", "secdaemon.daemon", *where, "release", run.id]
    subprocess.run(command, check=True, capture_output=True)
    assert scene.finish() == 0
    released = Path(scene.view().published.model_url) / "mlx" / "adapters.safetensors"
    trained = Path(run.run_dir) / "stage2" / "adapters" / "adapters.safetensors"
    assert released.read_bytes() == trained.read_bytes()


def test_what_nothing_heals_is_held_with_all_that_was_tried(
    make_scene: Callable[..., Scene], scans: Path
) -> None:
    """A gate that no cure helps against: every cure is tried, killed or not; a person releases."""
    gates = "gates: {improvement: true, specialisation: true, stage1_score: 1.0}"
    scene = make_scene(**{**RECKLESS, "gates": gates})
    (scene.inbox / scans.name).write_bytes(scans.read_bytes())
    daemon = scene.begin()
    half = "models/fine-tuned/*/healing/retraining-1/checkpoints/*4/manifest.json"
    scene.until(lambda: any(scene.home.root.glob(half)), "the retraining is half done")
    scene.kill(daemon)
    assert scene.finish() == 1
    run = scene.view()
    assert run.state is State.HELD
    kinds = [attempt.kind for attempt in run.healing]
    assert kinds[:8] == ["trained", *["walk"] * 6, "retrained"]
    assert not any(attempt.passed for attempt in run.healing)
    again = run.healing[7]
    assert (again.replay_ratio, again.learning_rate, again.training) == (0.3, 5.0e-4, 1)
    assert "and another training); the final model is" in run.reason
    assert run.retention.passed
    (final,) = [attempt for attempt in run.healing if attempt.chosen]
    assert (final.kind, final.training) == ("walk", 0)
    assert final.detail.startswith("specialisation scores below their thresholds: Stage 1")
    retrained = Path(run.run_dir) / "healing" / "retraining-1"
    assert json.loads((retrained / "summary.json").read_bytes())["summary"]["resumed_at"] >= 4
    where = ["--home", str(scene.home.root)]
    command = [sys.executable, "-m", "secdaemon.daemon", *where, "release", run.id]
    subprocess.run(command, check=True, capture_output=True)
    assert scene.finish() == 0
    released = Path(scene.view().published.model_url) / "mlx" / "adapters.safetensors"
    kept = Path(run.run_dir) / "healing" / "walk-0" / f"{final.t:.6f}" / "adapters"
    assert released.read_bytes() == (kept / "adapters.safetensors").read_bytes()


def test_a_worse_second_model_does_not_take_the_published_ones_place(
    healed: Scene, make_zip: Callable[..., Path], make_sarif: Callable[[str, int], str], scans: Path
) -> None:
    """A Stage 2 that learnt next to nothing keeps all of Stage 1 and is held for the champion."""
    champion = healed.view()
    other = healed.home.root / "other.zip"
    other.write_bytes(scans.read_bytes())
    with zipfile.ZipFile(other, "a") as archive:
        archive.writestr("extra.sarif", make_sarif("extra", 3))
    other.rename(healed.inbox / "other.zip")
    assert healed.finish({"SECDAEMON_STAGE2__LEARNING_RATE": "1.0e-7"}) == 1
    run = healed.view()
    assert run.state is State.HELD
    assert run.retention.passed
    assert f"worse than the published model of run {champion.id}" in run.reason
    manifest = published_manifest(healed)
    assert manifest.champion_run == champion.id
    new = manifest.metrics.stage2_test
    assert new.champion.loss < new.stage2.loss
    assert healed.finish({"SECDAEMON_GATES__CHAMPION": "false"}) == 0
