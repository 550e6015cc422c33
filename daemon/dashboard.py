"""`secdaemon dashboard`: all runs as web pages on loopback, to be read and nothing else.

Whoever is logged in on this computer can read them; other computers cannot, and pages of other
origins cannot either: only requests that name this server by its loopback name are answered, so
that a name that was made to point here (DNS rebinding) gets nothing.
"""

import os
import re
import signal
import socketserver
import sqlite3
import sys
import webbrowser
from argparse import Namespace
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import msgspec

from secdaemon.config.paths import Home
from secdaemon.config.settings import ConfigError
from secdaemon.daemon import pages
from secdaemon.daemon.cli import WELL, WrongUseError
from secdaemon.daemon.commands import existing_store, say, settings_to_show
from secdaemon.daemon.views import training_waits, view_polls, view_run, view_status
from secdaemon.pipeline.layout import RunFolder
from secdaemon.state.model import StoreError, UnknownRunError
from secdaemon.state.runs import count_runs, get_run
from secdaemon.state.store import Store, store_error

HOST = "127.0.0.1"
PAGE_RUNS = 100
IDLE_SECONDS = 30.0
"""How long a connection may keep its thread without a request."""
_RUN = re.compile(r"/run/([0-9_]{1,40})(/report)?")
_PAGE = re.compile(r"[1-9][0-9]{0,8}")
_REPORT_POLICY = re.compile(
    rb"default-src &#x27;none&#x27;; style-src &#x27;sha256-([A-Za-z0-9+/]{43}=)&#x27;; "
    rb"base-uri &#x27;none&#x27;; form-action &#x27;none&#x27;"
)
"""The policy in a report's head; the style sheet that it lets in changes with the version."""
_HEAD_BYTES = 2000


class Answer(msgspec.Struct, frozen=True):
    """What is sent back."""

    status: HTTPStatus
    body: bytes
    policy: str


class NotThereError(Exception):
    """There is no such page; the message is for the reader."""


class _Server(ThreadingHTTPServer):
    """Answers for one home."""

    def __init__(self, port: int, args: Namespace, home: Home) -> None:
        self.args = args
        self.home = home
        super().__init__((HOST, port), _Handler)

    def server_bind(self) -> None:
        """Bind, without asking the name service who 127.0.0.1 is, which can take long on a Mac."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """Pass over what a browser does that goes away; anything else is told in a line."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"secdaemon: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201

    @property
    def hosts(self) -> frozenset[str]:
        """The names that a request may call this server by."""
        port = self.server_port
        bare = {HOST, "localhost"} if port == 80 else set()  # noqa: PLR2004 - http's own port
        return frozenset({f"{HOST}:{port}", f"localhost:{port}", *bare})


class _Handler(BaseHTTPRequestHandler):
    """One connection: GET and HEAD, from this server's own name."""

    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        """Answer with a page."""
        self._send(self._answer())

    def do_HEAD(self) -> None:
        """Answer as GET does, without the page."""
        self._send(self._answer())

    def send_error(
        self,
        code: int,
        message: str | None = None,  # noqa: ARG002 - it may quote what was sent
        explain: str | None = None,  # noqa: ARG002
    ) -> None:
        """Answer what is no request, or no GET: one line, and nothing of what was sent."""
        refused = code == HTTPStatus.NOT_IMPLEMENTED
        status = HTTPStatus.METHOD_NOT_ALLOWED if refused else HTTPStatus(code)
        self.close_connection = True
        self._send(_page(status, status.phrase, "Pages can be read here, and nothing else."))

    def log_message(self, *_: object) -> None:
        """Say nothing: standard output is the address alone."""

    def version_string(self) -> str:
        """The server's name, without the version of Python."""
        return "secdaemon"

    def _answer(self) -> Answer:
        server = cast("_Server", self.server)
        named = self.headers.get_all("Host", [])
        if len(named) != 1 or named[0].lower() not in server.hosts:
            return _page(HTTPStatus.FORBIDDEN, "Forbidden", f"Ask for http://{HOST} by that name.")
        try:
            return answer(self.path, server.args, server.home)
        except (NotThereError, UnknownRunError) as error:
            return _page(HTTPStatus.NOT_FOUND, "Not there", str(error))
        except (StoreError, ConfigError) as error:
            return _page(HTTPStatus.SERVICE_UNAVAILABLE, "Cannot be shown", str(error))
        except sqlite3.Error as error:
            text = str(store_error(server.home.database, error))
            return _page(HTTPStatus.SERVICE_UNAVAILABLE, "Cannot be shown", text)

    def _send(self, found: Answer) -> None:
        self.send_response(found.status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(found.body)))
        self.send_header("Content-Security-Policy", f"{found.policy}; frame-ancestors 'none'")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        if found.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(found.body)


