"""The base model's folder."""

import shutil
from pathlib import Path

import pytest

from secdaemon.config.schema import Models
from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.training.base_model import base_folder, load_base, weights_hash


def models(base: str, base_dir: Path) -> Models:
    """Return settings with this base."""
    return Models(
        base=base,
        base_id="some/base",
        base_dir=str(base_dir),
        fine_tuned_dir=str(base_dir),
        embedding=None,
    )


def test_the_embedded_model_is_laid_out(tmp_path: Path) -> None:
    """`embedded:tiny` becomes a folder that mlx-lm loads."""
    folder = base_folder(models("embedded:tiny", tmp_path))
    assert folder == tmp_path / "embedded-tiny"
    model, tokenizer = load_base(folder)
    assert model.layers
    assert tokenizer.chat_template


def test_a_name_and_a_path_are_found(base: Path, tmp_path: Path) -> None:
    """A name is looked up under base_dir, a path stands for itself."""
    assert base_folder(models(base.name, base.parent)) == base
    assert base_folder(models(str(base), tmp_path)) == base


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    """One sentence names the folder and the commands."""
    with pytest.raises(PermanentError) as caught:
        base_folder(models("olmo", tmp_path))
    message = str(caught.value)
    assert f"{tmp_path / 'olmo'} is not there" in message
    assert "mlx_lm convert --hf-path some/base -q --mlx-path" in message
    assert "hf download" in message
    assert "secdaemon doctor" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("config.json", r"no config\.json"),
        ("tokenizer.json", "no tokenizer"),
        ("model.safetensors", r"no model\*\.safetensors"),
    ],
)
def test_an_incomplete_model_is_refused(
    base: Path, tmp_path: Path, name: str, problem: str
) -> None:
    """A folder without one of its files is not whole."""
    folder = Path(shutil.copytree(base, tmp_path / "model"))
    (folder / name).unlink()
    with pytest.raises(PermanentError, match=problem):
        base_folder(models(str(folder), tmp_path))


def test_cut_off_weights_are_refused(base: Path, tmp_path: Path) -> None:
    """A download that broke off, or a shard that is missing, is noticed without loading."""
    folder = Path(shutil.copytree(base, tmp_path / "model"))
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for part in (whole[:-1], whole[:100], b""):
        weights.write_bytes(part)
        with pytest.raises(PermanentError, match="incomplete"):
            base_folder(models(str(folder), tmp_path))
    weights.write_bytes(whole)
    (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model-2.safetensors"}}'
    )
    with pytest.raises(PermanentError, match=r"model-2\.safetensors is missing"):
        base_folder(models(str(folder), tmp_path))


def test_what_mlx_lm_cannot_load_is_told(base: Path, tmp_path: Path) -> None:
    """An unknown architecture ends in a sentence, not in a traceback of mlx-lm."""
    folder = Path(shutil.copytree(base, tmp_path / "model"))
    (folder / "config.json").write_text('{"model_type": "no_such_model"}')
    with pytest.raises(PermanentError, match="no_such_model"):
        load_base(folder)
    with pytest.raises(PermanentError, match="is not there"):
        load_base(tmp_path / "nowhere")


def test_the_hash_is_that_of_the_content(base: Path, tmp_path: Path) -> None:
    """A copy has the same hash, a card changes nothing, a weight does."""
    folder = Path(shutil.copytree(base, tmp_path / "model"))
    (folder / "README.md").write_text("other words")
    assert weights_hash(folder) == weights_hash(base)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert weights_hash(folder) != weights_hash(base)
