"""Stage 1 rows from Hugging Face: the real clients against a hub on loopback, or none at all."""

import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

DATA_SET = "hitoshura25/crossvul"
COMMIT = "a" * 40
FILE = "data/train-00000-of-00001.parquet"
API = f"/api/datasets/{DATA_SET}"

CLIENT = """
import json, sys
from secdaemon.pipeline.interface import PipelineError
from secdaemon.pipeline.public.data import load
try:
    found = load(["crossvul"], json.loads(sys.argv[1]))
except PipelineError as error:
    print(json.dumps([type(error).__name__, str(error)]))
else:
    print(json.dumps([len(found.examples), found.entered, found.left_out, found.revisions]))
"""


def rows(columns: tuple[str, str] = ("vulnerable_code", "fixed_code")) -> list[dict[str, str]]:
    """Return 20 rows of CrossVul's shape."""
    return [
        {
            "cwe_id": "CWE-89",
            "cwe_description": "SQL Injection - A query is built from input.",
            "language": "python",
            "language_dir": "py",
            columns[0]: f"def find_{n}(name):\n    return query('select {n} ' + name)\n",
            columns[1]: f"def find_{n}(name):\n    return query('select {n} ?', name)\n",
            "file_pair_id": f"{n}_0",
            "source": "crossvul",
        }
        for n in range(20)
    ]


class Hub(ThreadingHTTPServer):
    """One data set, as far as reading it needs; `broken` answers 503 to its file."""

    daemon_threads = True

    def __init__(
        self, table: list[dict[str, str]], *, known: bool = True, broken: bool = False
    ) -> None:
        """Hold the rows as one Parquet file."""
        super().__init__(("127.0.0.1", 0), Answer)
        buffer = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist(table), buffer)
        self.file = buffer.getvalue()
        self.known = known
        self.broken = broken


class Answer(BaseHTTPRequestHandler):
    """The hub's answers to huggingface_hub and datasets."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer for the data set, its tree and its file."""
        path = self.path.partition("?")[0]
        if not self.server.known:
            self._json({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        elif path in {API, f"{API}/revision/{COMMIT}"}:
            siblings = [{"rfilename": FILE}]
            self._json({"id": DATA_SET, "sha": COMMIT, "tags": [], "siblings": siblings})
        elif path == f"{API}/tree/{COMMIT}":
            self._json([{"type": "directory", "path": "data", "oid": "c" * 40, "size": 0}])
        elif path == f"{API}/tree/{COMMIT}/data":
            size = len(self.server.file)
            self._json([{"type": "file", "path": FILE, "oid": "b" * 40, "size": size}])
        elif path.endswith(FILE):
            self._file()
        else:
            self._json({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")

    def _file(self) -> None:
        if self.server.broken:
            self._json({"error": "unavailable"}, 503)
            return
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        data = self.server.file
        if wanted is None:
            self._send(200, data)
            return
        first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
        place = f"bytes {first}-{last}/{len(data)}"
        self._send(206, data[first : last + 1], Content_Range=place)

    def _json(self, value: Any, status: int = 200, **headers: str) -> None:
        self._send(status, json.dumps(value).encode(), **headers)

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"X_Repo_Commit": COMMIT, "ETag": '"x"', **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def ask(endpoint: str, home: Path, max_examples: int | None = None) -> list[Any]:
    """Load CrossVul in a process of its own, since the clients read HF_ENDPOINT at import."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
    }
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, json.dumps(max_examples)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answer: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.fixture
def serve() -> Iterator[Any]:
    """Return a function that serves a hub and gives its address."""
    running: list[Hub] = []

    def start(hub: Hub) -> str:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        running.append(hub)
        return f"http://127.0.0.1:{hub.server_port}"

    yield start
    for hub in running:
        hub.shutdown()
        hub.server_close()


def test_rows_are_streamed_at_the_data_sets_commit(serve: Any, tmp_path: Path) -> None:
    """All rows arrive, the revision is the commit, and a bound ends the reading."""
    address = serve(Hub(rows()))
    assert ask(address, tmp_path) == [20, 20, {}, {"crossvul": COMMIT}]
    assert ask(address, tmp_path, 5) == [5, 5, {}, {"crossvul": COMMIT}]


def test_an_unreachable_hub_is_worth_another_attempt(tmp_path: Path) -> None:
    """A refused connection is transient, and the sentence names the source and what to do."""
    kind, text = ask("http://127.0.0.1:9", tmp_path)
    assert kind == "TransientError"
    assert text.startswith("Stage 1 source crossvul cannot be read from Hugging Face (")
    assert "stage1.sources" in text
    assert "\n" not in text


def test_a_missing_data_set_is_said_to_be_missing(serve: Any, tmp_path: Path) -> None:
    """A hub that does not know the data set gives a transient error that says so."""
    kind, text = ask(serve(Hub(rows(), known=False)), tmp_path)
    assert kind == "TransientError"
    assert "no such data set" in text


@pytest.mark.slow  # the client itself retries for 23 seconds
def test_a_failure_while_reading_is_transient(serve: Any, tmp_path: Path) -> None:
    """A file that the hub cannot serve is no crash."""
    kind, text = ask(serve(Hub(rows(), broken=True)), tmp_path)
    assert kind == "TransientError"
    assert "crossvul" in text


def test_wrong_columns_are_named(serve: Any, tmp_path: Path) -> None:
    """A data set of another shape is a permanent error with the columns that lack."""
    kind, text = ask(serve(Hub(rows(("before", "after")))), tmp_path)
    assert kind == "PermanentError"
    assert "vulnerable_code, fixed_code" in text
