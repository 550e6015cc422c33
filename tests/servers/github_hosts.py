"""GitHub on the loopback: the two hosts, the API and the one that artifacts are downloaded from."""

import hashlib
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from github_server import Fault, GitHub, Seen


class _Talk(BaseHTTPRequestHandler):
    """One connection to either host."""

    protocol_version = "HTTP/1.1"
    github: GitHub
    host: str

    def log_message(self, *_: object) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        fault = self.github.fault(self.host, path)
        if fault is not None and self._misbehave(fault, path):
            return
        if self.host == "blob":
            self._blob(path, fault)
        else:
            self._api(path)

    # -- API ---------------------------------------------------------------------------------

    def _api(self, path: str) -> None:
        github = self.github
        path = path.removeprefix(github.prefix)
        wanted = self.headers.get("Authorization")
        if github.token and wanted not in (None, f"token {github.token}", f"Bearer {github.token}"):
            self._send(401, {"message": "Bad credentials"})
            return
        for number, name in list(enumerate(github.repositories)):
            path = path.replace(f"/repositories/{number + 1}/", f"/repos/{name}/")
        found = re.fullmatch(r"/repos/([^/]+/[^/]+)/actions/(.*)", path)
        name = found[1] if found else ""
        if name in github.moved:
            where = path.replace(name, github.moved[name])
            query = urlsplit(self.path).query
            self._send(
                301,
                {"message": "Moved Permanently"},
                {"Location": f"{github.api}{where}?{query}"},
            )
            return
        if found is None or name not in github.repositories:
            self._send(404, {"message": "Not Found"})
            return
        self._actions(name, found[2])

    def _actions(self, name: str, rest: str) -> None:
        github = self.github
        query = parse_qs(urlsplit(self.path).query)
        if rest == "runs":
            size = min(int(query.get("per_page", ["30"])[0]), github.per_page)
            page = int(query.get("page", ["1"])[0])
            body, more = github.listing(name, page, size)
            number = list(github.repositories).index(name) + 1
            link = f"<{github.api}/repositories/{number}/actions/runs?per_page={size}&page="
            links = f'{link}1>; rel="first", {link}{page + 1}>; rel="next"' if more else ""
            self._send(200, body, {"Link": links} if links else {})
        elif match := re.fullmatch(r"runs/(\d+)", rest):
            run = github.find_run(name, int(match[1]))
            self._maybe(run and github.run_json(name, run))
        elif match := re.fullmatch(r"runs/(\d+)/artifacts", rest):
            run = github.find_run(name, int(match[1]))
            items = [github.artifact_json(name, run, a) for a in run.artifacts] if run else []
            self._maybe(run and {"total_count": len(items), "artifacts": items})
        elif match := re.fullmatch(r"artifacts/(\d+)/zip", rest):
            self._zip(int(match[1]))
        else:
            self._send(404, {"message": "Not Found"})

    def _maybe(self, body: dict[str, Any] | None) -> None:
        self._send(200, body) if body else self._send(404, {"message": "Not Found"})

    def _zip(self, number: int) -> None:
        artifact = self.github.find_artifact(number)
        if artifact is None:
            self._send(404, {"message": "Not Found"})
        elif self.github.token and not self.headers.get("Authorization"):
            self._send(401, {"message": "Requires authentication"})
        elif artifact.expired:
            self._send(410, {"message": "Artifact has expired"})
        else:
            where = f"{self.github.blob}/{number}?sig=SAS-SECRET-{number}"
            self._send(302, None, {"Location": where})

    def _send(
        self, status: int, body: dict[str, Any] | None, headers: dict[str, str] | None = None
    ) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        more = dict(headers or {})
        if self.github.limit:
            more["X-RateLimit-Limit"] = "5000"
            more["X-RateLimit-Remaining"] = str(self.github.limit[0])
            more["X-RateLimit-Reset"] = str(self.github.limit[1])
        if status == 200:
            etag = f'W/"{hashlib.sha256(text).hexdigest()}"'
            more["ETag"] = etag
            if self.headers.get("If-None-Match") == etag:
                status, text = 304, b""
        self._write(status, more, text, "application/json; charset=utf-8")

    # -- blob host ---------------------------------------------------------------------------

    def _blob(self, path: str, fault: Fault | None) -> None:
        if self.headers.get("Authorization"):
            self._write(403, {}, b"<Error>stray Authorization</Error>", "application/xml")
            return
        artifact = self.github.find_artifact(int(path.strip("/")))
        if artifact is None or "sig=" not in self.path:
            self._write(404, {}, b"<Error/>", "application/xml")
            return
        content, status, headers = artifact.content, 200, {}
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if found and not self.github.no_ranges:
            start = int(found[1])
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content = content[start:]
        how = fault.how if fault else ""
        if how == "corrupt":
            content = bytes(255 - byte for byte in content)
        if how == "truncate":
            self._write(status, headers, content[: len(content) // 2], "application/zip", content)
        elif how == "drip":
            self._write(status, headers, b"", "application/zip", content)
            self._drip(content)
        else:
            self._write(status, headers, content, "application/zip")

    # -- misbehaviour ------------------------------------------------------------------------

    def _misbehave(self, fault: Fault, path: str) -> bool:
        """Do what a fault says; False where the good answer is to be given after all."""
        if fault.how in {"corrupt", "truncate", "drip"} and self.host == "blob":
            return False
        body = fault.body if isinstance(fault.body, bytes) else fault.body.encode()
        match fault.how:
            case "hang":
                self._note(0, path)
                self.github.released.wait(60)
                self.close_connection = True
            case "close":
                self._note(0, path)
                self.close_connection = True
                self.connection.close()
            case "truncate":
                self._write(200, fault.headers, body[:5], "application/json", body + b" " * 99)
            case "drip":
                self._write(200, fault.headers, b"", "application/json", body + b" " * 9999)
                self._drip(body + b" " * 9999)
            case "drip_headers":
                self._note(0, path)
                self._drip(b"HTTP/1.1 200 OK\r\n" + b"X-Drip: 1\r\n" * 1000)
            case _:
                kind = "text/html" if body.lstrip().startswith(b"<") else "application/json"
                self._write(fault.status, fault.headers, body, kind)
        return True

    def _drip(self, content: bytes) -> None:
        self.close_connection = True
        for byte in content:
            if self.github.released.wait(0.05):
                return
            self.wfile.write(bytes([byte]))
            self.wfile.flush()

    def _note(self, status: int, path: str) -> None:
        seen = Seen(
            self.host,
            path,
            urlsplit(self.path).query,
            status,
            {k.lower(): v for k, v in self.headers.items()},
        )
        with self.github.lock:
            self.github.seen.append(seen)

    def _write(
        self,
        status: int,
        headers: dict[str, str],
        body: bytes,
        kind: str,
        promised: bytes | None = None,
    ) -> None:
        self._note(status, urlsplit(self.path).path)
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name, text)
        if status != 304:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body if promised is None else promised)))
        if promised is not None:
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[GitHub]:
    """Yield a running server; its API and its blob host are two addresses.

    With a context it speaks TLS.
    """
    github = GitHub()
    servers = []
    for host, address in (("api", "127.0.0.1"), ("blob", "127.0.0.2")):
        talk = type("Talk", (_Talk,), {"github": github, "host": host})
        servers.append(_Server((address, 0), talk))
        if context:
            socket = servers[-1].socket
            servers[-1].socket = context.wrap_socket(socket, True, do_handshake_on_connect=False)
        scheme = "https" if context else "http"
        setattr(github, host, f"{scheme}://{address}:{servers[-1].server_port}")
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield github
    finally:
        github.released.set()
        for server in servers:
            server.shutdown()
            server.server_close()
