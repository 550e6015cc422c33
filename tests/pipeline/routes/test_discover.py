"""Routes are read from a commit, within bounds, whatever stands in it."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secdaemon.pipeline.routes.discover import routes_at, routes_of
from secdaemon.pipeline.routes.model import Routes, show

APP = "from flask import Flask\napp = Flask(__name__)\n@app.route('{path}')\ndef f():\n    pass\n"


def git(folder: Path, *arguments: str) -> str:
    """Run git with a fixed identity and return what it prints."""
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def shown(routes: Routes) -> set[str]:
    """Return the patterns of the routes that code answers."""
    return {show(route.pattern) for route in routes.routes if route.handler}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a repository with one service, a link, and files that are no text."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (tmp_path / "outside.py").write_text(APP.replace("{path}", "/outside"))
    git(folder, "init", "-q")
    (folder / "app.py").write_text(APP.replace("{path}", "/first"))
    (folder / "binary.py").write_bytes(b"flask\0")
    (folder / "link.py").symlink_to(tmp_path / "outside.py")
    (folder / "test_app.py").write_text(APP.replace("{path}", "/tested"))
    (folder / 'odd "näme.py').write_text(APP.replace("{path}", "/odd"))
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def test_the_commit_counts(checkout: Path) -> None:
    """Neither the working tree nor a later commit, no link, no test, and odd names too."""
    first = git(checkout, "rev-parse", "HEAD")
    (checkout / "app.py").write_text(APP.replace("{path}", "/second"))
    git(checkout, "commit", "-qam", "second")
    (checkout / "app.py").write_text(APP.replace("{path}", "/uncommitted"))
    assert shown(routes_at(checkout, first)) == {"/first", "/odd"}
    assert shown(routes_at(checkout, "HEAD")) == {"/second", "/odd"}
    assert git(checkout, "status", "--porcelain") == "M app.py"


def test_no_repository_is_no_error(tmp_path: Path) -> None:
    """A folder without git, an unknown commit and an option in its place give nothing."""
    assert routes_at(tmp_path, "HEAD") == Routes()
    git(tmp_path, "init", "-q")
    assert routes_at(tmp_path, "HEAD") == Routes()
    assert routes_at(tmp_path, "--output=x") == Routes()


def test_circles_end() -> None:
    """Modules and constants that lead to one another lead nowhere."""
    texts = {
        "a.py": "from b import P, bp\nfrom flask import Blueprint\nQ = P + P\n",
        "b.py": "from a import Q\nfrom flask import *\nP = Q + Q\nbp = Blueprint('b', '')\n"
        "bp.register_blueprint(bp, url_prefix=P)\n@bp.route(P)\ndef f(): ...\n",
        "c.js": "const express = require('express'); const r = express.Router(); const a = b;"
        "const b = `${a}${a}`; r.use(b, r); r.get(b, (q, s) => {}); module.exports = require('./c');",
        "D.java": "@RestController @RequestMapping(D.X) class D extends D { static final String"
        " X = D.Y + D.Y; static final String Y = D.X + D.X; @GetMapping(X) void f() {} }",
        "e.kt": "import io.ktor.server.routing.*\nfun Route.a() { b() }\nfun Route.b() { a()\n"
        ' get("/x") { } }\nfun Application.m() { routing { a() } }\n',
    }
    assert "/x" in shown(routes_of(texts))


def test_no_time_is_no_error() -> None:
    """What cannot be read in time is left out."""
    assert routes_of({"app.py": APP}, seconds=-1.0).routes == ()


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    """No text raises, whatever language it is taken for."""
    words = "flask express io.ktor Mapping fastapi Router\n"
    names = ("a.py", "b.js", "c.ts", "d.java", "e.kt", "application.yml")
    routes_of(dict.fromkeys(names, f"{words}{text}"))
