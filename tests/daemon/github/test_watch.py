"""Polls that the daemon makes by itself: when they are due, side by side, and never in its way."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from github_server import EPOCH, Artifact, Fault, Run

from secdaemon.daemon.github.watch import Polls
from secdaemon.state.machine import State
from secdaemon.state.polls import get_watch
from secdaemon.state.runs import newest_runs
from secdaemon.state.store import Store

Scene = Any
Scan = Callable[..., Artifact]
NAME = "owner/repo"


class Daemon:
    """The daemon's polls, driven by a test: its clocks move only when told."""

    def __init__(self, scene: Scene, store: Store, **more: Any) -> None:
        self.now = float(EPOCH)
        self.monotonic = 0.0
        self.store = store
        self.ended = threading.Semaphore(0)
        self.polls = Polls(
            scene.home,
            scene.settings,
            hint=self.ended.release,
            now=lambda: self.now,
            clock=lambda: self.monotonic,
            run=scene.run,
            environ=scene.environ,
            **more,
        )

    def tick(self, passed: float = 0.0) -> float:
        """Let time pass, start what is due, and say in how many seconds more will be."""
        self.now += passed
        self.monotonic += max(passed, 2.0)
        return self.polls.tick(self.store, self.now) - self.now

    def settled(self, count: int = 1) -> None:
        """Wait for the ends of so many polls."""
        for _ in range(count):
            assert self.ended.acquire(timeout=60)
        self.tick()


@pytest.fixture
def make_daemon(scene: Scene, store: Store) -> Iterator[Callable[..., Daemon]]:
    """Yield a maker of the daemon's polls, after the scene's settings; they end with the test."""
    made = []

    def make(**more: Any) -> Daemon:
        made.append(Daemon(scene, store, **more))
        return made[-1]

    yield make
    scene.github.released.set()
    for daemon in made:
        daemon.polls.stop()


def test_a_poll_is_due_when_its_time_has_come(
    scene: Scene, scan: Scan, make_daemon: Callable[..., Daemon]
) -> None:
    """At once where there was none, then every poll_seconds, whoever made the one before."""
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    daemon = make_daemon()
    daemon.tick()
    daemon.settled()
    assert len(daemon.polls.taken) == 1
    scene.github.requests()
    assert daemon.tick(59) == pytest.approx(1.0)
    assert not daemon.polls.busy
    daemon.tick(1)
    daemon.settled()
    assert [seen.status for seen in scene.github.requests()] == [304]
    again = make_daemon()
    again.now = daemon.now
    again.tick(30)
    assert not again.polls.busy


def test_clocks_that_jump_and_sleep_lose_no_poll(
    scene: Scene, make_daemon: Callable[..., Daemon]
) -> None:
    """A day back, a year forth, a night asleep: the next look polls once."""
    daemon = make_daemon()
    for jump in (0, -86400, 365 * 86400, 8 * 3600):
        daemon.tick(jump)
        daemon.settled()
        assert len(scene.github.requests()) == 1


def test_failures_wait_longer_and_longer(scene: Scene, make_daemon: Callable[..., Daemon]) -> None:
    """Twelve intervals at most, and the trouble is there to be shown."""
    scene.github.fault = lambda _host, _path: Fault(500)
    daemon = make_daemon()
    waits = []
    for _ in range(7):
        daemon.tick()
        daemon.settled()
        row = get_watch(daemon.store, next(iter(daemon.polls._watched)), NAME)
        waits.append(round(row.next_at - daemon.now))
        daemon.now = row.next_at
    assert waits == [60, 120, 240, 480, 720, 720, 720]
    assert "HTTP 500" in row.trouble


