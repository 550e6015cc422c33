"""One HTTP connection that always ends: PyGithub's, with a limit on time and size.

PyGithub's own reads a whole answer into memory with a time-out for each wait only, so that a server
that sends a byte a second holds it for ever. This one is passed to each of its requests instead.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Any

import requests
from github.Requester import HTTPRequestsConnectionClass, Requester, RequestsResponse
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

CHUNK = 1 << 16
LARGEST_ANSWER = 32 << 20
"""Bytes of one answer in JSON; a page of 100 runs has 2 MB."""
NETWORK_ERRORS = (OSError, HTTPException, HTTPError, ValueError)
"""What requests (its errors are OSErrors), urllib3 and http.client raise about a connection."""

_live: dict[int, HTTPConnection] = {}
"""What each thread is talking on, for those who cut it off."""


class AnswerError(OSError):
    """An answer that is too slow, too large, or leads in circles; the message says which."""


class _Plain(HTTPConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        _live[threading.get_ident()] = self
        super().request(*args, **kwargs)


class _Encrypted(HTTPSConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        _live[threading.get_ident()] = self
        super().request(*args, **kwargs)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _EncryptedPool(HTTPSConnectionPool):
    ConnectionCls = _Encrypted


class _Adapter(HTTPAdapter):
    """requests' adapter with connections that can be cut off."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _EncryptedPool}


def new_session() -> requests.Session:
    """Return a session without retries, cookies, or a log-in from ~/.netrc."""
    session = requests.Session()
    session.auth = Requester.noopAuth
    adapter = _Adapter(max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def cut_off(thread: int) -> None:
    """End whatever a thread is talking on; it gets an error at once."""
    connection = _live.get(thread)
    # The plain socket's shutdown: the encrypted one's would change what the thread is reading with.
    if connection is not None and isinstance(connection.sock, socket.socket):
        with suppress(OSError):
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Cut the thread's connection off when the block takes longer.

    Raises:
        AnswerError: it did.
    """
    late = threading.Event()
    thread = threading.get_ident()

    def end() -> None:
        late.set()
        cut_off(thread)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except NETWORK_ERRORS as error:
        if late.is_set():
            raise _too_slow(seconds) from error
        raise
    finally:
        timer.cancel()
        _live.pop(thread, None)
    if late.is_set():
        raise _too_slow(seconds)


def _too_slow(seconds: float) -> AnswerError:
    return AnswerError(f"no whole answer within {seconds:.0f} s")


class _Answer(RequestsResponse):
    """An answer that was read already, within its limits."""

    def __init__(self, response: requests.Response, text: str) -> None:
        super().__init__(response)
        self._text = text
        if self.status == requests.codes.moved_permanently:
            # PyGithub would follow this one itself, and lose the query on the way.
            self.status = requests.codes.permanent_redirect

    def read(self) -> str:
        return self._text


class Connection(HTTPRequestsConnectionClass):
    """What PyGithub's requests go through."""

    def __init__(self, base_url: str, timeout: float) -> None:
        """`timeout` in seconds, for the connection and for each wait within an answer."""
        self.base = base_url
        self.wait = timeout
        self.session = new_session()
        self.raw: requests.Response | None = None
        """The answer to the last request for a file, unread."""
        self._as_file = False

    def begin(self, *, as_file: bool = False) -> None:
        """Prepare for one request; with `as_file` a good answer's body is left unread."""
        self._as_file = as_file
        self.raw = None

    def getresponse(self) -> RequestsResponse:
        """Send the request; return an answer that ends.

        Raises:
            AnswerError: it is too large, or it is none yet (202: PyGithub would sleep and ask on).
            requests.RequestException: there is none.
        """
        response = self.session.request(
            self.verb,
            self.base + self.url,
            headers=self.headers,
            timeout=self.wait,
            allow_redirects=False,
            stream=True,
        )
        if response.status_code == requests.codes.accepted:
            response.close()
            msg = "it says the answer is being prepared (HTTP 202)"
            raise AnswerError(msg)
        if self._as_file and response.status_code == requests.codes.ok:
            self.raw = response
            return _Answer(response, "")
        with response:
            body = b"".join(_limited(response))
        return _Answer(response, body.decode(errors="replace"))


def _limited(response: requests.Response) -> Iterator[bytes]:
    size = 0
    while data := response.raw.read1(CHUNK, decode_content=True):
        size += len(data)
        if size > LARGEST_ANSWER:
            msg = f"an answer of more than {LARGEST_ANSWER >> 20} MB"
            raise AnswerError(msg)
        yield data
