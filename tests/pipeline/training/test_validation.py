"""What validation losses say: which adapter is kept, and when it is enough."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from secdaemon.pipeline.training.checkpoint import Loss
from secdaemon.pipeline.training.validation import best, is_due, without_progress


def history(values: list[float]) -> list[Loss]:
    """Return a loss history with these validation losses, every ten iterations."""
    rows = []
    for place, value in enumerate(values):
        rows.append(Loss(iteration=10 * place, tokens=5, valid_loss=value))
        rows.append(Loss(iteration=10 * place + 1, tokens=5, train_loss=0.0))
    return rows


values = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=20)


@given(values)
def test_the_best_is_the_last_of_the_lowest(losses: list[float]) -> None:
    """No validation of what was trained has a lower loss, none behind it has the same."""
    found = best(history([0.0, *losses]))
    assert found is not None
    place = found // 10 - 1
    assert losses[place] == min(losses)
    assert min(losses) not in losses[place + 1 :]


def test_the_adapter_before_the_first_iteration_is_never_the_best() -> None:
    """It would be Stage 1's over again, which no gate lets pass and no person may release."""
    assert best(history([1.0])) is None
    assert best(history([1.0, 3.0, 2.0])) == 20


@given(values)
def test_what_is_not_lower_is_no_progress(losses: list[float]) -> None:
    """The count is that of the validations behind the first one with the lowest loss."""
    assert without_progress(history(losses)) == len(losses) - 1 - losses.index(min(losses))


def test_without_validation_there_is_no_best() -> None:
    """A history of training losses has no best adapter and does not stall."""
    rows = [Loss(iteration=1, tokens=5, train_loss=1.0)]
    assert best(rows) is None
    assert without_progress(rows) == 0


@given(st.integers(1, 300), st.integers(0, 40), st.integers(1, 8))
def test_validation_comes_where_the_optimizer_steps(
    steps: int, batches: int, accumulation: int
) -> None:
    """The first and the last iteration are validated, others rarely, all of them whole steps."""
    iterations = steps * accumulation
    due = [
        n
        for n in range(iterations + 1)
        if is_due(n, iterations, batches=batches, accumulation=accumulation)
    ]
    assert {0, iterations} <= set(due)
    assert all(n % accumulation == 0 for n in due)
    assert len(due) <= 12
    assert all(later - n >= batches for n, later in pairwise(due[:-1]))
