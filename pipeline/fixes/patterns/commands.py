"""A shell's command line as the list of words that it is, where it is no more than that."""

import re

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.syntax import quote_in, words_in
from secdaemon.pipeline.fixes.patterns.templates import Template
from secdaemon.pipeline.routes.syntax import text_of

_PROGRAM = re.compile(r"[\w./-]+")
_BUILT_IN = frozenset(
    (
        ".",
        "alias",
        "cd",
        "eval",
        "exec",
        "exit",
        "export",
        "set",
        "source",
        "time",
        "ulimit",
        "umask",
    )
)
_WORDS = re.compile(r"(?:[\w./:=@,+%-]|\0|'[\w ./:=@,+%-]*\0?[\w ./:=@,+%-]*'|\"[^\"$`\\]*\")+")
_SEVERAL = re.compile(
    r"(?<![a-z])(args|arguments|argv|flags?|opts?|options?|cmd|command|script|params|extra)(?![a-z])"
)
"""What may be several words by intention."""
_NUMBER = re.compile(
    r"(?<![a-z])(port|pid|count|size|id|num(ber)?|timeout|seconds|width|height|index|len)(?![a-z])"
)
_ESCAPED = re.compile(
    r"(?:shlex\.)?quote\((?P<python>[\w.]+)\)"
    r"|(?P<script>[\w.]+)\.replace(?:All)?\((?:/'/g|['\"`]'['\"`]), [\"'`][^,]*[\"'`]\)"
)
"""A value with its quotes escaped for the shell, which nobody does without one."""
_SILENT = re.compile(r"\s*1?>\s*/dev/null(\s*2>&1)?\Z")


def words(code: Code, template: Template, *, is_silent: bool = False) -> list[str] | None:
    """Return the program and its arguments as expressions of the code's language.

    Args:
        code: where it stands.
        template: the command line.
        is_silent: whether nobody sees what the program prints, with or without `> /dev/null`.

    None where the shell would do more than split at spaces: pipes, variables, globs, several
    commands; and where a value may be meant as several words, or as the program.
    """
    line = "\0".join(template.texts).replace("\n", " ").strip()
    if is_silent:
        line = _SILENT.sub("", line)
    parts = _WORDS.findall(line)
    if not parts or " ".join(parts) != " ".join(_spaced(line)):
        return None
    if not _PROGRAM.fullmatch(parts[0]) or parts[0] in _BUILT_IN or "=" in parts[0]:
        return None
    if any(_SEVERAL.search(_last_words(_plain(value))) for value in template.values):
        return None
    values = iter(template.values)
    made = [
        _word(code, _unquoted(part), [next(values) for _ in range(part.count("\0"))])
        for part in parts
    ]
    known = [word for word in made if word is not None]
    return known if len(known) == len(made) else None


def _plain(value: Node) -> str:
    """Return a value's expression without the escaping for the shell."""
    escaped = _ESCAPED.fullmatch(text_of(value))
    return escaped["python"] or escaped["script"] if escaped else text_of(value)


def _last_words(expression: str) -> str:
    """Return the words of what a value is called itself, without what it is a part of."""
    return words_in(expression.rpartition(".")[2])


def _spaced(line: str) -> list[str]:
    """Return what stands between the spaces that no quotes hold."""
    return re.findall(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\")+", line)


def _unquoted(part: str) -> str | None:
    """Return a word as the program gets it; None where quotes do not close."""
    bare = re.sub(r"'([^']*)'|\"([^\"]*)\"", lambda m: m[1] or m[2] or "", part)
    return None if "'" in bare or '"' in bare else bare


def _word(code: Code, part: str | None, values: list[Node]) -> str | None:
    if part is None or "\n" in "".join(map(text_of, values)):
        return None
    if not values:
        quote = quote_in(code) if code.grammar != "go" else '"'
        return None if quote in part else quote + part + quote
    texts = part.split("\0")
    is_bare = texts == ["", ""]
    expressions = [_plain(value) for value in values]
    if code.grammar == "python":
        return _python_word(quote_in(code), texts, expressions, is_bare=is_bare)
    if code.grammar == "go":
        pairs = (
            [expressions[0]]
            if is_bare
            else [
                piece
                for text, value in zip(texts, [*expressions, ""], strict=True)
                for piece in (f'"{text}"' if text else "", value)
                if piece
            ]
        )
        return " + ".join(pairs)
    if is_bare:
        is_number = _NUMBER.search(_last_words(expressions[0]))
        return f"String({expressions[0]})" if is_number else expressions[0]
    return f"`{_mixed(texts, expressions, '${')}`"


def _python_word(
    quote: str, texts: list[str], expressions: list[str], *, is_bare: bool
) -> str | None:
    if is_bare:
        is_number = _NUMBER.search(_last_words(expressions[0]))
        return f"str({expressions[0]})" if is_number else expressions[0]
    if any(mark in each for each in expressions for mark in "\"'{}\\") or "{" in "".join(texts):
        return None
    return f"f{quote}{_mixed(texts, expressions, '{')}{quote}"


def _mixed(texts: list[str], expressions: list[str], opening: str) -> str:
    pairs = zip(texts, [f"{opening}{each}}}" for each in expressions] + [""], strict=True)
    return "".join(text + value for text, value in pairs)
