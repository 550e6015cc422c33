"""The sentence about a change names the lines that change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.fixes.changes import describe, trimmed


@pytest.mark.parametrize(
    ("before", "after", "clause"),
    [
        ("a = f(x)\nb = 1", "a = f(clean(x))\nb = 1", "`a = f(x)` becomes `a = f(clean(x))`"),
        (
            "run: make ${{ x }}",
            "env:\n  X: ${{ x }}\nrun: make ${X}",
            "`run: make ${{ x }}` becomes `run: make ${X}`",
        ),
        ("use(x)", "check(x)\nuse(x)", "`check(x)` is added"),
        ("check(x)\nuse(x)", "use(x)", "`check(x)` is removed"),
        ("use(x)", "// a comment\nif ok(x):\n  use(x)", "`if ok(x):` is added"),
        ("a  =  1", "a  =  1\n\n", "only the layout changes"),
    ],
)
def test_the_first_telling_change(before: str, after: str, clause: str) -> None:
    """Comments and layout are passed over, and the most similar line is named."""
    assert describe(before, after) == clause


lines = st.lists(st.sampled_from(["a", "b", "c"]), max_size=8)


@given(lines, lines)
def test_trimmed_counts_equal_ends(before: list[str], after: list[str]) -> None:
    """What is trimmed is equal on both sides and never counted twice."""
    start, end = trimmed(before, after)
    assert start + end <= min(len(before), len(after))
    assert before[:start] == after[:start]
    assert before[len(before) - end :] == after[len(after) - end :]


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_gives_one_line(before: str, after: str) -> None:
    """The clause is one line whatever the code is."""
    assert "\n" not in describe(before, after)
