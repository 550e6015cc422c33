"""Static embeddings read from a folder of the open format."""

from pathlib import Path

import numpy as np
import pytest
from past_runs import VOCABULARY, write_model

from secdaemon.pipeline.interface import PermanentError
from secdaemon.pipeline.knowledge.static_model import StaticModel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a model of seven words in three dimensions."""
    write_model(tmp_path)
    return tmp_path


def test_a_text_is_the_normalised_mean_of_its_tokens(folder: Path) -> None:
    """Unknown words say nothing; a text of nothing else is all zeros."""
    found = StaticModel(folder).embed(["Execute QUERY", "nothing known", "open zebra", ""])
    mean = np.mean([VOCABULARY["execute"], VOCABULARY["query"]], axis=0)
    np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), rtol=1e-6)
    np.testing.assert_array_equal(found[2], VOCABULARY["open"])
    assert not found[[1, 3]].any()


def test_weights_and_a_mapping_are_obeyed(tmp_path: Path) -> None:
    """A quantised vocabulary has rows of its own, and a weight for each token."""
    rows = np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float16)
    mapping = np.array([0, 0, 1, 1, 0, 0, 1], dtype=np.int64)
    weights = np.array([3, 1, 4, 1, 1, 1, 1], dtype=np.float32)
    write_model(tmp_path, embeddings=rows, mapping=mapping, weights=weights)
    found = StaticModel(tmp_path).embed(["execute open"])
    np.testing.assert_allclose(found[0], [0.6, 0.8, 0.0], rtol=1e-6)


def test_a_long_text_is_cut(folder: Path) -> None:
    """What comes after the last token that counts changes nothing."""
    model = StaticModel(folder)
    found = model.embed(["open " * 512, "open " * 512 + "hashlib " * 512])
    np.testing.assert_array_equal(found[0], found[1])


def test_the_identity_is_that_of_the_files(folder: Path, tmp_path: Path) -> None:
    """The same files are the same model wherever they lie; another table is another model."""
    before = StaticModel(folder).identity
    assert StaticModel(folder).identity == before
    write_model(tmp_path, embeddings=np.ones((7, 3), dtype=np.float32))
    assert StaticModel(tmp_path).identity != before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b"\xff nothing"])
def test_a_folder_that_is_no_model_is_refused(
    folder: Path, name: str, content: bytes | None
) -> None:
    """One sentence names the folder and the cure."""
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(PermanentError, match=r"models\.embedding") as caught:
        StaticModel(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "tensors",
    [
        {"embeddings": np.ones((6, 3), dtype=np.float32)},
        {"embeddings": np.ones(7, dtype=np.float32)},
        {"mapping": np.full(7, 9, dtype=np.int64)},
        {"weights": np.ones(3, dtype=np.float32)},
    ],
)
def test_tensors_that_do_not_fit_the_tokenizer_are_refused(
    tmp_path: Path, tensors: dict[str, np.ndarray]
) -> None:
    """A row for each token, or a mapping into the rows, is asked for before anything is embedded."""
    write_model(tmp_path, **tensors)
    with pytest.raises(PermanentError, match="do not fit"):
        StaticModel(tmp_path)
