"""Text that code puts together: f-strings, template literals, `+`, `%`, `format` and `Sprintf`."""

import re
from collections.abc import Iterator
from itertools import chain

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import arguments, items, quote_in
from secdaemon.pipeline.routes.syntax import field, text_of

_MAX_PARTS = 60
_MAX_LINE = 160
_VERB = re.compile(r"%(.)", re.DOTALL)
_BRACES = re.compile(r"\{\{|\}\}|\{(\w*)\}|[{}]")
_QUOTES = ('"""', "'''", '"', "'", "`")
_TALL = frozenset(('"""', "'''", "`"))

_Raw = list["tuple[str, str] | Node"]


class Template(msgspec.Struct, frozen=True):
    """Texts and the expressions between them: `texts` has one more than `values`.

    The texts are as in the source, without the escapes of quotes and of the format.
    """

    texts: tuple[str, ...]
    values: tuple[Node, ...]
    quote: str
    """Of the first literal."""


def template_of(code: Code, node: Node) -> Template | None:
    """Return an expression as a template; None where not all of it is understood.

    A plain literal is a template without values; the formats of values count as none (`%d`, `%v`
    and `{}` alike), anything more special as not understood.
    """
    raw = _raw(code, node)
    if raw is None or len(raw) > _MAX_PARTS or not any(isinstance(part, tuple) for part in raw):
        return None
    texts, values = [""], []
    for part in raw:
        if isinstance(part, Node):
            values.append(part)
            texts.append("")
        else:
            texts[-1] += part[0]
    quotes = [part[1] for part in raw if isinstance(part, tuple)]
    quote = next((each for each in quotes if each in _TALL), quotes[0])
    return Template(tuple(texts), tuple(values), quote)


def literal(code: Code, content: str, quote: str) -> str | None:
    """Return a string literal, with this quote if possible; None where it would be unreadable."""
    is_script = code.grammar not in {"python", "go"}
    if quote == "`" and is_script and "\n" not in content and "${" not in content:
        quote = quote_in(code)
    if max(map(len, content.split("\n"))) > _MAX_LINE:
        return None
    if quote in _TALL:
        return None if quote in content or (quote[0] == content[-1:]) else quote + content + quote
    others = ['"'] if code.grammar == "go" else ['"', "'"]
    fits = (each for each in (quote, *others) if each not in content and "\n" not in content)
    chosen = next(fits, None)
    return None if chosen is None else chosen + content + chosen


def _raw(code: Code, node: Node) -> _Raw | None:
    """Return (text, quote) and nodes in order."""
    node = _bare(node)
    read = {"python": _python, "go": _go}.get(code.grammar, _script)
    if _is_sum(node):
        parts = [read(operand) for operand in _operands(node)]
        known = [part for part in parts if part is not None]
        return list(chain.from_iterable(known)) if len(known) == len(parts) else None
    return read(node)


def _bare(node: Node) -> Node:
    while node.type == "parenthesized_expression" and node.named_child_count == 1:
        node = node.named_children[0]
    return node


def _is_sum(node: Node) -> bool:
    is_binary = node.type in {"binary_expression", "binary_operator"}
    return is_binary and text_of(field(node, "operator")) == "+"


def _operands(node: Node) -> Iterator[Node]:
    """Return what a sum adds, from the left."""
    waiting: list[Node | None] = [node]
    while waiting:
        each = waiting.pop()
        if each is None:
            continue
        each = _bare(each)
        if _is_sum(each):
            waiting += [field(each, "right"), field(each, "left")]
        else:
            yield each


def _python(node: Node) -> _Raw | None:
    if node.type == "string":
        return _python_string(node)
    if node.type == "concatenated_string":
        parts = [_python_string(each) for each in items(node)]
        known = [part for part in parts if part is not None]
        return list(chain.from_iterable(known)) if len(known) == len(parts) else None
    if node.type == "binary_operator" and text_of(field(node, "operator")) == "%":
        left, right = field(node, "left"), field(node, "right")
        raw = _python(_bare(left)) if left is not None else None
        if raw is None or right is None or right.type == "dictionary":
            return None
        return _verbs(raw, items(right) if right.type == "tuple" else [right], "sd")
    if node.type == "call":
        called = field(node, "function")
        held = field(called, "object") if called is not None else None
        if held is not None and text_of(field(called or held, "attribute")) == "format":
            raw = _python(_bare(held))
            return _fields(raw, arguments(node)) if raw is not None else None
    return [node]


