"""A ZAP finding with a checkout gets the code of the handler that answered the request."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.intake import Offer, accept
from secdaemon.daemon.jobs import make_job
from secdaemon.pipeline.dataset import build
from secdaemon.pipeline.examples import Example
from secdaemon.pipeline.steps import parse
from secdaemon.state.runs import get_run
from secdaemon.state.store import open_store

PHRASE = "speak-friend-and-enter"
TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
CODE = f"""from flask import Flask, request

app = Flask(__name__)


@app.get("/api/users/<int:user>")
def find(user):
    door.open("{PHRASE}")
    token = "{TOKEN}"
    return page(user, request.args["q"])


@app.post("/api/users")
def create():
    return "created"
"""


def alert(plugin: str, method: str, uri: str) -> dict[str, Any]:
    """Return an alert as ZAP writes it."""
    return {
        "pluginid": plugin,
        "alert": f"Alert {plugin}",
        "riskcode": "3",
        "confidence": "2",
        "desc": f"<p>Found by {plugin}</p>",
        "cweid": "79",
        "instances": [{"uri": uri, "method": method, "param": "q", "attack": "", "evidence": ""}],
    }


ZAP = {
    "@version": "2.14.0",
    "@generated": "Mon, 1 Jan 2024 00:00:00",
    "site": [
        {
            "@name": "http://localhost:5000",
            "@host": "localhost",
            "@port": "5000",
            "@ssl": "false",
            "alerts": [
                alert("40012", "GET", "http://localhost:5000/api/users/7?q=x"),
                alert("10020", "POST", "http://localhost:5000/api/users"),
                alert("10038", "GET", "http://localhost:5000/robots.txt"),
                alert("10063", "DELETE", "http://localhost:5000/api/users/7"),
            ],
        }
    ],
}
LEAK = {
    "RuleID": "door-phrase",
    "Description": "A phrase",
    "StartLine": 8,
    "EndLine": 8,
    "Match": f'open("{PHRASE}")',
    "Secret": PHRASE,
    "File": "app.py",
}


@pytest.fixture
def built(
    home: Home,
    settings: Settings,
    make_zip: Callable[..., Path],
    make_sarif: Callable[[str, int], str],
    tmp_path: Path,
) -> Callable[..., dict[str, Example]]:
    """Return a maker of data sets: with a checkout or without -> examples by rule."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "app.py").write_text(CODE)
    for args in (("init", "-q"), ("add", "."), ("commit", "-qm", "first")):
        identity = ("-c", "user.name=T", "-c", "user.email=t@example.org")
        subprocess.run(["git", "-C", str(folder), *identity, *args], check=True)
    (folder / "app.py").write_text("# the working tree is another\n")

    def make(*, checkout: bool) -> dict[str, Example]:
        home.make()
        store = open_store(home)
        members = {"zap.json": json.dumps(ZAP), "leaks.json": json.dumps([LEAK])}
        path = make_zip(home.root / "scan.zip", {**members, "more.sarif": make_sarif("a", 8)})
        at = str(folder) if checkout else None
        offer = Offer(path=path, kind="manual", remove=True, again=True, source_dir=at)
        run = get_run(store, accept(store, home, settings, offer, 1_000.0).run)
        job = make_job(store, home, settings, run, "light", 1_000.0)
        parse(job, lambda _progress: None)
        store.close()
        return {each.metadata["rule"]: each for each in build(job).examples}

    return make


def test_the_handler_is_shown(built: Callable[..., dict[str, Example]]) -> None:
    """Path, lines and code of the handler stand in the question, its secrets do not."""
    example = built(checkout=True)["40012"]
    question = example.messages[1].content
    assert "`app.py`, lines 6 to 10" in question
    assert "```python" in question
    assert 'return page(user, request.args["q"])' in question
    assert PHRASE not in question
    assert TOKEN not in question
    assert "def create" not in question
    assert example.metadata["route"] == r"flask GET /api/users/{\d+}"
    assert example.metadata["route_match"] == "exact"
    assert example.metadata["context"] == "handler"
    assert example.metadata["category"] == "api"


def test_the_method_counts(built: Callable[..., dict[str, Example]]) -> None:
    """Another method of the same path is another handler, and none where none answers."""
    examples = built(checkout=True)
    assert "def create" in examples["10020"].messages[1].content
    assert "route" not in examples["10063"].metadata
    assert "route" not in examples["10038"].metadata


def test_what_is_not_mapped_is_as_without_a_checkout(
    built: Callable[..., dict[str, Example]],
) -> None:
    """A request without a handler gives the same example with a checkout and without."""
    with_checkout, without = built(checkout=True), built(checkout=False)
    for rule in ("10038", "10063"):
        assert with_checkout[rule] == without[rule]
    assert "route" not in without["40012"].metadata
