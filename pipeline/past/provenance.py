"""Where a finding was seen: the run, its artifact, and the workflow run behind it."""

import msgspec

from secdaemon.pipeline.findings.model import FileReport


class SeenIn(msgspec.Struct, frozen=True, kw_only=True):
    """A run and its artifact, as far as a finding's story needs them."""

    run: str
    at: str
    """When the scans were made, as far as is known (UTC, ISO 8601): the start of the workflow run,
    else when the artifact was taken in. It orders artifacts that came late."""
    name: str
    """The artifact's."""
    sha256: str
    repository: str | None = None
    workflow_run_id: int | None = None
    run_attempt: int | None = None
    url: str | None = None
    """The workflow run's page."""
    commit: str | None = None


class EarlierRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the project that was parsed before this one was."""

    seen: SeenIn
    run_dir: str
    files: tuple[FileReport, ...] = ()
    """What was read in it; left out where its corpus says what counts of it."""


class PastRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run whose folder the knowledge base reads."""

    run_id: str
    project: str
    folder: str


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What state.db knows of a run, for telling what became of an example."""

    seen: SeenIn
    state: str
    archive: str
    """The artifact's zip."""
    run_dir: str | None = None
    stage1: str | None = None
    """The fingerprint of the Stage 1 result that it built on."""
    is_trained: bool = False
    """Whether its Stage 2 training came to an end."""
    retraining: int = 0
    """Which training while healing made the final model; 0 is the run's own Stage 2."""
    revision: str | None = None
    """Of what was published."""
    model_url: str | None = None


def source_of(seen: SeenIn) -> dict[str, str]:
    """Return what an example's metadata say of where its finding was seen."""
    if seen.workflow_run_id is None:
        return {"source_artifact": seen.sha256}
    run = f"{seen.repository}#{seen.workflow_run_id}.{seen.run_attempt or 1}"
    return {"source_artifact": seen.sha256, "source_run": run}
