"""A fix by regular expression is applied where it surely ends, and never tried elsewhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.findings.regex_fix import MAX_STEPS, applied


@pytest.mark.parametrize(
    ("text", "pattern", "replacement", "count", "fixed"),
    [
        ("h = md5(data)", r"md5\((.*)\)", r"sha256(\1)", 0, "h = sha256(data)"),
        ("run(debug = True)", r"debug\s*=\s*True", "debug=False", 1, "run(debug=False)"),
        ("a a a", "a", "b", 2, "b b a"),
        ("http://x", "(?:http)(s?)", r"https\1", 0, "https://x"),
        ("x[*+]y", r"[*+]+", "-", 0, "x[-]y"),
        ("(1)", r"\(1\)", "2", 0, "2"),
    ],
)
def test_what_scanners_write_is_applied(
    text: str, pattern: str, replacement: str, count: int, fixed: str
) -> None:
    """The matches are replaced as Python's re does it, from the left."""
    assert applied(text, pattern, replacement, count) == fixed


@pytest.mark.parametrize(
    ("text", "pattern", "replacement"),
    [
        ("abc", "x", "y"),
        ("abc", "b", "b"),
        ("abc", "(", "y"),
        ("abc", "b", r"\7"),
        ("abc", "b", r"\g<name>"),
        ("abc" * 2_000, "b", "y"),
        ("abc", "b" * 600, "y"),
        ("aa", r"(a)\1", "y"),
        ("aa", "a(?=a)", "y"),
        ("a" * 40 + "!", "(a+)+$", "y"),
        ("a" * 40 + "!", "(a|a)*$", "y"),
        ("a" * 40 + "!", "a?" * 40 + "a" * 40, "y"),
        ("a" * 900 + "!", "a*a*a*$", "y"),
    ],
)
def test_what_is_wrong_or_may_take_long_is_left_out(
    text: str, pattern: str, replacement: str
) -> None:
    """No match, no change, no valid expression, and every well-known bomb give no fix."""
    assert applied(text, pattern, replacement, 0) is None


@given(
    st.text("ab(|)[]*+?{}\\.^$:1,-", max_size=30),
    st.text("ab\\1g<>", max_size=10),
    st.text("ab\n", max_size=60),
    st.integers(-1, 3),
)
def test_any_pattern_ends(pattern: str, replacement: str, text: str, count: int) -> None:
    """Whatever a file holds as a pattern, there is a text or none, and no error."""
    found = applied(text, pattern, replacement, count)
    assert found is None or found != text


def test_the_bound_holds_for_the_slowest_pattern_that_is_tried() -> None:
    """One more choice or character than is tried would be over the bound."""
    assert 215**3 <= MAX_STEPS < 216**3
    assert applied("a" * 212 + "!b", "a*a*!", "y", 0) == "yb"
    assert applied("a" * 213 + "!b", "a*a*!", "y", 0) is None
