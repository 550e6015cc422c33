"""The leak check: it finds what the splitter must not let through, by arithmetic of its own."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secdaemon.pipeline.examples import Example, Splits, conversation, write_splits
from secdaemon.pipeline.interface import EndRun, PermanentError
from secdaemon.pipeline.splitting import leaks
from secdaemon.pipeline.splitting.leaks import check, check_files, check_replay
from secdaemon.pipeline.splitting.splits import replay, split

CODE = "\n".join(f"statement_{n} = call_{n}(argument_{n}, other_{n})" for n in range(40))


def make(number: int, code: str = "", **changes: object) -> Example:
    """Return an example with texts of its own, and this code in its question."""
    block = f"\n\n```python\n{code}\n```" if code else ""
    known = {
        "id": f"e{number}",
        "messages": conversation(f"question number {number}{block}", f"answer number {number}"),
        "group": f"g{number}",
        "metadata": {"category": "code"},
    }
    return Example(**(known | changes))  # type: ignore[arg-type]


def apart(one: Example, other: Example) -> Splits:
    """Return splits with the two in training and in test."""
    return Splits((make(1), one), (make(2),), (make(3), other))


def test_independent_examples_pass() -> None:
    """Nothing is raised where nothing is shared."""
    check(apart(make(10, CODE), make(11, CODE[::-1])))


@pytest.mark.parametrize(
    ("one", "other", "what"),
    [
        (make(10, group="same"), make(11, group="same"), "the same group"),
        (
            make(10, metadata={"finding": "f"}),
            make(11, metadata={"finding": "f"}),
            "the same finding",
        ),
        (
            make(10, metadata={"advisory": "CVE-1"}),
            make(11, metadata={"advisory": "CVE-1"}),
            "the same advisory",
        ),
        (
            make(10, metadata={"fix_commit": "c"}),
            make(11, metadata={"fix_commit": "c"}),
            "the same fixing commit",
        ),
        (
            make(10, messages=conversation("a  question", "one")),
            make(11, messages=conversation("a question\n", "two")),
            "the same text",
        ),
        (make(10, CODE), make(11, CODE.replace(" = ", "=")), "the same code"),
        (make(10, CODE), make(11, CODE.replace("call_7(", "checked_7(")), r"\d\d% the same code"),
    ],
)
def test_each_kind_of_leak_is_named(one: Example, other: Example, what: str) -> None:
    """The sentence names both examples, their splits, and what they have in common."""
    with pytest.raises(PermanentError, match=what) as caught:
        check(apart(one, other))
    text = str(caught.value)
    assert "e10 (training)" in text
    assert "e11 (test)" in text
    assert "\n" not in text


def test_less_alike_code_is_no_leak() -> None:
    """Code that shares half of its shingles is other code."""
    half = CODE.splitlines()
    other = [line.replace("call", f"made_{n}") if n % 2 else line for n, line in enumerate(half)]
    check(apart(make(10, CODE), make(11, "\n".join(other))))


@st.composite
def related(draw: st.DrawFn) -> list[Example]:
    """Draw examples whose code is that of a few bases with a few tokens changed."""
    found = []
    for number in range(draw(st.integers(3, 24))):
        base = draw(st.integers(0, 9))
        tokens = [f"t{base}_{n}" for n in range(60)]
        for _ in range(draw(st.integers(0, 4))):
            tokens[draw(st.integers(0, 59))] = f"x{draw(st.integers(0, 30))}"
        found.append(make(number, " ".join(tokens), group=f"g{draw(st.integers(0, 40))}"))
    return found


@given(related(), st.integers(0, 3))
@settings(deadline=None)
def test_what_the_splitter_makes_passes(examples: list[Example], seed: int) -> None:
    """No split of the project's fails its own check."""
    try:
        check(split(examples, seed))
    except EndRun:
        return


@given(related(), related(), st.integers(0, 8))
@settings(deadline=None)
def test_replay_passes_its_check(project: list[Example], stage1: list[Example], count: int) -> None:
    """What is bound to the project's held-out examples is not replayed, whatever the count."""
    try:
        splits = split(project, 0)
    except EndRun:
        return
    renamed = [make(100 + n, e.messages[1].content) for n, e in enumerate(stage1)]
    drawn = replay(renamed, count, 0, (*splits.valid, *splits.test))
    check_replay(drawn, splits)
    assert len(drawn) <= count
    more = replay(renamed, count + 3, 0, (*splits.valid, *splits.test))
    assert more[: len(drawn)] == drawn


def test_replay_may_share_with_training() -> None:
    """Only the held-out splits are compared with what is replayed."""
    splits = Splits((make(1, CODE),), (make(2),), (make(3, CODE[::-1]),))
    check_replay([make(50, CODE)], splits)
    with pytest.raises(PermanentError, match=r"e51 \(replay\) and e3 \(test\)"):
        check_replay([make(51, CODE[::-1])], splits)


@given(st.lists(st.sets(st.integers(0, 40), min_size=1, max_size=30), min_size=2, max_size=12))
def test_the_prefixes_miss_nothing(sets: list[set[int]]) -> None:
    """Every pair of sets with an index of 0.85 or more shares one of their smallest members."""
    arrays = [np.array(sorted(each), np.uint64) for each in sets]
    for one in arrays:
        for other in arrays:
            both = len(np.intersect1d(one, other))
            if both >= leaks.THRESHOLD * (len(one) + len(other) - both):
                assert len(np.intersect1d(leaks._prefix(one), leaks._prefix(other)))


def test_files_are_checked_once(tmp_path: Path) -> None:
    """Bytes that passed pass again unread; other bytes are checked, and a leak is no verdict."""
    good = Splits((make(1, CODE),), (make(2),), (make(3),))
    write_splits(tmp_path / "data", good)
    check_files(tmp_path / "data", tmp_path)
    verdict = (tmp_path / leaks.VERDICTS).read_text()
    check_files(tmp_path / "data", tmp_path)
    assert (tmp_path / leaks.VERDICTS).read_text() == verdict
    write_splits(tmp_path / "data", apart(make(10, CODE), make(11, CODE)))
    for _ in range(2):
        with pytest.raises(PermanentError, match="e10"):
            check_files(tmp_path / "data", tmp_path)
    assert (tmp_path / leaks.VERDICTS).read_text() == verdict
