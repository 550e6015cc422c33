"""Splits that nothing leaks across, and the Stage 1 examples replayed in Stage 2.

Examples that `outlines` binds form one component, and a component stands in one split.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from secdaemon.pipeline.examples import Example, Splits
from secdaemon.pipeline.interface import EndRun
from secdaemon.pipeline.splitting.components import (
    Component,
    Confirm,
    components_of,
    confirming,
    seeded,
)
from secdaemon.pipeline.splitting.near_duplicates import is_like_any
from secdaemon.pipeline.splitting.outlines import Outline, content_digest, normalised, outline

__all__ = [
    "HELD_OUT_SHARE",
    "Parts",
    "assign",
    "halves",
    "normalised",
    "replay",
    "replay_count",
    "split",
    "split_with_caution",
]

HELD_OUT_SHARE = 0.1
"""Of the examples, for the validation split and again for the test split."""

REPLAY_MARK = "replay_from_stage1"
FEW_GROUPS = 10
"""Under so many components every number about a held-out split is a hint."""

_MIN_COMPONENTS = 3
_HUGE = 0.5
"""A component with a greater share of the examples is worth a word."""
_LEFT_SHARE = 1 / 3
"""A held-out split takes at most this share of what the largest component leaves."""


class Parts(msgspec.Struct, frozen=True):
    """Indices of examples by split, each in the order in which its examples are kept."""

    train: tuple[int, ...]
    valid: tuple[int, ...]
    test: tuple[int, ...]
    caution: str = ""
    """What makes the held-out splits weak, one sentence; "" where nothing does."""


def split(examples: Iterable[Example], seed: int) -> Splits:
    """Return the examples in about 80 % train, 10 % validation and 10 % test.

    Every example is in exactly one split; nothing that `outlines` binds stands in two of them;
    categories, and tools within them, keep their shares roughly; no split is empty. The seed and
    the content decide alone, not the order given and not the metadata of a run.

    Raises:
        EndRun: skipped, where fewer than three independent groups are left.
    """
    return split_with_caution(examples, seed)[0]


def split_with_caution(examples: Iterable[Example], seed: int) -> tuple[Splits, str]:
    """Return what `split` does, and the sentence of `Parts.caution`."""
    known = sorted(examples, key=content_digest)
    parts = assign(map(outline, known), seed, confirming(known))
    splits = (tuple(known[n] for n in part) for part in (parts.train, parts.valid, parts.test))
    return Splits(*splits), parts.caution


def assign(outlines: Iterable[Outline], seed: int, confirm: Confirm | None = None) -> Parts:
    """Return which example goes where; of each outline some 700 bytes are kept.

    `confirm` says whether two examples, by their places, are almost the same; without it the
    signatures decide, and bind some that are a little less alike.

    Raises:
        EndRun: skipped, where fewer than three independent groups are left.
    """
    contents, components = components_of(outlines, seed, confirm)
    total = len(contents)
    if len(components) < _MIN_COMPONENTS:
        raise EndRun(state="skipped", reason=_too_few(components, total))
    largest = max(component.size for component in components)
    wanted = min(HELD_OUT_SHARE * total, _LEFT_SHARE * (total - largest))
    rest, test = _held_out(components, wanted)
    rest, valid = _held_out(rest, wanted)
    parts = [rest, valid, test]
    _fill_empty(parts, wanted)
    ordered = [_ordered(part, contents, seed) for part in parts]
    caution = _caution(len(components), largest, total, (_size(valid), _size(test)))
    return Parts(ordered[0], ordered[1], ordered[2], caution)


def _too_few(components: Sequence[Component], total: int) -> str:
    count = len(components)
    found = f"{count} independent group{'' if count == 1 else 's'} of examples"
    one_each = "and training, validation and test need one each"
    if total <= count:
        return f"nothing to learn: {found}, {one_each}"
    why = "(what shares a file, package, advisory or nearly the same code belongs together)"
    return f"nothing to learn: {found} among {total} {why}, {one_each}"


def _caution(groups: int, largest: int, total: int, held_out: tuple[int, int]) -> str:
    held = f"validation ({held_out[0]}) and test ({held_out[1]})"
    if largest > _HUGE * total and largest > 1 and groups > 1:
        return (
            f"{largest} of {total} examples belong together (by file, package, advisory or nearly "
            f"the same code) and stand in one split, so {held} are small and say little"
        )
    if groups < FEW_GROUPS:
        return f"only {groups} independent groups of examples: {held} say little"
    return ""


def halves(
    examples: Iterable[Example], share: float, seed: int
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Return training examples and about `share` held out of them; nothing leaks, as in `split`.

    The second is empty where all examples belong together.
    """
    known = sorted(examples, key=content_digest)
    contents, components = components_of(map(outline, known), seed, confirming(known))
    rest, held = components, list[Component]()
    if len(components) > 1:
        rest, held = _held_out(components, share * _size(components))
    first, second = (_ordered(part, contents, seed) for part in (rest, held))
    return tuple(known[n] for n in first), tuple(known[n] for n in second)


