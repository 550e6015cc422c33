"""Splits and replay: nothing leaks, nothing is lost, order decides nothing."""

import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.examples import Example, Splits, conversation
from secdaemon.pipeline.interface import EndRun
from secdaemon.pipeline.splitting.leaks import check
from secdaemon.pipeline.splitting.splits import (
    normalised,
    replay,
    replay_count,
    split,
    split_with_caution,
)


def make(number: int, group: str, user: str = "", answer: str = "", category: str = "") -> Example:
    """Return an example with texts of its own unless given."""
    return Example(
        id=f"e{number}",
        messages=conversation(user or f"question {number}", answer or f"answer {number}"),
        group=group,
        metadata={"category": category or "code"},
    )


@st.composite
def example_sets(draw: st.DrawFn) -> list[Example]:
    """Draw examples that share groups, and texts up to white space, now and then."""
    count = draw(st.integers(3, 60))
    few = st.integers(0, count)
    text = st.builds(
        lambda n, gap: f"text{gap}{n}", few, st.sampled_from(["", " ", "\n", "\t ", "\u2003"])
    )
    return [
        make(
            number,
            f"g{draw(few)}",
            draw(text | st.just("")),
            draw(text | st.just("")),
            draw(st.sampled_from(["code", "web", "dependency"])),
        )
        for number in range(count)
    ]


def parts(splits: Splits) -> tuple[tuple[Example, ...], ...]:
    """Return the three splits."""
    return splits.train, splits.valid, splits.test


def tried(examples: list[Example], seed: int = 0) -> Splits | None:
    """Return the splits, None where there is too little to split."""
    try:
        return split(examples, seed)
    except EndRun:
        return None


@given(example_sets(), st.integers(0, 5))
def test_every_example_is_in_one_split(examples: list[Example], seed: int) -> None:
    """What goes in comes out once, and no split is empty."""
    splits = tried(examples, seed)
    if splits is None:
        return
    out = [example for part in parts(splits) for example in part]
    assert sorted(example.id for example in out) == sorted(example.id for example in examples)
    assert all(parts(splits))


@given(example_sets())
def test_nothing_leaks(examples: list[Example]) -> None:
    """No group and no text, white space aside, stands in two splits."""
    splits = tried(examples)
    if splits is None:
        return
    groups = [{example.group for example in part} for part in parts(splits)]
    texts = [
        {normalised(turn.content) for example in part for turn in example.messages[1:]}
        for part in parts(splits)
    ]
    for sets in (groups, texts):
        assert not sets[0] & sets[1]
        assert not sets[0] & sets[2]
        assert not sets[1] & sets[2]


@given(example_sets(), st.randoms(use_true_random=False))
def test_order_decides_nothing(examples: list[Example], rng: random.Random) -> None:
    """Shuffled input gives the same splits in the same order."""
    shuffled = examples.copy()
    rng.shuffle(shuffled)
    assert tried(examples) == tried(shuffled) == tried(examples)


@given(example_sets(), st.integers(0, 80), st.randoms(use_true_random=False))
def test_replay_is_a_seeded_sample(examples: list[Example], count: int, rng: random.Random) -> None:
    """Replay draws distinct examples, marks each, and keeps them when it grows."""
    shuffled = examples.copy()
    rng.shuffle(shuffled)
    drawn = replay(examples, count, 3)
    assert drawn == replay(shuffled, count, 3)
    assert len(drawn) == min(count, len(examples)) == len({example.id for example in drawn})
    assert all(example.metadata["replay_from_stage1"] == "true" for example in drawn)
    assert drawn == replay(examples, count + 5, 3)[: len(drawn)]
    unmarked = {example.id: example for example in examples}
    for example in drawn:
        metadata = dict(example.metadata)
        del metadata["replay_from_stage1"]
        assert msgspec.structs.replace(example, metadata=metadata) == unmarked[example.id]


@pytest.mark.parametrize("groups", range(3, 10))
def test_few_groups_still_fill_every_split(groups: int) -> None:
    """Three to nine groups leave one at least for validation and for test."""
    for size in (1, 4):
        examples = [make(n, f"g{n % groups}") for n in range(groups * size)]
        assert all(parts(split(examples, 1)))


def test_one_huge_group_goes_to_training() -> None:
    """A group of 90 beside two single ones leaves these for validation and test."""
    examples = [make(n, "big") for n in range(90)] + [make(90, "a"), make(91, "b")]
    splits = split(examples, 0)
    assert [len(part) for part in parts(splits)] == [90, 1, 1]


@pytest.mark.parametrize("groups", [0, 1, 2])
def test_too_few_groups_end_the_run(groups: int) -> None:
    """Under three groups there is nothing to learn, in one sentence."""
    with pytest.raises(EndRun, match=r"^nothing to learn: ") as caught:
        split([make(n, f"g{n % max(groups, 1)}") for n in range(groups * 5)], 0)
    assert caught.value.state == "skipped"


