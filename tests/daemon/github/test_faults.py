"""Kills between the list and the hand-over, and every fault at random: each trusted run once."""

import json
import random
import subprocess
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from github_server import Artifact, Fault, Run

from secdaemon.config.paths import Home
from secdaemon.daemon.cli import WELL
from secdaemon.daemon.github.poll import poll_watch
from secdaemon.daemon.github.session import Surroundings
from secdaemon.daemon.github.tokens import Tokens
from secdaemon.state.polls import Decision, entries, newest_entries
from secdaemon.state.store import Store, open_store

Scene = Any
Scan = Callable[..., Artifact]
NAME = "owner/repo"


def poll_in(scene: Scene, store: Store) -> None:
    """Poll once in this thread, with this store."""
    around = Surroundings(
        home=scene.home,
        settings=scene.settings,
        run=scene.run,
        environ=scene.environ,
        now=lambda: scene.now,
        stopping=lambda: False,
    )
    tokens = Tokens(scene.settings.github.api_url, scene.environ, scene.run)
    poll_watch(store, around, tokens, scene.watched, asked=True)


def check(scene: Scene, wanted: list[tuple[int, int]]) -> None:
    """See that each trusted run was taken in once, and that nothing else is left of it."""
    assert scene.poll(4000).ok
    assert sorted(scene.taken()) == wanted
    archives = {Path(run.archive).name for run in scene.runs()}
    assert {path.name for path in scene.home.archive.iterdir()} - archives == set()
    for run in scene.runs():
        with zipfile.ZipFile(run.archive) as archive:
            assert archive.testzip() is None
    with closing(open_store(scene.home)) as store:
        taken = entries(store, scene.watch().watch, Decision.TAKEN)
    assert sorted((entry.id, entry.attempt) for entry in taken) == wanted
    assert {entry.run for entry in taken} == {run.id for run in scene.runs()}


@pytest.mark.slow
def test_a_kill_at_any_point_of_a_poll_changes_nothing(
    scene: Scene, scan: Scan, die_at: Callable[..., bool], tmp_path: Path
) -> None:
    """Between every two changes to disk or database, from the list to the hand-over."""
    scene.change(watched={"backfill": 2})
    scene.github.limit = None
    for number in (1, 2):
        artifacts = [scan(number * 10), scan(number * 10 + 1, "zap")]
        scene.github.add(NAME, Run(number, second=number, artifacts=artifacts))
    point = 0
    while True:
        scene.home = Home(root=tmp_path / f"home{point}", chosen=True)
        scene.home.make()
        open_store(scene.home).close()
        killed = die_at(point, scene.home, lambda store: poll_in(scene, store))
        for left in scene.home.archive.glob(".taking.*"):
            left.unlink()
        check(scene, [(1, 1), (2, 1)])
        if not killed:
            break
        point += 1
    assert point > 60


