"""A Dockerfile as instructions and stages that know where they stand in the text.

The grammar is that of https://docs.docker.com/reference/dockerfile/: lines continued by a
backslash, comments between them, here-documents. A file with another escape character is not read.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

MAX_CHARS = 64 * 1024
_MAX_INSTRUCTIONS = 1_000

_KEYWORD = re.compile(
    r"ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|RUN|SHELL"
    r"|STOPSIGNAL|USER|VOLUME|WORKDIR",
    re.IGNORECASE,
)
_INSTRUCTION = re.compile(r"[ \t]*([A-Za-z]+)(?:[ \t]+|(?=\\[ \t]*$)|$)")
_HEREDOC = re.compile(r"<<-?[ \t]*([\"']?)([A-Za-z_]\w*)\1")
_ESCAPE = re.compile(r"#[ \t]*escape[ \t]*=[ \t]*`", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^{}]*))?\}|(\w+))")
_PIECES = re.compile(
    r"(?P<skip>\\[ \t]*\n|(?<=\n)[ \t]*#[^\n]*\n|[ \t]+)"
    r"|(?P<end>&&|\|\||[;|&()]|\n)"
    r"|(?P<word>(?:\\[^\n]|\"(?:\\.|[^\"\\])*\"|'[^']*'|\$\([^()\n]*\)|[^\s;|&()\"'\\])+|.)",
    re.DOTALL,
)


class Instruction(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """An instruction; offsets are characters of the text, the end is before the line feed."""

    keyword: str
    """In upper case."""
    start: int
    args_start: int
    end: int
    line: int
    end_line: int
    args: str
    """What follows the keyword, as it is written."""
    said: str
    """The arguments on one line, without comments and continuations."""
    has_heredoc: bool


class Word(msgspec.Struct, frozen=True):
    """A word of a command; offsets in the text of the file."""

    text: str
    start: int
    end: int


class Stage(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A build stage: its `FROM`, and what follows it."""

    image: str
    """With the defaults of global `ARG`s put in."""
    name: str
    origin: Instruction
    instructions: tuple[Instruction, ...]

    @property
    def end(self) -> int:
        """The offset behind its last instruction."""
        return (self.origin, *self.instructions)[-1].end

    @property
    def end_line(self) -> int:
        """The line of its last instruction's end."""
        return (self.origin, *self.instructions)[-1].end_line


class Dockerfile(msgspec.Struct, frozen=True):
    """A file that has at least one stage."""

    text: str
    stages: tuple[Stage, ...]

    @property
    def chain(self) -> tuple[Stage, ...]:
        """The final stage behind the stages of this file that it is built on."""
        return self.chain_of(self.stages[-1])

    def chain_of(self, stage: Stage) -> tuple[Stage, ...]:
        """Return a stage behind those of this file that it is built on."""
        found = [stage]
        before = self.stages[: self.stages.index(stage)]
        for earlier in reversed(before):
            if earlier.name and earlier.name == found[0].image.lower():
                found.insert(0, earlier)
        return tuple(found)


@lru_cache(maxsize=16)
def read_dockerfile(text: str) -> Dockerfile | None:
    """Return the file's stages; None where it is none, or one with an instruction unknown to us."""
    if len(text) > MAX_CHARS or "\0" in text or any(map(_ESCAPE.match, text.split("\n", 5)[:5])):
        return None
    instructions = _instructions(text)
    if not instructions:
        return None
    defaults: dict[str, str] = {}
    stages: list[Stage] = []
    for instruction in instructions:
        if instruction.keyword == "FROM":
            image, name = _origin(instruction.said, defaults)
            stages.append(Stage(image=image, name=name, origin=instruction, instructions=()))
        elif stages:
            last = stages[-1]
            stages[-1] = msgspec.structs.replace(
                last, instructions=(*last.instructions, instruction)
            )
        elif instruction.keyword == "ARG":
            name, _, value = instruction.said.partition("=")
            defaults[name] = value.strip("\"'")
        else:
            return None
    return Dockerfile(text, tuple(stages)) if stages and all(s.image for s in stages) else None


def commands(instruction: Instruction) -> tuple[tuple[Word, ...], ...]:
    """Return the simple commands of a `RUN` in shell form, without `sudo`-like analysis or nesting.

    Flags of the instruction itself (`--mount`) are left out; () for the exec form.
    """
    args = instruction.args
    if args.lstrip().startswith("["):
        return ()
    found: list[list[Word]] = [[]]
    for match in _PIECES.finditer(args):
        if match["end"]:
            found.append([])
        elif match["word"]:
            start = instruction.args_start + match.start()
            found[-1].append(Word(match["word"], start, start + len(match["word"])))
    while found[0] and found[0][0].text.startswith("--"):
        found[0].pop(0)
    return tuple(tuple(words) for words in found if words)


def _origin(said: str, defaults: dict[str, str]) -> tuple[str, str]:
    words = [word for word in said.split() if not word.startswith("--")]
    image = words[0] if words else ""
    image = _VARIABLE.sub(
        lambda match: defaults.get(match[1] or match[3]) or match[2] or match[0], image
    )
    is_named = len(words) > 2 and words[1].upper() == "AS"  # noqa: PLR2004 - image, AS, name
    return image, words[2].lower() if is_named else ""


def _instructions(text: str) -> list[Instruction] | None:
    found: list[Instruction] = []
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    at = 0
    while at < len(lines):
        if not lines[at].strip() or lines[at].lstrip().startswith("#"):
            at += 1
            continue
        match = _INSTRUCTION.match(lines[at])
        if match is None or not _KEYWORD.fullmatch(match[1]) or len(found) == _MAX_INSTRUCTIONS:
            return None
        last = _last_line(lines, at)
        words = list(_heredocs(match[1], lines[at : last + 1]))
        for word in words:
            last = next((i for i in range(last + 1, len(lines)) if lines[i].strip() == word), -1)
            if last < 0:
                return None
        start, begin, end = starts[at], starts[at] + match.end(), starts[last] + len(lines[last])
        found.append(
            Instruction(
                keyword=match[1].upper(),
                start=start,
                args_start=begin,
                end=end,
                line=at + 1,
                end_line=last + 1,
                args=text[begin:end],
                said=_said(text[begin:end]),
                has_heredoc=bool(words),
            )
        )
        at = last + 1
    return found


def _said(args: str) -> str:
    lines = [line for line in args.split("\n") if not line.lstrip().startswith("#")]
    return " ".join(line.rstrip().removesuffix("\\").strip() for line in lines).strip()


def _last_line(lines: list[str], at: int) -> int:
    """Return the last line of an instruction; comments and blank lines do not end it."""
    while lines[at].rstrip().endswith("\\") and at + 1 < len(lines):
        at += 1
        while at + 1 < len(lines) and (not lines[at].strip() or lines[at].lstrip().startswith("#")):
            at += 1
    return at


def _heredocs(keyword: str, lines: list[str]) -> Iterator[str]:
    if keyword.upper() in {"ADD", "COPY", "RUN"}:
        for line in lines:
            if not line.lstrip().startswith("#"):
                yield from (match[2] for match in _HEREDOC.finditer(line))
