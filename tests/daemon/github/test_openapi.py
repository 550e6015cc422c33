"""The loopback server's answers are GitHub's: validated against its published description.

It is `@octokit/openapi` from the npm registry, fetched for the test and kept nowhere in the project.
"""

import json
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from github_server import Artifact, Run

pytestmark = pytest.mark.slow

NAME = "owner/repo"
FILE = "package/generated/api.github.com.deref.json"
RUNS = "/repos/{owner}/{repo}/actions/runs"
ONE_RUN = "/repos/{owner}/{repo}/actions/runs/{run_id}"
ARTIFACTS = "/repos/{owner}/{repo}/actions/runs/{run_id}/artifacts"
ZIP = "/repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}"


@pytest.fixture(scope="session")
def description(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the description's paths."""
    if shutil.which("npm") is None:
        pytest.skip("npm, which fetches GitHub's OpenAPI description, is not installed")
    folder = tmp_path_factory.mktemp("openapi")
    command = ["npm", "pack", "@octokit/openapi", "--silent"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    packed = next(folder.glob("*.tgz"), None)
    if done.returncode or packed is None:
        pytest.skip("the npm registry does not give out @octokit/openapi here")
    with tarfile.open(packed) as archive:
        text = archive.extractfile(FILE)
        assert text
        paths: dict[str, Any] = json.load(text)["paths"]
    return paths


@pytest.fixture(scope="session")
def validate(description: dict[str, Any]) -> Callable[[str, int, Any], None]:
    """Return a check of one answer: (path of the description, status, body)."""
    validator = pytest.importorskip("openapi_schema_validator").OAS30Validator

    def check(path: str, status: int, body: Any) -> None:
        answers = description[path]["get"]["responses"]
        assert str(status) in answers
        content = answers[str(status)].get("content")
        if content:
            validator(content["application/json"]["schema"]).validate(body)

    return check


class _Stay(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to the test."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


@pytest.fixture
def ask(github: Any) -> Iterator[Callable[[str], tuple[int, Any, Any]]]:
    """Yield a client that knows nothing of ours: path to (status, headers, body)."""
    opener = urllib.request.build_opener(_Stay)

    def get(path: str) -> tuple[int, Any, Any]:
        request = urllib.request.Request(github.api + path)
        request.add_header("Authorization", f"token {github.token}")
        try:
            answer = opener.open(request, timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read()
        return answer.status, answer.headers, json.loads(text) if text else None

    return get


def test_every_kind_of_run_is_as_github_writes_it(
    github: Any,
    ask: Callable[[str], tuple[int, Any, Any]],
    validate: Callable[[str, int, Any], None],
) -> None:
    """Lists, single runs and artifacts, of every status, fork and event that the tests use."""
    kinds: list[dict[str, Any]] = [
        {},
        {"conclusion": "failure"},
        {"status": "in_progress"},
        {"head": 77},
        {"event": "pull_request_target"},
        {"branch": None},
        {"attempt": 3, "started": 900},
    ]
    for number, kind in enumerate(kinds, 1):
        artifacts = [
            Artifact(number, "trivy", b"x", expired=number == 2),
            Artifact(100 + number, "zap", b"y", digest=None),
        ]
        github.add(NAME, Run(number, second=number, artifacts=artifacts, **kind))
    status, _, body = ask(f"/repos/{NAME}/actions/runs?per_page=100")
    assert len(body["workflow_runs"]) == len(kinds)
    validate(RUNS, status, body)
    for number in range(1, len(kinds) + 1):
        status, _, body = ask(f"/repos/{NAME}/actions/runs/{number}")
        validate(ONE_RUN, status, body)
        status, _, body = ask(f"/repos/{NAME}/actions/runs/{number}/artifacts")
        validate(ARTIFACTS, status, body)


def test_downloads_answer_as_github_does(
    github: Any,
    ask: Callable[[str], tuple[int, Any, Any]],
    validate: Callable[[str, int, Any], None],
    description: dict[str, Any],
) -> None:
    """302 with a Location, or 410 with GitHub's error."""
    artifacts = [Artifact(1, "trivy", b"x"), Artifact(2, "zap", b"y", expired=True)]
    github.add(NAME, Run(1, artifacts=artifacts))
    status, headers, body = ask(f"/repos/{NAME}/actions/artifacts/1/zip")
    validate(ZIP, status, body)
    assert status == 302
    assert "Location" in description[ZIP]["get"]["responses"]["302"]["headers"]
    assert headers["Location"].startswith(github.blob)
    status, _, body = ask(f"/repos/{NAME}/actions/artifacts/2/zip")
    assert status == 410
    validate(ZIP, status, body)


def test_what_is_asked_is_described(description: dict[str, Any], tmp_path: Path) -> None:
    """Each path that a poll uses exists, with the parameter that it is given."""
    assert tmp_path
    for path in (RUNS, ONE_RUN, ARTIFACTS, ZIP):
        assert "get" in description[path]
    for path in (RUNS, ARTIFACTS):
        names = {item["name"] for item in description[path]["get"]["parameters"]}
        assert {"per_page", "page"} <= names
