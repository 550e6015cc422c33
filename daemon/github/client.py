"""GitHub's REST API through PyGithub's requester, one answer at a time.

Nothing here sleeps or tries again: PyGithub's own retries and pauses, which last up to an hour, are
switched off. No sentence has an address in it: where a download is redirected to is a secret.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
from github import Auth, Github, GithubException

from secdaemon.config import __version__, schema
from secdaemon.daemon.github.connection import (
    NETWORK_ERRORS,
    AnswerError,
    Connection,
    at_most,
)
from secdaemon.daemon.github.manners import Asked, Kind, Trouble, TroubleError, trouble_of
from secdaemon.daemon.github.tokens import Token

WHOLE = 2
"""How many time-outs a whole answer may take."""
REDIRECTS = 5
_NEXT = re.compile(r'<([^>]*)>\s*;(?:[^,]*;)?\s*rel="?next"?')
_MOVED = frozenset({301, 302, 303, 307, 308})
_API_MOVED = frozenset({307, 308})
"""How the API itself has moved (a renamed repository); a file lies behind the others."""

# Their warnings name whole addresses, and those of downloads are as good as passwords.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)
logging.getLogger("github").setLevel(logging.CRITICAL)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that was read whole."""

    status: int
    headers: dict[str, str]
    """With names in lower case."""
    body: str

    @property
    def following(self) -> str | None:
        """Where the list goes on, None at its end (Link header, RFC 8288)."""
        found = _NEXT.search(self.headers.get("link", ""))
        return found[1] if found else None


