"""The code of an example's question and answer, changed on both sides alike without its meaning."""

import re
from collections import Counter
from collections.abc import Iterator

import msgspec
from tree_sitter import Node

from secdaemon.pipeline.augmentation.scopes import renamable
from secdaemon.pipeline.evaluation import grammars
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.fixes.languages import comment
from secdaemon.pipeline.fixes.surroundings import surroundings_of
from secdaemon.pipeline.public.changed_units import Alignment

_FENCED = re.compile(
    r"^(?P<fence>`{3,})(?P<language>[^`\n]*)\n(?P<code>.*?)\n(?P=fence)$", re.MULTILINE | re.DOTALL
)
_INLINE = re.compile(r"`[^`\n]+`")
_WORD = re.compile(r"[^\W\d]\w*")
_SNAKE = frozenset(("c", "python"))
_AFFIXES = ("given {}", "{} value", "current {}", "local {}")
_MOST_NAMES = 6
_LEAST_LEFT_OUT = 4
"""Lines in a row: for fewer a comment in their place is not worth it."""
_BODIES = frozenset(("block", "compound_statement", "statement_block", "statement_list"))
_NO_STATEMENTS = frozenset(("comment", "line_comment", "block_comment"))


class Answered(msgspec.Struct, frozen=True):
    """A question and an answer with one block of code each, of the same language."""

    question: str
    answer: str
    grammar: str
    before: str
    after: str

    @classmethod
    def of(cls, example: Example) -> "Answered | None":
        """Return what is to be known of an example; None where its code is not of this form."""
        if [turn.role for turn in example.messages] != ["system", "user", "assistant"]:
            return None
        question, answer = (turn.content for turn in example.messages[1:])
        asked, given = list(_FENCED.finditer(question)), list(_FENCED.finditer(answer))
        if len(asked) != 1 or len(given) != 1 or asked[0]["language"] != given[0]["language"]:
            return None
        before, after = asked[0]["code"], given[0]["code"]
        grammar = grammars.grammar_of(asked[0]["language"], before) or ""
        return cls(question, answer, grammar, before, after)

    def with_code(self, before: str, after: str) -> tuple[str, str]:
        """Return question and answer with other code."""
        return _replaced(self.question, before), _replaced(self.answer, after)


def _replaced(text: str, code: str) -> str:
    return _FENCED.sub(lambda m: f"{m['fence']}{m['language']}\n{code}\n{m['fence']}", text)


def other_names(answered: Answered, draw: bytes) -> Iterator[tuple[str, str]]:
    """Yield question and answer with other names for local variables, the same in both.

    A new name has the old one in it and is nowhere else, so that each renaming can be undone. Left
    alone is every name that the report or the explanation speaks of; in the answer's code spans,
    which quote the code, names are changed too.
    """
    names = _silent(answered)
    if not names:
        return
    taken = set(_WORD.findall(f"{answered.question}\n{answered.answer}"))
    for turn in range(len(_AFFIXES)):
        affix = _AFFIXES[(draw[0] + turn) % len(_AFFIXES)]
        new = {name: _name(affix, name, answered.grammar) for name in names}
        if taken & set(new.values()) or len(set(new.values())) < len(new):
            continue
        before, after = (_rename(code, new) for code in (answered.before, answered.after))
        if all(_parses(answered.grammar, code) for code in (before, after)):
            yield _replaced(answered.question, before), _answer(answered.answer, new, after)


def _answer(answer: str, new: dict[str, str], code: str) -> str:
    """Return the answer with other names in the spans of code outside its block."""
    block = _FENCED.search(answer)
    assert block is not None
    before, behind = (
        _INLINE.sub(lambda match: _rename(match[0], new), part)
        for part in (answer[: block.start()], answer[block.end() :])
    )
    return _replaced(before + block[0] + behind, code)


def _silent(answered: Answered) -> list[str]:
    """Return the names that can be changed in both blocks and that no other words are about."""
    old = renamable(answered.grammar, answered.before)
    new = renamable(answered.grammar, answered.after)
    both = set(_WORD.findall(answered.after)) & set(_WORD.findall(answered.before))
    asked = set(_WORD.findall(_FENCED.sub("", answered.question)))
    told = set(_WORD.findall(_INLINE.sub("", _FENCED.sub("", answered.answer))))
    return [name for name in old if (name not in both or name in new) and name not in asked | told][
        :_MOST_NAMES
    ]