FAULTS: list[Callable[[], Fault]] = [
    lambda: Fault(how="close"),
    lambda: Fault(how="truncate"),
    lambda: Fault(how="corrupt"),
    lambda: Fault(500),
    lambda: Fault(502, body="<html>bad gateway</html>"),
    lambda: Fault(503, {"Retry-After": "20"}),
    lambda: Fault(200, body="<html>log in</html>"),
    lambda: Fault(200, body='{"workflow_runs": 1, "artifacts": 2}'),
    lambda: Fault(200, body='{"workflow_runs": ['),
    lambda: Fault(202, body=""),
    lambda: Fault(302, {"Location": "http://127.0.0.9:1/"}),
    lambda: Fault(401, body='{"message": "Bad credentials"}'),
    lambda: Fault(403, body='{"message": "Resource not accessible by personal access token"}'),
    lambda: Fault(403, {"X-RateLimit-Remaining": "0"}, '{"message": "API rate limit exceeded"}'),
    lambda: Fault(403, {}, '{"message": "You have exceeded a secondary rate limit"}'),
    lambda: Fault(429, {"Retry-After": "5"}),
    lambda: Fault(429),
]
SLOW_FAULTS: list[Callable[[], Fault]] = [
    lambda: Fault(how="hang"),
    lambda: Fault(how="drip"),
    lambda: Fault(how="drip_headers"),
]
STRANGERS = [
    {"conclusion": "failure"},
    {"event": "pull_request_target"},
    {"branch": "feature"},
    {"path": ".github/workflows/other.yml"},
    {"head": 77},
    {"head": None},
    {"status": "in_progress"},
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_ten_minutes_of_every_fault_at_random(scene: Scene, scan: Scan, seed: int) -> None:
    """New runs, re-runs and strangers come all the while; each trusted one is taken in once."""
    chance = random.Random(seed)
    github = scene.github
    github.per_page = 3
    scene.change(poll_seconds=5, timeout_seconds=0.3, max_wait_seconds=60)
    wanted: set[tuple[int, int]] = set()
    number = 0

    def add(second: int) -> None:
        nonlocal number
        number += 1
        stranger = chance.choice(STRANGERS) if chance.random() < 0.4 else {}
        digest = "right" if chance.random() < 0.8 else None
        artifacts = [scan(number * 10, digest=digest), scan(number * 10 + 1, "coverage")]
        github.add(NAME, Run(number, second=second, artifacts=artifacts, **stranger))
        if not stranger:
            wanted.add((number, 1))

    def fault(host: str, path: str) -> Fault | None:
        if chance.random() < 0.75:
            return None
        return chance.choice(SLOW_FAULTS if chance.random() < 0.04 else FAULTS)()

    # What stands there before the first poll is not asked for but for the latest.
    add(0)
    while not wanted:
        add(number)
    wanted.intersection_update({max(wanted)})
    begun = scene.now
    assert scene.poll().ok
    github.fault = fault
    while scene.now < begun + 600:
        second = int(scene.now - begun) + 100
        if chance.random() < 0.35:
            add(second)
        run = chance.choice(github.repositories[NAME])
        if chance.random() < 0.05 and (run.id, run.attempt) in set(scene.taken()):
            run.attempt += 1
            run.started = second
            run.artifacts = [scan(5000 + second, created=second + 1)]
            wanted.add((run.id, run.attempt))
        scene.poll(chance.uniform(1, 15))
    github.fault = lambda _host, _path: None
    check(scene, sorted(wanted))
    trusted = {run for run, _ in wanted}
    with closing(open_store(scene.home)) as store:
        ignored = {entry.id for entry in newest_entries(store, scene.watch().watch, 9999)}
    assert len(wanted) > 10
    assert ignored & {run.id for run in scene.github.repositories[NAME] if run.id not in trusted}


@pytest.mark.slow
def test_a_pushed_run_goes_from_poll_to_published(
    scene: Scene, scan: Scan, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """`run --until-idle` polls, trains and publishes; the manifest and the card name the run."""
    scans = [scan(1, "trivy-results"), scan(2, "semgrep-sarif")]
    text = scene.home.config_file.read_text(encoding="utf-8")
    text += "retention: {threshold: 0.0, when_undefined: pass}\ngates: {improvement: false}\n"
    scene.home.config_file.write_text(text, encoding="utf-8")
    scene.github.add(NAME, Run(1, second=1, artifacts=scans))
    env = {"GITHUB_TOKEN": scene.github.token}
    done = cli("run", "--until-idle", env=env)
    assert done.returncode == WELL, done.stderr
    (run,) = json.loads(cli("status", "--json").stdout)["runs"]
    assert run["state"] == "published"
    assert run["source"]["workflow_run_id"] == 1
    page = "https://github.com/owner/repo/actions/runs/1"
    assert f"page       {page}" in cli("status", run["id"]).stdout
    folder = Path(run["published"]["model_url"])
    manifest = json.loads((folder / "run-manifest.json").read_text())
    assert manifest["artifact"]["trust"] == "github-trusted"
    assert manifest["source"]["url"] == page
    assert manifest["source"]["branch"] == "main"
    assert manifest["source"]["actor"] == "octocat"
    assert page in (folder / "README.md").read_text()
    for path in scene.home.root.rglob("*"):
        assert not path.is_file() or scene.github.token.encode() not in path.read_bytes()


@pytest.mark.slow
def test_a_daemon_killed_in_a_poll_takes_in_each_run_once(
    scene: Scene, scan: Scan, start: Callable[..., Any], cli: Any, wait_until: Callable[..., None]
) -> None:
    """SIGKILL while the list, the artifacts and the downloads are on their way."""
    scene.change(watched={"backfill": 3})
    text = scene.home.config_file.read_text(encoding="utf-8").replace(
        "name: owner/repo", "name: owner/repo, backfill: 3"
    )
    scene.home.config_file.write_text(text, encoding="utf-8")
    scene.github.add(NAME, *(Run(n, second=n, artifacts=[scan(n)]) for n in (1, 2, 3)))
    env = {"GITHUB_TOKEN": scene.github.token}
    for part in ("/actions/runs", "/2/artifacts", "/artifacts/2/zip", "blob/3"):

        def hold(host: str, path: str, part: str = part) -> Fault | None:
            there = f"{host}{path}".endswith(part)
            return Fault(how="hang") if there else None

        scene.github.fault = hold
        scene.github.requests()
        daemon = start("run", env=env)
        wait_until(lambda: any(seen.status == 0 for seen in scene.github.seen))
        daemon.kill()
        daemon.wait()
    scene.github.fault = lambda _host, _path: None
    assert cli("poll", env=env).returncode == 0
    assert scene.taken() == [(1, 1), (2, 1), (3, 1)]
