"""What patterns of all languages share: edits by node, and lists of things between commas."""

import re
from collections.abc import Iterable

from tree_sitter import Node

from secdaemon.pipeline.fixes.model import TextEdit
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.routes.syntax import field, text_of, within

_CALLS = ("call", "call_expression", "function_call_expression")
_MAX_ABOVE = 40
SECRET_WORDS = re.compile(
    r"(?<![a-z])(token|secret|passw(or)?d|passphrase|otp|nonce|salt|session(id)?|csrf|xsrf"
    r"|challenge|api-?key|auth|credentials?|captcha|(reset|verification|invite|recovery)-code)"
    r"s?(?![a-z])"
)
"""What a value is called that others must not guess; matched in `words_in`."""
READ_BY_SCRIPTS = re.compile(
    r"csrf|xsrf|lang(uage)?\b|locale|theme|consent|time_?zone|dark_?mode", re.IGNORECASE
)
"""Cookies that a page's own scripts have to read."""
NO_SECRET = re.compile(
    r"(?<![a-z])(cache|e-?tag|dedup(e|licat\w*)?|dupe|duplicates?|bucket|shard|gravatar|content-md5)"
    r"(?![a-z])"
)
"""What a digest is made for that nobody gains from forging."""
PASSWORDS = re.compile(r"(?<![a-z])(pass(w(or)?d)?|pwd|passphrase|pin|credentials?)s?(?![a-z])")


def replaced(code: Code, node: Node, text: str) -> TextEdit:
    """Return the edit that puts a text in a node's place."""
    return between(code, node.start_byte, node.end_byte, text)


def inserted(code: Code, byte: int, text: str) -> TextEdit:
    """Return the edit that puts a text at an offset of the tree."""
    return between(code, byte, byte, text)


def between(code: Code, start: int, end: int, text: str) -> TextEdit:
    """Return the edit between two offsets of the tree, which counts bytes of UTF-8."""
    if code.text.isascii():
        return TextEdit(start, end, text)
    data = code.text.encode("utf-8", "replace")
    first = len(data[:start].decode(errors="replace"))
    return TextEdit(first, first + len(data[start:end].decode(errors="replace")), text)


def calls(code: Code) -> list[Node]:
    """Return the calls in a text, in its order."""
    return within(code.root, *_CALLS)


def arguments(call: Node) -> list[Node]:
    """Return what a call is given, without comments; none where it is given a template string."""
    given = field(call, "arguments")
    return items(given) if given is not None else []


def items(listed: Node) -> list[Node]:
    """Return the named children of a list, without comments."""
    return [each for each in listed.named_children if each.type != "comment"]


def around(node: Node, *kinds: str) -> Node | None:
    """Return the nearest node of some kinds around a node, within reason."""
    parent = node.parent
    for _ in range(_MAX_ABOVE):
        if parent is None or parent.type in kinds:
            return parent
        parent = parent.parent
    return None


def words_in(*texts: str) -> str:
    """Return `resetToken`, `API_KEY` and the like in lower case with `-` between words."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", "-".join(texts))
    return re.sub(r"[^a-z0-9]+", "-", split.lower())


def indent_of(code: Code, node: Node) -> str:
    """Return the white space that the node's first line begins with."""
    data = code.text.encode("utf-8", "replace")
    line = data[data.rfind(b"\n", 0, node.start_byte) + 1 :][: node.start_point.column + 1]
    found = re.match(rb"[ \t]*", line)
    return found[0].decode() if found else ""


def begins_line(code: Code, node: Node) -> bool:
    """Return whether nothing but white space stands before a node in its line."""
    return len(indent_of(code, node).encode()) == node.start_point.column


def appended(code: Code, listed: Node, new: Iterable[str]) -> TextEdit:
    """Return the edit that adds items at the end of a list in brackets, laid out as it is."""
    quote = quote_in(code) if code.grammar != "go" else '"'
    added, inside = [each.replace('"', quote) for each in new], items(listed)
    if not inside:
        opening = listed.children[0]
        text = ", ".join(added)
        spaced = f" {text} " if text_of(opening) == "{" and code.grammar != "go" else text
        return between(code, opening.end_byte, listed.children[-1].start_byte, spaced)
    last = inside[-1]
    following = (c for c in listed.children if c.start_byte >= last.end_byte)
    comma = next((c for c in following if c.type == ","), None)
    is_tall = last.start_point.row > listed.start_point.row and begins_line(code, last)
    joint = f"\n{indent_of(code, last)}" if is_tall else " "
    if comma is not None:
        return inserted(code, comma.end_byte, "".join(f"{joint}{each}," for each in added))
    return inserted(code, last.end_byte, "".join(f",{joint}{each}" for each in added))


def beside(code: Code, item: Node, text: str) -> str:
    """Return what puts another argument after one: on a line of its own if that one has its own."""
    listed = item.parent
    if listed is None or item.start_point.row == listed.start_point.row:
        return f", {text}"
    if not begins_line(code, item):
        return f", {text}"
    following = item.next_sibling
    is_last = following is not None and not following.is_named and following.type != ","
    is_closed_below = following is not None and following.start_point.row > item.end_point.row
    comma = "," if code.grammar == "python" and is_last and is_closed_below else ""
    return f",\n{indent_of(code, item)}{text}{comma}"


def without(code: Code, item: Node) -> TextEdit:
    """Return the edit that takes an item out of its list, with one comma and the space beside."""
    before, after, around_it = item.prev_sibling, item.next_sibling, item.parent
    if around_it is not None and around_it.named_children == [item]:
        brackets = around_it.children[0], around_it.children[-1]
        return between(code, brackets[0].end_byte, brackets[1].start_byte, "")
    if before is not None and before.type == ",":
        held = before.prev_sibling
        start = held.end_byte if held is not None and held.type != "comment" else before.start_byte
        return between(code, start, item.end_byte, "")
    if after is not None and after.type == ",":
        follows = after.next_sibling
        is_last = follows is None or not follows.is_named
        end = after.end_byte if is_last or follows is None else follows.start_byte
        return between(code, item.start_byte, end, "")
    return replaced(code, item, "")


def without_line(code: Code, node: Node) -> TextEdit:
    """Return the edit that takes out a node with the lines that it stands on."""
    data = code.text.encode("utf-8", "replace")
    start = data.rfind(b"\n", 0, node.start_byte) + 1
    return between(code, start, data.find(b"\n", node.end_byte) + 1 or len(data), "")


def quote_in(code: Code) -> str:
    """Return the quote that most strings of a text are in."""
    return "'" if code.text.count("'") > code.text.count('"') else '"'
