"""The text the tiny model is pretrained on: `primer/`, read and expanded by a seed.

Nothing here is a before/after pair: those are Stage 1's data, and a base model that has seen them
would have nothing left to learn.
"""

import random
import re
from importlib import resources
from typing import Any

import msgspec
import yaml

SEPARATOR = "\n%%\n"
"""What stands between two documents of a `.txt` file."""

HELD_OUT_EVERY = 12
"""Every twelfth document is never trained on; the loss on these is what the card states."""

_SLOT = re.compile(r"@(\w+)@")


class Primer(msgspec.Struct, frozen=True):
    """The documents, each either plain text or a whole ChatML conversation."""

    train: tuple[str, ...]
    held_out: tuple[str, ...]


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: str
    content: str


def render_chat(messages: tuple[Message, ...]) -> str:
    """Return the conversation as ChatML, equal to what the model's chat template renders."""
    return "".join(f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in messages)


def read_primer(seed: int) -> Primer:
    """Return every document of the primer; the same seed gives the same text in the same order."""
    rng = random.Random(seed)  # noqa: S311 - the choice of practice text needs no secrecy
    texts = [*_plain_documents(), *_generated(rng)]
    chats = [render_chat(chat) for chat in _conversations(rng)]
    documents = [*texts, *chats]
    rng.shuffle(documents)
    return Primer(
        train=tuple(text for n, text in enumerate(documents) if n % HELD_OUT_EVERY),
        held_out=tuple(text for n, text in enumerate(documents) if n % HELD_OUT_EVERY == 0),
    )


def _plain_documents() -> list[str]:
    """Return the hand-written documents of every `.txt` file, by file name, in file order."""
    folder = resources.files(__package__).joinpath("primer")
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".txt")),
        key=lambda entry: entry.name,
    )
    return [
        document.strip("\n") + "\n"
        for file in files
        for document in file.read_text("utf-8").split(SEPARATOR)
        if document.strip()
    ]


def _generated(rng: random.Random) -> list[str]:
    """Return the documents made from `templates.yaml`, each template `copies` times."""
    data = _yaml("templates.yaml")
    return [
        _fill(template, data["slots"], rng)
        for template in data["documents"]
        for _ in range(data["copies"])
    ]


def _conversations(rng: random.Random) -> list[tuple[Message, ...]]:
    """Return the written and the generated question-and-answer chats."""
    written = _yaml("chats.yaml")
    made = _yaml("templates.yaml")
    systems: list[str] = written["systems"]
    chats = [_chat(rng.choice(systems), turn["q"], turn["a"]) for turn in written["chats"]]
    for template in made["chats"]:
        for _ in range(made["copies"]):
            both = _fill(template["q"] + SEPARATOR + template["a"], made["slots"], rng)
            question, answer = both.split(SEPARATOR)
            chats.append(_chat(rng.choice(systems), question, answer))
    return chats


def _chat(system: str, question: str, answer: str) -> tuple[Message, ...]:
    """Return one conversation of three turns, without blank space at the ends of a turn."""
    return (
        Message("system", system.strip()),
        Message("user", question.strip()),
        Message("assistant", answer.strip()),
    )


def _fill(template: str, slots: dict[str, list[str]], rng: random.Random) -> str:
    """Return `template` with each `@slot@` replaced, the same slot by the same word throughout.

    A trailing digit names a further choice (`@noun2@`); a capital first letter capitalises.
    """
    chosen: dict[str, str] = {}

    def word(match: re.Match[str]) -> str:
        name = match.group(1)
        key = name[0].lower() + name[1:]
        if key not in chosen:
            chosen[key] = str(rng.choice(slots[key.rstrip("0123456789")]))
        return chosen[key] if name == key else chosen[key][:1].upper() + chosen[key][1:]

    return _SLOT.sub(word, template)


def _yaml(name: str) -> Any:
    """Return the parsed content of one packaged file of `primer/`."""
    return yaml.safe_load(resources.files(__package__).joinpath("primer", name).read_text("utf-8"))