class Client:
    """Talks to one GitHub for the length of one poll."""

    def __init__(
        self,
        github: schema.Github,
        repository: str,
        token: Token | None,
        now: Callable[[], float],
    ) -> None:
        """Ask nothing yet; `now` gives Unix seconds."""
        self._settings = github
        self._repository = repository
        self._now = now
        self.token = token
        self.remaining: int | None = None
        """Requests that GitHub still allows."""
        self.requests = 0
        parts = urlsplit(github.api_url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = f":{parts.port}" if parts.port else ""
        self._connection = Connection(f"{parts.scheme}://{host}{port}", github.timeout_seconds)
        self._github = Github(
            base_url=github.api_url.rstrip("/"),
            auth=Auth.Token(token.text) if token else None,
            user_agent=f"secdaemon/{__version__}",
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )

    def close(self) -> None:
        """Close every connection."""
        self._connection.session.close()
        self._github.close()

    def get(self, url: str, what: str, etag: str | None = None) -> Answer:
        """Return the answer to a GET of a path of the API, or of an address that it gave.

        Raises:
            TroubleError: it is neither 200 nor 304, or there is none.
        """
        for _ in range(REDIRECTS):
            answer = self._ask(url, etag)
            if answer.status not in _MOVED or "location" not in answer.headers:
                self.check(answer.status, answer.headers, answer.body, what)
                return answer
            url = urljoin(self._settings.api_url, answer.headers["location"])
            if not self._is_api(url):
                text = "it redirects to another address; is github.api_url right?"
                raise self._trouble(Kind.FORM, text)
        raise self._trouble(Kind.FORM, "it redirects in circles")

    def _is_api(self, url: str) -> bool:
        """Return whether an address is the API's own: no other gets the token."""
        parts, own = urlsplit(url), urlsplit(self._settings.api_url)
        return (parts.scheme, parts.netloc) == (own.scheme, own.netloc)

    def find_file(self, url: str, what: str) -> str | requests.Response:
        """Return where a file is redirected to, or its answer, unread, where it is given directly.

        Raises:
            TroubleError: it is not given.
        """
        for _ in range(REDIRECTS):
            answer = self._ask(url, None, as_file=True)
            raw, self._connection.raw = self._connection.raw, None
            if raw is not None:
                return raw
            location = answer.headers.get("location")
            if answer.status not in _MOVED or not location:
                self.check(answer.status, answer.headers, answer.body, what)
                break
            url = urljoin(self._settings.api_url, location)
            if answer.status not in _API_MOVED or not self._is_api(url):
                return url
        raise self._trouble(Kind.FORM, f"{what}: no file")

    def open_file(self, location: str, headers: dict[str, str]) -> requests.Response:
        """Return the answer, unread, of the host that a file was redirected to.

        The token is not sent: that host is another one, and refuses it.

        Raises:
            TroubleError: there is none.
        """
        for _ in range(REDIRECTS):
            if urlsplit(location).scheme not in {"https", urlsplit(self._settings.api_url).scheme}:
                raise self._trouble(Kind.FORM, "it redirects a download to a plain http address")
            with self.in_words(), at_most(self._settings.timeout_seconds * WHOLE):
                self.requests += 1
                response = self._connection.session.get(
                    location,
                    headers={"Accept-Encoding": "identity", **headers},
                    timeout=self._settings.timeout_seconds,
                    allow_redirects=False,
                    stream=True,
                )
            if response.status_code not in _MOVED or "location" not in response.headers:
                return response
            response.close()
            location = urljoin(location, response.headers["location"])
        raise self._trouble(Kind.FORM, "it redirects a download in circles")

    def _ask(self, url: str, etag: str | None, *, as_file: bool = False) -> Answer:
        headers = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            **({"If-None-Match": etag} if etag else {}),
        }
        ask = self._github.requester.requestBlob if as_file else self._github.requester.requestJson
        with self.in_words(), at_most(self._settings.timeout_seconds * WHOLE):
            self._connection.begin(as_file=as_file)
            self.requests += 1
            status, found, body = ask("GET", url, headers=headers, cnx=self._connection)
        if self.token:
            # Should a server say it back, it must not stand in a sentence about that.
            body = body.replace(self.token.text, "[token]")
        answer = Answer(
            status=status, headers={name: str(text) for name, text in found.items()}, body=body
        )
        left = answer.headers.get("x-ratelimit-remaining", "").strip()
        if left.isdigit():
            self.remaining = int(left)
        return answer

    def check(self, status: int, headers: dict[str, str], body: str, what: str) -> None:
        """Pass when an answer is a good one.

        Raises:
            TroubleError: it is not.
        """
        source = self.token.source if self.token else None
        asked = Asked(repository=self._repository, token=source, what=what)
        longest = self._settings.max_wait_seconds
        found = trouble_of(status, headers, body, asked, self._now(), longest)
        if found is not None:
            raise TroubleError(found)

    @contextmanager
    def in_words(self) -> Iterator[None]:
        """Turn whatever goes wrong with a connection into a sentence without an address.

        Raises:
            TroubleError: something did.
        """
        try:
            yield
        except AnswerError as error:
            raise self._trouble(Kind.NETWORK, str(error)) from None
        except requests.Timeout:
            seconds = self._settings.timeout_seconds
            raise self._trouble(Kind.NETWORK, f"no answer within {seconds:g} s") from None
        except requests.exceptions.SSLError:
            text = "its certificate is not accepted (a private one: set $REQUESTS_CA_BUNDLE)"
            raise self._trouble(Kind.NETWORK, text) from None
        except requests.exceptions.ProxyError:
            raise self._trouble(Kind.NETWORK, "the proxy does not let through") from None
        except requests.ConnectionError:
            raise self._trouble(Kind.NETWORK, "it cannot be reached") from None
        except (GithubException, RuntimeError, AssertionError, KeyError):
            # PyGithub's words for redirects that it does not follow, with the address in them.
            text = "it redirects to another address; is github.api_url right?"
            raise self._trouble(Kind.FORM, text) from None
        except NETWORK_ERRORS:
            text = "the connection broke in the middle of an answer"
            raise self._trouble(Kind.NETWORK, text) from None

    def form_trouble(self, expected: str) -> TroubleError:
        """Return what to say of an answer that is not in GitHub's form."""
        text = f"the answer is not GitHub's ({expected}); is github.api_url right, or is there a "
        return self._trouble(Kind.FORM, text + "login page or a proxy in between?")

    def _trouble(self, kind: Kind, text: str) -> TroubleError:
        host = urlsplit(self._settings.api_url).hostname
        return TroubleError(Trouble(kind, f"{host}: {text}"))
