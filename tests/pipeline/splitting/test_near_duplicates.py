"""Near duplicates: what is bound is alike, and what is alike is bound."""

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.splitting.near_duplicates import (
    SIGNATURE_BYTES,
    THRESHOLD,
    Binder,
    are_alike,
    shingles,
    signature,
)


def code(seed: int, count: int = 300) -> list[str]:
    """Return made-up tokens."""
    rng = random.Random(seed)
    return [rng.choice("abcdefghij") + str(rng.randrange(200)) for _ in range(count)]


def edited(tokens: list[str], share: float, seed: int) -> list[str]:
    """Return the tokens with a share of them replaced, in runs."""
    rng = random.Random(seed)
    result = tokens.copy()
    for _ in range(int(share * len(tokens))):
        result[rng.randrange(len(result))] = f"new{rng.randrange(10_000)}"
    return result


def bound(texts: list[str], *, exact: bool) -> set[frozenset[int]]:
    """Return the components that a binder makes of texts."""
    parent = list(range(len(texts)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    def join(one: int, other: int) -> None:
        parent[root(one)] = root(other)

    def confirm(one: int, other: int) -> bool:
        return are_alike(sets[one], sets[other])

    sets = [frozenset(shingles(text)) for text in texts]

    found = [(place, signature(text)) for place, text in enumerate(texts)]
    found = [(place, each) for place, each in found if each]
    binder = Binder(root, join, confirm if exact else None)
    binder.bind(b"".join(each for _, each in found), [place for place, _ in found])
    groups: dict[int, set[int]] = {}
    for place in range(len(texts)):
        groups.setdefault(root(place), set()).add(place)
    return {frozenset(group) for group in groups.values()}


def test_nothing_alike_is_missed() -> None:
    """Every pair of 0.85 and more is in one component, with and without the texts at hand."""
    texts = []
    for seed in range(25):
        base = code(seed)
        texts += [" ".join(edited(base, share, seed)) for share in (0, 0.005, 0.01, 0.02, 0.1)]
    sets = [frozenset(shingles(text)) for text in texts]
    alike = [
        {one, other}
        for one, other in combinations(range(len(texts)), 2)
        if are_alike(sets[one], sets[other])
    ]
    assert len(alike) > 80
    for exact in (True, False):
        components = bound(texts, exact=exact)
        assert all(any(pair <= group for group in components) for pair in alike)
        assert max(map(len, components)) <= 5


def test_exact_binding_joins_only_what_is_alike() -> None:
    """Where the texts decide, two that are less alike than the threshold stay apart."""
    base = code(1)
    less = " ".join(edited(base, 0.03, 5))
    text = " ".join(base)
    mine, theirs = set(shingles(text)), set(shingles(less))
    index = len(mine & theirs) / len(mine | theirs)
    assert 0.7 < index < THRESHOLD
    assert bound([text, less], exact=True) == {frozenset([0]), frozenset([1])}


def test_many_that_are_less_alike_take_no_time() -> None:
    """Four hundred texts of which each pair is a little less alike are compared so often only."""
    base = code(9)
    texts = [" ".join(edited(base, 0.03, seed)) for seed in range(400)]
    components = bound(texts, exact=True)
    assert sum(map(len, components)) == len(texts)


def test_many_alike_are_one_component() -> None:
    """Five hundred copies of one text with a token changed are one component, in no time."""
    base = code(3)
    texts = [" ".join([*base[:100], f"other{n}", *base[101:]]) for n in range(500)]
    assert bound(texts, exact=False) == {frozenset(range(500))}


@given(st.text(max_size=200))
def test_a_signature_is_of_one_size(text: str) -> None:
    """Any text has a signature of the same length or none, the same one each time."""
    found = signature(text)
    assert found == signature(text)
    assert len(found) == (SIGNATURE_BYTES if shingles(text) else 0)
    assert signature(f"  {text}\n") == found


def test_signatures_do_not_change_with_the_library() -> None:
    """What is kept on disk by one version means the same to the next."""
    assert signature("a b c d e f").hex()[:32] == "9db15ef9a9804ec4447877ded858c9c7"


@pytest.mark.parametrize("texts", [[], [""], ["", "", "a"], ["a"]])
def test_few_texts_bind_nothing(texts: list[str]) -> None:
    """No text, an empty one or a single one is no pair."""
    assert len(bound(texts, exact=False)) == len(texts)
