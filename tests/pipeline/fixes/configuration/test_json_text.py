"""JSON as nodes, and edits that say exactly what they are to say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.fixes.configuration.json_text import (
    put_json,
    read_json,
    remove_json,
    rewrite_json,
)
from secdaemon.pipeline.fixes.configuration.yaml_document import Node

_KEYS = st.text(max_size=4)
_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=10,
)
_OBJECTS = st.dictionaries(_KEYS, _VALUES, max_size=4)
_STYLES: list[dict[str, Any]] = [
    {},
    {"indent": 2},
    {"indent": "\t"},
    {"indent": 4, "ensure_ascii": False},
    {"separators": (",", ":")},
]


def plain(node: Node) -> Any:
    """Return what a node says."""
    if node.kind == "mapping":
        return {key.value: plain(value) for key, value in node.pairs}
    if node.kind == "sequence":
        return [plain(item) for item in node.items]
    return node.value if node.style else json.loads(node.value)


@given(_OBJECTS, st.sampled_from(_STYLES))
def test_nodes_say_what_the_text_says(value: dict[str, Any], style: dict[str, Any]) -> None:
    """Keys, values and order are those of the text, and each node is where it says."""
    text = json.dumps(value, **style)
    document = read_json(text)
    assert document is not None
    (root,) = document.roots
    assert plain(root) == value
    assert [key.value for key, _ in root.pairs] == list(value)
    for key, inner in root.pairs:
        assert json.loads(text[key.start : key.end]) == key.value
        assert json.loads(text[inner.start : inner.end]) == plain(inner)


@given(_OBJECTS, st.sampled_from(_STYLES), _KEYS, _KEYS, _VALUES)
def test_put_sets_this_and_nothing_else(
    value: dict[str, Any], style: dict[str, Any], key: str, inner: str, added: Any
) -> None:
    """A key two levels down is set, its mapping made where it is missing; the rest says the same."""
    text = json.dumps(value, **style) + "\n"
    after = put_json(text, ("0", key, inner), added)
    holder = value.get(key, {})
    if not isinstance(holder, dict):
        assert after is None
        return
    assert after is not None
    assert json.loads(after) == {**value, key: {**holder, inner: added}}
    assert after.endswith("}\n")


@given(_OBJECTS.filter(bool), st.sampled_from(_STYLES), st.data())
def test_remove_takes_one_entry(
    value: dict[str, Any], style: dict[str, Any], data: st.DataObject
) -> None:
    """One entry goes with its comma, whichever it is."""
    key = data.draw(st.sampled_from(list(value)))
    after = remove_json(json.dumps(value, **style), ("0", key))
    assert after is not None
    assert json.loads(after) == {name: inner for name, inner in value.items() if name != key}


@given(st.text())
def test_no_text_raises(text: str) -> None:
    """Whatever a text holds, it is read or refused."""
    read_json(text)
    read_json("{" + text + "}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"a": 1, "a": 2}',
        '{"a": 1} // no',
        '{"a": ' + "[" * 100 + "]" * 100 + "}",
        '{"a": ' + "[" * 5_000 + "]" * 5_000 + "}",
        '{"a": NaN}',
        '{"a": "' + "x" * 300_000 + '"}',
        '{"a": ' + "9" * 5_000 + "}",
    ],
)
def test_what_cannot_be_relied_on_is_refused(text: str) -> None:
    """No object, a key twice, comments, depth, numbers that are none, and size are refused."""
    assert read_json(text) is None


def test_an_entry_takes_the_style_of_its_neighbours() -> None:
    """Indentation, line breaks and the space behind a colon are those of the text."""
    assert put_json('{"a":1}', ("0", "b"), [2]) == '{"a":1,"b":[2]}'
    assert (
        put_json('{\n\t"a": {}\n}', ("0", "a", "b"), True) == '{\n\t"a": {\n\t\t"b": true\n\t}\n}'
    )
    text = '{\n  "a": 1,\n  "c": { "d": 2 }\n}'
    before = put_json(text, ("0", "b"), {"x": 1}, before=("c",))
    assert before == '{\n  "a": 1,\n  "b": {\n    "x": 1\n  },\n  "c": { "d": 2 }\n}'
    assert put_json(text, ("0", "c", "e"), 3) == text.replace("2 }", '2, "e": 3 }')


def test_values_are_rewritten_and_items_removed() -> None:
    """A value is rewritten where it stands, as JSON; an item goes with its comma."""
    assert rewrite_json('{"a": [1, 2]}', ("0", "a", "1"), lambda raw: raw * 2) == '{"a": [1, 22]}'
    assert rewrite_json('{"a": 1}', ("0", "a"), lambda _raw: "x") is None
    assert remove_json('{"a": [1, 2]}', ("0", "a", "0")) == '{"a": [2]}'
