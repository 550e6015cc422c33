"""How a piece of work ended, as the message that tells it to another process, and back."""

import traceback
from collections.abc import Callable
from typing import Any

import msgspec

from secdaemon.pipeline.interface import (
    Done,
    Ended,
    EndRun,
    Failed,
    PermanentError,
    Stopped,
    StopRequested,
    TransientError,
)

Outcome = Done | Ended | Failed | Stopped


def outcome_of(work: Callable[[], Any], name: str) -> Outcome:
    """Return the last message about a piece of work; only a bug lets an exception out.

    Errors go to standard error with their traceback. `name` stands for a file that an OSError does
    not name.
    """
    try:
        output = work()
    except EndRun as end:
        return Ended(end.state, str(end), msgspec.Raw(msgspec.json.encode(end.output)))
    except StopRequested:
        return Stopped()
    except TransientError as error:
        traceback.print_exc()
        return Failed(str(error), transient=True)
    except PermanentError as error:
        traceback.print_exc()
        return Failed(str(error), transient=False)
    except OSError as error:
        traceback.print_exc()
        return Failed(f"{error.filename or name}: {error.strerror or error}", transient=True)
    return Done(msgspec.Raw(msgspec.json.encode(output)))


def result_of(outcome: Outcome) -> msgspec.Raw:
    """Return what the work returned, as JSON, or raise what it raised.

    The output of an EndRun is not among that.

    Raises:
        EndRun: the run ends here.
        StopRequested: it was stopped.
        TransientError: it failed, and may not the next time.
        PermanentError: it failed.
    """
    match outcome:
        case Done():
            return outcome.output
        case Ended():
            raise EndRun(outcome.state, outcome.reason)
        case Failed():
            raise (TransientError if outcome.transient else PermanentError)(outcome.reason)
        case Stopped():
            msg = "asked to stop"
            raise StopRequested(msg)
