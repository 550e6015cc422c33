"""The fenced code in a conversation's turns, as `fixes.quote.fenced` writes it."""

import re

import msgspec

from secdaemon.pipeline.examples import Example

_FENCE = re.compile(r"(`{3,})([\w#+.-]*)[ \t]*$")


class Block(msgspec.Struct, frozen=True):
    """What stands between two fences, without its last line break."""

    language: str
    """The info string, "" where there is none."""
    code: str


def blocks(text: str) -> tuple[Block, ...]:
    """Return the fenced blocks of a text in their order.

    A block ends at a line that is its own fence; one that never ends goes to the end of the text,
    as in an answer that was cut short.
    """
    found: list[Block] = []
    fence = language = ""
    inside: list[str] = []
    for line in text.split("\n"):
        if fence and line.rstrip() == fence:
            found.append(Block(language, "\n".join(inside)))
            fence = ""
        elif fence:
            inside.append(line)
        elif opened := _FENCE.match(line):
            fence, language, inside = opened[1], opened[2].lower(), []
    if fence:
        found.append(Block(language, "\n".join(inside)))
    return tuple(found)


def question_blocks(example: Example) -> tuple[Block, ...]:
    """Return the code that the assistant is shown: that of every turn of the user."""
    return tuple(
        block
        for turn in example.messages[:-1]
        if turn.role == "user"
        for block in blocks(turn.content)
    )


def answer_of(example: Example) -> str:
    """Return what the assistant is to say."""
    return example.messages[-1].content


def language_in(example: Example, block: Block) -> str:
    """Return the language of a block: its info string, else that of the example, else ""."""
    return block.language or example.metadata.get("language", "")
