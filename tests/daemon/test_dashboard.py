"""The dashboard: pages that are read on this computer, and give nothing else and to nobody else."""

import http.client
import re
import socket
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon import pages
from secdaemon.daemon.dashboard import HOST, PAGE_RUNS, _Server
from secdaemon.daemon.intake import Offer, accept
from secdaemon.daemon.lock import hold
from secdaemon.daemon.run_page import place
from secdaemon.pipeline.layout import RunFolder
from secdaemon.state.daemon_row import set_problem
from secdaemon.state.leases import acquire, heartbeat
from secdaemon.state.machine import Step, rule_of
from secdaemon.state.model import NewRun
from secdaemon.state.runs import get_run, newest_runs, set_run_dir, take_in
from secdaemon.state.store import Store

NOW = 1_800_000_000.0
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>\"' &amp; \u202e.zip"
ALLOWED = frozenset(
    {
        *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "nav"),
        *("footer", "div", "p", "span", "b", "a", "h1", "h2", "ul", "ol", "li", "dl", "dt", "dd"),
        *("table", "thead", "tbody", "tr", "th", "td", "progress"),
    }
)


class Page:
    """An answer of the server."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        """Read it."""
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()


class Elements(HTMLParser):
    """Collects a document's elements, attributes and text."""

    def __init__(self, text: str) -> None:
        """Read a document."""
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Keep text."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """All text, one after the other."""
        return "".join(self.words)

    @property
    def links(self) -> list[str]:
        """Where it leads."""
        return [value or "" for name, value in self.attributes if name == "href"]


Get = Callable[..., Page]


@pytest.fixture
def server(home: Home) -> Iterator[_Server]:
    """Yield a running server of the home."""
    found = _Server(0, Namespace(config=None), home)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.fixture
def get(server: _Server) -> Get:
    """Return what asks the server: (path, method=…, **headers)."""

    def ask(path: str = "/", method: str = "GET", **headers: str) -> Page:
        connection = http.client.HTTPConnection(HOST, server.server_port, timeout=30)
        try:
            connection.request(method, path, headers=headers)
            return Page(connection.getresponse())
        finally:
            connection.close()

    return ask


def taken(store: Store, home: Home, name: str, number: int = 0) -> str:
    """Record an artifact of this name and return its run."""
    sha256 = f"{number:064x}"
    new = NewRun(
        kind="inbox",
        name=name,
        sha256=sha256,
        size=1,
        project="p",
        archive=str(home.archive / f"{sha256}.zip"),
    )
    return take_in(store, new, NOW + number).run


def test_a_home_without_runs_says_what_to_do(get: Get, home: Home) -> None:
    """Nothing is made by looking, and the page says where zips go."""
    page = get()
    assert page.status == 200
    words = Elements(page.text).text
    assert "No runs yet" in words
    assert "not running" in words
    assert str(home.root / "inbox") in words
    assert not home.database.exists()


def test_the_overview_shows_the_daemon_and_the_newest_run_first(
    get: Get, home: Home, store: Store
) -> None:
    """Each run links to its page; the daemon's problems stand above them."""
    older = taken(store, home, "older.zip", 1)
    newer = taken(store, home, "newer.zip", 2)
    set_problem(store, "inbox", "it cannot be read", NOW)
    with hold(home, "run"):
        page = Elements(get().text)
    assert [link for link in page.links if "/run/" in link] == [f"/run/{newer}", f"/run/{older}"]
    assert "it cannot be read" in page.text
    assert "running" in page.text


def test_progress_is_shown_with_what_is_left(get: Get, home: Home, store: Store) -> None:
    """The bar has its numbers, and the words say how long it takes."""
    run = taken(store, home, "a.zip")
    lease = acquire(store, get_run(store, run), rule_of(Step.UNPACK), NOW)
    assert lease
    progress = '{"iteration": 30, "iterations": 120, "loss": 0.5, "eta_seconds": 75}'
    assert heartbeat(store, lease, progress, NOW)
    with hold(home, "run"):
        for page in (Elements(get().text), Elements(get(f"/run/{run}").text)):
            assert ("value", "30") in page.attributes
            assert ("max", "120") in page.attributes
            assert "1 min 15 s left" in page.text


def test_pages_refresh_without_a_script_until_they_are_told_not_to(
    get: Get, home: Home, store: Store
) -> None:
    """A meta element does it; a run that has ended stays as it is."""
    run = taken(store, home, "a.zip")
    for path in ("/", f"/run/{run}"):
        assert '<meta http-equiv="refresh" content="5">' in get(path).text
        still = get(f"{path}?still").text
        assert 'http-equiv="refresh"' not in still


