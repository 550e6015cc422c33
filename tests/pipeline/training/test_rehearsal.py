"""The mixed orders: shares, phases, and that any position can be entered."""

import math
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.training.feed import Feed
from secdaemon.pipeline.training.rehearsal import (
    PHASE_POOLS,
    PHASE_SHARES,
    Phase,
    Rehearsal,
    constant,
    curriculum,
)
from secdaemon.pipeline.training.tokens import Tokens


def examples(name: str, count: int) -> list[Tokens]:
    """Return examples of several widths; their ids tell them apart."""
    first = 1 if name == "own" else 1000
    return [
        Tokens(
            id=f"{name}{n}",
            group="g",
            weight=1.0,
            ids=(first + n, *range(2, 20 + 13 * (n % 5))),
            offset=1,
        )
        for n in range(count)
    ]


def mixed(phases: tuple[Phase, ...], *, own: int = 10, known: int = 6, seed: int = 3) -> Rehearsal:
    """Return an order over so many examples of each kind."""
    return Rehearsal(
        examples("own", own),
        examples("known", known),
        phases,
        batch_size=2,
        cap=128,
        mask_prompt=True,
        seed=seed,
    )


@given(share=st.floats(0, 0.99), start=st.integers(0, 500), length=st.integers(1, 200))
def test_any_stretch_has_its_share(share: float, start: int, length: int) -> None:
    """Stage 1's batches are the share of any stretch, to a batch."""
    order = mixed(constant(10, share))
    known = sum(order.is_known(position) for position in range(start, start + length))
    assert abs(known - share * length) < 1 + 1e-6


@given(position=st.integers(0, 300), seed=st.integers(0, 5))
def test_any_position_can_be_entered(position: int, seed: int) -> None:
    """A feed that starts at a position gives what one from the beginning gives there."""
    phases = curriculum([(0, n) for n in range(10)], 120, 0.4, 0.0)
    whole = mixed(phases, seed=seed)
    for number in range(position):
        whole.rows(number)
    ids, spans = next(whole.batches(position))
    again_ids, again_spans = next(mixed(phases, seed=seed).batches(position))
    assert np.array_equal(ids, again_ids)
    assert np.array_equal(spans, again_spans)
    assert whole.tokens(position) == (spans[:, 1]).sum()


def test_both_kinds_go_on_where_they_were() -> None:
    """The project's batches come in the plain order, and Stage 1's go through all its examples."""
    order = mixed(constant(10, 0.4))
    plain = Feed(examples("own", 10), batch_size=2, cap=128, mask_prompt=True, seed=3)
    found = [order.rows(position) for position in range(50) if not order.is_known(position)]
    assert all(np.array_equal(rows, plain.rows(n)) for n, rows in enumerate(found))
    known = [order.rows(position) for position in range(50) if order.is_known(position)]
    assert len(known) == 20
    assert {int(row) for rows in known[:3] for row in rows} == set(range(10, 16))


def test_no_share_is_the_plain_order() -> None:
    """With nothing of Stage 1 the order is that of a feed over the project's examples."""
    order = mixed(constant(10, 0.0))
    plain = Feed(examples("own", 10), batch_size=2, cap=128, mask_prompt=True, seed=3)
    for (ids, spans), (wanted, wanted_spans) in islice(
        zip(order.batches(0), plain.batches(0), strict=False), 12
    ):
        assert np.array_equal(ids, wanted)
        assert np.array_equal(spans, wanted_spans)


def test_batches_hold_one_kind() -> None:
    """No batch mixes the project's examples with Stage 1's."""
    order = mixed(curriculum([(0, n) for n in range(10)], 80, 0.4, 0.0))
    for position in range(100):
        assert len({int(row) >= 10 for row in order.rows(position)}) == 1


def test_the_curriculum_has_its_shares_and_pools() -> None:
    """Four quarters: 70, 50, 30, 10 per cent of Stage 1, and more and harder examples each time."""
    difficulty = [(n % 3, 100 - n) for n in range(30)]
    phases = curriculum(difficulty, 200, 0.4, 0.0)
    assert [phase.batches for phase in phases] == [50] * 4
    assert [phase.known_share for phase in phases] == pytest.approx([0.7, 0.5, 0.3, 0.1])
    assert [len(phase.own) for phase in phases] == [math.ceil(30 * pool) for pool in PHASE_POOLS]
    easiest = sorted(difficulty)
    for phase in phases:
        assert sorted(difficulty[place] for place in phase.own) == easiest[: len(phase.own)]
    order = mixed(phases, own=30)
    for number, phase in enumerate(phases):
        positions = range(50 * number, 50 * (number + 1))
        known = sum(order.is_known(position) for position in positions)
        assert abs(known - 50 * phase.known_share) <= 1
        drawn = {int(row) for p in positions if not order.is_known(p) for row in order.rows(p)}
        assert drawn <= set(phase.own)
    assert sum(PHASE_SHARES) == len(PHASE_SHARES)


def test_the_least_share_holds_in_every_phase() -> None:
    """With multi-task beside it, no phase has less of Stage 1 than the multi-task share."""
    phases = curriculum([(0, 0)] * 5, 40, 0.4, 0.4)
    assert [phase.known_share for phase in phases] == pytest.approx([0.7, 0.5, 0.4, 0.4])


def test_a_phase_never_leaves_the_project_out() -> None:
    """A mean share near 1 still leaves the project some batches of the first phase."""
    assert curriculum([(0, 0)], 40, 0.99, 0.0)[0].known_share == 0.95


def test_an_epoch_is_the_project_seen_once() -> None:
    """Five own batches at a share of 0.4 take nine positions."""
    assert mixed(constant(10, 0.4)).batches_per_epoch == 9


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_very_short_trainings_have_an_order(iterations: int) -> None:
    """Phases without a batch are passed over."""
    order = mixed(curriculum([(0, n) for n in range(10)], iterations, 0.4, 0.0))
    assert [len(order.rows(position)) for position in range(8)] == [2] * 8