def dashboard(args: Namespace, home: Home) -> int:
    """`secdaemon dashboard`: until Ctrl-C (130) or SIGTERM (0)."""
    settings_to_show(args, home)
    try:
        server = _Server(args.port, args, home)
    except OSError as error:
        msg = f"--port {args.port}: {error.strerror}"
        raise WrongUseError(msg) from error
    url = f"http://{HOST}:{server.server_port}/"
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(WELL))
    try:
        say(url)
        if not args.no_open and _has_browser():
            webbrowser.open(url)
        server.serve_forever()
    finally:
        signal.signal(signal.SIGTERM, before)
        server.server_close()
    return WELL


def _has_browser() -> bool:
    """Whether a person sits before a screen; a browser within the terminal is not wanted."""
    screen = sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    return bool(screen) and sys.stdout.isatty()


def answer(target: str, args: Namespace, home: Home) -> Answer:
    """Return the page that a request's target names.

    Raises:
        NotThereError, UnknownRunError: there is none.
        StoreError, sqlite3.Error: state.db cannot be read.
        ConfigError: the settings are wrong.
    """
    path, query = urlsplit(target)[2:4]
    asked = dict(parse_qsl(query, keep_blank_values=True))
    with existing_store(home) as store:
        if path == "/" and target.startswith("/"):
            return _overview(store, asked, args, home)
        found = _RUN.fullmatch(path)
        if found is None or store is None or not target.startswith("/"):
            msg = "There is no such page."
            raise NotThereError(msg)
        if found[2]:
            return _report(store, found[1])
        return _run(store, found[1], still="still" in asked)


def _overview(store: Store | None, asked: dict[str, str], args: Namespace, home: Home) -> Answer:
    settings = settings_to_show(args, home)
    runs = count_runs(store) if store else 0
    whole = max(1, -(-runs // PAGE_RUNS))
    number = asked.get("page", "1")
    if not _PAGE.fullmatch(number) or int(number) > whole:
        msg = f"The runs stand on {whole} page{'' if whole == 1 else 's'}."
        raise NotThereError(msg)
    paging = pages.Paging(int(number), whole, runs)
    view = view_status(store, home, settings, PAGE_RUNS, PAGE_RUNS * (paging.number - 1))
    path = "/" if paging.number == 1 else f"/?page={paging.number}"
    moment = pages.Moment(path, still="still" in asked)
    polls = view_polls(store, settings)
    return _well(pages.overview(view, polls, training_waits(store), paging, moment))


def _run(store: Store, run_id: str, *, still: bool) -> Answer:
    run = view_run(store, run_id)
    report = run.run_dir is not None and RunFolder(Path(run.run_dir)).report.is_file()
    moment = pages.Moment(f"/run/{run.id}", still)
    return _well(pages.one_run(run, training_waits(store), moment, report=report))


def _report(store: Store, run_id: str) -> Answer:
    """Return a run's report under the policy that it was made for.

    Raises:
        UnknownRunError: there is no such run.
        NotThereError: it has no report, or none that this program made.
    """
    run = get_run(store, run_id)
    again = f"`secdaemon report {run.id}` makes it."
    body = b""
    with suppress(OSError):
        if run.run_dir is not None:
            file = os.open(RunFolder(Path(run.run_dir)).report, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(file, "rb") as opened:
                body = opened.read()
    found = _REPORT_POLICY.search(body, 0, _HEAD_BYTES)
    if found is None:
        msg = f"Run {run.id} has no report{' that can be shown' if body else ''}: {again}"
        raise NotThereError(msg)
    digest = found[1].decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return Answer(HTTPStatus.OK, body, policy)


def _well(text: str) -> Answer:
    return Answer(HTTPStatus.OK, text.encode(), pages.policy())


def _page(status: HTTPStatus, title: str, text: str) -> Answer:
    return Answer(status, pages.notice(title, text).encode(), pages.policy())
