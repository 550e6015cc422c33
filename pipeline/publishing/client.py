"""The way to the Hub: time-outs on everything, waiting within bounds, errors as sentences.

huggingface_hub has no time-out until it is given a client, sleeps as long as a server says, and
does not look what became of a commit whose answer was lost.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import httpx2

from secdaemon.pipeline.interface import PermanentError, TransientError

CONNECT_SECONDS = 15.0
READ_SECONDS = 60.0
"""Between two pieces of an answer, and of an upload."""
LONGEST_WAIT = 60.0
"""A server that asks for more is left alone, and the step tried again later."""
TRIES = 5

_UNAUTHORISED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY = 401, 403, 404, 429
_SERVER = 500
_CLIENT = 400
_CONFLICTS = (409, 412)

Result = TypeVar("Result")
Sent = Callable[[int], None]
"""Told how many bytes of request bodies have left."""


def open_api(token: str, sent: Sent) -> Any:
    """Return an HfApi whose every request has time-outs, and whose uploads are counted."""
    from huggingface_hub import HfApi, constants, set_client_factory

    # As $HF_HUB_DISABLE_XET does, which counts only before the first import: over xet a commit
    # whose answer was lost is made twice, and nothing of it can be bounded here.
    constants.HF_HUB_DISABLE_XET = True

    def count(request: Any) -> None:
        if request.method == "PUT":
            request.stream = _Counted(request.stream, sent)

    set_client_factory(
        lambda: httpx2.Client(
            timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=True,
            event_hooks={"request": [count], "response": [_bounded]},
        )
    )
    endpoint = os.environ.get("HF_ENDPOINT") or None
    return HfApi(endpoint, token=token, library_name="secdaemon")


class _Counted(httpx2.SyncByteStream):
    """A request's body that tells how much of it has been read."""

    def __init__(self, stream: Any, sent: Sent) -> None:
        self._stream = stream
        self._sent = sent

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            yield piece
            self._sent(len(piece))

    def close(self) -> None:
        self._stream.close()


def _bounded(response: Any) -> None:
    """Have the library's own waiting last no longer than ours."""
    response.headers.pop("ratelimit", None)
    asked = _seconds(response)
    if asked is not None and asked > LONGEST_WAIT:
        response.headers["Retry-After"] = str(round(LONGEST_WAIT))


def _seconds(response: Any) -> float | None:
    with suppress(ValueError, AttributeError):
        return max(0.0, float(response.headers.get("Retry-After", "")))
    return None


def patiently(
    do: Callable[[], Result],
    what: str,
    wait: Callable[[float], None],
    done: Callable[[], Result | None] = lambda: None,
) -> Result:
    """Return what `do` returns, trying again where that may help.

    After a failure whose answer may have been lost, `done` is asked first whether it happened all
    the same.

    Raises:
        TransientError: it still failed after TRIES tries.
        PermanentError: the server said no, or what came back was no answer of a Hub.
    """
    problem = ""
    for attempt in range(TRIES):
        try:
            if attempt and (found := done()) is not None:
                return found
            return do()
        except (httpx2.HTTPError, RuntimeError, KeyError, TypeError, ValueError) as error:
            problem, pause = _judged(error, what)
        if attempt + 1 < TRIES:
            wait(min(pause or 2.0**attempt, LONGEST_WAIT))
    raise TransientError(problem)


def _judged(error: Exception, what: str) -> tuple[str, float | None]:
    """Return the sentence for a failure, and how long the server wants to be left alone.

    Raises:
        PermanentError: trying again does not help.
    """
    from huggingface_hub.errors import HfHubHTTPError

    # Uploads run in threads of the library, which wraps what went wrong there.
    while isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    if isinstance(error, HfHubHTTPError):
        return _problem(error, what), _seconds(error.response)
    if isinstance(error, httpx2.HTTPError):
        return f"{what}: no answer from the Hub ({type(error).__name__})", None
    # Not JSON, or not the JSON of a Hub; the text may hold anything and is not repeated.
    return f"{what}: what came back is no answer of a Hub ({type(error).__name__})", None


def _problem(error: Any, what: str) -> str:
    """Return the sentence for an answer that may be another one later.

    Raises:
        PermanentError: it will not.
    """
    status = error.response.status_code
    if status == _UNAUTHORISED:
        msg = f"{what}: the Hub does not know the token (401); it is wrong, expired or revoked"
        raise PermanentError(msg) from error
    if status == _FORBIDDEN:
        msg = (
            f"{what}: the token may not do that (403); give it `Write access to contents and "
            "settings` of this repository at https://huggingface.co/settings/tokens"
        )
        raise PermanentError(msg) from error
    if status == _NOT_FOUND:
        msg = f"{what}: not found (404); it was deleted, or the token may not see it"
        raise PermanentError(msg) from error
    if status in _CONFLICTS:
        return f"{what}: it was changed by somebody else meanwhile ({status})"
    if status == _TOO_MANY:
        return f"{what}: the Hub asks for patience (429)"
    if _CLIENT <= status < _SERVER and status != 408:  # noqa: PLR2004 - a time-out is no refusal
        msg = f"{what}: the Hub refused it ({status})"
        raise PermanentError(msg) from error
    return f"{what}: the Hub has trouble ({status})"
