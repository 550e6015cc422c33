"""What GitHub's answers mean, and when it is asked again: pure functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.daemon.github.manners import (
    Asked,
    Kind,
    Trouble,
    back_off,
    ended_badly,
    ended_well,
    is_due,
    must_wait,
    quoted,
    trouble_of,
    wait_of,
)
from secdaemon.state.polls import Watch

NOW = 1_800_000_000.0
DATE = "Fri, 15 Jan 2027 08:00:00 GMT"
LATER = "Fri, 15 Jan 2027 08:02:00 GMT"
ASKED = Asked(repository="owner/repo", token="$GITHUB_TOKEN")
NOBODY = Asked(repository="owner/repo", token=None)
WATCH = Watch(watch="w", repository="owner/repo")


def trouble(
    status: int, headers: dict[str, str] | None = None, message: str = "", asked: Asked = ASKED
) -> Trouble:
    """Return the trouble of an answer; there has to be one."""
    found = trouble_of(status, headers or {}, f'{{"message": "{message}"}}', asked, NOW, 3600.0)
    assert found
    return found


@pytest.mark.parametrize("status", [200, 206, 304])
def test_good_answers_are_no_trouble(status: int) -> None:
    """Nothing of them is looked at."""
    assert trouble_of(status, {"retry-after": "9"}, "<html>", ASKED, NOW, 3600.0) is None


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": LATER, "date": DATE}, 120.0),
        ({"retry-after": DATE, "date": LATER}, 0.0),
        ({"retry-after": "Fri, 99 Jan 2027"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 90)}, 90.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        ({"x-ratelimit-remaining": "7", "x-ratelimit-reset": str(int(NOW) + 90)}, None),
        ({}, None),
    ],
)
def test_how_long_an_answer_asks_to_wait(headers: dict[str, str], wait: float | None) -> None:
    """Seconds or a date, on the server's own clock; anything else is no word at all."""
    assert wait_of(headers, NOW) == wait


@given(st.dictionaries(st.sampled_from(["retry-after", "date", "x-ratelimit-reset"]), st.text()))
def test_no_header_breaks_the_reading(headers: dict[str, str]) -> None:
    """Whatever stands in them, the wait is a number from 0 up, or unknown."""
    found = wait_of({**headers, "x-ratelimit-remaining": "0"}, NOW)
    assert found is None or 0.0 <= found < float("inf")


@pytest.mark.parametrize(
    ("status", "headers", "message", "wait"),
    [
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 90)}, "", 90.0),
        (429, {"retry-after": "30"}, "", 30.0),
        (403, {"retry-after": "30"}, "secondary rate limit", 30.0),
        (403, {}, "You have exceeded a secondary rate limit", None),
        (403, {}, "API rate limit exceeded for 1.2.3.4", None),
        (429, {}, "", None),
        (429, {"retry-after": "86400"}, "", 3600.0),
        (429, {"retry-after": "0"}, "", 1.0),
    ],
)
def test_both_rate_limits_with_and_without_headers(
    status: int, headers: dict[str, str], message: str, wait: float | None
) -> None:
    """What is not said is a minute of our own; what is said is obeyed, up to max_wait_seconds."""
    found = trouble(status, headers, message)
    assert (found.kind, found.wait) == (Kind.LIMIT, wait)
    assert found.least == (60.0 if wait is None else 0.0)
    row = ended_badly(WATCH, found, NOW, 5.0)
    assert row.next_at == NOW + max(5.0, 60.0 if wait is None else wait)


