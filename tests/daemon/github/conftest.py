"""What the tests of polling share: GitHub on the loopback, a home that watches it, a poll."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import github_server as server
import msgspec
import pytest
from github_hosts import serving

from secdaemon.config.paths import Home
from secdaemon.config.programs import Ran
from secdaemon.config.schema import Repository, Settings
from secdaemon.config.settings import load_settings
from secdaemon.daemon.github.poll import Polled
from secdaemon.daemon.github.trust import watch_of
from secdaemon.daemon.github.watch import poll_all
from secdaemon.state.model import Run
from secdaemon.state.polls import Watch, get_watch
from secdaemon.state.runs import newest_runs
from secdaemon.state.store import open_store

NAME = "owner/repo"


def no_program(command: object, seconds: float) -> Ran:
    """Stand for a computer without keyring, gh and git."""
    return Ran(None, error="not here")


class Scene:
    """A home that watches one repository, and a clock that a test moves."""

    def __init__(self, home: Home, github: Any, settings: Settings) -> None:
        self.home = home
        self.github = github
        self.settings = settings
        self.now = float(server.EPOCH)
        self.run: Callable[..., Ran] = no_program
        self.environ = {"GITHUB_TOKEN": github.token, "PATH": ""}

    def poll(self, passed: float = 0.0) -> Polled:
        """Poll as `secdaemon poll` does; the only repository's result."""
        self.now += passed
        found = poll_all(
            self.home, self.settings, run=self.run, now=lambda: self.now, environ=self.environ
        )
        return found[0]

    @property
    def watched(self) -> Repository:
        """What is watched."""
        return self.settings.github.repositories[0]

    def change(self, **changes: Any) -> None:
        """Change settings of the github section; `watched` changes the repository's."""
        github = self.settings.github
        if watched := changes.pop("watched", None):
            item = msgspec.structs.replace(github.repositories[0], **watched)
            changes["repositories"] = (item, *github.repositories[1:])
        github = msgspec.structs.replace(github, **changes)
        self.settings = msgspec.structs.replace(self.settings, github=github)

    def runs(self) -> list[Run]:
        """Return the runs, oldest first."""
        with closing(open_store(self.home)) as store:
            return newest_runs(store, -1)[::-1]

    def taken(self) -> list[tuple[int, int]]:
        """Return what was taken in, oldest first."""
        return [(run.workflow_run_id or 0, run.run_attempt or 0) for run in self.runs()]

    def watch(self) -> Watch:
        """Return what state.db has of the repository."""
        with closing(open_store(self.home)) as store:
            return get_watch(store, watch_of(self.settings.github, self.watched), NAME)


@pytest.fixture
def github() -> Iterator[Any]:
    """Yield GitHub on the loopback."""
    with serving() as running:
        yield running


@pytest.fixture
def scene(home: Home, github: Any) -> Scene:
    """Return a home that watches owner/repo on that GitHub."""
    text = home.config_file.read_text(encoding="utf-8")
    text += (
        f"github: {{api_url: '{github.api}', poll_seconds: 60, timeout_seconds: 5, "
        f"repositories: [{{name: {NAME}}}]}}\n"
    )
    home.config_file.write_text(text, encoding="utf-8")
    github.add(NAME)
    return Scene(home, github, load_settings(home, environ={}))


@pytest.fixture
def scan(make_sarif: Callable[[str, int], str]) -> Callable[..., Any]:
    """Return a maker of artifacts: (number, name=…) with a scan of its own."""

    def make(number: int, name: str = "trivy-results", **more: Any) -> Any:
        content = server.zip_of({"scan.sarif": make_sarif(f"n{number}", 6)})
        return server.Artifact(number, name, content, **more)

    return make


@pytest.fixture
def poll_json(
    cli: Callable[..., subprocess.CompletedProcess[str]], github: Any
) -> Callable[..., Any]:
    """Return a runner of `secdaemon poll --json`: its status, and the first repository."""

    def run() -> tuple[int, dict[str, Any], subprocess.CompletedProcess[str]]:
        done = cli("poll", "--json", env={"GITHUB_TOKEN": github.token})
        return done.returncode, json.loads(done.stdout)["repositories"][0], done

    return run