def _python_string(node: Node) -> _Raw | None:
    if node.type != "string" or not node.children:
        return None
    start = text_of(node.children[0])
    quote = next(each for each in _QUOTES if start.endswith(each))
    prefix = start.removesuffix(quote).lower()
    if prefix not in {"", "f"}:
        return None
    raw: _Raw = [("", quote)]
    for part in node.children[1:-1]:
        if part.type == "string_content":
            text = _unquoted(text_of(part))
            if prefix == "f":
                text = text.replace("{{", "{").replace("}}", "}")
            raw.append((text, quote))
            continue
        value = field(part, "expression")
        if value is None or len(part.named_children) != 1:
            return None
        raw.append(value)
    return raw


def _script(node: Node) -> _Raw | None:
    if node.type not in {"string", "template_string"}:
        return [node]
    quote = text_of(node)[:1]
    raw: _Raw = [("", quote)]
    for part in node.named_children:
        if part.type == "template_substitution":
            if part.named_child_count != 1:
                return None
            raw.append(part.named_children[0])
        else:
            raw.append((_unquoted(text_of(part)), quote))
    return raw


def _go(node: Node) -> _Raw | None:
    if node.type in {"interpreted_string_literal", "raw_string_literal"}:
        text = text_of(node)
        return [(_unquoted(text[1:-1]), text[:1])]
    if node.type == "call_expression" and text_of(field(node, "function")) == "fmt.Sprintf":
        given = arguments(node)
        raw = _go(given[0]) if given else None
        return _verbs(raw, given[1:], "sdv") if raw is not None else None
    return [node]


def _unquoted(text: str) -> str:
    return re.sub(r"\\(['\"`])", r"\1", text)


def _verbs(raw: _Raw, values: list[Node], known: str) -> _Raw | None:
    """Return a format with `%s` and the like as the values that they stand for."""
    if any(isinstance(part, Node) for part in raw):
        return None
    left = list(values)
    made: _Raw = []
    for text, quote in (part for part in raw if isinstance(part, tuple)):
        end = 0
        for verb in _VERB.finditer(text):
            made.append((text[end : verb.start()] + ("%" if verb[1] == "%" else ""), quote))
            end = verb.end()
            if verb[1] == "%":
                continue
            if verb[1] not in known or not left:
                return None
            made.append(left.pop(0))
        made.append((text[end:], quote))
    return None if left else made


def _fields(raw: _Raw, values: list[Node]) -> _Raw | None:
    """Return a format with `{}`, `{0}` and `{name}` as the values that they stand for."""
    named = {
        text_of(field(each, "name")): field(each, "value")
        for each in values
        if each.type == "keyword_argument"
    }
    placed = [each for each in values if each.type != "keyword_argument"]
    if any(isinstance(part, Node) for part in raw) or any("splat" in v.type for v in values):
        return None
    made: _Raw = []
    count = 0
    for text, quote in (part for part in raw if isinstance(part, tuple)):
        end = 0
        for found in _BRACES.finditer(text):
            made.append((text[end : found.start()], quote))
            end = found.end()
            if found[1] is None:
                if len(found[0]) == 1:
                    return None
                made.append((found[0][0], quote))
                continue
            value = _placed(found[1], count, placed, named)
            if value is None:
                return None
            count += not found[1]
            made.append(value)
        made.append((text[end:], quote))
    return made


def _placed(
    name: str, count: int, placed: list[Node], named: dict[str, Node | None]
) -> Node | None:
    """Return the value of a replacement field, None where there is none."""
    if name and not name.isdecimal():
        return named.get(name)
    at = int(name[:4]) if name else count
    return placed[at] if at < len(placed) else None
