"""A trusted workflow run's artifacts, downloaded and handed to the intake as one."""

import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from secdaemon.config.paths import Home
from secdaemon.daemon.github.answers import (
    ActionsArtifact,
    FormError,
    WorkflowRun,
    artifacts_of,
    run_of,
)
from secdaemon.daemon.github.download import (
    DamagedError,
    DiskError,
    Terms,
    TooLargeError,
    bundle,
    download,
)
from secdaemon.daemon.github.manners import Kind, Trouble, TroubleError, quoted
from secdaemon.daemon.github.outside import COMMIT, fetch_commit, verify_attestation
from secdaemon.daemon.github.session import Session, short_name
from secdaemon.daemon.github.trust import TRUSTED, chosen, judge, workflow_path
from secdaemon.daemon.intake import DOWNLOADING, Offer, Upstream, accept
from secdaemon.state.polls import Entry, ignore, later_attempt
from secdaemon.state.runs import Taken

ARTIFACT_PAGES = 10
PAGE = re.compile(r"https?://[A-Za-z0-9._:/-]+")
NAMED = 5
"""How many artifacts a sentence names."""


class IgnoredError(Exception):
    """A workflow run is not taken in, for good; the message says why."""


def take_run(at: Session, entry: Entry) -> tuple[Taken | None, str | None]:
    """Take one wanted workflow run in.

    Returns:
        Its run, None where it was decided that there is none; and what went wrong beside it.

    Raises:
        TroubleError: GitHub or the disk does not play along; it is tried again.
        DamagedError: what came is not what was promised; it is tried again.
    """
    try:
        run = run_of(entry.about)
        artifacts = _wanted_artifacts(at, entry, run)
        return _hand_over(at, run, artifacts)
    except FormError:
        ignore(at.store, at.watch.watch, entry, "what was noted of it cannot be read any more")
    except IgnoredError as error:
        ignore(at.store, at.watch.watch, entry, str(error))
    except TooLargeError:
        limit = at.around.settings.github.max_download_bytes
        ignore(at.store, at.watch.watch, entry, f"larger than github.max_download_bytes ({limit})")
    except OSError as error:
        text = f"the home cannot be written: {error.strerror or error}"
        raise TroubleError(Trouble(Kind.OURS, text)) from error
    except DiskError as error:
        raise TroubleError(Trouble(Kind.OURS, f"the home cannot be written: {error}")) from error
    return None, None


def _wanted_artifacts(at: Session, entry: Entry, run: WorkflowRun) -> list[ActionsArtifact]:
    """Return the artifacts of a run that are there to be taken.

    Raises:
        IgnoredError: there is none, or together they are too large.
        TroubleError: GitHub does not say.
    """
    # The settings may have become stricter since it was listed.
    verdict = judge(run, at.watched, at.number)
    if verdict != TRUSTED:
        raise IgnoredError(verdict.reason)
    there = _list_artifacts(at, run)
    before = later_attempt(at.store, at.watch.watch, entry)
    found = chosen(there, at.watched.artifacts, before)
    if not found:
        raise IgnoredError(_none(there, before))
    left = [artifact for artifact in found if not artifact.expired]
    if not left:
        msg = "its artifacts have expired on GitHub"
        raise IgnoredError(msg)
    if (
        sum(artifact.size_in_bytes for artifact in left)
        > at.around.settings.github.max_download_bytes
    ):
        raise TooLargeError
    return left


def _none(there: list[ActionsArtifact], before: str | None) -> str:
    if not there:
        return "it has no artifacts"
    if before:
        return "its artifacts are those of a later attempt"
    names = ", ".join(quoted(artifact.name) for artifact in there[:NAMED])
    more = ", …" if len(there) > NAMED else ""
    return f"none of its artifacts is asked for by github.repositories[].artifacts: {names}{more}"


