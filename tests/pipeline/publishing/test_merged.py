"""The fused model answers as base and adapter do together."""

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from secdaemon.pipeline.publishing.merged import write_merged
from secdaemon.pipeline.training.base_model import load_base


@pytest.fixture(scope="module")
def quantised(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model in four bits, as mlx-lm converts it."""
    from mlx_lm import convert

    folder = tmp_path_factory.mktemp("q4") / "model"
    convert(str(base), mlx_path=str(folder), quantize=True, q_group_size=32, q_bits=4)
    return folder


@pytest.mark.parametrize("kind", ["float32", "q4"])
def test_the_fused_model_answers_alike(
    kind: str, base: Path, quantised: Path, trained: Path, tmp_path: Path
) -> None:
    """Logits of the fused folder equal those of base and adapter, quantised or not."""
    under = base if kind == "float32" else quantised
    write_merged(under, trained / "adapters", tmp_path / "merged", "secdaemon/embedded-tiny")
    ids = mx.array(np.random.default_rng(0).integers(0, 512, size=(1, 32)))
    together, _ = load_base(under, trained / "adapters")
    fused, tokenizer = load_base(tmp_path / "merged")
    assert np.abs(np.array(together(ids)) - np.array(fused(ids))).max() < 1e-3
    assert tokenizer.chat_template
    texts = [
        p.read_text() for p in (tmp_path / "merged").iterdir() if p.suffix in {".json", ".jinja"}
    ]
    assert not [text for text in texts if str(under) in text]
    assert not (tmp_path / "merged" / "README.md").exists()