def replay_count(ratio: float, project: int, available: int) -> int:
    """Return how many Stage 1 examples join `project` training examples, at most `available`."""
    if ratio <= 0 or project <= 0 or available <= 0:
        return 0
    return min(available, max(1, round(ratio * project)))


def replay(
    stage1_train: Sequence[Example], count: int, seed: int, held_out: Iterable[Example] = ()
) -> tuple[Example, ...]:
    """Return `count` examples (all, where there are fewer), marked as replayed.

    A larger count keeps what a smaller one drew; the order given changes nothing. What is bound to
    an example of `held_out`, the project's validation and test splits, is passed over.
    """
    drawn = sorted(
        stage1_train, key=lambda example: seeded(content_digest(example), seed, "replay")
    )
    free = free_of(drawn, held_out) if count > 0 else iter(drawn)
    return tuple(
        msgspec.structs.replace(example, metadata={**example.metadata, REPLAY_MARK: "true"})
        for example in islice(free, max(0, count))
    )


def free_of(examples: Iterable[Example], held_out: Iterable[Example]) -> Iterator[Example]:
    """Yield the examples that nothing binds to what is held out."""
    barred = [outline(example) for example in held_out]
    bonds = {bond for each in barred for bond in each.bonds}
    signatures = b"".join(each.signature for each in barred)
    for example in examples:
        known = outline(example) if barred else None
        if known is None or (
            bonds.isdisjoint(known.bonds) and not is_like_any(known.signature, signatures)
        ):
            yield example


def _ordered(
    components: Iterable[Component], contents: Sequence[bytes], seed: int
) -> tuple[int, ...]:
    members = (member for component in components for member in component.members)
    return tuple(sorted(members, key=lambda n: seeded(contents[n], seed, "order")))


def _held_out(
    components: Sequence[Component], wanted: float
) -> tuple[list[Component], list[Component]]:
    """Return (the rest, what is held out): `wanted` examples, spread over categories and tools.

    What one stratum cannot give exactly is asked of the next, a tool's of another of the same
    category first, so that the sum stays near; the largest comes last because it can.
    """
    share = wanted / _size(components)
    strata: dict[tuple[str, str], list[Component]] = {}
    for component in components:
        strata.setdefault(component.stratum, []).append(component)
    categories = Counter[str]()
    for (category, _), stratum in strata.items():
        categories[category] += _size(stratum)
    held: list[Component] = []
    owed = 0.0
    for _, stratum in sorted(
        strata.items(),
        key=lambda item: (categories[item[0][0]], item[0][0], _size(item[1]), item[0][1]),
    ):
        owed += share * _size(stratum)
        taken = _nearest(stratum, owed)
        owed -= _size(taken)
        held += taken
    gone = {component.key for component in held}
    return [component for component in components if component.key not in gone], held


def _size(components: Iterable[Component]) -> int:
    return sum(component.size for component in components)


def _nearest(components: Sequence[Component], wanted: float) -> list[Component]:
    """Return components, in their order, whose sizes sum to about `wanted`."""
    taken: list[Component] = []
    left: list[Component] = []
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


def _fill_empty(parts: list[list[Component]], wanted: float) -> None:
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
