"""Java and Kotlin: a query put together from letters and values, as one with parameters."""

import re
from collections.abc import Callable

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.jvm_code import Part, parts_of
from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.routes.syntax import text_of

_MAX_VALUES = 12
_BEFORE_VALUE = re.compile(
    r"(?:(?<![-<>=!~#@&|*+/:])(?:=|<|>|<=|>=|<>|!=)|\bI?LIKE|\bVALUES\s*\((?:[^()]*,)?|\bBETWEEN|\bBETWEEN\s+\S+\s+AND)"
    r"\s*$",
    re.IGNORECASE,
)
"""Where a value may stand in SQL, and nothing else."""
_BEFORE_TEXT = re.compile(rf"(?:{_BEFORE_VALUE.pattern}|[(,]\s*$|\|\|\s*$)", re.IGNORECASE)
"""The same for a text in quotes: behind `INTERVAL`, `DATE` or `AS` only a literal may stand."""
_READS_OR_WRITES = re.compile(
    r"(?:\s|\\n|\()*(?:select|insert|update|delete|with|merge|replace|from)\b", re.IGNORECASE
)
"""Other statements (`SET`, `CREATE USER`, `ALTER`) take no parameters in most databases."""
_ESCAPES = re.compile(r"(?i)escap|quot|saniti|encode")
"""What makes a text fit to stand in SQL would be part of the value once it is bound."""
_AFTER_VALUE = re.compile(r"(?:[\s,;)]|$)")
_PIECE_OF_SQL = re.compile(
    r"(?i)(?:where|clause|order|sort|column|table|condition|filter|sql|query|expr|criteria|field"
    r"|schema|join)(?:s|name|string|part)?$"
)
_NAME = re.compile(r"[A-Za-z_]\w*")


class Query(msgspec.Struct, frozen=True):
    """A query with parameters."""

    source: str
    """The expression of its text."""
    values: tuple[str, ...]
    """The expressions of its parameters, in their order."""
    quoted: tuple[bool, ...]
    """Which of them stood between quotes: they are texts."""
    composed: tuple[bool, ...]
    """Which of them are put together with letters, such as `%` around a word."""


def query_of(
    code: Code, node: Node, marker: Callable[[int, str], str] = lambda _at, _value: "?"
) -> Query | None:
    """Return a query's text with a marker in the place of each value.

    None where a value is no value of SQL (a table, a column, a list, a clause), where there is none
    or where the text is not plain to see.
    """
    parts = parts_of(node)
    if parts is None or sum(not part.is_letters for part in parts) > _MAX_VALUES:
        return None
    letters = "".join(part.text for part in parts if part.is_letters)
    is_parameterised = "?" in letters or re.search(r"(?<!:):[A-Za-z_]", letters)
    if is_parameterised or re.search(r"\\[^nt\"]|--|/\*|`", letters):
        return None
    if not _READS_OR_WRITES.match(letters):
        return None
    built = _Builder(code, marker, '"""' if text_of(node).startswith('"""') else '"')
    if not all(built.take(part) for part in parts):
        return None
    return built.query()


class _Builder:
    """Reads the parts of a query one after the other."""

    def __init__(self, code: Code, marker: Callable[[int, str], str], quote: str) -> None:
        self._code, self._marker, self._quote = code, marker, quote
        self._lines: list[str] = [""]
        self._gaps: list[str] = []
        self._gap = ""
        self._open: list[Part] | None = None
        self._last: Part | None = None
        self._is_bare = False
        self._values: list[tuple[str, bool, bool]] = []

    def take(self, part: Part) -> bool:
        """Take a part in; False where it is not certain what it is."""
        self._gap = part.gap or self._gap
        if part.is_letters:
            return self._letters(part.text)
        if not _is_value(part.text):
            return False
        if self._open is not None:
            self._open.append(part)
            return True
        if self._is_bare or not _BEFORE_VALUE.search("".join(self._lines)):
            return False
        self._put(part.text, quoted=False, composed=False)
        self._is_bare = True
        return True

    def query(self) -> Query | None:
        """Return what was read, None where a text is not closed or there is no value."""
        if self._open is not None or not self._values:
            return None
        quote = self._quote
        source = self._lines[0]
        for gap, line in zip(self._gaps, self._lines[1:], strict=True):
            source += f"{quote}{gap if '+' in gap else f' +{gap}'}{quote}{line}"
        values, quoted, composed = zip(*self._values, strict=True)
        return Query(f"{quote}{source}{quote}", values, quoted, composed)

    def _letters(self, text: str) -> bool:
        if self._is_bare and text:
            if not _AFTER_VALUE.match(text.replace("\\n", "\n")):
                return False
            self._is_bare = False
        for index, piece in enumerate(text.split("'")):
            if index and not self._turn():
                return False
            if self._open is not None:
                self._open.append(Part(True, piece))
            elif piece:
                if '"' in piece:
                    return False
                self._say(piece)
        return True

    def _turn(self) -> bool:
        """Read a quote: a text of SQL begins or ends."""
        if self._open is None:
            self._open = []
            return True
        held = [part for part in self._open if part.text]
        self._open = None
        if all(part.is_letters for part in held):
            self._say("'" + "".join(part.text for part in held) + "'")
            return True
        if len([part for part in held if not part.is_letters]) != 1:
            return False
        if not _BEFORE_TEXT.search("".join(self._lines)):
            return False
        self._put(_text(self._code, held), quoted=True, composed=len(held) > 1)
        return True

    def _put(self, value: str, *, quoted: bool, composed: bool) -> None:
        self._say(self._marker(len(self._values) + 1, value))
        self._values.append((value, quoted, composed))

    def _say(self, text: str) -> None:
        if self._gap and self._lines[-1]:
            self._gaps.append(self._gap)
            self._lines.append("")
        self._gap = ""
        self._lines[-1] += text


def _is_value(text: str) -> bool:
    """Whether an expression can be handed over as it is, and does not say that it is SQL."""
    last = re.findall(r"[A-Za-z_]\w*", text)[-1:]
    is_plain = re.fullmatch(r"[\w.()!?\[\]\"' ]+", text) is not None and "?:" not in text
    is_ready = _PIECE_OF_SQL.search(last[0]) if last else None
    return is_plain and bool(last) and not is_ready and not _ESCAPES.search(text)


def _text(code: Code, parts: list[Part]) -> str:
    """Return the expression of a text with a value in it."""
    if len(parts) == 1:
        return parts[0].text
    if code.grammar == "java":
        return " + ".join(f'"{p.text}"' if p.is_letters else p.text for p in parts)
    made = ""
    for at, part in enumerate(parts):
        if part.is_letters:
            made += part.text
            continue
        follows = parts[at + 1].text if at + 1 < len(parts) else ""
        is_short = _NAME.fullmatch(part.text) and not re.match(r"\w", follows)
        made += f"${part.text}" if is_short else f"${{{part.text}}}"
    return f'"{made}"'
