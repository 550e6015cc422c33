"""What GitHub's REST API answers, as far as it is read here (api.github.com.json, 2022-11-28)."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

Number = Annotated[int, Meta(ge=1, le=2**63 - 1)]
"""What SQLite can hold."""


class FormError(ValueError):
    """An answer is not in GitHub's form."""


class Account(msgspec.Struct, frozen=True):
    """A user, by login."""

    login: str | None = None


class RepositoryRef(msgspec.Struct, frozen=True):
    """A repository as it stands inside a workflow run."""

    id: Number | None = None
    full_name: str | None = None


class WorkflowRun(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow run, at its newest attempt."""

    id: Number
    run_attempt: Number = 1
    status: str | None = None
    conclusion: str | None = None
    event: str | None = None
    path: str | None = None
    head_branch: str | None = None
    head_sha: str | None = None
    html_url: str | None = None
    created_at: str | None = None
    run_started_at: str | None = None
    actor: Account | None = None
    repository: RepositoryRef | None = None
    head_repository: RepositoryRef | None = None

    @property
    def ran_at(self) -> str:
        """When this attempt started; a re-run keeps the run's own created_at."""
        return self.run_started_at or self.created_at or ""

    @property
    def key(self) -> tuple[int, int]:
        """What a workflow run is remembered by."""
        return self.id, self.run_attempt


class ActionsArtifact(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact of a workflow run."""

    id: Number
    name: str
    size_in_bytes: int = 0
    expired: bool = False
    created_at: str | None = None
    digest: str | None = None
    """`sha256:` and hexadecimal digits; older servers send none."""


class _Runs(msgspec.Struct):
    workflow_runs: list[msgspec.Raw]


class _Artifacts(msgspec.Struct):
    artifacts: list[ActionsArtifact]


class _Id(msgspec.Struct):
    id: Number
    run_attempt: Number = 1


class _Message(msgspec.Struct):
    message: str = ""


def runs_of(body: str) -> list[WorkflowRun]:
    """Return the runs of one page of a list.

    A run in a form that is none of GitHub's is there by its id alone, and so is never trusted; one
    without an id is left out.

    Raises:
        FormError: it is no list of runs.
    """
    try:
        page = msgspec.json.decode(body, type=_Runs)
    except (msgspec.DecodeError, UnicodeError) as error:
        msg = "a list of workflow runs was expected"
        raise FormError(msg) from error
    return list(_readable(page.workflow_runs))


def _readable(raw: list[msgspec.Raw]) -> Iterator[WorkflowRun]:
    for item in raw:
        try:
            yield msgspec.json.decode(item, type=WorkflowRun)
        except (msgspec.DecodeError, UnicodeError):
            try:
                bare = msgspec.json.decode(item, type=_Id)
            except (msgspec.DecodeError, UnicodeError):
                continue
            yield WorkflowRun(id=bare.id, run_attempt=bare.run_attempt)


def run_of(body: str) -> WorkflowRun:
    """Return one workflow run.

    Raises:
        FormError: it is none.
    """
    try:
        return msgspec.json.decode(body, type=WorkflowRun)
    except (msgspec.DecodeError, UnicodeError) as error:
        msg = "a workflow run was expected"
        raise FormError(msg) from error


def artifacts_of(body: str) -> list[ActionsArtifact]:
    """Return the artifacts of one page of a list.

    Raises:
        FormError: it is no list of artifacts.
    """
    try:
        return msgspec.json.decode(body, type=_Artifacts).artifacts
    except (msgspec.DecodeError, UnicodeError) as error:
        msg = "a list of artifacts was expected"
        raise FormError(msg) from error


def message_of(body: str) -> str:
    """Return GitHub's own sentence in an error's body; empty where there is none."""
    try:
        return msgspec.json.decode(body, type=_Message).message
    except (msgspec.DecodeError, UnicodeError):
        return ""
