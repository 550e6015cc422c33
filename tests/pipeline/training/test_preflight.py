"""Memory: what the longest batch takes, and what is decided about it."""

from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx.utils import tree_flatten

from secdaemon.pipeline.interface import PermanentError, Progress
from secdaemon.pipeline.training import checkpoint, trainer
from secdaemon.pipeline.training.memory import Preflight
from secdaemon.pipeline.training.preflight import Measure, Need, decide, peak_bytes
from secdaemon.pipeline.training.ready import make_ready
from secdaemon.pipeline.training.tokens import TOO_BIG
from secdaemon.pipeline.training.train import TrainSpec, train

Make = Callable[..., TrainSpec]
Kill = Callable[[TrainSpec, int], None]
Made = Callable[[Path], tuple[bytes, str, bytes]]


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


def linear(lengths: list[int], per_token: int) -> Callable[[int, bool], Need | None]:
    """Return a measure of a model whose memory grows with the batch's width."""

    def measure(cap: int, checkpointing: bool) -> Need | None:
        fitting = [length for length in lengths if length <= cap]
        if not fitting:
            return None
        width = max(fitting)
        return Need(width * per_token // (3 if checkpointing else 1), rows=1, width=width)

    return measure


@given(
    st.lists(st.integers(2, 2048), min_size=1, max_size=5),
    st.integers(1, 10**6),
    st.booleans(),
    st.booleans(),
)
def test_what_is_decided_fits(
    lengths: list[int], budget: int, checkpointing: bool, may_checkpoint: bool
) -> None:
    """What fits is left as it is, what does not gives up tokens last, else all is told."""
    measure = linear(lengths, 1000)
    needs = {
        cap: need.peak_bytes
        for cap in (2048 // 2**n for n in range(8))
        if (need := measure(cap, checkpointing or may_checkpoint))
    }
    plain = measure(2048, checkpointing)
    assert plain
    if min(needs.values()) > budget:
        with pytest.raises(PermanentError, match=r"training\.memory_gb"):
            decided(measure, budget, checkpointing, may_checkpoint)
        return
    found = decided(measure, budget, checkpointing, may_checkpoint)
    assert found.peak_bytes <= budget
    if plain.peak_bytes <= budget:
        assert (found.max_seq_length, found.grad_checkpoint) == (2048, checkpointing)
        assert found.unaided_bytes is None
        return
    assert found.unaided_bytes == plain.peak_bytes
    assert found.grad_checkpoint == (checkpointing or may_checkpoint)
    longest = max(cap for cap, need in needs.items() if need <= budget)
    assert needs[found.max_seq_length] == needs[longest]


def decided(measure: Measure, budget: int, checkpointing: bool, may_checkpoint: bool) -> Preflight:
    """Decide with a cap of 2048 tokens."""
    return decide(
        measure, budget, cap=2048, checkpointing=checkpointing, may_checkpoint=may_checkpoint
    )


def test_it_leaves_no_trace(make_spec: Make, tmp_path: Path) -> None:
    """Random state and weights are those from before, with dropout, and it says the same again."""
    ready = make_ready(make_spec(tmp_path / "run"), None, unheard)

    def state() -> tuple[tuple[int, int], list[bytes]]:
        arrays = [*tree_flatten(ready.model.parameters()), *tree_flatten(ready.optimizer.state)]
        return checkpoint.random_key(), [np.array(array).tobytes() for _, array in arrays]

    before = state()
    found = [
        peak_bytes(
            ready.model,
            ready.loss,
            ready.feed.longest(),
            checkpointing=checkpointing,
            budget_bytes=10**9,
        )
        for checkpointing in (False, False, True)
    ]
    assert state() == before
    assert found[0] == pytest.approx(found[1], rel=0.1)
    assert found[0] > 1_000_000
    assert found[2] < found[0]


def test_the_longest_batch_is_what_is_tried(make_spec: Make, tmp_path: Path) -> None:
    """It is as wide as the widest batch, and as many rows as any."""
    spec = make_spec(tmp_path / "run", batch_size=3)
    feed = make_ready(spec, None, unheard).feed
    batches = feed.batches(0)
    shapes = [next(batches)[0].shape for _ in range(feed.batches_per_epoch)]
    assert feed.longest()[0].shape == max(shapes)


def test_what_mlx_refuses_to_allocate_does_not_fit(make_spec: Make, tmp_path: Path) -> None:
    """An allocation that fails counts as more than the budget, and takes nothing down."""
    ready = make_ready(make_spec(tmp_path / "run"), None, unheard)

    def huge(model: object, ids: mx.array, spans: mx.array) -> tuple[mx.array, mx.array]:
        msg = "[malloc] Unable to allocate"
        raise RuntimeError(msg)

    loss: trainer.Loss = huge
    found = peak_bytes(
        ready.model, loss, ready.feed.longest(), checkpointing=False, budget_bytes=10**12
    )
    assert found == 10**12 + 1


@pytest.mark.slow
def test_a_shorter_cap_is_counted_and_kept(
    make_spec: Make, tmp_path: Path, killed_at: Kill, made: Made
) -> None:
    """Where memory is short the longest examples fall out; a resumed training stays with that."""
    roomy = train(make_spec(tmp_path / "roomy", valid=()), unheard)
    assert roomy.preflight
    assert roomy.preflight.unaided_bytes is None
    memory = roomy.preflight.peak_bytes * 0.9 / 1e9
    alone = make_spec(tmp_path / "alone", memory_gb=memory)
    found = train(alone, unheard)
    assert found.preflight
    assert found.preflight.max_seq_length == 64
    assert found.preflight.peak_bytes <= memory * 1e9 < (found.preflight.unaided_bytes or 0)
    assert found.left_out[TOO_BIG] + found.examples == len(alone.train)
    spec = make_spec(tmp_path / "run", memory_gb=memory)
    killed_at(spec, 7)
    stored = checkpoint.read_state(spec.folder / "checkpoints" / "0000005").preflight
    assert stored.max_seq_length == 64
    assert train(spec, unheard).preflight == stored
    assert made(spec.folder) == made(alone.folder)


def test_gradient_checkpointing_comes_before_a_shorter_cap(make_spec: Make, tmp_path: Path) -> None:
    """Without dropout it is tried first, and no example falls out."""
    spec = make_spec(tmp_path / "roomy", valid=(), dropout=0.0, iterations=1)
    roomy = train(spec, unheard).preflight
    assert roomy
    memory = roomy.peak_bytes * 0.92 / 1e9
    spec = make_spec(tmp_path / "run", valid=(), dropout=0.0, iterations=1, memory_gb=memory)
    found = train(spec, unheard)
    assert found.preflight
    assert found.preflight.grad_checkpoint
    assert found.preflight.max_seq_length == spec.training.max_seq_length
    assert not found.left_out


def test_what_cannot_fit_is_refused_with_numbers(make_spec: Make, tmp_path: Path) -> None:
    """The sentence names what it takes, what there is and the keys to change."""
    spec = make_spec(tmp_path / "run", memory_gb=0.001)
    with pytest.raises(PermanentError, match=r"takes .* GB of 0\.001 GB.*lora\.dropout") as caught:
        train(spec, unheard)
    assert "training.memory_gb" in str(caught.value)
