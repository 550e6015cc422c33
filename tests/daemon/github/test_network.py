"""Everything that a connection can do wrong ends, soon, in a sentence without an address."""

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from github_server import Artifact, Fault, Run

from secdaemon.daemon.github import connection
from secdaemon.daemon.github.manners import LIMIT_SECONDS

Scene = Any
Scan = Callable[..., Artifact]
NAME = "owner/repo"


@pytest.fixture
def impatient(scene: Scene, scan: Scan) -> Iterator[Scene]:
    """Yield a scene with one trusted run and half a second of patience."""
    scene.change(timeout_seconds=0.5)
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    yield scene
    scene.github.released.set()


def fails(scene: Scene, fault: Fault, host: str = "api", part: str = "") -> str:
    """Poll while a fault lasts, then without; return the words, the run being taken in the end."""
    scene.github.fault = lambda at, path: fault if at == host and part in path else None
    found = scene.poll()
    assert not found.ok
    assert found.taken == ()
    assert "SAS-SECRET" not in found.problem
    assert scene.github.token not in found.problem
    scene.github.fault = lambda _at, _path: None
    assert scene.poll(4000).ok
    assert scene.taken() == [(1, 1)]
    return found.problem


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(how="hang"), "no answer within 0.5 s"),
        (Fault(how="drip"), "no whole answer within 1 s"),
        (Fault(how="drip_headers"), "no whole answer within 1 s"),
        (Fault(how="close"), "cannot be reached"),
        (Fault(how="truncate"), "broke in the middle"),
        (Fault(500), "HTTP 500"),
        (Fault(502, body="<html>bad gateway</html>"), "HTTP 502"),
        (Fault(202), "being prepared (HTTP 202)"),
        (Fault(304, body=""), "not GitHub's"),
        (Fault(200, body="<html>log in</html>"), "login page or a proxy"),
        (Fault(200, body="{}"), "not GitHub's"),
        (Fault(200, body="[1, 2"), "not GitHub's"),
        (Fault(200, body='{"workflow_runs": 5}'), "not GitHub's"),
        (Fault(200, body=b"\xff\xfe\x00"), "not GitHub's"),
        (Fault(301, {"Location": "/"}), "HTTP 404|shows no owner/repo|redirects"),
        (Fault(302, {"Location": "http://127.0.0.9/x"}), "redirects to another address"),
        (Fault(307, {"Location": "/repos/owner/repo/actions/runs"}), "redirects in circles"),
        (Fault(429), "rate limit"),
        (Fault(403, {"Retry-After": "7"}, '{"message": "secondary rate limit"}'), "secondary"),
        (Fault(401, body='{"message": "Bad credentials"}'), "only to who is logged in|refuses"),
        (Fault(404, body='{"message": "Not Found"}'), "shows no owner/repo"),
    ],
)
def test_a_list_that_does_not_come(impatient: Scene, fault: Fault, words: str) -> None:
    """It is said why, and the next poll takes in what there is."""
    problem = fails(impatient, fault)
    assert any(word in problem for word in words.split("|")), problem


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(how="hang"), "no answer within 0.5 s"),
        (Fault(how="drip"), "bytes a second"),
        (Fault(how="close"), "cannot be reached"),
        (Fault(403, body="<Error/>"), "HTTP 403"),
        (Fault(503, body="<Error/>"), "HTTP 503"),
        (Fault(302, {"Location": "/1"}), "in circles"),
        (Fault(how="corrupt"), "is damaged"),
        (Fault(200, body="<html>log in</html>"), "is damaged"),
    ],
)
def test_a_download_that_does_not_come(impatient: Scene, fault: Fault, words: str) -> None:
    """Its address, which is as good as a password, is in no sentence."""
    assert words in fails(impatient, fault, "blob")


def test_a_download_that_always_breaks_off_goes_on_with_the_next_poll(impatient: Scene) -> None:
    """Four tries a poll, and no more."""
    half = impatient.github.find_artifact(1).content
    impatient.github.no_ranges = True
    assert "broke in the middle" in fails(impatient, Fault(how="truncate"), "blob")
    asked = [seen for seen in impatient.github.requests("blob") if seen.path == "/1"]
    assert len(asked) == 5
    assert half


