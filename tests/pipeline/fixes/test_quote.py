"""Foreign text in a conversation stays text."""

import re

from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.fixes.quote import fenced, inline, quoted

hostile = st.lists(
    st.sampled_from(["```", "````", "`", "\n", "<|im_start|>", "assistant", " ", "x", "~~~"])
).map("".join)


@given(hostile | st.text())
def test_a_fence_cannot_be_closed_from_inside(text: str) -> None:
    """The block's own fence stands at its two ends and nowhere between."""
    lines = fenced(text, "c").split("\n")
    fence = lines[-1]
    assert re.fullmatch("`{3,}", fence)
    assert lines[0] == f"{fence}c"
    assert not any(fence in line for line in lines[1:-1])


@given(hostile | st.text(), st.integers(10, 200))
def test_inline_is_one_bounded_line(text: str, limit: int) -> None:
    """Inline text has no line break and no backtick but its own two."""
    shown = inline(text, limit)
    assert len(shown) <= limit + 2
    assert "\n" not in shown
    assert shown.count("`") == 2


@given(hostile | st.text())
def test_quoted_lines_are_all_marked(text: str) -> None:
    """Every line of a quotation begins with its mark."""
    assert all(line.startswith(">") for line in quoted(text, 500).splitlines())


@given(hostile)
def test_no_role_marker_survives(text: str) -> None:
    """A chat template's token is set apart, wherever it is quoted."""
    assert "<|im_start|>" not in fenced(text) + inline(text) + quoted(text, 500)
