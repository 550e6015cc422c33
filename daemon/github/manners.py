"""How GitHub is asked politely: what its answers mean, when to ask again. All of it pure.

https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api: wait for
`retry-after`; else for `x-ratelimit-reset` where `x-ratelimit-remaining` is 0; else a minute, and
longer each time.
"""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum

import msgspec

from secdaemon.daemon.github.answers import message_of
from secdaemon.state.polls import Watch

LIMIT_SECONDS = 60.0
"""How long the daemon waits for the end of a rate limit that does not say when that is."""
LONGEST_BACK_OFF = 12
"""The longest own back-off, in intervals of github.poll_seconds: an hour of five minutes."""
QUOTED = 160
"""Characters of GitHub's own sentence that are passed on."""


class Kind(StrEnum):
    """What kind of trouble there is, for those who act on it."""

    TOKEN = "token"  # noqa: S105 - a kind of trouble
    PERMISSION = "permission"
    LIMIT = "limit"
    MISSING = "missing"
    GONE = "gone"
    SERVER = "server"
    NETWORK = "network"
    FORM = "form"
    OURS = "ours"


class Trouble(msgspec.Struct, frozen=True):
    """Why something could not be done, in words, and when GitHub wants to be asked again."""

    kind: Kind
    text: str
    wait: float | None = None
    """Seconds, from GitHub, capped: nobody asks before."""
    least: float = 0.0
    """Seconds that the daemon waits at least, where GitHub does not say for how long."""


class TroubleError(Exception):
    """A poll cannot go on; the message is the trouble's sentence."""

    def __init__(self, trouble: Trouble) -> None:
        """Carry what went wrong."""
        super().__init__(trouble.text)
        self.trouble = trouble
        self.remaining: int | None = None
        """Requests that GitHub still allows, where a whole poll ended with this."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, for the sentence about what came back."""

    repository: str
    token: str | None
    """Where the token is from, None without one."""
    what: str = "the workflow runs"


def trouble_of(  # noqa: PLR0911, PLR0917 - one line a kind of answer
    status: int, headers: Mapping[str, str], body: str, asked: Asked, now: float, longest: float
) -> Trouble | None:
    """Return what is wrong with an answer, None where nothing is.

    Args:
        status: of the HTTP answer.
        headers: with names in lower case.
        body: the answer's text.
        asked: what was asked.
        now: Unix seconds.
        longest: seconds; GitHub's word beyond that is not obeyed.
    """
    if status in {200, 206, 304}:
        return None
    said = quoted(message_of(body))
    if status in {403, 429} and (limit := _limit(status, headers, said)):
        text = f"GitHub's {limit} is reached{_quote(said)}"
        if (told := wait_of(headers, now)) is None:
            return Trouble(Kind.LIMIT, text, least=LIMIT_SECONDS)
        return Trouble(Kind.LIMIT, text, min(max(told, 1.0), longest))
    wait = wait_of({"retry-after": headers.get("retry-after", "")}, now)
    capped = None if wait is None else min(max(wait, 1.0), longest)
    if status >= 500:  # noqa: PLR2004 - HTTP
        return Trouble(Kind.SERVER, f"GitHub has trouble of its own (HTTP {status})", capped)
    if status == 401:  # noqa: PLR2004
        return Trouble(Kind.TOKEN, _refused(asked, said), capped)
    if status == 403:  # noqa: PLR2004
        return Trouble(Kind.PERMISSION, _forbidden(headers, asked, said), capped)
    if status == 404:  # noqa: PLR2004
        return Trouble(Kind.MISSING, _missing(asked), capped)
    if status == 410:  # noqa: PLR2004
        return Trouble(Kind.GONE, f"{asked.what} of {asked.repository}: gone for good", capped)
    if status == 451:  # noqa: PLR2004
        return Trouble(Kind.MISSING, f"{asked.repository} is blocked for legal reasons", capped)
    return Trouble(Kind.FORM, f"GitHub answered HTTP {status}{_quote(said)}", capped)


def _limit(status: int, headers: Mapping[str, str], said: str) -> str | None:
    """Return which rate limit an answer speaks of, None for another refusal."""
    text = said.lower()
    if "secondary rate limit" in text or "abuse detection" in text:
        return "secondary rate limit"
    if headers.get("x-ratelimit-remaining", "").strip() == "0" or "rate limit exceeded" in text:
        return "rate limit"
    if status == 429 or "retry-after" in headers:  # noqa: PLR2004
        return "rate limit"
    return None


