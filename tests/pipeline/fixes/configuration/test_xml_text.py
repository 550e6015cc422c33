"""XML as elements with their places, and edits at them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.fixes.configuration.xml_text import (
    Element,
    add_child,
    drop_attribute,
    drop_element,
    read_xml,
    set_attribute,
)
from secdaemon.pipeline.fixes.model import edited

_TEXT = """<?xml version="1.0"?>
<root a="1">
  <!-- über allem -->
  <child
      b='ä'
      c="3" /> <!-- the first -->
  <other>text</other>
</root>
"""


def read(text: str) -> Element:
    """Return the root of a text that is read."""
    root = read_xml(text)
    assert root is not None
    return root


def test_elements_know_their_places() -> None:
    """Names, values, lines and the text between tags are found where they stand."""
    root = read(_TEXT)
    child, other = root.children
    assert [e.name for e in root.walk()] == ["root", "child", "other"]
    assert (child.get("b"), child.line, child.tag_line, child.is_empty) == ("ä", 4, 6, True)
    assert (other.text, other.line, _TEXT[other.start : other.end]) == (
        "text",
        7,
        "<other>text</other>",
    )
    assert root.text is None
    attribute = child.attribute("c")
    assert attribute is not None
    assert _TEXT[attribute.start : attribute.end] == 'c="3"'


def test_edits_keep_the_layout() -> None:
    """A new attribute, a new child and what is taken out leave no trace around them."""
    root = read(_TEXT)
    child, other = root.children
    b = child.attribute("b")
    assert b is not None
    assert edited(_TEXT, [set_attribute(_TEXT, child, "d", "4")]) == _TEXT.replace(
        'c="3"', 'c="3"\n      d="4"'
    )
    assert edited(_TEXT, [set_attribute(_TEXT, root, "a", "2")]) == _TEXT.replace('a="1"', 'a="2"')
    assert edited(_TEXT, [drop_attribute(_TEXT, b)]) == _TEXT.replace("\n      b='ä'", "")
    assert edited(_TEXT, [drop_element(_TEXT, other)]) == _TEXT.replace(
        "  <other>text</other>\n", ""
    )
    assert edited(
        _TEXT, [add_child(_TEXT, root, ("<n>", "\t<m/>", "</n>"), child)]
    ) == _TEXT.replace("<!-- the first -->", "<!-- the first -->\n  <n>\n    <m/>\n  </n>")
    assert edited("<a/>", [add_child("<a/>", read("<a/>"), ("<b/>",))]) == "<a>\n    <b/>\n</a>"
    assert edited("<a></a>", [add_child("<a></a>", read("<a></a>"), ("<b/>",))]) == (
        "<a>\n    <b/>\n</a>"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<a>",
        "<a/><b/>",
        "<a b='1' b='2'/>",
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        '<!DOCTYPE a [<!ATTLIST a b CDATA "c">]><a/>',
        "<a>" * 70 + "</a>" * 70,
        "<a>" * 40_000,
        "<a>" + "<b/>" * 5_000 + "</a>",
        "<a>" + "x" * 300_000 + "</a>",
    ],
)
def test_what_cannot_be_relied_on_is_refused(text: str) -> None:
    """Errors, two roots, declarations of entities, depth and size are refused."""
    assert read_xml(text) is None


def test_a_reference_makes_a_value_unknown() -> None:
    """What an entity stands for is never looked up."""
    root = read("<a b='&c;'>x &amp; y</a>")
    assert root.get("b") is None
    assert root.text is None


@given(st.text())
def test_no_text_raises(text: str) -> None:
    """Whatever a text holds, it is read or refused."""
    read_xml(text)
    read_xml(f"<a>{text}</a>")
    read_xml(f"<a b='{text}'/>")


_NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
_WORDS = st.text(st.characters(exclude_characters="<>&\"'\r", exclude_categories=("Cs", "Cc")))


@given(st.dictionaries(_NAMES, _WORDS, max_size=4), _NAMES, _NAMES, _WORDS)
def test_an_attribute_is_set_and_no_other(
    attributes: dict[str, str], tag: str, name: str, value: str
) -> None:
    """After the edit the attribute has its value, the others theirs, and the rest is the same."""
    inner = "".join(f'\n   {key}="{word}"' for key, word in attributes.items())
    text = f"<root>\n  <{tag}{inner} />\n</root>\n"
    root = read_xml(text)
    if root is None:
        return
    after = edited(text, [set_attribute(text, root.children[0], name, value)])
    assert after is not None
    found = {a.name: a.value for a in read(after).children[0].attributes}
    assert found == attributes | {name: value}
    assert after.startswith(f"<root>\n  <{tag}")
    assert after.endswith(" />\n</root>\n")
