"""GitHub on the loopback: what it has, and how it writes it; github_hosts.py speaks HTTP.

What it says is decided by the test: which runs there are, what goes wrong with which request. Its
good answers are validated against GitHub's own OpenAPI description in test_openapi.py.
"""

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

EPOCH = 1_795_000_000
"""When runs begin: Unix seconds."""
REPOSITORY_ID = 1000


def at(second: int) -> str:
    """Return a moment as GitHub writes it."""
    return f"{datetime.fromtimestamp(EPOCH + second, UTC):%Y-%m-%dT%H:%M:%SZ}"


def zip_of(members: dict[str, str | bytes]) -> bytes:
    """Return a zip with these members and fixed times."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content)
    return target.getvalue()


@dataclass
class Artifact:
    """One artifact that the server holds."""

    id: int
    name: str
    content: bytes
    expired: bool = False
    digest: str | None = "right"
    size: int | None = None
    created: int = 0


@dataclass
class Run:
    """One workflow run that the server has."""

    id: int
    second: int = 0
    attempt: int = 1
    started: int | None = None
    status: str = "completed"
    conclusion: str | None = "success"
    event: str = "push"
    path: str = ".github/workflows/main-ci-cd.yml"
    branch: str | None = "main"
    head: int | None = REPOSITORY_ID
    artifacts: list[Artifact] = field(default_factory=list)
    sha: str = ""


@dataclass
class Seen:
    """One request that came."""

    host: str
    path: str
    query: str
    status: int
    headers: dict[str, str]


@dataclass
class Fault:
    """What goes wrong with a request: a status with headers and a body, or a way to misbehave."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str | bytes = '{"message": "fault"}'
    how: str = "answer"
    """answer, hang, close, truncate, drip, drip_headers, corrupt"""


Choice = Callable[[str, str], Fault | None]
"""(`api` or `blob`, path) to what goes wrong."""