def test_sizes_are_exact_where_groups_allow() -> None:
    """A thousand single examples split 800, 100, 100, in each category as in the whole."""
    examples = [make(n, f"g{n}", category="web" if n % 4 else "code") for n in range(1000)]
    splits = split(examples, 0)
    assert [len(part) for part in parts(splits)] == [800, 100, 100]
    for part in parts(splits):
        counts = Counter(example.metadata["category"] for example in part)
        assert abs(counts["web"] - 0.75 * len(part)) <= 1


def test_the_seed_matters() -> None:
    """Another seed gives another test split."""
    examples = [make(n, f"g{n}") for n in range(200)]
    assert split(examples, 0).test != split(examples, 1).test


def test_the_same_code_binds_examples() -> None:
    """Fenced code under two different sentences stays in one split."""
    code = "\n".join(f"call_number_{n}(argument);" for n in range(5))
    examples = [make(n, f"g{n}", user=f"Question {n}:\n```c\n{code}\n```") for n in range(20)]
    examples += [make(n, f"g{n}") for n in range(20, 60)]
    holding = [
        part
        for part in parts(split(examples, 0))
        if any(code in e.messages[1].content for e in part)
    ]
    assert len(holding) == 1


@pytest.mark.parametrize(
    ("ratio", "project", "available", "count"),
    [
        (0.15, 100, 500, 15),
        (0.15, 1, 500, 1),
        (0.15, 100, 4, 4),
        (0, 10, 10, 0),
        (1, 0, 9, 0),
        (1, 9, 0, 0),
    ],
)
def test_replay_count(ratio: float, project: int, available: int, count: int) -> None:
    """The count is the share of the project's examples, one at least, and no more than there are."""
    assert replay_count(ratio, project, available) == count


def block(lines: list[str]) -> str:
    """Return a question that shows code."""
    return "Question:\n```python\n" + "\n".join(lines) + "\n```"


def test_nearly_the_same_code_binds_examples() -> None:
    """Twenty examples whose code differs in a token or two stand in one split."""
    lines = [f"value_{n} = call_{n}(argument_{n}, other_{n})" for n in range(40)]
    examples = [
        make(n, f"g{n}", user=block([*lines[:n], f"changed_{n}()", *lines[n + 1 :]]))
        for n in range(20)
    ]
    examples += [
        make(n, f"g{n}", user=block([f"f{n}_{k}()" for k in range(9)])) for n in range(20, 60)
    ]
    splits = split(examples, 0)
    check(splits)
    first = {example.id for example in examples[:20]}
    assert sum(any(example.id in first for example in part) for part in parts(splits)) == 1


def test_metadata_of_a_run_decides_nothing() -> None:
    """Another run and another artifact give the same splits in the same order."""
    plain = [make(n, f"g{n % 30}", category="web" if n % 3 else "code") for n in range(90)]
    told = [
        msgspec.structs.replace(
            example, metadata={**example.metadata, "source_run": "7", "source_artifact": "ab"}
        )
        for example in plain
    ]
    ids = [[e.id for e in part] for part in parts(split(plain, 0))]
    assert ids == [[e.id for e in part] for part in parts(split(told, 0))]
    assert [e.id for e in replay(plain, 9, 0)] == [e.id for e in replay(told, 9, 0)]


def test_tools_keep_their_shares_within_a_category() -> None:
    """Two scanners that find code weaknesses are in each split as in the whole."""
    examples = [
        msgspec.structs.replace(
            make(n, f"g{n}"), metadata={"category": "code", "tool": "zap" if n % 5 else "semgrep"}
        )
        for n in range(500)
    ]
    for part in parts(split(examples, 0)):
        found = Counter(example.metadata["tool"] for example in part)
        assert abs(found["zap"] - 0.8 * len(part)) <= 1


@pytest.mark.parametrize("others", [2, 5, 10, 30])
def test_a_giant_group_leaves_room_to_learn_from_others(others: int) -> None:
    """A file with most examples trains whole; each held-out split takes a third of the rest."""
    examples = [make(n, "big") for n in range(9 * others)]
    examples += [make(1_000 + n, f"small{n}") for n in range(others)]
    splits, caution = split_with_caution(examples, 0)
    sizes = [len(part) for part in parts(splits)]
    assert sizes[1] == sizes[2] == max(1, round(others / 3))
    assert sum(example.group == "big" for example in splits.train) == 9 * others
    assert caution.startswith(f"{9 * others} of {10 * others} examples belong together")


@pytest.mark.parametrize(("groups", "said"), [(3, True), (9, True), (10, False)])
def test_few_groups_are_said_to_be_few(groups: int, said: bool) -> None:
    """Under ten groups the numbers of the held-out splits are said to say little."""
    _, caution = split_with_caution([make(n, f"g{n % groups}") for n in range(4 * groups)], 0)
    assert caution.startswith(f"only {groups} independent groups") == said


def test_the_reason_why_not_says_what_binds() -> None:
    """Many examples of two groups end the run with what belongs together."""
    with pytest.raises(EndRun, match=r"2 independent groups of examples among 14 \(what shares"):
        split([make(n, f"g{n % 2}") for n in range(14)], 0)
