"""How an environment variable is written at a place of a script, so that its value is only data.

A function gets the variable, the syntax node of the word that marks the place, and that word. It
gives what to put there, and the node that this stands for where it is more than the word; None
where the value would be read as code however it is quoted, or where that cannot be told.
"""

import re

from tree_sitter import Node as SyntaxNode

MARK = "SECDAEMONx{}x"
"""The word for the n-th place."""
Written = tuple[SyntaxNode | None, str]

_MARK = MARK.partition("{")[0]

_READS_TEXT = frozenset(
    (
        ".",
        "awk",
        "envsubst",
        "eval",
        "gmake",
        "jq",
        "just",
        "let",
        "m4",
        "make",
        "mysql",
        "ninja",
        "parallel",
        "psql",
        "sed",
        "source",
        "sqlite3",
        "ssh",
        "su",
        "trap",
        "xargs",
        "yq",
    )
)
"""Programs to which an argument is a program too."""
_WRAPPERS = frozenset(("command", "env", "exec", "nice", "nohup", "sudo", "time", "timeout"))
"""Programs that run the one that stands behind them."""
_INTERPRETERS = frozenset(
    ("bash", "dash", "ksh", "node", "perl", "php", "pwsh", "python", "python3", "ruby", "sh", "zsh")
)
_TAKES_TEXT = re.compile(r"-\w*[cepr]|--eval|--print|--command|-")
_SETS_ENVIRONMENT = re.compile(rb"\bGITHUB_(?:ENV|PATH)\b")
_COUNTED = re.compile(rb"^\w+(?:\s+-\w+)*?\s+-\w*i")
_COUNTS = frozenset((b"-eq", b"-ge", b"-gt", b"-le", b"-lt", b"-ne"))
_NOT_TEXT = frozenset(
    ("ansi_c_string", "arithmetic_expansion", "command_name", "expansion", "for_statement", "regex")
)
_WORDS_IN = frozenset(
    (
        "binary_expression",
        "case_statement",
        "command",
        "concatenation",
        "file_redirect",
        "herestring_redirect",
        "unary_expression",
        "variable_assignment",
    )
)


def in_shell(variable: str, node: SyntaxNode, mark: str) -> Written | None:
    """Return how a variable stands where the mark stands; None where text is run as code."""
    above = _above(node)
    if any(at.type in _NOT_TEXT or _runs_text(at) for at in above):
        return None
    plain = f"${{{variable}}}"
    for at in above:
        if at.type in {"string", "comment"}:
            return None, plain
        if at.type == "raw_string":
            return _unquoted(at, plain, mark)
        if at.type == "heredoc_body":
            return None if _is_literal(at) else (None, plain)
        if at.type == "word":
            fits = at.parent is not None and at.parent.type in _WORDS_IN
            return (None, f'"{plain}"') if fits else None
    return None


def _unquoted(node: SyntaxNode, plain: str, mark: str) -> Written:
    """Return a variable out of the single quotes around it, without an empty pair left over."""
    text = node.text.decode("utf-8", "replace")[1:-1] if node.text else ""
    before, found, behind = text.partition(mark)
    if not found or _MARK in before + behind:
        return None, f"'\"{plain}\"'"
    parts = (f"'{before}'" if before else "", f'"{plain}"', f"'{behind}'" if behind else "")
    return node, "".join(parts)


def _above(node: SyntaxNode) -> list[SyntaxNode]:
    """Return the node and those around it, up to the one whose body is a list of commands."""
    found = [node]
    while found[-1].parent is not None:
        found.append(found[-1].parent)
    # A word of a loop's body is none of the loop's own.
    body = next((i for i, at in enumerate(found) if at.type in {"do_group", "subshell"}), None)
    return found[:body]


def _is_literal(body: SyntaxNode) -> bool:
    """Whether a here-document's variables stay as they are written."""
    redirect = body.parent
    starts = [c for c in redirect.children if c.type == "heredoc_start"] if redirect else []
    text = starts[0].text.decode("utf-8", "replace") if starts and starts[0].text else "'"
    return not text.isidentifier()


def _runs_text(node: SyntaxNode) -> bool:
    """Whether a command, or one that is fed by it, takes an argument or its input as a program.

    So does the runner with the lines of the file that sets the environment of later steps.
    """
    text = node.text or b""
    if node.type in {"binary_expression", "declaration_command"}:
        return _evaluates(node, text)
    if node.type in {"redirected_statement", "pipeline"}:
        return _SETS_ENVIRONMENT.search(text) is not None or any(
            _runs_text(child) or _is_interpreter(child) for child in node.named_children
        )
    return node.type == "command" and _is_program(_words(node))


def _evaluates(node: SyntaxNode, text: bytes) -> bool:
    """Whether what stands there is a number, in which the shell runs the commands of an index."""
    if node.type == "declaration_command":
        return _COUNTED.search(text) is not None
    return any(child.type == "test_operator" and child.text in _COUNTS for child in node.children)


def _is_program(words: list[str]) -> bool:
    first = words if words and words[0] in _WRAPPERS else words[:1]
    at = next((i for i, word in enumerate(words) if word in _INTERPRETERS), None)
    return not _READS_TEXT.isdisjoint(first) or (
        at is not None and any(_TAKES_TEXT.fullmatch(word) for word in words[at + 1 :])
    )


def _is_interpreter(node: SyntaxNode) -> bool:
    """Whether a command reads its program from its input."""
    words = _words(node) if node.type == "command" else []
    return len(words) == 1 and words[0] in _INTERPRETERS


def _words(command: SyntaxNode) -> list[str]:
    texts = [
        child.text.decode("utf-8", "replace") for child in command.named_children if child.text
    ]
    return [text.rpartition("/")[2] for text in texts]


def in_javascript(variable: str, node: SyntaxNode, mark: str) -> Written | None:
    """Return the variable in place of a string of nothing else, or within a template."""
    value = f"process.env.{variable}"
    at: SyntaxNode | None = node
    while at is not None:
        text = at.text.decode("utf-8", "replace") if at.text else ""
        if at.type in {"string", "template_string"} and text[1:-1] == mark:
            return at, value
        if at.type == "template_string":
            return None, f"${{{value}}}"
        if at.type == "string":
            return None
        at = at.parent
    return None
