"""Edited tokens: what an answer does not copy from the code in its question."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.evaluation.edited import RUN, edited, edited_mask
from secdaemon.pipeline.examples import Example, conversation
from secdaemon.pipeline.fixes.quote import fenced
from secdaemon.pipeline.training.base_model import load_base
from secdaemon.pipeline.training.tokens import prepare

TOKENS = st.lists(st.integers(0, 5), max_size=30)
MANY = st.lists(st.integers(0, 3), min_size=1, max_size=60)


def marks(code: str, answer: str) -> str:
    """Return an answer of one-letter tokens with its edited tokens as `*`."""
    found = edited([ord(c) for c in code], [ord(c) for c in answer])
    return "".join("*" if mark else letter for letter, mark in zip(answer, found, strict=True))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("abcdefghijkl", "abcdefghijkl"),
        ("abcdXefghijkl", "abcd*efghijkl"),
        ("abcdeXghijkl", "abcde*ghijkl"),
        ("abcdijkl", "abcd*jkl"),
        ("ABCabcdefghijklZ", "***abcdefghijkl*"),
        ("abcXdefghijkl", "****defghijkl"),
        ("efghabcd", "****abcd"),
        ("mnopq", "*****"),
        ("", ""),
    ],
    ids=[
        "whole",
        "inserted",
        "replaced",
        "deleted",
        "framed",
        "short run",
        "moved",
        "nothing shared",
        "empty",
    ],
)
def test_what_counts_as_edited(answer: str, expected: str) -> None:
    """Insertions, replacements, the place of a deletion and runs below the least are edited."""
    assert marks("abcdefghijkl", answer) == expected


def test_code_shorter_than_a_run_is_copied_whole_or_not() -> None:
    """Code of two tokens is copied where both stand side by side."""
    assert marks("ab", "xabxa") == "*ab**"


@given(MANY)
def test_a_copy_has_no_edited_token(code: list[int]) -> None:
    """An answer equal to the code is copied whole, whatever repeats in it."""
    assert not edited(code, code).any()


@given(TOKENS, TOKENS)
def test_what_shares_nothing_is_all_edited(code: list[int], answer: list[int]) -> None:
    """No token of the code in the answer: everything is edited."""
    assert edited(code, [token + 10 for token in answer]).all()


@given(TOKENS, st.lists(st.integers(0, 9), max_size=30))
def test_copied_tokens_are_in_the_code(code: list[int], answer: list[int]) -> None:
    """The mask has the answer's length; a copied token stands in the code; a run has its length."""
    mask = edited(code, answer)
    assert mask.shape == (len(answer),)
    assert {token for token, mark in zip(answer, mask, strict=True) if not mark} <= set(code)
    copied = int((~mask).sum())
    assert copied == 0 or copied >= min(RUN, len(code)) - 1
    assert copied <= len(code)
    assert np.array_equal(mask, edited(code, answer))


@given(TOKENS, TOKENS, TOKENS)
def test_an_insertion_edits_no_more_than_itself_and_its_broken_run(
    head: list[int], tail: list[int], inserted: list[int]
) -> None:
    """A new piece in the middle of a copy leaves edited at most itself and two short runs."""
    answer = [*head, *(token + 10 for token in inserted), *tail]
    count = int(edited([*head, *tail], answer).sum())
    assert count <= len(inserted) + 2 * (RUN - 1)
    assert count >= len(inserted)


def _alignments(code: list[int], answer: list[int], run: int) -> int:
    """Return the most tokens that can be paired, the plain way."""
    best = [[0] * (len(code) + 1) for _ in range(len(answer) + 1)]
    for row in range(1, len(answer) + 1):
        for column in range(1, len(code) + 1):
            found = max(best[row - 1][column], best[row][column - 1])
            length = 0
            while (
                length < min(row, column) and answer[row - 1 - length] == code[column - 1 - length]
            ):
                length += 1
                if length >= run:
                    found = max(found, best[row - length][column - length] + length)
            best[row][column] = found
    return best[-1][-1]


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=14), st.lists(st.integers(0, 2), max_size=14)
)
def test_the_alignment_pairs_as_much_as_can_be(code: list[int], answer: list[int]) -> None:
    """Copied tokens and the starts of runs behind others add up to the best alignment."""
    run = min(RUN, len(code))
    most = _alignments(code, answer, run)
    mask = edited(code, answer)
    copied = int((~mask).sum())
    assert copied <= most <= copied + max(0, len(answer) // run - 1)


def test_two_thousand_tokens_of_one_kind_are_aligned() -> None:
    """The worst repetition at the longest length has the same bounded cost as any other."""
    assert not edited([7] * 2048, [7] * 2048).any()


def test_a_conversation_is_read_with_its_tokenizer(base: Path) -> None:
    """In a real conversation the fix, the prose and the end are edited, the copied lines are not."""
    _, tokenizer = load_base(base)
    before = "def read(name):\n    check(name)\n    return eval(name)\n    # done"
    after = "def read(name):\n    check(name)\n    return int(name)\n    # done"
    example = Example(
        id="a",
        messages=conversation(
            f"Fix this.\n\n{fenced(before, 'python')}", f"Why.\n\n{fenced(after, 'python')}"
        ),
        group="a",
    )
    copy = conversation(f"Fix this.\n\n{fenced(before, 'python')}", fenced(before, "python"))
    (one, other) = prepare(
        tokenizer, [example, Example(id="b", messages=copy, group="b")], 512
    ).examples
    mask = edited_mask(tokenizer, example, one)
    left = [token for token, mark in zip(one.ids[one.offset :], mask, strict=True) if mark]
    text = tokenizer.decode(left)
    assert "Why." in text
    assert "int" in text
    assert "check" not in text
    echoed = edited_mask(tokenizer, Example(id="b", messages=copy, group="b"), other)
    kept = [token for token, mark in zip(other.ids[other.offset :], echoed, strict=True) if mark]
    assert not set("def read eval") & set(tokenizer.decode(kept)) - set("python` \n<|im_end|>")


def test_an_answer_to_no_code_is_all_edited(base: Path) -> None:
    """Advice on a question without a fenced block is edited from its first token to its end."""
    _, tokenizer = load_base(base)
    example = Example(
        id="a", messages=conversation("Explain `eval`.", "Do not use `eval`."), group="a"
    )
    (tokens,) = prepare(tokenizer, [example], 128).examples
    assert edited_mask(tokenizer, example, tokens).all()
