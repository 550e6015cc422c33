"""YAML is changed at one place, and every character elsewhere stays."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secdaemon.pipeline.fixes.configuration.yaml_document import read_yaml
from secdaemon.pipeline.fixes.configuration.yaml_edit import (
    Place,
    Value,
    append,
    node_at,
    put,
    remove,
    replace,
)

TEXT = """\
# Grüße
a: 1   # one
b:
    c: [x, y] # list
    # about d
    d: {e: f}
g:
    - h: i
      j: |
        text

        more
    # next
    - k
l:
"""


@pytest.mark.parametrize(
    ("place", "value", "old", "new"),
    [
        (("0", "a"), 2, "a: 1   #", "a: 2   #"),
        (("0", "b", "n"), True, "d: {e: f}\n", "d: {e: f}\n    n: true\n"),
        (("0", "b", "d", "n"), "on", "{e: f}", '{e: f, n: "on"}'),
        (("0", "b", "d"), {}, "{e: f}", "{}"),
        (("0", "b"), {}, TEXT[TEXT.index("b:") + 2 : TEXT.index("\ng:")], " {}"),
        (
            ("0", "g", "0", "n", "o"),
            ["p"],
            "        more\n",
            "        more\n      n:\n          o:\n              - p\n",
        ),
        (("0", "l", "m"), "${{ x }}", "l:\n", "l:\n    m: ${{ x }}\n"),
        (("0", "l"), "x: y", "l:\n", 'l: "x: y"\n'),
        (("0", "a"), {"n": 1}, "a: 1   #", "a:\n    n: 1   #"),
    ],
)
def test_put(place: Place, value: Value, old: str, new: str) -> None:
    """A value is set or added in the file's own indentation, comments kept."""
    assert TEXT.count(old) == 1
    assert put(TEXT, place, value) == TEXT.replace(old, new)


def test_put_between_siblings() -> None:
    """A new entry goes behind those that it is put after, or above one and its comment."""
    assert put(TEXT, ("0", "b", "n"), 1, after=("c",)) == TEXT.replace(
        "# list\n", "# list\n    n: 1\n"
    )
    assert put(TEXT, ("0", "b", "n"), 1, before=("d",)) == TEXT.replace(
        "    # about d", "    n: 1\n    # about d"
    )


def test_lists() -> None:
    """Items are added at the end, and taken away with their lines; the only one is not."""
    assert append(TEXT, ("0", "b", "c"), "z") == TEXT.replace("[x, y]", "[x, y, z]")
    assert append(TEXT, ("0", "g"), {"q": 1, "r": 2}) == TEXT.replace(
        "    - k\n", "    - k\n    - q: 1\n      r: 2\n"
    )
    assert remove(TEXT, ("0", "g", "1")) == TEXT.replace("    - k\n", "")
    assert remove("a:\n- b\n", ("0", "a", "0")) is None
    assert remove(TEXT, ("0", "a")) == TEXT.replace("a: 1   # one\n", "")
    assert remove("a: 1\n", ("0", "a")) is None
    assert replace(TEXT, ("0", "b", "c", "0"), "'z'") == TEXT.replace("[x,", "['z',")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: &x {b: 1}\nc: *x\n", ("0", "a", "b")),
        ("a: &x {b: 1}\nc: *x\n", ("0", "c", "b")),
        ("a: &x\n  b: 1\nc:\n  <<: *x\n", ("0", "a", "n")),
        ("a: 1\na: 2\n", ("0", "a")),
        ("a: {{ b }}\n", ("0", "a")),
        ("a: [\n", ("0", "a")),
        ("a: b\n", ("0", "a", "c")),
        ("a: b\n", ("3", "a")),
        ("", ("0", "a")),
        ("? [a]\n: b\n", ("0", "c")),
    ],
)
def test_what_is_left_alone(text: str, place: Place) -> None:
    """Nothing is changed below an alias, in what others refer to, or in what is no YAML."""
    assert put(text, place, 5) is None


def test_aliases_are_not_expanded() -> None:
    """A document of nested aliases is read in the size that it is written in."""
    rows = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 200)]
    text = "\n".join(["a0: &a0 [x]", *rows, "end: 1", ""])
    assert put(text, ("0", "end"), 2) == text.replace("end: 1", "end: 2")
    document = read_yaml("base: &b {k: v}\nuse:\n  <<: [*b, *b]\nself: &s [*s]\n")
    assert document is not None
    use = node_at(document, ("0", "use"))
    found = use.lookup("k") if use is not None else None
    assert found is not None
    assert found.value == "v"


def test_deep_and_foreign_texts_are_refused() -> None:
    """Nesting beyond reason, a byte order mark and lone surrogates give nothing."""
    for text in ("[" * 5_000, "\ufeffa: 1\n", "a: \ud800\n", "a: \0\n", "x: y\n" * 200_000):
        assert read_yaml(text) is None


KEYS = st.sampled_from(["a", "b", "c d", "é", "on"])
SCALARS = st.sampled_from(["1", "'x y'", '"q"', "x # c", "~", "", "é: ".strip(": "), "true"])


@st.composite
def mappings(draw: st.DrawFn, column: int = 0, depth: int = 3) -> str:
    """Return the lines of a block mapping, nested, with comments and blank lines."""
    lines = []
    for key in draw(st.lists(KEYS, min_size=1, max_size=3, unique=True)):
        if draw(st.booleans()):
            lines.append(draw(st.sampled_from(["", " " * column + "# note"])))
        if depth and draw(st.booleans()):
            lines += [f"{' ' * column}{key}:", draw(mappings(column=column + 2, depth=depth - 1))]
        else:
            lines.append(f"{' ' * column}{key}: {draw(SCALARS)}".rstrip())
    return "\n".join(lines)


@settings(max_examples=200, deadline=None)
@given(mappings(), st.lists(KEYS, min_size=1, max_size=4))
def test_only_the_place_changes(body: str, keys: list[str]) -> None:
    """What is put is there, putting it again changes nothing, and no line of before is lost."""
    text = body + "\n"
    place = ("0", *keys)
    after = put(text, place, 7)
    if after is None:
        return
    document = read_yaml(after)
    assert document is not None
    node = node_at(document, place)
    assert node is not None
    assert node.value == "7"
    assert put(after, place, 7) == after
    before = read_yaml(text)
    was_there = before is not None and node_at(before, place) is not None
    rest = iter(after.split("\n"))
    lost = [line for line in text.split("\n") if not any(line == other for other in rest)]
    assert was_there or len(lost) <= 1


def test_a_wide_text_is_compared_by_key() -> None:
    """Thousands of keys are read twice, not thousands of times."""
    text = "".join(f"k{n}: {n}\n" for n in range(15_000))
    assert put(text, ("0", "k7"), 8) == text.replace("k7: 7\n", "k7: 8\n")
