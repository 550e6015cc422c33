"""Training examples in other words: variants that mean the same, of the training split alone.

A variant asks in another phrasing, or has other names for local variables, or shows fewer of the
statements that do not change. An example and its variants share the weight that it had, so that it
is drawn no oftener than before. Only what has a checked fix gets variants; advice does not.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import resources

import msgspec

from secdaemon.pipeline.augmentation.code import Answered, fewer_lines, other_names
from secdaemon.pipeline.examples import Example, Turn
from secdaemon.pipeline.splitting import leaks

VARIANT = "augmented"
"""The metadata key of a variant: `paraphrase`, `rename` or `window`."""

_ADVICE = frozenset(("advice", ""))


class Phrasings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a task is asked for: the sentence in use, and others that ask for the same."""

    task: str
    opening: str
    phrasings: tuple[str, ...]


def augment(
    train: Sequence[Example], variants: int, seed: int, held_out: Sequence[Example] = ()
) -> tuple[Example, ...]:
    """Return the examples, each followed by up to `variants` variants of it.

    Variants are called `<id>~1` and so on, stay in their example's group, and are decided by its
    content and the seed. One that would be too near to an example of `held_out` (validation and
    test) is left out.
    """
    if variants <= 0:
        return tuple(train)
    made = [_variants(example, variants, seed) if _is_fixed(example) else [] for example in train]
    new = (variant for found in made for variant in found)
    near = {leak.one for leak in leaks.leaks({"held out": held_out, "variants": new})}
    result: list[Example] = []
    for example, found in zip(train, made, strict=True):
        kept = [variant for variant in found if variant.id not in near]
        weight = example.weight / (len(kept) + 1)
        result += [msgspec.structs.replace(one, weight=weight) for one in (example, *kept)]
    return tuple(result)


def _is_fixed(example: Example) -> bool:
    """Return whether an example shows code and its checked fix; a replayed one is left as it is."""
    return (
        example.metadata.get("approach", "") not in _ADVICE
        and example.metadata.get("source") == "project"
        and Answered.of(example) is not None
    )


def _variants(example: Example, count: int, seed: int) -> list[Example]:
    """Return up to `count` variants, all different; kinds take turns as long as they can."""
    kinds = sorted(_KINDS, key=lambda kind: _draw(example, seed, kind))
    texts = {_text(example.messages)}
    found: list[Example] = []
    waiting = [(kind, _KINDS[kind](example, seed)) for kind in kinds]
    while waiting and len(found) < count:
        going = []
        for kind, others in waiting:
            messages = next((m for m in others if _text(m) not in texts), None)
            if messages is None or len(found) == count:
                continue
            texts.add(_text(messages))
            going.append((kind, others))
            found.append(
                msgspec.structs.replace(
                    example,
                    id=f"{example.id}~{len(found) + 1}",
                    messages=messages,
                    metadata={**example.metadata, VARIANT: kind},
                )
            )
        waiting = going
    return found


def _text(messages: tuple[Turn, ...]) -> str:
    return "\0".join(turn.content for turn in messages)


def _draw(example: Example, seed: int, purpose: str) -> bytes:
    content = msgspec.json.encode((purpose, seed, example.id, example.messages))
    return hashlib.sha256(content).digest()


def _paraphrased(example: Example, seed: int) -> Iterator[tuple[Turn, ...]]:
    question = example.messages[1].content
    for known in _phrasings():
        opening, _, rest = question.partition("\n")
        pattern = re.escape(known.opening).replace(re.escape("{tool}"), r"(?P<tool>.+)")
        match = re.fullmatch(pattern, opening)
        if match is None or known.task != example.metadata.get("task"):
            continue
        ordered = sorted(known.phrasings, key=lambda text: _draw(example, seed, text))
        for phrasing in ordered:
            asked = phrasing.replace("{tool}", match["tool"])
            yield _with(example, f"{asked}\n{rest}", example.messages[2].content)


def _renamed(example: Example, seed: int) -> Iterator[tuple[Turn, ...]]:
    answered = Answered.of(example)
    for texts in other_names(answered, _draw(example, seed, "names")) if answered else ():
        yield _with(example, *texts)


def _windowed(example: Example, _: int) -> Iterator[tuple[Turn, ...]]:
    answered = Answered.of(example)
    for texts in fewer_lines(answered) if answered else ():
        yield _with(example, *texts)


def _with(example: Example, question: str, answer: str) -> tuple[Turn, ...]:
    system, user, assistant = example.messages
    return system, Turn(user.role, question), Turn(assistant.role, answer)


_KINDS: dict[str, Callable[[Example, int], Iterator[tuple[Turn, ...]]]] = {
    "paraphrase": _paraphrased,
    "rename": _renamed,
    "window": _windowed,
}


@cache
def _phrasings() -> tuple[Phrasings, ...]:
    import yaml

    text = resources.files("secdaemon.pipeline.embedded").joinpath("phrasings.yaml")
    return msgspec.convert(yaml.safe_load(text.read_text("utf-8")), tuple[Phrasings, ...])