def test_one_that_hangs_delays_no_other_and_not_the_loop(
    scene: Scene, scan: Scan, make_daemon: Callable[..., Daemon]
) -> None:
    """The tick returns at once, the others are polled and taken in meanwhile."""
    others = [f"owner/other{number}" for number in range(5)]
    for number, name in enumerate(others):
        scene.github.add(name, Run(number + 1, artifacts=[scan(number + 1)]))
    items = [msgspec.structs.replace(scene.watched, name=name) for name in others]
    scene.change(repositories=(scene.watched, *items))
    scene.github.fault = lambda _host, path: Fault(how="hang") if NAME in path else None
    daemon = make_daemon()
    daemon.tick()
    daemon.settled(5)
    assert daemon.polls.busy
    assert sorted(run.workflow_run_id for run in newest_runs(daemon.store, -1)) == [1, 2, 3, 4, 5]
    daemon.polls.stop()
    assert not daemon.polls.busy
    row = get_watch(daemon.store, next(iter(daemon.polls._watched)), NAME)
    assert (row.failures, row.trouble) == (0, None)


def test_a_full_disk_is_no_storm(scene: Scene, make_daemon: Callable[..., Daemon]) -> None:
    """A poll that cannot record anything is not begun again at once."""
    daemon = make_daemon()
    scene.home.database.rename(scene.home.root / "away.db")
    scene.home.database.mkdir()
    daemon.tick()
    assert daemon.ended.acquire(timeout=60)
    daemon.tick(30)
    assert not daemon.polls.busy
    daemon.tick(60)
    assert daemon.ended.acquire(timeout=60)


def test_the_loop_polls_and_reads_what_came(
    scene: Scene, scan: Scan, make_loop: Callable[..., Any]
) -> None:
    """Also with the time of the last poll, and with the page of the run, in `status`."""
    from secdaemon.daemon.tables import run_lines, status_lines
    from secdaemon.daemon.views import view_polls, view_run, view_status

    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    driven = make_loop(scene.settings)
    driven.now = scene.now
    driven.loop.polls = Polls(
        scene.home,
        scene.settings,
        hint=driven.loop.hint,
        now=lambda: driven.now,
        run=scene.run,
        environ=scene.environ,
    )
    store = driven.loop.store
    driven.until(lambda: newest_runs(store, 1) and newest_runs(store, 1)[0].state is State.PARSED)
    (run,) = newest_runs(store, 1)
    assert run.id in driven.loop.taken
    view = view_run(store, run.id)
    page = "https://github.com/owner/repo/actions/runs/1"
    assert f"page       {page}" in list(run_lines(view))
    assert (view.source.workflow_run_id, view.source.run_attempt) == (1, 1)
    assert view.upstream
    assert view.upstream.url == page
    shown = view_status(store, scene.home, scene.settings, -1)
    assert shown.daemon.last_poll_at
    polls = view_polls(store, scene.settings)
    assert polls[0].remaining == 4999
    assert any(
        line.startswith("github   owner/repo main-ci-cd.yml main: polled")
        for line in status_lines(shown, polls=polls)
    )


def test_poll_prints_what_the_contract_says(
    scene: Scene, scan: Scan, poll_json: Callable[..., Any], cli: Callable[..., Any]
) -> None:
    """JSON with numbers; the text says the same; the work is left to the daemon."""
    scene.github.add(NAME, Run(1, second=1, artifacts=[scan(1)]), Run(2, second=2, head=9))
    status, found, _ = poll_json()
    assert status == 0
    (run,) = scene.runs()
    assert found["taken"] == [{"workflow_run_id": 1, "run_attempt": 1, "run": run.id}]
    assert found["ignored"] == [
        {"workflow_run_id": 2, "reason": "its code comes from a fork (stranger/fork)"}
    ]
    assert (found["name"], found["ok"], found["problem"]) == (NAME, True, None)
    assert found["next_try_at"].endswith("Z")
    assert run.state is State.RECEIVED
    text = cli("poll", env={"GITHUB_TOKEN": scene.github.token}).stdout
    assert "owner/repo: ok, 0 taken, 1 ignored" in text
    shown = json.loads(cli("status", "--json").stdout)
    assert shown["runs"][0]["source"]["name"] == "owner/repo#1.1"


