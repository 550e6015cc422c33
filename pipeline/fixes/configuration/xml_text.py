"""An XML file as elements with their places, and the edits that keep all other bytes.

Nothing is expanded or fetched: a document with an internal subset (where entities and default
attributes are declared) is not read at all, and a value with a reference in it is unknown.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.fixes.configuration.model import Repair
from secdaemon.pipeline.fixes.configuration.places import Places
from secdaemon.pipeline.fixes.model import TextEdit, edited

MAX_CHARS = 128 * 1024
_MAX_DEPTH = 64
_MAX_ELEMENTS = 2_000
"""The grammar takes the square of how many stand in one another."""
_INDENT = "    "
_OPENING = re.compile(r"<[^/!?]")
_FIRST_INDENT = re.compile(r"\n([ \t]+)<[^!]")
_TRAILING_COMMENT = re.compile(r"[ \t]*<!--[^\n]*?-->(?=[ \t]*\n)")


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute; offsets are in characters, 0-based, the end exclusive."""

    name: str
    value: str
    """As written, between the quotes."""
    start: int
    end: int
    value_start: int
    value_end: int

    @property
    def known(self) -> str | None:
        """The value, None where it holds a reference."""
        return None if "&" in self.value else self.value.strip()


class Element(msgspec.Struct, frozen=True, kw_only=True):
    """An element; `tag_end` is behind the `>` of its first tag, `close` before its last tag."""

    name: str
    attributes: tuple[Attribute, ...]
    children: tuple["Element", ...]
    start: int
    end: int
    name_end: int
    tag_end: int
    close: int
    is_empty: bool
    """Whether it is a single tag, `<a/>`."""
    line: int
    """Of its first tag, 1-based."""
    tag_line: int
    """The last line of its first tag."""
    end_line: int
    content: str
    """What stands between its tags, as written."""

    def attribute(self, name: str) -> Attribute | None:
        """Return the attribute of this very name, prefix and all."""
        return next((a for a in self.attributes if a.name == name), None)

    def get(self, name: str) -> str | None:
        """Return an attribute's value, None where it is missing or holds a reference."""
        found = self.attribute(name)
        return found.known if found else None

    def named(self, *names: str) -> tuple["Element", ...]:
        """Return the children of these names, in order."""
        return tuple(child for child in self.children if child.name in names)

    def child(self, name: str) -> "Element | None":
        """Return the first child of a name."""
        return next(iter(self.named(name)), None)

    @property
    def text(self) -> str | None:
        """The text of an element without children, None where it has some or a reference."""
        if self.children or any(mark in self.content for mark in "&<"):
            return None
        return self.content.strip()

    def walk(self) -> Iterator["Element"]:
        """Yield the element and all inside it, in the order of the document."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting += reversed(element.children)


@lru_cache(maxsize=8)
def read_xml(text: str) -> Element | None:
    """Return the root element; None where the text is not well formed, too large or declares."""
    if len(text) > MAX_CHARS or len(_OPENING.findall(text)) > _MAX_ELEMENTS:
        return None
    if "<!ENTITY" in text or "<!ATTLIST" in text:
        return None
    root = grammars.parse("xml", text)
    if root.has_error:
        return None
    tops = [node for node in root.children if node.type == "element"]
    if len(tops) != 1:
        return None
    reader = _Reader(text)
    element = reader.read(tops[0])
    return element if reader.is_sound else None


class _Reader:
    """Makes elements of nodes; `is_sound` turns false where they are not all of them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = Places(text).at
        self.is_sound = True

    def read(self, node: Node, depth: int = 0) -> Element:
        at = self._at
        tag, last = node.children[0], node.children[-1]
        inside = [c for part in node.children if part.type == "content" for c in part.children]
        elements = [child for child in inside if child.type == "element"]
        attributes = [self._attribute(c) for c in tag.children if c.type == "Attribute"]
        names = [c for c in tag.children if c.type == "Name"]
        is_empty = tag.type == "EmptyElemTag"
        close = at(tag.end_byte if is_empty else last.start_byte)
        is_deep = depth >= _MAX_DEPTH and bool(elements)
        self.is_sound &= len({a.name for a in attributes}) == len(attributes) and not is_deep
        return Element(
            name=self._slice(names[0]),
            attributes=tuple(attributes),
            children=() if is_deep else tuple(self.read(child, depth + 1) for child in elements),
            start=at(node.start_byte),
            end=at(node.end_byte),
            name_end=at(names[0].end_byte),
            tag_end=at(tag.end_byte),
            close=close,
            is_empty=is_empty,
            line=node.start_point.row + 1,
            tag_line=tag.end_point.row + 1,
            end_line=node.end_point.row + 1,
            content=self._text[at(tag.end_byte) : close],
        )

    def _attribute(self, node: Node) -> Attribute:
        at, value = self._at, node.children[-1]
        start, end = at(value.start_byte) + 1, at(value.end_byte) - 1
        return Attribute(
            name=self._slice(node.children[0]),
            value=self._text[start:end],
            start=at(node.start_byte),
            end=at(node.end_byte),
            value_start=start,
            value_end=end,
        )

    def _slice(self, node: Node) -> str:
        return self._text[self._at(node.start_byte) : self._at(node.end_byte)]


