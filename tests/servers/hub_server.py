"""A Hugging Face Hub on loopback, for the real clients: LFS mode, in memory, with faults to order.

What it answers is what huggingface_hub and datasets ask for to publish and to read again; the
protocol is that of the Hub (https://huggingface.co/docs/hub/api), read in huggingface_hub's source.
"""

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

LFS_ENDINGS = (".safetensors", ".parquet", ".bin", ".gz")
PORT_HEADERS = {"Content-Type": "application/json; charset=utf-8"}


class Blob(NamedTuple):
    """A file's content, and whether it is kept by LFS."""

    data: bytes
    lfs: bool

    @property
    def sha256(self) -> str:
        """What names it in LFS."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def oid(self) -> str:
        """Git's name of the blob, or of the pointer that stands for it."""
        content = self.data
        if self.lfs:
            content = (
                "version https://git-lfs.github.com/spec/v1\n"
                f"oid sha256:{self.sha256}\nsize {len(self.data)}\n"
            ).encode()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Commit(NamedTuple):
    """One commit of a repository."""

    oid: str
    title: str
    tree: dict[str, Blob]


class Repository:
    """One repository: its commits on main, the oldest first, and its tags."""

    def __init__(self, kind: str, name: str, *, private: bool) -> None:
        """A repository is born with one commit, as on the Hub."""
        self.kind, self.name, self.private = kind, name, private
        self.tags: dict[str, str] = {}
        self.commits: list[Commit] = []
        self.commit(
            "initial commit", {".gitattributes": Blob(b"*.safetensors filter=lfs\n", False)}
        )

    def commit(self, title: str, tree: dict[str, Blob]) -> Commit:
        """Add a commit with this tree."""
        parts = (self.kind, self.name, title, len(self.commits), sorted(tree))
        made = Commit(hashlib.sha1(repr(parts).encode()).hexdigest(), title, tree)
        self.commits.append(made)
        return made

    @property
    def head(self) -> Commit:
        """The newest commit."""
        return self.commits[-1]

    def at(self, revision: str) -> Commit | None:
        """The commit that a branch, tag or hash names."""
        oid = self.tags.get(revision, revision)
        if oid == "main":
            return self.head
        return next((commit for commit in self.commits if commit.oid == oid), None)


class Fault(NamedTuple):
    """What goes wrong with one request."""

    kind: str
    """`status`, `cut` (closed while it is read), `lost` (done, but the answer never comes)."""
    status: int = 500
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


Plan = Callable[[str, str, int], Fault | None]
"""(method, path, how many requests came before) -> what goes wrong with it."""


class Hub:
    """The server's memory; `token` is the only one that may write."""

    def __init__(self, token: str, user: str = "tester") -> None:
        """Start without a repository."""
        self.token, self.user = token, user
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.plan: Plan = lambda *_: None
        self.denied: set[str] = set()
        """Repositories that the token may not write."""
        self.log: list[str] = []
        self.seen_headers: list[dict[str, str]] = []
        self.lock = threading.RLock()
        self.url = ""
        self.store = ""
        """The object store, which is another host, as on the Hub."""

    def requests(self) -> Counter[str]:
        """How often each method was used on each path."""
        return Counter(self.log)

    def repository(self, kind: str, name: str) -> Repository:
        """The repository `models` or `datasets` of that name."""
        return self.repositories[kind, name]


@contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """Serve the hub on a free loopback port; yield its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    hub.store = f"http://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub.url
    finally:
        server.shutdown()
        server.server_close()


class Answer(NamedTuple):
    """One answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), PORT_HEADERS)


def _error(status: int, code: str, message: str) -> Answer:
    headers = {**PORT_HEADERS, "X-Error-Code": code, "X-Error-Message": message}
    return Answer(status, json.dumps({"error": message}).encode(), headers)


