"""What a trusted run is asked of other programs: an attestation of `gh`, a commit of `git`."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from secdaemon.config.programs import Ran, Runner, find_program
from secdaemon.daemon.github.manners import quoted

GIT_SECONDS = 120.0
LOCAL_GIT_SECONDS = 20.0
ATTESTATION_SECONDS = 120.0
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NOTHING_ELSE = (
    *("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false"),
    *("-c", "fetch.recurseSubmodules=no", "-c", "protocol.ext.allow=never"),
)
"""A fetch that runs no hook, tidies nothing up and leaves submodules alone."""


def fetch_commit(
    checkout: Path, commit: str | None, run: Runner, environ: Mapping[str, str]
) -> str | None:
    """Fetch a commit into a clone that lacks it, and do nothing else there.

    Returns:
        What went wrong, in words; None where the commit is there now.
    """
    if commit is None or not COMMIT.fullmatch(commit):
        return f"checkout {checkout}: GitHub names no commit"
    git = find_program("git", environ)
    if git is None:
        return f"checkout {checkout}: git is not installed"
    here = (git, "-C", str(checkout), *_NOTHING_ELSE)
    there = (*here, "cat-file", "-e", f"{commit}^{{commit}}")
    if run(there, LOCAL_GIT_SECONDS).status == 0:
        return None
    fetch = (*here, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "origin")
    done = run((*fetch, commit), GIT_SECONDS)
    if done.status != 0:
        # A server need not give out a commit by its name; then its branches are fetched.
        done = run(fetch, GIT_SECONDS)
    if run(there, LOCAL_GIT_SECONDS).status == 0:
        return None
    return f"checkout {checkout}: commit {commit[:12]} cannot be fetched ({_last(done)})"


def verify_attestation(
    file: Path, repository: str, api_url: str, run: Runner, environ: Mapping[str, str]
) -> str | None:
    """Ask `gh` whether an artifact's attestation is a good one.

    Returns:
        What speaks against it, in words; None where nothing does.

    Raises:
        FileNotFoundError: there is no `gh`.
    """
    gh = find_program("gh", environ)
    if gh is None:
        msg = "github.require_attestation needs `gh`, which is not installed"
        raise FileNotFoundError(msg)
    host = (urlsplit(api_url).hostname or "").removeprefix("api.")
    where = () if host == "github.com" else ("--hostname", host)
    command = (gh, "attestation", "verify", str(file), "--repo", repository, *where)
    done = run(command, ATTESTATION_SECONDS)
    return None if done.status == 0 else f"`gh attestation verify`: {_last(done)}"


def _last(ran: Ran) -> str:
    """Return the last thing that a program said."""
    lines = (ran.error.strip() or ran.output.strip()).splitlines()
    return quoted(lines[-1]) if lines else f"status {ran.status}"
