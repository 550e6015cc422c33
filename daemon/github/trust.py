"""Which workflow runs are believed: a pure function of what GitHub says and what is configured.

A branch's name proves nothing: the list of runs on `main` has those of forks whose branch is called
main. What counts is where the code came from (head_repository), what started the run, and which
file of the repository the workflow is.
"""

from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from secdaemon.config.schema import Github, Repository
from secdaemon.daemon.github.answers import ActionsArtifact, WorkflowRun

WORKFLOWS = ".github/workflows/"


class Kind(StrEnum):
    """What is thought of a workflow run."""

    TRUSTED = "trusted"
    NOT_YET = "not yet"
    IGNORED = "ignored"


class Verdict(msgspec.Struct, frozen=True):
    """What is thought of a workflow run, and why where it is not trusted."""

    kind: Kind
    reason: str | None = None


TRUSTED = Verdict(Kind.TRUSTED)


def workflow_path(workflow: str) -> str:
    """Return a workflow's path in its repository; a bare file name lies in .github/workflows."""
    return workflow.lstrip("/") if "/" in workflow.strip("/") else WORKFLOWS + workflow.strip("/")


def watch_of(github: Github, watched: Repository) -> str:
    """Return under what name state.db remembers a watched workflow."""
    place = f"{github.api_url.rstrip('/').lower()}/{watched.name.lower()}"
    return f"{place} {workflow_path(watched.workflow)} {watched.branch}"


def judge(run: WorkflowRun, watched: Repository, repository_id: int | None = None) -> Verdict:
    """Return what is thought of a run; whatever is missing or null speaks against it.

    Args:
        run: as GitHub shows it.
        watched: what is configured.
        repository_id: the repository's number where it is known already.
    """
    if reason := _stranger(run, watched, repository_id):
        return Verdict(Kind.IGNORED, reason)
    if run.status != "completed" or run.conclusion is None:
        return Verdict(Kind.NOT_YET, f"not completed yet ({run.status}); looked at again")
    if run.conclusion != "success":
        return Verdict(Kind.IGNORED, f"it did not succeed (conclusion {run.conclusion})")
    return TRUSTED


def _stranger(  # noqa: PLR0911 - one line a reason
    run: WorkflowRun, watched: Repository, repository_id: int | None
) -> str | None:
    """Return what of a run can never become right, None where nothing is wrong."""
    home = run.repository.id if run.repository else None
    head = run.head_repository.id if run.head_repository else None
    if home is None:
        return "GitHub does not say which repository it belongs to"
    if repository_id is not None and home != repository_id:
        return f"it belongs to another repository (number {home}, not {repository_id})"
    if head is None:
        return "the repository of its code is gone (a deleted fork)"
    if head != home:
        fork = run.head_repository.full_name if run.head_repository else None
        return f"its code comes from a fork ({fork or head})"
    wanted = workflow_path(watched.workflow)
    if _path(run) != wanted:
        return f"another workflow ({run.path}, not {wanted})"
    if run.head_branch != watched.branch:
        return f"another branch ({run.head_branch}, not {watched.branch})"
    if run.event not in watched.events:
        return f"started by {run.event}, which github.repositories[].events does not list"
    return None


def _path(run: WorkflowRun) -> str | None:
    """Return the workflow's path; GitHub may add `@ref` to it and put its repository before it."""
    path = (run.path or "").partition("@")[0]
    name = run.repository.full_name if run.repository else None
    if name and path.lower().startswith(f"{name}/".lower()):
        path = path[len(name) + 1 :]
    return path or None


def chosen(
    found: list[ActionsArtifact], patterns: tuple[str, ...], before: str | None = None
) -> list[ActionsArtifact]:
    """Return the artifacts that are taken, by name; letter case does not matter in patterns.

    GitHub lists those of all attempts of a run. Of several with one name the newest counts.

    Args:
        found: what the run has.
        patterns: as for a shell.
        before: when the next attempt started: what came later is that one's.
    """
    newest: dict[str, ActionsArtifact] = {}
    for artifact in sorted(found, key=lambda artifact: artifact.id):
        late = before and artifact.created_at and artifact.created_at >= before
        name = artifact.name.lower()
        if not late and any(fnmatchcase(name, pattern.lower()) for pattern in patterns):
            newest[artifact.name] = artifact
    return sorted(newest.values(), key=lambda artifact: (artifact.name, artifact.id))