def test_artifacts_that_are_not_listed(impatient: Scene) -> None:
    """HTML where the artifacts should stand."""
    problem = fails(impatient, Fault(200, body="<html>"), part="/artifacts")
    assert "a list of artifacts was expected" in problem


def test_nobody_listens(impatient: Scene) -> None:
    """A port that refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    impatient.change(api_url=f"http://127.0.0.1:{port}")
    assert impatient.poll().problem == "127.0.0.1: it cannot be reached"


def test_an_answer_without_end_is_cut_off(impatient: Scene) -> None:
    """More than any page of GitHub's has is not read into memory."""
    body = b" " * (connection.LARGEST_ANSWER + 2)
    assert "more than 32 MB" in fails(impatient, Fault(200, body=body))


def test_a_deflated_answer_is_read(impatient: Scene) -> None:
    """As GitHub sends them, since PyGithub asks for them."""
    body, _ = impatient.github.listing(NAME, 1, 100)
    packed = Fault(200, {"Content-Encoding": "gzip"}, gzip.compress(json.dumps(body).encode()))
    impatient.github.fault = lambda _host, path: packed if path.endswith("/runs") else None
    assert impatient.poll().ok
    assert impatient.taken() == [(1, 1)]


def test_one_run_that_never_comes_does_not_hold_up_the_others(scene: Scene, scan: Scan) -> None:
    """After some polls it steps aside; the back-off is the repository's until then."""
    scene.change(watched={"backfill": 2})
    scene.github.add(NAME, *(Run(n, second=n, artifacts=[scan(n)]) for n in (1, 2)))
    scene.github.fault = lambda _host, path: Fault(500) if path.endswith("/1/zip") else None
    for _ in range(4):
        assert not scene.poll(4000).ok
    assert scene.taken() == [(2, 1)]
    scene.github.fault = lambda _host, _path: None
    assert scene.poll(4000).ok
    assert scene.taken() == [(2, 1), (1, 1)]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(
            403,
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(2**33)},
            '{"message": "API rate limit exceeded"}',
        ),
        Fault(429, {"Retry-After": "60"}, '{"message": "slow down"}'),
        Fault(503, {"Retry-After": "60"}, "<html>maintenance</html>"),
    ],
)
def test_githubs_word_is_obeyed_also_by_a_person_and_after_a_restart(
    scene: Scene, scan: Scan, fault: Fault
) -> None:
    """Until then no request is made at all; the sentence and the time stay."""
    scene.change(max_wait_seconds=60)
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    scene.github.fault = lambda _host, _path: fault
    first = scene.poll()
    scene.github.requests()
    scene.github.fault = lambda _host, _path: None
    early = scene.poll(58)
    assert not early.ok
    assert (early.problem, early.next_try_at) == (first.problem, first.next_try_at)
    assert scene.github.requests() == []
    assert scene.poll(3).ok


def test_a_limit_that_says_nothing_is_the_daemons_own_minute(scene: Scene, scan: Scan) -> None:
    """A person may ask before it is over."""
    scene.change(poll_seconds=5)
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    message = '{"message": "You have exceeded a secondary rate limit."}'
    scene.github.fault = lambda _host, _path: Fault(403, {}, message)
    scene.poll()
    assert scene.watch().next_at == scene.now + LIMIT_SECONDS
    scene.github.fault = lambda _host, _path: None
    assert scene.poll(1).ok


def test_the_own_back_off_is_passed_over_by_a_person(scene: Scene, scan: Scan) -> None:
    """A 500 is asked about again at once when somebody wants to know."""
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    scene.github.fault = lambda _host, _path: Fault(500)
    for _ in range(3):
        scene.poll()
    assert scene.watch().failures == 3
    scene.github.fault = lambda _host, _path: None
    assert scene.poll().ok


def test_a_word_too_long_is_capped(scene: Scene) -> None:
    """github.max_wait_seconds is the longest that anybody is obeyed."""
    scene.change(max_wait_seconds=100)
    scene.github.fault = lambda _host, _path: Fault(429, {"Retry-After": "99999"})
    scene.poll()
    assert scene.watch().wait_until == scene.now + 100
