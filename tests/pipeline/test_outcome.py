"""How a piece of work ended, told to another process and back."""

from collections.abc import Callable

import msgspec
import pytest

from secdaemon.pipeline.interface import (
    EndRun,
    Message,
    PermanentError,
    Progress,
    StopRequested,
    TransientError,
)
from secdaemon.pipeline.outcome import Outcome, outcome_of, result_of


def raising(error: Exception) -> Callable[[], None]:
    """Return work that ends with an error."""

    def work() -> None:
        raise error

    return work


def told(outcome: Outcome) -> Outcome:
    """Return what the other process reads."""
    return msgspec.json.decode(msgspec.json.encode(outcome), type=Message)  # type: ignore[no-any-return]


def test_a_result_arrives() -> None:
    """What the work returns is what the other side reads."""
    result = result_of(told(outcome_of(lambda: Progress(iteration=1, iterations=2), "work")))
    assert msgspec.json.decode(result, type=Progress) == Progress(iteration=1, iterations=2)


@pytest.mark.parametrize(
    "error",
    [
        PermanentError("never"),
        TransientError("not now"),
        EndRun(state="held", reason="diverged"),
        StopRequested("asked to stop"),
    ],
)
def test_an_error_arrives_as_itself(error: Exception) -> None:
    """So is what it raises, by kind and sentence."""
    with pytest.raises(type(error), match=str(error)):
        result_of(told(outcome_of(raising(error), "work")))


def test_a_failing_disk_may_work_later() -> None:
    """An OSError is transient, named by its file or, without one, by the work."""
    with pytest.raises(TransientError, match=r"^there: No space left$"):
        result_of(outcome_of(raising(OSError(28, "No space left", "there")), "work"))
    with pytest.raises(TransientError, match=r"^work: No space left$"):
        result_of(outcome_of(raising(OSError(28, "No space left")), "work"))


def test_a_bug_is_not_hidden() -> None:
    """Any other error comes out where it happened."""
    with pytest.raises(ZeroDivisionError):
        outcome_of(raising(ZeroDivisionError()), "work")