class GitHub:
    """The server's state, and its two hosts."""

    def __init__(self) -> None:
        self.repositories: dict[str, list[Run]] = {}
        self.numbers: dict[str, int] = {}
        self.names: dict[str, str] = {}
        self.moved: dict[str, str] = {}
        self.token: str | None = "ghp_" + "a" * 36
        self.seen: list[Seen] = []
        self.fault: Choice = lambda _host, _path: None
        self.per_page = 100
        self.changes = 0
        self.released = threading.Event()
        self.lock = threading.Lock()
        self.limit: tuple[int, int] | None = (4999, EPOCH + 3600)
        self.no_ranges = False
        self.api = ""
        self.prefix = ""
        self.blob = ""

    # -- what a test sets --------------------------------------------------------------------

    def add(self, repository: str, *runs: Run) -> None:
        """Add runs to a repository."""
        self.repositories.setdefault(repository, []).extend(runs)
        self.numbers.setdefault(repository, REPOSITORY_ID)

    def requests(self, host: str = "api") -> list[Seen]:
        """Return the requests that came to a host, and forget all."""
        with self.lock:
            found = [seen for seen in self.seen if seen.host == host]
            self.seen.clear()
        return found

    # -- answers -----------------------------------------------------------------------------

    def run_json(self, repository: str, run: Run) -> dict[str, Any]:
        """Return a workflow run as GitHub writes it."""
        home = self.numbers[repository]
        url = f"{self.api}/repos/{repository}/actions/runs/{run.id}"
        page = f"https://github.com/{repository}"
        actor = self._user("octocat")
        head = None
        if run.head is not None:
            name = repository if run.head == home else "stranger/fork"
            head = self._repository(name, run.head)
        return {
            "id": run.id,
            "name": "CI",
            "node_id": f"WFR_{run.id}",
            "check_suite_id": run.id + 1,
            "check_suite_node_id": "CS",
            "head_branch": run.branch,
            "head_sha": run.sha or hashlib.sha1(str(run.id).encode()).hexdigest(),
            "path": run.path,
            "run_number": 1,
            "run_attempt": run.attempt,
            "referenced_workflows": [],
            "event": run.event,
            "status": run.status,
            "conclusion": run.conclusion if run.status == "completed" else None,
            "workflow_id": 5,
            "url": url,
            "html_url": f"{page}/actions/runs/{run.id}",
            "pull_requests": [],
            "created_at": at(run.second),
            "updated_at": at(run.second + 60),
            "actor": actor,
            "triggering_actor": actor,
            "run_started_at": at(run.second if run.started is None else run.started),
            "jobs_url": f"{url}/jobs",
            "logs_url": f"{url}/logs",
            "check_suite_url": f"{self.api}/repos/{repository}/check-suites/1",
            "artifacts_url": f"{url}/artifacts",
            "cancel_url": f"{url}/cancel",
            "rerun_url": f"{url}/rerun",
            "previous_attempt_url": None,
            "workflow_url": f"{self.api}/repos/{repository}/actions/workflows/5",
            "head_commit": None,
            "repository": self._repository(self.names.get(repository, repository), home),
            "head_repository": head,
            "display_title": "a change",
        }

    def _user(self, login: str) -> dict[str, Any]:
        url = f"{self.api}/users/{login}"
        links = (
            "followers_url following_url gists_url starred_url subscriptions_url "
            "organizations_url repos_url events_url received_events_url"
        )
        return {
            "login": login,
            "id": 1,
            "node_id": "U",
            "avatar_url": "https://avatars.example/u/1",
            "gravatar_id": "",
            "url": url,
            "html_url": f"https://github.com/{login}",
            **{name: f"{url}/{name}" for name in links.split()},
            "type": "User",
            "site_admin": False,
        }

    def _repository(self, name: str, number: int) -> dict[str, Any]:
        url = f"{self.api}/repos/{name}"
        links = (
            "archive_url assignees_url blobs_url branches_url collaborators_url comments_url "
            "commits_url compare_url contents_url contributors_url deployments_url downloads_url "
            "events_url forks_url git_commits_url git_refs_url git_tags_url hooks_url "
            "issue_comment_url issue_events_url issues_url keys_url labels_url languages_url "
            "merges_url milestones_url notifications_url pulls_url releases_url stargazers_url "
            "statuses_url subscribers_url subscription_url tags_url teams_url trees_url"
        )
        return {
            "id": number,
            "node_id": "R",
            "name": name.partition("/")[2],
            "full_name": name,
            "owner": self._user(name.partition("/")[0]),
            "private": False,
            "html_url": f"https://github.com/{name}",
            "description": None,
            "fork": number != REPOSITORY_ID,
            "url": url,
            **{link: f"{url}/{link}" for link in links.split()},
        }

    def artifact_json(self, repository: str, run: Run, artifact: Artifact) -> dict[str, Any]:
        """Return an artifact as GitHub writes it."""
        url = f"{self.api}/repos/{repository}/actions/artifacts/{artifact.id}"
        digest = artifact.digest
        if digest == "right":
            digest = f"sha256:{hashlib.sha256(artifact.content).hexdigest()}"
        return {
            "id": artifact.id,
            "node_id": "A",
            "name": artifact.name,
            "size_in_bytes": len(artifact.content) if artifact.size is None else artifact.size,
            "url": url,
            "archive_download_url": f"{url}/zip",
            "expired": artifact.expired,
            "created_at": at(artifact.created or run.second + 30),
            "expires_at": at(90 * 86400),
            "updated_at": at(artifact.created or run.second + 30),
            "digest": digest,
            "workflow_run": {
                "id": run.id,
                "repository_id": REPOSITORY_ID,
                "head_repository_id": run.head or 0,
                "head_branch": run.branch or "",
                "head_sha": "0" * 40,
            },
        }

    def listing(self, repository: str, page: int, size: int) -> tuple[dict[str, Any], bool]:
        """Return a page of runs, newest first, and whether there are more."""
        runs = sorted(
            self.repositories[repository], key=lambda run: (run.second, run.id), reverse=True
        )
        part = runs[(page - 1) * size : page * size]
        body = {
            "total_count": len(runs),
            "workflow_runs": [self.run_json(repository, run) for run in part],
        }
        return body, page * size < len(runs)

    def find_run(self, repository: str, number: int) -> Run | None:
        """Return one run."""
        return next((run for run in self.repositories[repository] if run.id == number), None)

    def find_artifact(self, number: int) -> Artifact | None:
        """Return one artifact."""
        return next(
            (
                artifact
                for runs in self.repositories.values()
                for run in runs
                for artifact in run.artifacts
                if artifact.id == number
            ),
            None,
        )
