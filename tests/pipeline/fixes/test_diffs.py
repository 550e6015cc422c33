"""Hunks are what must be done to one text to have the other."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.fixes.diffs import Hunk, hunks_of

TEXTS = st.lists(st.sampled_from("abc"), max_size=12).map("\n".join)


def test_change_insertion_and_removal() -> None:
    """Lines are counted from 1; an insertion is before the line that it is put before."""
    assert hunks_of("a\nb\nc\nd", "a\nB\nc\nd") == (Hunk(2, 3, ("B",)),)
    assert hunks_of("a\nb", "a\nnew\nb") == (Hunk(2, 2, ("new",)),)
    assert hunks_of("a\nb\nc", "a\nc") == (Hunk(2, 3, ()),)


def test_a_text_that_is_turned_over_is_one_hunk() -> None:
    """Very long changes are not compared line by line."""
    old, new = (f"a\n{mark}\n" * 3_000 for mark in "bc")
    assert len(hunks_of(old, new)) == 1


@given(TEXTS, TEXTS)
def test_hunks_lead_from_one_text_to_the_other(before: str, after: str) -> None:
    """Applied from the last to the first they give the new text, and no two of them touch."""
    lines = before.split("\n")
    hunks = hunks_of(before, after)
    for hunk in reversed(hunks):
        lines[hunk.start - 1 : hunk.stop - 1] = hunk.lines
    assert lines == after.split("\n")
    assert all(one.stop < two.start for one, two in pairwise(hunks))
    assert all(hunk.start < hunk.stop or hunk.lines for hunk in hunks)
