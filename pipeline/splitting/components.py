"""Examples that belong together, by what `outlines` binds: connected components."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import msgspec

from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.splitting.near_duplicates import Binder, are_alike, shingles
from secdaemon.pipeline.splitting.outlines import Outline, compared

Confirm = Callable[[int, int], bool]
"""Whether two examples, by their places, are almost the same."""


class Component(msgspec.Struct, frozen=True):
    """Examples that belong together; `key` orders components by seed and content alone."""

    key: bytes
    stratum: tuple[str, str]
    """The commonest category and tool of its examples."""
    members: tuple[int, ...]
    """Places of the examples, in the order in which they were given."""

    @property
    def size(self) -> int:
        """How many examples it has."""
        return len(self.members)


def components_of(
    outlines: Iterable[Outline], seed: int, confirm: Confirm | None = None
) -> tuple[list[bytes], list[Component]]:
    """Return the contents' digests, and the components ordered by seed and content."""
    contents: list[bytes] = []
    strata: list[tuple[str, str]] = []
    bonds, owners = array("Q"), array("q")
    signatures, signed = bytearray(), array("q")
    forest = _Forest()
    for place, found in enumerate(outlines):
        contents.append(found.content)
        strata.append(found.stratum)
        bonds.extend(found.bonds)
        owners.extend([place] * len(found.bonds))
        if found.signature:
            signatures += found.signature
            signed.append(place)
        forest.add()
    binder = Binder(forest.root, forest.join, confirm)
    binder.bind_equal(bonds, owners)
    binder.bind(signatures, signed)
    members: dict[int, list[int]] = {}
    for place in range(len(contents)):
        members.setdefault(forest.root(place), []).append(place)
    components = [
        Component(
            min(seeded(contents[n], seed, "component") for n in group),
            _commonest(strata[n] for n in group),
            tuple(group),
        )
        for group in members.values()
    ]
    return contents, sorted(components, key=lambda component: component.key)


def confirming(examples: Sequence[Example]) -> Confirm:
    """Return what compares the texts of two examples, by their places."""

    @lru_cache(maxsize=1_024)
    def found(place: int) -> frozenset[str]:
        return frozenset(shingles(compared(examples[place])))

    return lambda one, other: are_alike(found(one), found(other))


def seeded(content: bytes, seed: int, purpose: str) -> bytes:
    """Return what orders examples by chance: a digest of content, seed and purpose."""
    return hashlib.sha256(msgspec.json.encode((purpose, seed)) + content).digest()


def _commonest(strata: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Return the commonest stratum, the first by name among equals."""
    counts = Counter(strata)
    return min(counts, key=lambda name: (-counts[name], name))


class _Forest:
    """Which of the numbers 0 to n - 1 belong together (union-find)."""

    def __init__(self) -> None:
        self._parent = array("q")

    def add(self) -> None:
        self._parent.append(len(self._parent))

    def root(self, node: int) -> int:
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def join(self, one: int, other: int) -> None:
        self._parent[self.root(one)] = self.root(other)