@pytest.mark.parametrize(
    ("status", "headers", "message", "asked", "kind", "words"),
    [
        (401, {}, "Bad credentials", ASKED, Kind.TOKEN, "expired or revoked; make a new one"),
        (401, {}, "Requires authentication", NOBODY, Kind.TOKEN, "only to who is logged in"),
        (
            403,
            {},
            "Resource not accessible by personal access token",
            ASKED,
            Kind.PERMISSION,
            "set Repository permissions, Actions, to Read-only",
        ),
        (403, {"x-github-sso": "required; url=https://x"}, "", ASKED, Kind.PERMISSION, "SSO"),
        (403, {}, "Forbidden", NOBODY, Kind.PERMISSION, "without a token"),
        (404, {}, "Not Found", ASKED, Kind.MISSING, "the token from $GITHUB_TOKEN"),
        (404, {}, "Not Found", NOBODY, Kind.MISSING, "private one needs a token"),
        (410, {}, "", ASKED, Kind.GONE, "gone for good"),
        (451, {}, "", ASKED, Kind.MISSING, "legal"),
        (500, {}, "", ASKED, Kind.SERVER, "HTTP 500"),
        (503, {}, "", ASKED, Kind.SERVER, "HTTP 503"),
        (418, {}, "teapot", ASKED, Kind.FORM, "HTTP 418 (teapot)"),
    ],
)
def test_every_refusal_has_its_words(  # noqa: PLR0917 - a table
    status: int, headers: dict[str, str], message: str, asked: Asked, kind: Kind, words: str
) -> None:
    """They say what it means and what to do."""
    found = trouble(status, headers, message, asked)
    assert found.kind is kind
    assert words in found.text


def test_a_server_that_names_a_pause_gets_it() -> None:
    """503 with Retry-After, as in maintenance."""
    assert trouble(503, {"retry-after": "600"}).wait == 600.0


def test_foreign_sentences_are_cut_and_harmless() -> None:
    """No escape sequence, no line break, no novel."""
    assert quoted("a\x1b[31m b\n\tc" + "d" * 999) == "a [31m b c" + "d" * 149 + "…"


def test_back_off_doubles_to_twelve_intervals() -> None:
    """The first failure waits as long as a success does."""
    assert [back_off(n, 300.0) for n in range(1, 8)] == [300, 600, 1200, 2400, 3600, 3600, 3600]


def test_a_success_forgets_the_failures() -> None:
    """And its time is the next poll's base."""
    bad = ended_badly(WATCH, Trouble(Kind.SERVER, "HTTP 500"), NOW, 300.0)
    assert (bad.failures, bad.trouble, bad.success_at) == (1, "HTTP 500", None)
    good = ended_well(bad, NOW + 300, 300.0)
    assert (good.failures, good.trouble, good.success_at) == (0, None, NOW + 300)
    assert good.next_at == NOW + 600


def test_githubs_word_outlasts_the_own_back_off() -> None:
    """It forbids a person's poll as well, and survives in the row."""
    bad = ended_badly(WATCH, Trouble(Kind.LIMIT, "limit", 900.0), NOW, 60.0)
    assert bad.next_at == bad.wait_until == NOW + 900
    assert must_wait(bad, NOW + 899, 3600.0)
    assert not must_wait(bad, NOW + 900, 3600.0)


@pytest.mark.parametrize("jump", [-10 * 365 * 86400, -86400, 86400, 10 * 365 * 86400])
def test_a_clock_that_jumps_delays_no_poll(jump: float) -> None:
    """Back: the last poll lies in the future. Forth: the next one in the past."""
    row = ended_well(WATCH, NOW, 300.0)
    assert not is_due(row, NOW + 299, 300.0, 3600.0)
    assert is_due(row, NOW + 300, 300.0, 3600.0)
    assert is_due(row, NOW + jump, 300.0, 3600.0)


@given(st.floats(-1e8, 1e8), st.integers(0, 20), st.none() | st.floats(1, 3600))
def test_every_watch_is_due_in_the_end(jump: float, failures: int, wait: float | None) -> None:
    """However the clock jumped, no longer than the longest wait after it."""
    row = WATCH
    for _ in range(failures):
        row = ended_badly(row, Trouble(Kind.LIMIT, "x", wait), NOW, 300.0)
    assert is_due(row, NOW + jump + 7200.0, 300.0, 3600.0) or is_due(row, NOW + jump, 300.0, 3600.0)