def test_ten_thousand_runs_are_paged(get: Get, home: Home, store: Store) -> None:
    """A hundred a page, with a way to the others; what is no page is not there."""
    for number in range(2 * PAGE_RUNS + 1):
        taken(store, home, "a.zip", number)
    seen: list[str] = []
    for number in (1, 2, 3):
        page = Elements(get(f"/?page={number}").text)
        seen += [link for link in page.links if link.startswith("/run/")]
        assert f"page {number} of 3, 201 runs" in page.text
    assert seen == [f"/run/{run.id}" for run in newest_runs(store, -1)]
    assert {"/?page=1", "/?page=3"} < set(Elements(get("/?page=2").text).links)
    for wrong in ("0", "4", "-1", "x", "", "1e1", "%D9%A3", "9" * 5000):
        assert get(f"/?page={wrong}").status == 404


def test_one_run_is_told_whole(
    get: Get, home: Home, settings: Settings, store: Store, make_zip: Callable[..., Path]
) -> None:
    """Source, hash, folder and history stand on its page, and how to make its report."""
    offer = Offer(path=make_zip(home.root / "scan.zip"), kind="manual", remove=False)
    run = accept(store, home, settings, offer, NOW).run
    set_run_dir(store, run, str(home.root / "folder"))
    words = Elements(get(f"/run/{run}").text).text
    for text in (run, "scan.zip", get_run(store, run).sha256, "folder", "received"):
        assert text in words
    assert f"secdaemon report {run}" in words


def test_foreign_text_stays_text(get: Get, home: Home, store: Store) -> None:
    """Names that are markup make no element, and characters that turn text around are gone."""
    run = taken(store, home, HOSTILE)
    set_problem(store, "inbox", HOSTILE, NOW)
    set_run_dir(store, run, f"/{HOSTILE}")
    for path in ("/", f"/run/{run}"):
        page = get(path)
        assert page.status == 200
        found = Elements(page.text)
        assert found.tags <= ALLOWED
        assert not [name for name, _ in found.attributes if name.startswith("on")]
        assert "\u202e" not in page.text
        assert "<script>alert(1)</script>" in found.text


@pytest.mark.parametrize("address", ["javascript:alert(1)", "/folder", "data:text/html,x", "//x"])
def test_only_web_addresses_are_links(address: str) -> None:
    """What else an address may be is shown as text."""
    assert Elements(place(address) or "").links == []
    assert Elements(place(f"https://hub.example/{address}") or "").links


@given(text=st.text())
def test_no_text_makes_an_element(text: str) -> None:
    """Whatever a sentence holds, a notice is the same elements."""
    found = Elements(pages.notice("Not there", text))
    assert found.tags == {
        *("html", "head", "meta", "title", "style", "body", "main", "nav", "a", "h1", "p"),
    }


def test_nothing_is_loaded_and_nothing_is_kept(get: Get, home: Home, store: Store) -> None:
    """The policy lets in one style sheet by its hash; no element asks for anything from elsewhere."""
    taken(store, home, "a.zip")
    for path in ("/", "/absent"):
        page = get(path)
        policy = page.headers["Content-Security-Policy"]
        assert re.fullmatch(
            r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; "
            r"form-action 'none'; frame-ancestors 'none'",
            policy,
        )
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Cache-Control"] == "no-store"
        assert "Python" not in page.headers["Server"]
        found = Elements(page.text)
        assert found.tags <= ALLOWED
        assert not {"src", "srcset", "action", "style"} & {name for name, _ in found.attributes}
        assert all(link.startswith("/") for link in found.links)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", "127.0.0.1.nip.io", ""],
)
def test_another_name_gets_nothing(
    get: Get, home: Home, store: Store, server: _Server, host: str
) -> None:
    """A name that was made to point here is refused, and no run is named."""
    run = taken(store, home, "a.zip")
    page = get("/", Host=host.format(port=server.server_port))
    assert page.status == 403
    assert run not in page.text
    assert get("/", Host=f"LOCALHOST:{server.server_port}").status == 200


