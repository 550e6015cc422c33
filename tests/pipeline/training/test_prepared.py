"""Token ids that are prepared once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.prepared import FOLDER, prepare_once, within
from secdaemon.pipeline.training.tokens import Prepared, Tokens, prepare

Examples = Callable[..., tuple[Example, ...]]


def test_a_resumed_training_tokenises_nothing(
    base: Path, make_examples: Examples, tmp_path: Path
) -> None:
    """The second time no tokenizer is asked, and the same comes out."""
    _, tokenizer = load_base(base)
    rows = make_examples(9)
    first = prepare_once(tmp_path, base, tokenizer, rows, 50)
    assert first == prepare(tokenizer, rows, 50)
    assert first.left_out
    assert prepare_once(tmp_path, base, None, rows, 50) == first


def test_other_examples_and_another_cap_are_prepared_anew(
    base: Path, make_examples: Examples, tmp_path: Path
) -> None:
    """Nothing that was prepared for another question is given as the answer."""
    _, tokenizer = load_base(base)
    rows = make_examples(9)
    prepare_once(tmp_path, base, tokenizer, rows, 50)
    for examples, cap in ((rows[1:], 50), (rows, 128)):
        assert prepare_once(tmp_path, base, tokenizer, examples, cap) == prepare(
            tokenizer, examples, cap
        )


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_damaged_file_is_made_again(
    base: Path, make_examples: Examples, tmp_path: Path, place: int
) -> None:
    """A bit that flipped on the disk does not get into the training."""
    _, tokenizer = load_base(base)
    rows = make_examples(3)
    first = prepare_once(tmp_path, base, tokenizer, rows, 128)
    (path,) = (tmp_path / FOLDER).iterdir()
    whole = path.read_bytes()
    content = bytearray(whole)
    content[place] ^= 1
    path.write_bytes(content)
    assert prepare_once(tmp_path, base, tokenizer, rows, 128) == first
    assert path.read_bytes() == whole


def test_what_falls_out_is_counted() -> None:
    """A shorter cap leaves the longer examples out, for the reason that it has."""
    rows = tuple(
        Tokens(id=str(n), group="g", weight=1.0, ids=tuple(range(n)), offset=1) for n in (5, 20, 30)
    )
    found = within(Prepared(rows, {"too long": 1}), 20, "too big")
    assert found == Prepared(rows[:2], {"too long": 1, "too big": 1})
    assert within(found, 20, "too big") is found