def _name(affix: str, name: str, grammar: str) -> str:
    """Return the name with a word before or behind it, in the language's spelling."""
    words = affix.format(name).split()
    if grammar in _SNAKE or "_" in name:
        return "_".join(words)
    return words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:])


def _rename(text: str, new: dict[str, str]) -> str:
    return _WORD.sub(lambda match: new.get(match[0], match[0]), text)


def _parses(grammar: str, code: str) -> bool:
    return surroundings_of(grammar, code) is not None


def fewer_lines(answered: Answered) -> Iterator[tuple[str, str]]:
    """Yield question and answer without the whole statements that are far from what changes.

    A comment stands in their place on both sides. The function's first and last line stay, so do
    every line that the answer quotes, and the statements where a name that stays comes up first.
    """
    if not answered.grammar or surroundings_of(answered.grammar, answered.before) is None:
        return
    quoted = {span[0].strip("`").strip() for span in _INLINE.finditer(answered.answer)}
    lines = answered.before.split("\n")
    alignment = Alignment(answered.before, answered.after, answered.grammar)
    stays = alignment.changed_lines() | {
        number for number, line in enumerate(lines) if line.strip() in quoted
    }
    gaps = _gaps(answered, lines, stays, alignment.added_lines())
    if gaps:
        before, after = alignment.without(
            gaps, lambda first, last: _left_out(answered.grammar, lines[first], last - first)
        )
        if all(_parses(answered.grammar, code) for code in (before, after)):
            yield answered.with_code(before, after)


def _gaps(
    answered: Answered, lines: list[str], stays: set[int], added: list[str]
) -> list[tuple[int, int]]:
    """Return which lines can be left out, 0-based, ends exclusive; `stays` are those that cannot.

    Where a word that is shown comes up first stays too, so that nothing is used undeclared.
    """
    statements = _statements_of(answered)
    first: dict[str, int] = {}
    for number, line in enumerate(lines):
        for word in _WORD.findall(line):
            first.setdefault(word, number)
    for keyword in grammars.keywords(answered.grammar):
        first.pop(keyword, None)
    while True:
        far = _far(statements, stays, len(lines))
        gaps = [(start, end) for start, end in far if end - start >= _LEAST_LEFT_OUT]
        gone = {number for start, end in gaps for number in range(start, end)}
        shown = [line for number, line in enumerate(lines) if number not in gone] + added
        words = {word for line in shown for word in _WORD.findall(line)}
        missing = {first[word] for word in words if first.get(word) in gone}
        if not missing:
            return gaps
        stays = stays | missing


def _left_out(grammar: str, first: str, count: int) -> str:
    indent = first[: len(first) - len(first.lstrip())]
    return indent + comment(grammar, f"{count} lines left out")


def _statements_of(answered: Answered) -> list[tuple[int, int]]:
    """Return the rows of the outermost body's statements, 0-based, ends exclusive."""
    room = surroundings_of(answered.grammar, answered.before) or ("", "")
    shift = room[0].count("\n")
    root = grammars.parse(answered.grammar, answered.before.join(room))
    bodies = (_statements(node) for node in grammars.nodes(root) if node.type in _BODIES)
    found = next((statements for statements in bodies if len(statements) > 1), [])
    return [(node.start_point.row - shift, node.end_point.row + 1 - shift) for node in found]


def _statements(body: Node) -> list[Node]:
    return [node for node in body.named_children if node.type not in _NO_STATEMENTS]


def _far(
    statements: list[tuple[int, int]], stays: set[int], count: int
) -> Iterator[tuple[int, int]]:
    """Yield the lines of statements one behind the other, and between them, of which none stays."""
    taken = Counter(line for first, last in statements for line in range(first, last))
    run: tuple[int, int] | None = None
    for first, last in statements:
        shares = any(taken[line] > 1 for line in (first, last - 1))
        is_free = not shares and first >= 0 and last <= count
        is_free = is_free and stays.isdisjoint(range(first, last))
        if run and is_free and stays.isdisjoint(range(run[1], first)):
            run = (run[0], last)
            continue
        if run:
            yield run
        run = (first, last) if is_free else None
    if run:
        yield run
