"""What the store gives out: runs, events, leases, the daemon's own row."""

from pathlib import Path

import msgspec

from secdaemon.state.machine import State, Step


class NewRun(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run when its artifact is taken in."""

    kind: str
    name: str
    sha256: str
    size: int
    project: str
    archive: str
    repository: str | None = None
    workflow_run_id: int | None = None
    run_attempt: int | None = None
    head_sha: str | None = None
    branch: str | None = None
    workflow: str | None = None
    actor: str | None = None
    url: str | None = None
    ran_at: str | None = None
    """When the workflow run's attempt started (UTC, ISO 8601): the order of GitHub's runs."""
    source_dir: str | None = None
    train: bool = True
    publish: bool = True


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run as it stands in state.db; times are UTC ISO 8601 ending in Z."""

    seq: int
    """Grows with every run: a larger one is newer."""
    id: str
    project: str
    state: State
    attempts: int
    """Attempts of the current step, the running one included."""
    reason: str | None
    kind: str
    name: str
    sha256: str
    size: int
    repository: str | None
    workflow_run_id: int | None
    run_attempt: int | None
    head_sha: str | None
    branch: str | None
    workflow: str | None
    actor: str | None
    url: str | None
    """The workflow run's page."""
    ran_at: str | None
    source_dir: str | None
    train: bool
    """False where only the data was asked for."""
    publish: bool
    """Whether publishing was switched on when the run was made."""
    run_dir: str | None
    lease: str | None
    """The token of the worker that has this run."""
    step: Step | None
    """The step being worked on."""
    retry_at: float | None
    """Unix seconds before which the current step is not tried again."""
    ended_in: Step | None
    """The step that a held or failed run ended in."""
    fingerprint: str | None
    """The hash of its training data, once built."""
    created_at: str
    updated_at: str
    archive: str

    @property
    def finished(self) -> bool:
        """Whether no step is left: an end state, or retained with publishing switched off."""
        return is_finished(self.state, self.publish)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a run's history."""

    at: str
    source: State | None = msgspec.field(name="from")
    target: State = msgspec.field(name="to")
    step: str | None
    detail: str


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's claim on a run's step."""

    slot: str
    token: str
    run: str
    step: Step


class DaemonRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon last said of itself."""

    pid: int | None
    started_at: str | None
    paused: bool
    last_poll_at: str | None


class StoreError(Exception):
    """state.db cannot be used; the message is one sentence that says what to do."""


class ForeignStoreError(StoreError):
    """state.db is none of ours or of a newer version: trying again changes nothing."""


class UnknownRunError(StoreError):
    """No run has this id."""

    def __init__(self, run_id: str, path: Path) -> None:
        """Name the run and the database that was asked."""
        super().__init__(f"no run {run_id} in {path}; `secdaemon status` lists the runs")


def is_finished(state: State, publish: bool) -> bool:
    """Return whether a run in this state has no step left."""
    from secdaemon.state.machine import ENDS

    return state in ENDS or (state is State.RETAINED and not publish)
