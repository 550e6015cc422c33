"""Where the token comes from: $GITHUB_TOKEN, the Keychain, `gh auth token`. It is told to nobody.

A token lives in memory and in the Authorization header of requests to github.api_url. It is never
an argument of a program, and no sentence here has it.
"""

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

import msgspec

from secdaemon.config.programs import Runner, find_program, run_program

SERVICE, ACCOUNT = "secdaemon", "github"
"""Under what the Keychain has it: `keyring set secdaemon github`."""
ASK_SECONDS = 15.0
AGAIN_SECONDS = 600.0
"""How long it takes to notice a token that a person has made meanwhile."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")

HOW = (
    "make a fine-grained token at https://github.com/settings/personal-access-tokens/new (Only "
    "select repositories; Repository permissions: Actions, Read-only) and keep it with `keyring "
    f"set {SERVICE} {ACCOUNT}`, or in $GITHUB_TOKEN, or log in with `gh auth login`"
)


class Token(msgspec.Struct, frozen=True):
    """A token and where it is from; its text stays out of every representation."""

    source: str
    text: str

    def __repr__(self) -> str:
        return f"Token(source={self.source!r})"


def is_safe(api_url: str) -> bool:
    """Return whether a token may travel there: encrypted, or not leaving this computer."""
    parts = urlsplit(api_url)
    return parts.scheme == "https" or parts.hostname in LOOPBACK


def find_tokens(
    api_url: str, environ: Mapping[str, str], run: Runner = run_program
) -> Iterator[Token]:
    """Yield the tokens there are, best first; each place is asked only when its turn comes."""
    if not is_safe(api_url):
        return
    if (text := environ.get("GITHUB_TOKEN", "").strip()) and _TOKEN.fullmatch(text):
        yield Token("$GITHUB_TOKEN", text)
    asked = run((sys.executable, "-m", "keyring", "get", SERVICE, ACCOUNT), ASK_SECONDS)
    if asked.status == 0 and _TOKEN.fullmatch(text := asked.output.strip()):
        yield Token("the Keychain", text)
    if gh := find_program("gh", environ):
        asked = run((gh, "auth", "token", "--hostname", _host(api_url)), ASK_SECONDS)
        if asked.status == 0 and _TOKEN.fullmatch(text := asked.output.strip()):
            yield Token("`gh auth token`", text)


def _host(api_url: str) -> str:
    """Return the host that `gh` knows: api.github.com is github.com's."""
    return (urlsplit(api_url).hostname or "").removeprefix("api.")


class Tokens:
    """The tokens of one process: looked up once, passed over once GitHub refuses them.

    Where none works they are looked up again after a while: a person may have cured it. Safe to use
    from several threads.
    """

    def __init__(
        self,
        api_url: str,
        environ: Mapping[str, str] | None = None,
        run: Runner = run_program,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Look nothing up yet; `clock` is monotonic, in seconds."""
        self._api_url = api_url
        self._environ = os.environ if environ is None else environ
        self._run = run
        self._clock = clock
        self._looked_at = 0.0
        self._lock = threading.Lock()
        self._left: Iterator[Token] | None = None
        self._current: Token | None = None
        self._refused: list[Token] = []

    def current(self) -> Token | None:
        """Return the token to use, None where there is none."""
        with self._lock:
            if self._current is None and self._clock() >= self._looked_at + AGAIN_SECONDS:
                self._left = None
            if self._left is None:
                self._looked_at = self._clock()
                self._refused.clear()
                self._left = find_tokens(self._api_url, self._environ, self._run)
                self._current = next(self._left, None)
            return self._current

    def refused(self, token: Token) -> Token | None:
        """Note that GitHub refuses a token; return the next one, None where none is left."""
        with self._lock:
            if self._current == token and self._left is not None:
                self._refused.append(token)
                self._current = next(
                    (other for other in self._left if other not in self._refused), None
                )
            return self._current

    def trouble(self) -> str | None:
        """Return what is wrong with the tokens, in one sentence; None where one works."""
        with self._lock:
            if not is_safe(self._api_url):
                return (
                    f"github.api_url {self._api_url} is not https, so that no token is sent there; "
                    "use https"
                )
            refused = " and ".join(token.source for token in self._refused)
            if refused:
                instead = f"{self._current.source} is used" if self._current else HOW
                return f"GitHub refuses the token from {refused}: expired or revoked; {instead}"
            if self._left is not None and self._current is None:
                return (
                    "no GitHub token: public runs are listed (60 requests an hour), but artifacts "
                    f"are given only to who is logged in; {HOW}"
                )
            return None
