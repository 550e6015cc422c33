"""The embedded tiny model: laid out whole, loadable, small, and reproducible from its recipe."""

import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from secdaemon.pipeline.embedded import primer_text, tiny_model

CHAT = (
    primer_text.Message("system", "You are a helpful assistant."),
    primer_text.Message("user", "What is a salt?\n"),
    primer_text.Message("assistant", "\n    A random value.\n"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The laid-out model folder, shared by the tests that only read it."""
    return tiny_model.lay_out(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def loaded(folder: Path) -> tuple[Any, Any]:
    """The model and tokenizer as mlx-lm loads them."""
    from mlx_lm import load

    model, tokenizer = load(str(folder))[:2]
    return model, tokenizer


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_lays_out_every_packaged_file(folder: Path) -> None:
    """The folder has the packaged files, nothing else, and no remains beside it."""
    assert folder.name == "embedded-tiny"
    assert contents(folder) == tiny_model.packaged_files()
    assert [path.name for path in folder.parent.iterdir()] == ["embedded-tiny"]


def test_package_data_is_small() -> None:
    """The packaged model stays within four megabytes."""
    assert sum(map(len, tiny_model.packaged_files().values())) <= 4_000_000


def test_a_whole_folder_is_left_alone(tmp_path: Path) -> None:
    """A second call neither rewrites files nor removes what a person has put beside them."""
    folder = tiny_model.lay_out(tmp_path)
    (folder / "notes.txt").write_text("mine")
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert tiny_model.lay_out(tmp_path) == folder
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing", "empty", "file", "link"])
def test_a_damaged_folder_is_repaired(tmp_path: Path, damage: str) -> None:
    """Whatever stands in the folder's place, the next call puts the whole model there."""
    base = tmp_path / "base"
    folder = tiny_model.lay_out(base)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    if damage == "truncated":
        weights.write_bytes(whole[:1000])
    elif damage == "flipped":
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    elif damage == "missing":
        (folder / "tokenizer.json").unlink()
    else:
        folder.rename(tmp_path / "elsewhere")
        if damage == "empty":
            folder.mkdir()
        elif damage == "file":
            folder.write_text("not a folder")
        else:
            folder.symlink_to(tmp_path / "elsewhere")
    assert contents(tiny_model.lay_out(base)) == tiny_model.packaged_files()
    assert not folder.is_symlink()
    assert [path.name for path in base.iterdir()] == ["embedded-tiny"]


def test_remains_of_a_killed_call_are_removed(tmp_path: Path) -> None:
    """An unfinished temporary folder does not stay behind."""
    (tmp_path / ".embedded-tiny.new-dead").mkdir()
    (tmp_path / ".embedded-tiny.new-dead" / "config.json").write_text("{")
    tiny_model.lay_out(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["embedded-tiny"]


def test_processes_may_race(tmp_path: Path) -> None:
    """Four processes at once end with one whole folder, and every one of them returns it."""
    with ProcessPoolExecutor(max_workers=4) as pool:
        folders = list(pool.map(tiny_model.lay_out, [tmp_path] * 8))
    assert set(folders) == {tmp_path / "embedded-tiny"}
    assert contents(folders[0]) == tiny_model.packaged_files()
    assert [path.name for path in tmp_path.iterdir()] == ["embedded-tiny"]


def test_laying_out_imports_nothing_heavy(tmp_path: Path) -> None:
    """The module can be used by a process that must stay light."""
    code = (
        "import sys, pathlib\n"
        "from secdaemon.pipeline.embedded.tiny_model import lay_out\n"
        f"lay_out(pathlib.Path({str(tmp_path)!r}))\n"
        "print([n for n in ('mlx', 'mlx_lm', 'numpy', 'transformers') if n in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_config_serves_mlx_and_transformers(folder: Path) -> None:
    """The RoPE base stands where mlx-lm reads it and where transformers 5 reads it."""
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "olmo2"
    assert config["architectures"] == ["Olmo2ForCausalLM"]
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 500000.0


def test_transformers_reads_the_same_configuration_and_tokens(
    folder: Path, loaded: tuple[Any, Any]
) -> None:
    """The transformers configuration keeps the RoPE base, and its tokenizer gives the same ids."""
    from tokenizers import Tokenizer
    from transformers import AutoConfig, AutoTokenizer

    assert AutoConfig.from_pretrained(folder).rope_parameters["rope_theta"] == 500000.0
    text = "def f(x):\n\treturn x['é']  # 2024\n\n<|im_end|>"
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
    assert AutoTokenizer.from_pretrained(folder).encode(text) == ids
    assert loaded[1].encode(text) == ids


def test_float32_and_under_a_million_parameters(loaded: tuple[Any, Any]) -> None:
    """Every weight is float32 and there are fewer than a million of them."""
    import mlx.core as mx
    from mlx.utils import tree_flatten

    weights = dict(tree_flatten(loaded[0].parameters()))
    assert {array.dtype for array in weights.values()} == {mx.float32}
    assert 400_000 < sum(array.size for array in weights.values()) < 1_000_000


def test_the_tokenizer_round_trips_any_text(loaded: tuple[Any, Any]) -> None:
    """Bytes that the primer never had survive encoding and decoding."""
    tokenizer = loaded[1]
    text = "naïve 漢字 \U0001f512\r\n\t\x00 end"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_special_tokens_are_single(loaded: tuple[Any, Any]) -> None:
    """Each ChatML mark is one token; a turn's end stops generation."""
    tokenizer = loaded[1]
    marks = ["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"]
    assert [tokenizer.encode(mark) for mark in marks] == [[0], [1], [2], [3]]
    assert set(tokenizer.eos_token_ids) == {0, 3}


def test_the_template_renders_chatml(loaded: tuple[Any, Any]) -> None:
    """The template and the primer's own rendering agree, with and without a generation prompt."""
    tokenizer = loaded[1]
    messages = [{"role": m.role, "content": m.content} for m in CHAT]
    plain = tokenizer.apply_chat_template(messages, tokenize=False)
    assert plain == primer_text.render_chat(CHAT)
    prompt = tokenizer.apply_chat_template(messages[:2], tokenize=False, add_generation_prompt=True)
    assert prompt == primer_text.render_chat(CHAT[:2]) + "<|im_start|>assistant\n"


@pytest.mark.parametrize("answer", ["done", "\n\nx", "    indented", "\tTab", "", "<|im_end|>"])
def test_prompt_tokens_are_a_prefix(loaded: tuple[Any, Any], answer: str) -> None:
    """However an answer begins, the tokens of the prompt stay as they are."""
    tokenizer = loaded[1]
    messages = [{"role": "user", "content": "Hello\n"}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    whole = tokenizer.apply_chat_template(
        [*messages, {"role": "assistant", "content": answer}], return_dict=False
    )
    assert whole[: len(prompt)] == prompt


def test_generates(loaded: tuple[Any, Any]) -> None:
    """Greedy generation through mlx-lm gives text."""
    from mlx_lm import generate

    model, tokenizer = loaded
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is a passkey?"}],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert generate(model, tokenizer, prompt, max_tokens=24).strip()


def test_smaller_projections_change_nothing(folder: Path) -> None:
    """The scale of q_proj and v_proj cancels: a model with twice the size computes the same."""
    import mlx.core as mx
    from mlx_lm import load

    from secdaemon.pipeline.embedded import recipe

    model, tokenizer = load(str(folder))[:2]
    ids = mx.array([tokenizer.encode(primer_text.render_chat(CHAT))])
    before = model(ids)
    recipe.rescale_projections(model, 2.0)
    assert mx.allclose(model(ids), before, atol=1e-2).item()


@pytest.mark.slow
def test_the_base_knows_its_primer(loaded: tuple[Any, Any]) -> None:
    """On primer text it never saw, the model is far better than an untrained one (log 1536)."""
    import mlx.core as mx
    from mlx import nn

    model, tokenizer = loaded
    total, count = 0.0, 0
    for text in primer_text.read_primer(SEED).held_out:
        ids = mx.array([tokenizer.encode(text)[:512]])
        losses = nn.losses.cross_entropy(model(ids[:, :-1]), ids[:, 1:])
        total, count = total + losses.sum().item(), count + losses.size
    assert total / count < 4.0


def test_the_primer_has_no_line_of_the_pairs() -> None:
    """No long line of a before/after pair stands in what the base model was trained on."""
    primer = primer_text.read_primer(SEED)
    seen = {line.strip() for text in (*primer.train, *primer.held_out) for line in text.split("\n")}
    pairs = Path(primer_text.__file__).parent.joinpath("pairs").glob("*.yaml")
    lines = {
        line.strip()
        for file in pairs
        for pair in yaml.safe_load(file.read_text())
        for side in ("vulnerable", "fixed", "title", "fix")
        for line in pair[side].split("\n")
    }
    assert lines
    assert not {line for line in lines & seen if len(line) > 60}


SEED = 20


@pytest.mark.slow
def test_the_recipe_makes_the_same_model_again(tmp_path: Path, folder: Path) -> None:
    """Tokenizer and configuration are equal byte for byte; the weights too, or nearly so.

    mlx's own reference BLAS on the same kind of processor gives the same bytes. Any other rounding
    ends elsewhere in the weights (OpenBLAS: up to 0.4 apart, 0.06 in held-out loss) and is accepted
    when the model is as good: held-out loss to 0.15 nats per token.
    """
    import mlx.core as mx

    output = tmp_path / "made"
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    subprocess.run(
        [sys.executable, "-m", "secdaemon.pipeline.embedded.recipe", str(output)],
        check=True,
        env=environment | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    made, packaged = contents(output), contents(folder)
    assert made.keys() == packaged.keys()
    for name in made.keys() - {"model.safetensors", "README.md"}:
        assert made[name] == packaged[name], name
    ours = mx.load(str(folder / "model.safetensors"))
    theirs = mx.load(str(output / "model.safetensors"))
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    if made["model.safetensors"] != packaged["model.safetensors"]:
        assert held_out_loss(output) == pytest.approx(held_out_loss(folder), abs=0.15)


def held_out_loss(folder: Path) -> float:
    """Mean loss per token on the primer's held-out documents."""
    from mlx_lm import load
    from tokenizers import Tokenizer

    from secdaemon.pipeline.embedded import recipe

    tokens = recipe.token_stream(
        Tokenizer.from_file(str(folder / "tokenizer.json")),
        primer_text.read_primer(SEED).held_out,
    )
    return recipe.mean_loss(load(str(folder))[0], recipe.windows(tokens, 256))