def wait_of(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that an answer asks to wait, None where it does not say.

    `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3). A date, and the moment of
    `X-RateLimit-Reset`, are taken on the server's own clock where it tells it.
    """
    there = _moment(headers.get("date")) or now
    text = headers.get("retry-after", "").strip()
    if text:
        try:
            seconds = float(text)
        except ValueError:
            moment = _moment(text)
            return None if moment is None else max(moment - there, 0.0)
        return seconds if 0.0 <= seconds < float("inf") else None
    if headers.get("x-ratelimit-remaining", "").strip() == "0":
        try:
            reset = float(headers.get("x-ratelimit-reset", ""))
        except ValueError:
            return None
        return max(reset - there, 0.0) if reset < float("inf") else None
    return None


def _moment(text: str | None) -> float | None:
    """Return an HTTP date as Unix seconds, None where it is none."""
    try:
        found = parsedate_to_datetime(text or "")
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _refused(asked: Asked, said: str) -> str:
    if asked.token is None:
        return (
            f"{asked.what} of {asked.repository} are given only to who is logged in; set a token "
            "(docs/github.md)"
        )
    return (
        f"GitHub refuses the token from {asked.token}{_quote(said)}: it is expired or revoked; "
        "make a new one at https://github.com/settings/personal-access-tokens (Actions: read-only)"
    )


def _forbidden(headers: Mapping[str, str], asked: Asked, said: str) -> str:
    if headers.get("x-github-sso", "").lower().startswith("required") or "saml" in said.lower():
        return (
            f"the owner of {asked.repository} wants the token from {asked.token} authorized for "
            "single sign-on: Settings, Developer settings, the token, Configure SSO"
        )
    if asked.token is None:
        return (
            f"{asked.repository} is not shown without a token{_quote(said)}; set one (docs/"
            "github.md)"
        )
    return (
        f"the token from {asked.token} may not read {asked.what} of {asked.repository}"
        f"{_quote(said)}: open https://github.com/settings/personal-access-tokens, choose it, give "
        f"it access to {asked.repository} and set Repository permissions, Actions, to Read-only"
    )


def _missing(asked: Asked) -> str:
    if asked.token is None:
        return (
            f"GitHub shows no {asked.repository}: it is deleted, renamed, or private, and a "
            "private one needs a token (docs/github.md)"
        )
    return (
        f"GitHub shows no {asked.repository}: it is deleted or renamed, or the token from "
        f"{asked.token} was not given access to it (Settings, Developer settings, the token, "
        "Repository access)"
    )


def quoted(text: str) -> str:
    """Return foreign text on one line, without control characters, cut to a sentence's length."""
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return line if len(line) <= QUOTED else line[: QUOTED - 1] + "…"


def _quote(said: str) -> str:
    return f" ({said})" if said else ""


def back_off(failures: int, poll_seconds: float) -> float:
    """Return the seconds until the next poll: the interval, doubled with every failure."""
    return poll_seconds * min(2.0 ** min(max(failures - 1, 0), 10), LONGEST_BACK_OFF)


def ended_well(watch: Watch, now: float, poll_seconds: float) -> Watch:
    """Return a watch after a poll without trouble."""
    return msgspec.structs.replace(
        watch,
        tried_at=now,
        success_at=now,
        next_at=now + poll_seconds,
        wait_until=None,
        failures=0,
        trouble=None,
    )


def ended_badly(watch: Watch, trouble: Trouble, now: float, poll_seconds: float) -> Watch:
    """Return a watch after a poll with trouble."""
    failures = watch.failures + 1
    wait_until = None if trouble.wait is None else now + trouble.wait
    return msgspec.structs.replace(
        watch,
        tried_at=now,
        next_at=max(now + max(back_off(failures, poll_seconds), trouble.least), wait_until or 0.0),
        wait_until=wait_until,
        failures=failures,
        trouble=trouble.text,
    )


def must_wait(watch: Watch, now: float, longest: float) -> bool:
    """Return whether GitHub's own word still forbids to ask.

    A moment further away than any word is obeyed for is left of a clock that went back.
    """
    return watch.wait_until is not None and now < watch.wait_until <= now + longest


def is_due(watch: Watch, now: float, poll_seconds: float, longest: float) -> bool:
    """Return whether a watch is to be polled, by its stored times alone.

    A last poll that lies in the future, or a next one further away than any back-off reaches, is
    left of a clock that went back.
    """
    if must_wait(watch, now, longest):
        return False
    if watch.next_at is None or watch.tried_at is None or now >= watch.next_at:
        return True
    furthest = max(poll_seconds * LONGEST_BACK_OFF, longest)
    return watch.tried_at > now or watch.next_at > now + furthest
