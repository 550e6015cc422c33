"""What a text says when its comments and its layout are taken away."""

import re
import textwrap

from secdaemon.pipeline.evaluation import grammars

_MAX_CHARS = 512 * 1024
_WORD = re.compile(r"\w+|[^\w\s]")


def says_more(path: str, before: str, after: str) -> bool:
    """Return whether two texts of a file differ in more than comments and white space."""
    return code_words(path, before) != code_words(path, after)


def code_words(path: str, text: str) -> tuple[str, ...]:
    """Return the words and signs of a file's text without its comments.

    Of a language without a grammar, and of a text above 512 KiB, comments count too.
    """
    grammar = grammars.grammar_at(path, text) if len(text) <= _MAX_CHARS else None
    if grammar is None:
        return tuple(_WORD.findall(text))
    loose = textwrap.dedent(text).encode("utf-8", "replace")
    said, waiting = bytearray(), [grammars.parse(grammar, textwrap.dedent(text))]
    comments = []
    while waiting:
        node = waiting.pop()
        if "comment" in node.type.lower():
            comments.append((node.start_byte, node.end_byte))
        else:
            waiting += node.children
    at = 0
    for start, end in sorted(comments):
        said += loose[at:start] + b" "
        at = max(at, end)
    return tuple(_WORD.findall((said + loose[at:]).decode(errors="replace")))
