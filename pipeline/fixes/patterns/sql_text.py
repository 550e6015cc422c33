"""SQL with values in it, as SQL with placeholders; the names of tables and columns never are one.

What can be a value and what cannot is read from the SQL around it: one in quotes, or one after a
comparison or in a list of VALUES. Anything else may be a name or a piece of SQL.
"""

import re
from collections.abc import Callable, Sequence

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.syntax import words_in
from secdaemon.pipeline.fixes.patterns.templates import Template
from secdaemon.pipeline.fixes.quote import inline
from secdaemon.pipeline.routes.syntax import text_of

_SQL = re.compile(
    r"\s*(select|insert\s+into|update|delete\s+from|replace\s+into|with|call)\s", re.IGNORECASE
)
_PLACEHOLDER = re.compile(r"\?|\$\d|%s|%\(|@p\d|(?<![:\w]):[a-z_]\w*", re.IGNORECASE)
_COMPARED = re.compile(
    r"(=|<>|!=|<=|>=|<|>|\b(i?like|between)|\bbetween\s+\0\s+and)\s*\Z", re.IGNORECASE
)
_IN_VALUES = re.compile(r"\bvalues\s*(\([^()]*\)\s*,\s*)*\(\s*([^(),]+\s*,\s*)*\Z", re.IGNORECASE)
_NAME_OR_SQL = re.compile(
    r"(?<![a-z])(table|column|col|field|order|sort|direction|schema|clause"
    r"|where|conditions?|query|sql|placeholders?|columns|tables|fields|filter|limit)(?![a-z])"
)
_READY = re.compile(
    r"\bnull\b|escape|quote|repr\(|\.join\(|Literal\(|Identifier\(|\bsql\.", re.IGNORECASE
)
_AFTER = re.compile(r"\Z|[\s),;]")
_MAX_SQL = 4_000


class Value(msgspec.Struct, frozen=True):
    """What a placeholder stands for; `before` and `after` are the `%` of a LIKE."""

    node: Node
    before: str = ""
    after: str = ""
    quoted: bool = False
    """Whether it stood in quotes, and so is text for certain."""


class Bound(msgspec.Struct, frozen=True):
    """SQL around its values: `texts` has one more than `values`."""

    texts: tuple[str, ...]
    values: tuple[Value, ...]

    def sql(self, placeholder: Callable[[int], str], *, doubled: bool = False) -> str:
        """Return the SQL; `placeholder` gets the value's number from 0.

        Args:
            placeholder: what stands for a value.
            doubled: whether a `%` of the SQL itself is written twice beside placeholders.
        """
        texts = [text.replace("%", "%%") if doubled else text for text in self.texts]
        pairs = (text + placeholder(at) for at, text in enumerate(texts[:-1]))
        return "".join((*pairs, texts[-1]))


def bound(template: Template) -> Bound | None:
    """Return a template of SQL with all its expressions bound; None where one cannot be."""
    whole = "\0".join(template.texts)
    is_sql = _SQL.match(whole) and len(whole) <= _MAX_SQL
    if not template.values or not is_sql or _PLACEHOLDER.search(whole):
        return None
    texts, values = [template.texts[0]], []
    for node, after in zip(template.values, template.texts[1:], strict=True):
        seen = "\0".join(texts)
        found = _quoted(seen, node, after) or _plain(seen, node, after)
        if found is None or _READY.search(text_of(node)):
            return None
        before, value, rest = found
        texts[-1] = texts[-1][: len(texts[-1]) - before]
        texts.append(after[rest:])
        values.append(value)
    return Bound(tuple(texts), tuple(values))


def _quoted(seen: str, node: Node, after: str) -> tuple[int, Value, int] | None:
    """Return how much of the text before goes, the value, and how much of the text after."""
    opening = re.search(r"(['\"])(%?)\Z", seen)
    if opening is None:
        return None
    start, quote = opening.start(), opening[1]
    closing = re.match(rf"(%?){quote}", after)
    lead = seen[:start]
    if closing is None or lead.count("'") % 2 or lead.count('"') % 2:
        return None
    if quote == '"' and not _COMPARED.search(lead):
        return None
    is_value = _COMPARED.search(lead) or re.search(r"[(,]\s*\Z", lead)
    value = Value(node, opening[2], closing[1], quoted=True)
    return (len(seen) - start, value, closing.end()) if is_value else None


def _plain(seen: str, node: Node, after: str) -> tuple[int, Value, int] | None:
    is_value = _COMPARED.search(seen) or _IN_VALUES.search(seen)
    is_name = _NAME_OR_SQL.search(words_in(text_of(node).rpartition(".")[2]))
    if not is_value or is_name or seen.count("'") % 2 or not _AFTER.match(after):
        return None
    return 0, Value(node), 0


def is_strange(value: Value) -> bool:
    """Return whether a request's text is meant as a number, which some drivers do not take."""
    said = re.match(r"(req|request|flask\.request)\.", text_of(value.node))
    return said is not None and not value.quoted


def named(values: Sequence[Value]) -> list[str]:
    """Return a name for each value, from what it is called in the code; one for equal values."""
    names: dict[str, str] = {}
    for value in values:
        said = value.before + text_of(value.node) + value.after
        words = re.findall(r"[A-Za-z_]\w*", text_of(value.node))
        name = (words or ["value"])[-1]
        while said not in names and name in names.values():
            name += "_"
        names.setdefault(said, name)
    return [names[value.before + text_of(value.node) + value.after] for value in values]


def reach(values: Sequence[Value]) -> str:
    """Return the beginning of a sentence: which values reach the database."""
    names = list(dict.fromkeys(inline(text_of(value.node), 60) for value in values))
    return f"{', '.join(names[:3])} {'reaches' if len(names) == 1 else 'reach'} the database"