@pytest.mark.parametrize(
    "lines",
    [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET /<script> HTTP/9.9\r\n\r\n",
    ],
)
def test_a_request_that_is_none_is_refused(server: _Server, lines: str) -> None:
    """No host, two hosts, no HTTP: an error, and nothing of what was sent comes back."""
    with socket.create_connection((HOST, server.server_port), timeout=30) as connection:
        connection.sendall(lines.format(port=server.server_port).encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.match(rb"(HTTP/1.0 )(4\d\d|505)|<!doctype html>", answer)
    assert b"nonsense" not in answer
    assert b"<script" not in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_only_reading_is_allowed(get: Get, method: str) -> None:
    """Every other method is refused, with those that are not; HEAD is GET without the page."""
    page = get("/", method)
    assert (page.status, page.headers["Allow"]) == (405, "GET, HEAD")
    head = get("/", "HEAD")
    assert (head.status, head.text) == (200, "")
    assert int(head.headers["Content-Length"]) > 1000


@pytest.mark.parametrize(
    "path",
    [
        "/run/",
        "/run/20990101_000000",
        "/run/20990101_000000/report",
        "/run/../../etc/passwd",
        "/run/..%2f..%2fetc%2fpasswd/report",
        "/run/{run}/report.html",
        "/run/{run}/../state.db",
        "/run/{run}/report/../../config.yaml",
        "/config.yaml",
        "/state.db",
        "//etc/passwd",
        "/run/{run}%00/report",
        "/{run}",
    ],
)
def test_no_path_leads_to_a_file(get: Get, home: Home, store: Store, path: str) -> None:
    """Only a known run has pages; the file system is not asked for any other name."""
    run = taken(store, home, "a.zip")
    page = get(path.format(run=run))
    assert page.status == 404
    assert "root:" not in page.text


def test_a_request_to_a_proxy_is_none_to_us(get: Get, server: _Server) -> None:
    """A whole address in the request line is refused by its host, and as a path."""
    assert get("http://evil.example/").status == 403
    assert get("http://evil.example/", Host=f"{HOST}:{server.server_port}").status == 404


def report_of(home: Home, store: Store, body: bytes) -> str:
    """Return a run whose folder has this as its report."""
    run = taken(store, home, "a.zip")
    folder = RunFolder(home.root / "folder")
    folder.root.mkdir()
    folder.report.write_bytes(body)
    set_run_dir(store, run, str(folder.root))
    return run


def test_a_report_is_served_under_the_policy_it_was_made_for(
    get: Get, home: Home, store: Store
) -> None:
    """The header lets in that style sheet, and no more than the report's own head does."""
    made = pages.notice("A report", "its text").replace(pages.policy(), pages.policy())
    run = report_of(home, store, made.encode())
    assert f"/run/{run}/report" in Elements(get(f"/run/{run}").text).links
    page = get(f"/run/{run}/report")
    assert (page.status, page.text) == (200, made)
    assert page.headers["Content-Security-Policy"] == f"{pages.policy()}; frame-ancestors 'none'"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<script>alert(1)</script>",
        b"<meta content=\"default-src *; script-src 'unsafe-inline'\"><script>alert(1)</script>",
    ],
)
def test_what_is_no_report_of_ours_is_not_served(
    get: Get, home: Home, store: Store, body: bytes
) -> None:
    """A file without the policy that reports have stays where it is."""
    run = report_of(home, store, body)
    page = get(f"/run/{run}/report")
    assert page.status == 404
    assert "<script" not in page.text
    assert f"secdaemon report {run}" in page.text


def test_a_report_that_is_a_link_is_not_followed(
    get: Get, home: Home, store: Store, tmp_path: Path
) -> None:
    """What lies elsewhere is not served, even where it looks like a report."""
    run = report_of(home, store, b"")
    elsewhere = tmp_path / "elsewhere.html"
    elsewhere.write_text(pages.notice("Elsewhere", "secret"))
    report = RunFolder(home.root / "folder").report
    report.unlink()
    report.symlink_to(elsewhere)
    page = get(f"/run/{run}/report")
    assert page.status == 404
    assert "secret" not in page.text


def test_a_damaged_database_is_told_and_the_server_goes_on(get: Get, home: Home) -> None:
    """The page says what to do, as `status` does; settings that are wrong name their key."""
    home.database.write_bytes(b"this is no database, and it is long enough to be one" * 40)
    page = get()
    assert page.status == 503
    assert "state.db" in page.text
    home.database.unlink()
    home.config_file.write_text("stage1: {iteration: 1}")
    page = get()
    assert page.status == 503
    assert "stage1.iteration" in Elements(page.text).text
    home.config_file.write_text("")
    assert get().status == 200
