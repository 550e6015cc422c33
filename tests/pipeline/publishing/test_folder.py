"""The folder target: what stands there stays whole, whatever is put there again."""

from pathlib import Path

from secdaemon.pipeline.gates import check_files
from secdaemon.pipeline.layout import RUN_DIR_PREFIX
from secdaemon.pipeline.publishing.anything import _name, recognise
from secdaemon.pipeline.publishing.folder import put

RUN = "20260101_000000"


def staged(folder: Path, *names: str) -> Path:
    """Return a staging folder with one file in each of the folders named."""
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text(name)
    return folder


def test_a_model_put_again_alone_keeps_its_data_set(tmp_path: Path) -> None:
    """`publish RUN_DIR` sends the model; the data set that the run published stays beside it."""
    final = tmp_path / "published" / RUN
    put(staged(tmp_path / "both", "model", "dataset"), final)
    again = put(staged(tmp_path / "model-alone", "model"), final)
    assert (final / "dataset" / "file").read_text() == "dataset"
    assert again.dataset_url == str(final / "dataset")
    assert (final.parent / "latest").resolve() == final


def test_a_model_without_a_data_set_gets_none(tmp_path: Path) -> None:
    """What is no run's is put alone, and `latest` does not point at it."""
    final = tmp_path / "published" / "mine"
    assert put(staged(tmp_path / "alone", "model"), final).dataset_url == ""
    assert [path.name for path in final.iterdir()] == ["model"]
    assert not (final.parent / "latest").is_symlink()


def test_a_run_directory_answers_for_both_stages(tmp_path: Path) -> None:
    """Its stages' adapters are checked with the final model, and a missing one is named."""
    run_dir = tmp_path / f"{RUN_DIR_PREFIX}{RUN}"
    (run_dir / "final-model").mkdir(parents=True)
    (run_dir / "run-manifest.json").write_text("{}")
    model = recognise(run_dir)
    assert model.stages == tuple(run_dir / stage / "adapters" for stage in ("stage1", "stage2"))
    missing = check_files(model.stages[1])[0]
    assert not missing.passed
    assert "stage2" in missing.detail
    assert "adapters.safetensors" in missing.detail


def test_a_stages_adapter_is_named_after_its_run(tmp_path: Path) -> None:
    """Two runs' `stage2/adapters` are not published over each other."""
    adapters = tmp_path / f"{RUN_DIR_PREFIX}{RUN}" / "stage2" / "adapters"
    adapters.mkdir(parents=True)
    (adapters / "adapters.safetensors").write_text("")
    assert _name(recognise(adapters)) == f"{RUN}-stage2"
    (tmp_path / "mine" / "adapters").mkdir(parents=True)
    assert _name(recognise(tmp_path / "mine")) == "mine"