def test_poll_without_repositories_and_with_trouble(
    home: Any, scene: Scene, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """0 where there is nothing to do, 1 where a repository could not be polled."""
    done = cli("poll", "--json", at=home.root.with_name("other"))
    assert (done.returncode, json.loads(done.stdout)) == (0, {"repositories": []})
    del scene.github.repositories[NAME]
    done = cli("poll", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["repositories"][0]["ok"] is False
    assert done.stderr.count("\n") <= 1


@pytest.mark.slow
def test_five_hundred_runs_after_a_month(scene: Scene) -> None:
    """Each is recorded once, oldest first."""
    from github_server import zip_of

    def run(number: int) -> Run:
        content = zip_of({"scan.sarif": json.dumps({"number": number})})
        return Run(number, second=number * 5000, artifacts=[Artifact(number, "trivy", content)])

    scene.github.limit = None
    scene.github.add(NAME, run(1))
    scene.poll()
    scene.github.add(NAME, *map(run, range(2, 502)))
    assert len(scene.poll(30 * 86400).taken) == 500
    assert scene.taken() == [(number, 1) for number in range(1, 502)]
    assert scene.poll(300).taken == ()
    runs = scene.runs()
    assert [run.seq for run in runs] == sorted(run.seq for run in runs)


@pytest.mark.slow
def test_doctor_says_where_the_token_is_from(
    scene: Scene, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """And what is missing without one; GitHub is not asked."""

    def check(**env: str) -> dict[str, str]:
        answer = json.loads(cli("doctor", "--json", env=env).stdout)
        return next(item for item in answer["checks"] if item["name"] == "github")

    assert check(GITHUB_TOKEN=scene.github.token)["detail"].endswith("from $GITHUB_TOKEN")
    missing = check(PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")
    assert missing["status"] == "warning"
    assert "Actions, Read-only" in missing["cure"]
    assert scene.github.requests() == []


@pytest.mark.slow
def test_a_dozen_runs_after_a_month_train_the_newest_alone(
    scene: Scene, scan: Scan, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The others are read, kept and superseded, however slowly the downloads come."""
    text = scene.home.config_file.read_text(encoding="utf-8")
    text = text.replace("name: owner/repo", "name: owner/repo, backfill: 12")
    text += "retention: {threshold: 0.0, when_undefined: pass}\ngates: {improvement: false}\n"
    scene.home.config_file.write_text(text, encoding="utf-8")
    scene.github.add(NAME, *(Run(n, second=n, artifacts=[scan(n)]) for n in range(1, 13)))
    pause = threading.Event()

    def slowly(host: str, _path: str) -> Fault | None:
        if host == "blob":
            pause.wait(0.4)
        return None

    scene.github.fault = slowly
    done = cli("run", "--until-idle", env={"GITHUB_TOKEN": scene.github.token})
    assert done.returncode == 0, done.stderr
    runs = scene.runs()
    assert [run.workflow_run_id for run in runs] == list(range(1, 13))
    assert [run.state for run in runs] == [State.SUPERSEDED] * 11 + [State.PUBLISHED]


@pytest.mark.parametrize("arguments", [("--until-idle",), ("--until-idle", "--no-poll")])
def test_until_idle_polls_once_and_waits_for_no_rate_limit(
    scene: Scene,
    scan: Scan,
    cli: Callable[..., subprocess.CompletedProcess[str]],
    arguments: tuple[str, ...],
) -> None:
    """It ends well, with the limit in `status`; with --no-poll nothing is asked at all."""
    scene.github.add(NAME, Run(1, artifacts=[scan(1)]))
    scene.github.fault = lambda _host, _path: Fault(429, {"Retry-After": "3000"})
    done = cli("run", *arguments, env={"GITHUB_TOKEN": scene.github.token})
    assert done.returncode == 0, done.stderr
    assert len(scene.github.requests()) == len(arguments) % 2
    problems = json.loads(cli("status", "--json").stdout)["daemon"]["problems"]
    assert any("rate limit" in problem for problem in problems) == (len(arguments) == 1)


def test_no_pygithub_where_nothing_is_watched() -> None:
    """Neither the daemon nor what only reads pays for it."""
    names = "secdaemon.daemon.serve secdaemon.daemon.loop secdaemon.daemon.views"
    names += " secdaemon.daemon.tables secdaemon.daemon.doctor secdaemon.daemon.intake"
    code = f"import sys\nfor n in {names.split()!r}: __import__(n)\n"
    code += "print(sorted({'github', 'requests', 'keyring'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