def _list_artifacts(at: Session, run: WorkflowRun) -> list[ActionsArtifact]:
    url: str | None = f"/repos/{at.watched.name}/actions/runs/{run.id}/artifacts?per_page=100"
    found: list[ActionsArtifact] = []
    asked: set[str] = set()
    while url and url not in asked and len(asked) < ARTIFACT_PAGES:
        asked.add(url)
        try:
            answer = at.client.get(url, f"the artifacts of workflow run {run.id}")
            found.extend(artifacts_of(answer.body))
        except FormError as error:
            raise at.client.form_trouble(str(error)) from None
        except TroubleError as error:
            if error.trouble.kind in {Kind.MISSING, Kind.GONE}:
                msg = "it was deleted on GitHub"
                raise IgnoredError(msg) from None
            raise
        url = answer.following
    return found


def _hand_over(
    at: Session, run: WorkflowRun, artifacts: list[ActionsArtifact]
) -> tuple[Taken, str | None]:
    """Download, check, make one zip, and give it to the intake that the inbox uses as well."""
    prefix = f"{DOWNLOADING}{short_name(at.watch.watch)}."
    with tempfile.TemporaryDirectory(
        prefix=prefix, dir=at.around.home.archive, ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        files = _download_all(at, artifacts, folder)
        zipped = folder / "artifact.zip"
        bundle(files, zipped)
        for _, path in files:
            path.unlink()
        trouble = _fetch(at, run)
        offer = Offer(
            path=zipped,
            kind="github",
            remove=False,
            source_dir=str(at.checkout) if at.checkout else None,
            upstream=_upstream(at, run),
        )
        around = at.around
        return accept(at.store, around.home, around.settings, offer, around.now()), trouble


def _download_all(
    at: Session, artifacts: list[ActionsArtifact], folder: Path
) -> list[tuple[ActionsArtifact, Path]]:
    """Return the artifacts that could be had, each with its file; those gone meanwhile are none.

    Raises:
        IgnoredError: all of them are gone.
    """
    github = at.around.settings.github
    left = github.max_download_bytes
    files = []
    for artifact in artifacts:
        path = folder / f"{artifact.id}.zip"
        terms = Terms(github.timeout_seconds, left, at.around.stopping)
        try:
            left -= download(at.client, at.watched.name, artifact, path, terms)
        except TroubleError as error:
            if error.trouble.kind is not Kind.GONE:
                raise
            continue
        if github.require_attestation:
            _attest(at, artifact, path)
        files.append((artifact, path))
    if not files:
        msg = "its artifacts have expired on GitHub"
        raise IgnoredError(msg)
    return files


def _attest(at: Session, artifact: ActionsArtifact, path: Path) -> None:
    api_url = at.around.settings.github.api_url
    try:
        against = verify_attestation(
            path, at.watched.name, api_url, at.around.run, at.around.environ
        )
    except FileNotFoundError as error:
        raise TroubleError(Trouble(Kind.OURS, str(error))) from error
    if against:
        msg = f"artifact {artifact.id} has no good attestation: {against}"
        raise DamagedError(msg)


def _fetch(at: Session, run: WorkflowRun) -> str | None:
    if at.checkout is None:
        return None
    return fetch_commit(at.checkout, run.head_sha, at.around.run, at.around.environ)


def _upstream(at: Session, run: WorkflowRun) -> Upstream:
    """Return what is remembered of a run; what has not the form it should have is left out."""
    page, commit = run.html_url or "", run.head_sha or ""
    return Upstream(
        watch=at.watch.watch,
        name=f"{at.watched.name}#{run.id}.{run.run_attempt}",
        repository=at.watched.name,
        workflow_run_id=run.id,
        run_attempt=run.run_attempt,
        head_sha=commit if COMMIT.fullmatch(commit) else None,
        branch=run.head_branch,
        workflow=workflow_path(at.watched.workflow),
        actor=run.actor.login if run.actor else None,
        url=page if PAGE.fullmatch(page) else None,
        ran_at=run.ran_at,
    )


def sweep_downloads(home: Home, watch: str) -> None:
    """Remove what a kill left of a watch's downloads; the caller holds the watch's lock."""
    for path in home.archive.glob(f"{DOWNLOADING}{short_name(watch)}.*"):
        with suppress(OSError):
            shutil.rmtree(path)
