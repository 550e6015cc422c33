"""Files are read by their own parsers, which resolve nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.fixes.strict_parsers import reads

BOMB = '<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY c "&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    ("path", "text", "well"),
    [
        ("a.json", '{"a": [1]}', True),
        ("a.json", '{"a": [1}', False),
        ("a.json", "[" * 100_000, False),
        ("a.toml", "[a]\nb = 1\n", True),
        ("a.toml", "[a\n", False),
        ("a.yaml", "a: !Ref b\n---\nc: *d\n", True),
        ("a.yaml", "a: b: c\n", False),
        ("a.xml", "<a><b/></a>", True),
        ("a.xml", "<a><b></a>", False),
        ("a.xml", BOMB, False),
        ("a.kt", "fun (", None),
        ("a.json", " " * 600_000, None),
    ],
)
def test_formats(path: str, text: str, well: bool | None) -> None:
    """Well formed, broken, hostile, without a parser, huge."""
    assert reads(path, text) is well


@given(st.sampled_from(("a.json", "a.toml", "a.yaml", "a.xml")), st.text())
def test_any_text_is_survived(path: str, text: str) -> None:
    """There is always an answer."""
    assert reads(path, text) in {True, False}
