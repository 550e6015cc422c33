"""A shell's command line as the list of words that it is, where it is no more than that."""

import re

from tree_sitter import Node

from secdaemon.pipeline.fixes.patterns.model import Code
from secdaemon.pipeline.fixes.patterns.one_use import FUNCTIONS
from secdaemon.pipeline.fixes.patterns.syntax import around, quote_in, words_in
from secdaemon.pipeline.fixes.patterns.templates import Template
from secdaemon.pipeline.routes.syntax import field, text_of

_PROGRAM = re.compile(r"[\w./-]+")
_BUILT_IN = frozenset(
    (
        *(
            ".",
            "alias",
            "case",
            "cd",
            "command",
            "declare",
            "eval",
            "exec",
            "exit",
            "export",
            "for",
        ),
        *("function", "hash", "history", "if", "jobs", "let", "popd", "pushd", "read", "return"),
        *("set", "shift", "source", "time", "trap", "type", "ulimit", "umask", "unset", "until"),
        *("wait", "while", "assoc", "cls", "copy", "del", "dir", "erase", "md", "mklink", "move"),
        *("rd", "ren", "start", "ver", "vol"),
    )
)
"""Words that only a shell knows, that of Windows among them."""
_SCRIPTED = frozenset(("bower", "gulp", "npm", "npx", "pnpm", "tsc", "vsce", "yarn"))
"""Programs that are batch files on Windows, which nothing but its shell starts."""
_WINDOWS = re.compile(r"win32|process\.platform|os\.name|platform\.system|nt['\"]|[Ww]indows")
_WORDS = re.compile(r"(?:[\w./:=@,+%-]|\0|'[\w ./:=@,+%-]*\0?[\w ./:=@,+%-]*'|\"[^\"$`\\]*\")+")
_SEVERAL = re.compile(
    r"(?<![a-z])(args|arguments|argv|flags?|opts?|options?|cmd|command|script|params|extra)(?![a-z])"
)
"""What may be several words by intention."""
_TEXT = re.compile(
    r"(?<![a-z])(address|branch|cert|command|container|cwd|db|destination|dest|dir(ectory)?|domain"
    r"|dst|e?mail|expression|ext|file(name|path)?|folder|group|hash|host(name)?|image|inf(ile)?"
    r"|input|interface|ip|iface|keyword|label|lang|locale|location|log|message|module|msg|name"
    r"|namespace|out(file|put)?|pack(age)?|password|path|pattern|prefix|program|project|q|query"
    r"|recipient|ref|region|remote|repo(sitory)?|root|script|search|sha|source|src|subject|suffix"
    r"|tag|target|term|text|title|token|topic|ur[il]|user(name)?|value|version|volume|who|word"
    r"|workspace|bucket|commit|tool|archive|device|service)s?(?![a-z])"
)
"""What is called as text is; of anything else the text is made, as the command line made it."""
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
    if not _PROGRAM.fullmatch(parts[0]) or parts[0].lower() in _BUILT_IN or "=" in parts[0]:
        return None
    if parts[0] in _SCRIPTED and _WINDOWS.search(code.text):
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
    is_text = _is_text(values[0], expressions[0])
    if code.grammar == "python":
        return _python_word(quote_in(code), texts, expressions, is_bare=is_bare, is_text=is_text)
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
        return expressions[0] if is_text else f"String({expressions[0]})"
    return f"`{_mixed(texts, expressions, '${')}`"


def _python_word(
    quote: str, texts: list[str], expressions: list[str], *, is_bare: bool, is_text: bool
) -> str | None:
    if is_bare:
        return expressions[0] if is_text else f"str({expressions[0]})"
    if any(mark in each for each in expressions for mark in "\"'{}\\") or "{" in "".join(texts):
        return None
    return f"f{quote}{_mixed(texts, expressions, '{')}{quote}"


def _is_text(value: Node, expression: str) -> bool:
    """Return whether a value is text for certain, or by what it is called."""
    above = value.parent
    if above is not None and above.type == "binary_operator":
        # Python adds nothing but text to text.
        return True
    function = around(value, *FUNCTIONS)
    listed = field(function, "parameters") if function is not None else None
    declared = rf"(?<!\w){re.escape(expression)}\??\s*:\s*str(ing)?\s*[,)=]"
    if re.search(declared, text_of(listed)):
        return True
    return (
        expression != text_of(value)
        or expression.startswith(("str(", "String(", "sys.argv[", "process.argv["))
        or bool(_TEXT.search(_last_words(expression)))
    )


def _mixed(texts: list[str], expressions: list[str], opening: str) -> str:
    pairs = zip(texts, [f"{opening}{each}}}" for each in expressions] + [""], strict=True)
    return "".join(text + value for text, value in pairs)