def set_attribute(text: str, element: Element, name: str, value: str) -> TextEdit:
    """Return the edit that gives an attribute a value; a new one stands where the last one ends.

    It has a line of its own, indented as the last one is, where that begins a line.
    """
    found = element.attribute(name)
    if found is not None:
        return TextEdit(found.value_start, found.value_end, value)
    added = f'{name}="{value}"'
    if not element.attributes:
        return TextEdit(element.name_end, element.name_end, f" {added}")
    last = element.attributes[-1]
    indent = indent_at(text, last.start)
    gap = " " if indent is None else f"\n{indent}"
    return TextEdit(last.end, last.end, gap + added)


def drop_attribute(text: str, attribute: Attribute) -> TextEdit:
    """Return the edit that takes an attribute out, with the white space before it."""
    start = attribute.start
    while text[start - 1].isspace():
        start -= 1
    return TextEdit(start, attribute.end, "")


def drop_element(text: str, element: Element) -> TextEdit:
    """Return the edit that takes an element out, with its line where it has that for itself."""
    indent = indent_at(text, element.start)
    if indent is None:
        return TextEdit(element.start, element.end, "")
    end = element.end
    while end < len(text) and text[end] in " \t":
        end += 1
    if end < len(text) and text[end] != "\n":
        return TextEdit(element.start, end, "")
    return TextEdit(element.start - len(indent) - 1, end, "")


def add_child(
    text: str, parent: Element, lines: Iterable[str], after: Element | None = None
) -> TextEdit:
    """Return the edit that adds lines of XML inside an element, behind a child or as its first.

    A line's own indentation counts in tabs, one for each level, and is written as the file's.
    """
    outer = indent_at(text, parent.start) or ""
    step = _step(text)
    inner = outer + step
    for child in parent.children[:1]:
        inner = indent_at(text, child.start) or inner
    block = "".join(f"\n{inner}{_indented(line, step)}" for line in lines)
    if parent.is_empty:
        start = text.rindex("/", parent.start, parent.tag_end)
        while text[start - 1].isspace():
            start -= 1
        return TextEdit(start, parent.tag_end, f">{block}\n{outer}</{parent.name}>")
    place = after.end if after else parent.tag_end
    comment = _TRAILING_COMMENT.match(text, place)
    place = comment.end() if comment else place
    rest = text[place : parent.close]
    if rest.lstrip(" \t").startswith("\n"):
        return TextEdit(place, place, block)
    if not rest.strip():
        return TextEdit(place, parent.close, f"{block}\n{outer}")
    return TextEdit(place, place, f"{block}\n{inner}")


def indent_at(text: str, place: int) -> str | None:
    """Return the white space before a place on its line; None where something else stands there."""
    before = text[text.rfind("\n", 0, place) + 1 : place]
    is_first = "\n" not in text[:place]
    return None if before.strip() or is_first else before


def _step(text: str) -> str:
    """Return one level of indentation: that of the first element that is indented at all."""
    found = _FIRST_INDENT.search(text)
    return found[1] if found else _INDENT


def _indented(line: str, step: str) -> str:
    bare = line.lstrip("\t")
    return step * (len(line) - len(bare)) + bare


def repaired(
    read: Callable[[str], Element | None],
    text: str,
    edits: tuple[TextEdit, ...],
    reason: str,
    choice: str = "",
) -> tuple[Repair, ...]:
    """Return the repair that the edits make, () where there are none or `read` refuses the text."""
    after = edited(text, edits)
    if not edits or after is None or read(after) is None:
        return ()
    return (Repair(after=after, reason=reason, choice=choice),)