_NOT_FOUND = _error(404, "RepoNotFound", "Repository not found")
_NO_REVISION = _error(404, "RevisionNotFound", "Invalid rev id")
_NO_ENTRY = _error(404, "EntryNotFound", "Entry not found")


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _take(self) -> None:
            path = urlsplit(self.path).path
            with hub.lock:
                number = len(hub.log)
                hub.log.append(f"{self.command} {path}")
                hub.seen_headers.append(dict(self.headers))
                fault = hub.plan(self.command, path, number)
            if fault is not None and fault.kind == "cut":
                self.rfile.read(min(16, int(self.headers.get("Content-Length") or 0)))
                self._close()
                return
            body = self._body()
            if fault is not None and fault.kind == "status":
                answer = _error(fault.status, "", "ordered by the test")
                answer = answer._replace(headers={**answer.headers, **fault.headers})
            else:
                with hub.lock:
                    answer = _route(hub, self.command, self.path, dict(self.headers), body)
            if fault is not None and fault.kind == "lost":
                self._close()
                return
            self._send(answer)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                parts = []
                while size := int(self.rfile.readline().strip() or b"0", 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _close(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(2)

        def _send(self, answer: Answer) -> None:
            with suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(answer.status)
                headers = dict(answer.headers)
                headers.setdefault("Content-Length", str(len(answer.body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _take  # noqa: N815 - http.server's names

    return Handler


_API = re.compile(r"^/api/(models|datasets)/([^/]+/[^/]+)(?:/([a-z-]+)(?:/(.*))?)?$")
_RESOLVE = re.compile(r"^/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)$")
_BATCH = re.compile(r"^/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch$")


def _route(hub: Hub, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
    split = urlsplit(target)
    path = split.path
    lower = {name.lower(): value for name, value in headers.items()}
    may_write = lower.get("authorization") == f"Bearer {hub.token}"
    if path.startswith("/lfs/"):
        return _lfs(hub, method, path.removeprefix("/lfs/"), body, lower)
    if path == "/api/validate-yaml":
        return _validate(body)
    if lower.get("authorization") and not may_write:
        return _error(401, "", "Invalid username or password.")
    if path == "/api/whoami-v2":
        return _json({"name": hub.user, "type": "user"}) if may_write else _error(401, "", "no")
    if path == "/api/repos/create":
        return _create(hub, body) if may_write else _error(401, "", "Unauthorized")
    if found := _BATCH.match(path):
        return _batch(hub, found[2], body) if may_write else _error(401, "", "Unauthorized")
    if found := _RESOLVE.match(path):
        kind = "datasets" if found[1] else "models"
        return _resolve(hub, (kind, found[2]), unquote(found[3]), unquote(found[4]), may_write)
    if found := _API.match(path):
        kind, name, action, rest = found.groups()
        repository = hub.repositories.get((kind, name))
        if repository is None or (repository.private and not may_write):
            return _NOT_FOUND
        if method == "POST" and action in {"preupload", "commit", "tag"}:
            if not may_write:
                return _error(401, "", "Unauthorized")
            if name in hub.denied:
                return _error(403, "", "you don't have the rights to write to it")
        query = parse_qs(split.query)
        return _API_ACTIONS[action](hub, repository, unquote(rest or "main"), body, query)
    return _NO_ENTRY


def _create(hub: Hub, body: bytes) -> Answer:
    asked = json.loads(body)
    kind = {"dataset": "datasets"}.get(asked.get("type", "model"), "models")
    name = f"{asked.get('organization') or hub.user}/{asked['name']}"
    if name.split("/", maxsplit=1)[0] in hub.denied:
        return _error(403, "", "You don't have the rights to create a model under the namespace")
    prefix = "datasets/" if kind == "datasets" else ""
    url = {"url": f"{hub.url}/{prefix}{name}"}
    if (kind, name) in hub.repositories:
        return _json({**url, "error": "You already created this repo"}, 409)
    private = bool(asked.get("private")) or asked.get("visibility") == "private"
    hub.repositories[kind, name] = Repository(kind, name, private=private)
    return _json(url)


def _validate(body: bytes) -> Answer:
    asked = json.loads(body)
    head = asked["content"].startswith("---\n")
    return _json(
        {"errors": [], "warnings": []} if head else {"errors": [{"message": "no"}]},
        200 if head else 400,
    )


def _info(hub: Hub, repository: Repository, revision: str, *_: object) -> Answer:
    commit = repository.at(revision)
    if commit is None:
        return _NO_REVISION
    return _json(
        {
            "_id": repository.name,
            "id": repository.name,
            "modelId": repository.name,
            "author": repository.name.split("/")[0],
            "sha": commit.oid,
            "private": repository.private,
            "lastModified": "2026-01-01T00:00:00.000Z",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "gated": False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": [{"rfilename": path} for path in sorted(commit.tree)],
        }
    )


def _entries(commit: Commit, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    prefix = f"{folder}/" if folder else ""
    found: dict[str, dict[str, Any]] = {}
    for path, blob in sorted(commit.tree.items()):
        if not path.startswith(prefix):
            continue
        parts = path.removeprefix(prefix).split("/")
        for depth in range(1, len(parts) if recursive else min(2, len(parts))):
            name = prefix + "/".join(parts[:depth])
            found[name] = {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
        if recursive or len(parts) == 1:
            found[path] = _entry(path, blob)
    return list(found.values())


def _entry(path: str, blob: Blob) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "oid": blob.oid, "size": len(blob.data)}
    if blob.lfs:
        entry["lfs"] = {"oid": blob.sha256, "size": len(blob.data), "pointerSize": 134}
    return entry


def _tree(
    hub: Hub, repository: Repository, rest: str, _: bytes, query: dict[str, list[str]]
) -> Answer:
    revision, _, folder = rest.partition("/")
    commit = repository.at(unquote(revision))
    if commit is None:
        return _NO_REVISION
    recursive = query.get("recursive", ["false"])[0].lower() in {"true", "1"}
    entries = _entries(commit, folder, recursive=recursive)
    return _json(entries) if entries or not folder else _NO_ENTRY


def _paths(hub: Hub, repository: Repository, revision: str, body: bytes, *_: object) -> Answer:
    commit = repository.at(revision)
    if commit is None:
        return _NO_REVISION
    text = body.decode()
    asked = json.loads(text)["paths"] if text.startswith("{") else parse_qs(text).get("paths", [])
    folders = {entry["path"]: entry for entry in _entries(commit, "", recursive=True)}
    return _json([folders[path] for path in asked if path in folders])


def _refs(hub: Hub, repository: Repository, *_: object) -> Answer:
    main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repository.head.oid}
    tags = [
        {"name": name, "ref": f"refs/tags/{name}", "targetCommit": oid}
        for name, oid in repository.tags.items()
    ]
    return _json({"branches": [main], "converts": [], "tags": tags})


def _tag(hub: Hub, repository: Repository, revision: str, body: bytes, *_: object) -> Answer:
    commit, name = repository.at(revision), json.loads(body)["tag"]
    if commit is None:
        return _NO_REVISION
    if name in repository.tags:
        return _error(409, "", "Tag already exists")
    repository.tags[name] = commit.oid
    return _json({})


def _preupload(hub: Hub, repository: Repository, revision: str, body: bytes, *_: object) -> Answer:
    files = []
    for file in json.loads(body)["files"]:
        lfs = file["path"].endswith(LFS_ENDINGS) or file["size"] > 10_000_000
        known = repository.head.tree.get(file["path"])
        entry = {
            "path": file["path"],
            "uploadMode": "lfs" if lfs else "regular",
            "shouldIgnore": False,
        }
        if known is not None:
            entry["oid"] = known.sha256 if known.lfs else known.oid
        files.append(entry)
    return _json({"files": files})


def _batch(hub: Hub, name: str, body: bytes) -> Answer:
    if name in hub.denied:
        return _error(403, "", "you don't have the rights to write to it")
    objects = []
    for asked in json.loads(body)["objects"]:
        entry: dict[str, Any] = {"oid": asked["oid"], "size": asked["size"]}
        if asked["oid"] not in hub.blobs:
            href = f"{hub.store}/lfs/{asked['oid']}"
            entry["actions"] = {"upload": {"href": href}, "verify": {"href": f"{href}/verify"}}
        objects.append(entry)
    return _json({"transfer": "basic", "objects": objects})


def _lfs(hub: Hub, method: str, rest: str, body: bytes, headers: dict[str, str]) -> Answer:
    oid = rest.partition("/")[0]
    if method == "PUT":
        if headers.get("authorization"):
            return _error(400, "", "the object store refuses an Authorization header")
        if hashlib.sha256(body).hexdigest() != oid:
            return _error(400, "", "the content is not what its name says")
        hub.blobs[oid] = body
        return Answer(200)
    if method == "POST":
        return Answer(200) if oid in hub.blobs else _NO_ENTRY
    return _ranged(hub.blobs[oid], headers, {}) if oid in hub.blobs else _NO_ENTRY


def _commit(hub: Hub, repository: Repository, revision: str, body: bytes, *_: object) -> Answer:
    tree = dict(repository.head.tree)
    title = ""
    for line in body.splitlines():
        item = json.loads(line)
        value = item["value"]
        if item["key"] == "header":
            title = value["summary"]
            parent = value.get("parentCommit")
            if parent and parent != repository.head.oid:
                return _error(412, "", "A commit has happened since. Please refresh and try again.")
        elif item["key"] == "file":
            tree[value["path"]] = Blob(base64.b64decode(value["content"]), False)
        elif item["key"] == "lfsFile":
            if value["oid"] not in hub.blobs:
                return _error(400, "", "the LFS object is missing")
            tree[value["path"]] = Blob(hub.blobs[value["oid"]], True)
        elif item["key"] == "deletedFile":
            del tree[value["path"]]
    made = repository.commit(title, tree)
    url = f"{hub.url}/{repository.name}/commit/{made.oid}"
    return _json({"commitUrl": url, "commitOid": made.oid, "success": True})


def _ranged(data: bytes, asked: dict[str, str], headers: dict[str, str]) -> Answer:
    found = re.match(r"bytes=(\d+)-(\d*)", asked.get("range", ""))
    if found is None:
        return Answer(200, data, headers)
    first, last = int(found[1]), int(found[2] or len(data) - 1)
    span = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
    return Answer(206, data[first : last + 1], {**headers, **span})


def _resolve(hub: Hub, key: tuple[str, str], revision: str, path: str, may_read: bool) -> Answer:
    repository = hub.repositories.get(key)
    if repository is None or (repository.private and not may_read):
        return _NOT_FOUND
    commit = repository.at(revision)
    if commit is None:
        return _NO_REVISION
    blob = commit.tree.get(path)
    if blob is None:
        return _NO_ENTRY._replace(headers={**_NO_ENTRY.headers, "X-Repo-Commit": commit.oid})
    headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{blob.oid}"', "Accept-Ranges": "bytes"}
    if not blob.lfs:
        return Answer(200, blob.data, headers)
    linked = {
        "Location": f"{hub.store}/lfs/{blob.sha256}",
        "X-Linked-Size": str(len(blob.data)),
        "X-Linked-Etag": f'"{blob.sha256}"',
    }
    return Answer(302, b"", {**headers, **linked})


_API_ACTIONS: dict[str | None, Any] = {
    None: lambda hub, repository, *_: _info(hub, repository, "main"),
    "revision": _info,
    "tree": _tree,
    "paths-info": _paths,
    "refs": _refs,
    "tag": _tag,
    "preupload": _preupload,
    "commit": _commit,
}
