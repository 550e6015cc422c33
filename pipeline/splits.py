"""Splits that nothing leaks across, and the Stage 1 examples replayed in Stage 2.

Whatever could give a test answer away binds two examples together: the same group, the same
advisory, the same text of a turn, or the same fenced code (texts compared without white space).
Bound examples form one component, and a component stands in one split.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence

import msgspec

from secdaemon.pipeline.examples import Example, Splits
from secdaemon.pipeline.interface import EndRun

HELD_OUT_SHARE = 0.1
"""Of the examples, for the validation split and again for the test split."""

REPLAY_MARK = "replay_from_stage1"

_MIN_COMPONENTS = 3
_MIN_CODE = 40
"""Fenced code shorter than this, without white space, is too common to bind examples."""

_FENCED = re.compile(r"^(`{3,})[^`\n]*\n(.*?)\n\1$", re.MULTILINE | re.DOTALL)


class _Component(msgspec.Struct, frozen=True):
    """Examples that belong together; `key` orders components by seed and content alone."""

    key: bytes
    category: str
    examples: tuple[Example, ...]

    @property
    def size(self) -> int:
        return len(self.examples)


def normalised(text: str) -> str:
    """Return the text without any white space; texts that are equal so are the same text."""
    return "".join(text.split())


def split(examples: Iterable[Example], seed: int) -> Splits:
    """Return the examples in about 80 % train, 10 % validation and 10 % test.

    Every example is in exactly one split; no group, advisory, turn's text or fenced code of
    40 characters or more stands in two of them (white space aside); categories keep their shares
    roughly; no split is empty. The seed and the content decide alone, not the order given.

    Raises:
        EndRun: skipped, where fewer than three independent groups are left.
    """
    components = _components(list(examples), seed)
    if len(components) < _MIN_COMPONENTS:
        found = f"{len(components)} independent group" + ("" if len(components) == 1 else "s")
        msg = (
            f"nothing to learn: {found} of examples, and training, validation and test "
            "need one each"
        )
        raise EndRun(state="skipped", reason=msg)
    rest, test = _held_out(components)
    rest, valid = _held_out(rest, HELD_OUT_SHARE * sum(c.size for c in components))
    parts = [rest, valid, test]
    _fill_empty(parts, HELD_OUT_SHARE * sum(c.size for c in components))
    return Splits(*(_ordered(part, seed) for part in parts))


def halves(
    examples: Iterable[Example], share: float, seed: int
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Return training examples and about `share` held out of them; nothing leaks, as in `split`.

    The second is empty where all examples belong together.
    """
    components = _components(list(examples), seed)
    if len(components) < 2:  # noqa: PLR2004 - one to learn from, one to hold out
        return _ordered(components, seed), ()
    rest, held = _held_out(components, share * sum(component.size for component in components))
    return _ordered(rest, seed), _ordered(held, seed)


def replay_count(ratio: float, project: int, available: int) -> int:
    """Return how many Stage 1 examples join `project` training examples, at most `available`."""
    if ratio <= 0 or project <= 0 or available <= 0:
        return 0
    return min(available, max(1, round(ratio * project)))


def replay(stage1_train: Sequence[Example], count: int, seed: int) -> tuple[Example, ...]:
    """Return `count` examples (all, where there are fewer), marked as replayed.

    A larger count keeps what a smaller one drew; the order given changes nothing.
    """
    drawn = sorted(stage1_train, key=lambda example: _digest(example, seed, "replay"))
    return tuple(
        msgspec.structs.replace(example, metadata={**example.metadata, REPLAY_MARK: "true"})
        for example in drawn[: max(0, count)]
    )


def _digest(example: Example, seed: int, purpose: str) -> bytes:
    content = msgspec.json.encode((purpose, seed, example), order="deterministic")
    return hashlib.sha256(content).digest()


def _ordered(components: Iterable[_Component], seed: int) -> tuple[Example, ...]:
    examples = [example for component in components for example in component.examples]
    return tuple(sorted(examples, key=lambda example: _digest(example, seed, "order")))


def _bonds(example: Example) -> Iterator[Hashable]:
    """Yield what must not be found in two splits."""
    yield "group", example.group
    if advisory := example.metadata.get("advisory"):
        yield "advisory", advisory
    for turn in example.messages:
        if turn.role == "system":
            continue
        yield "text", hashlib.sha256(normalised(turn.content).encode()).digest()
        for match in _FENCED.finditer(turn.content):
            code = normalised(match[2])
            if len(code) >= _MIN_CODE:
                yield "code", hashlib.sha256(code.encode()).digest()


def _components(examples: Sequence[Example], seed: int) -> list[_Component]:
    """Return the connected components, ordered by seed and content (union-find over the bonds)."""
    parent = list(range(len(examples)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    first: dict[Hashable, int] = {}
    for index, example in enumerate(examples):
        for bond in _bonds(example):
            parent[root(index)] = root(first.setdefault(bond, index))
    members: dict[int, list[Example]] = {}
    for index, example in enumerate(examples):
        members.setdefault(root(index), []).append(example)
    found = [
        _Component(
            min(_digest(example, seed, "component") for example in group),
            _category(group),
            tuple(group),
        )
        for group in members.values()
    ]
    return sorted(found, key=lambda component: component.key)


def _category(examples: Iterable[Example]) -> str:
    """Return the commonest category, the first by name among equals."""
    counts = Counter(example.metadata.get("category", "") for example in examples)
    return min(counts, key=lambda name: (-counts[name], name))


def _held_out(
    components: Sequence[_Component], wanted: float | None = None
) -> tuple[list[_Component], list[_Component]]:
    """Return (the rest, what is held out): `wanted` examples, spread over the categories.

    What one category cannot give exactly is asked of the next, so that the sum stays near; the
    largest category comes last because it can.
    """
    total = sum(component.size for component in components)
    share = HELD_OUT_SHARE if wanted is None else wanted / total
    strata: dict[str, list[_Component]] = {}
    for component in components:
        strata.setdefault(component.category, []).append(component)
    rest: list[_Component] = []
    held: list[_Component] = []
    owed = 0.0
    for _, stratum in sorted(strata.items(), key=lambda item: (_size(item[1]), item[0])):
        owed += share * _size(stratum)
        taken = _nearest(stratum, owed)
        owed -= _size(taken)
        keys = {component.key for component in taken}
        held += taken
        rest += [component for component in stratum if component.key not in keys]
    return rest, held


def _size(components: Iterable[_Component]) -> int:
    return sum(component.size for component in components)


def _nearest(components: Sequence[_Component], wanted: float) -> list[_Component]:
    """Return components, in their order, whose sizes sum to about `wanted`."""
    taken: list[_Component] = []
    left: list[_Component] = []
    for component in components:
        if component.size <= wanted:
            taken.append(component)
            wanted -= component.size
        else:
            left.append(component)
    closest = min(left, key=lambda c: (abs(wanted - c.size), c.key), default=None)
    if closest is not None and abs(wanted - closest.size) < abs(wanted):
        taken.append(closest)
    return taken


def _fill_empty(parts: list[list[_Component]], wanted: float) -> None:
    """Give each empty split one component of a split that has two, of the size nearest `wanted`."""
    for part in parts:
        if part:
            continue
        donors = [donor for donor in parts if len(donor) > 1]
        moved = min(
            (component for donor in donors for component in donor),
            key=lambda c: (abs(wanted - c.size), c.key),
        )
        next(donor for donor in donors if moved in donor).remove(moved)
        part.append(moved)
