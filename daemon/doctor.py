"""`doctor`: what is ready and what is missing, each with its cure."""

import os
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.cli import FAILED, WELL
from secdaemon.daemon.commands import existing_store, say, say_json, settings_of
from secdaemon.daemon.github.tokens import HOW, find_tokens, is_safe
from secdaemon.daemon.github.trust import watch_of
from secdaemon.daemon.lock import holder
from secdaemon.daemon.worker import environment
from secdaemon.state.polls import get_watch

FREE_BYTES = 5_000_000_000
"""Checkpoints, a data set and a model of a run, with room to spare."""
READING_SECONDS = 120


class Check(msgspec.Struct, frozen=True):
    """One thing the daemon needs; `cure` says what to do where it is not ready."""

    name: str
    status: Literal["ready", "warning", "missing"]
    detail: str
    cure: str | None = None


class Diagnosis(msgspec.Struct, frozen=True):
    """All checks; ok when the daemon can work."""

    ok: bool
    checks: tuple[Check, ...]


def doctor(args: Namespace, home: Home) -> int:
    """`secdaemon doctor`."""
    settings = settings_of(args, home)
    checks = tuple(_checks(home, settings))
    found = Diagnosis(all(check.status != "missing" for check in checks), checks)
    if args.json:
        say_json(found)
    else:
        for check in checks:
            say(f"{check.status:<8} {check.name:<10} {check.detail}")
            if check.cure:
                say(f"{'':<20}cure: {check.cure}")
    return WELL if found.ok else FAILED


def _checks(home: Home, settings: Settings) -> Iterator[Check]:
    yield _folder("home", home.root)
    yield _folder("inbox", Path(settings.inbox.dir))
    yield _state(home)
    yield _disk(home)
    yield from _asked_of_a_worker(settings)
    yield _program("git", "context from a checkout needs it")
    yield _github(home, settings)
    yield _publishing(settings)
    yield _daemon(home)


def _folder(name: str, folder: Path) -> Check:
    """A folder that can be made or written."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        return Check(name, "missing", f"{existing} is no folder", f"move {existing} away")
    if not os.access(existing, os.W_OK | os.X_OK):
        return Check(name, "missing", f"{existing} cannot be written", f"chmod u+wx {existing}")
    try:
        next(os.scandir(existing), None)
    except PermissionError:
        cure = "keep it outside Downloads, Desktop and Documents, which macOS guards"
        return Check(name, "missing", f"{existing} may not be read", cure)
    if existing != folder:
        return Check(name, "ready", f"{folder} will be made", None)
    return Check(name, "ready", str(folder))


def _state(home: Home) -> Check:
    """StoreError passes through: a database that cannot be used is wrong use everywhere."""
    with existing_store(home) as store:
        if store is None:
            return Check("state", "ready", "state.db will be made")
        (row,) = store.read("SELECT count(*) AS runs FROM runs")
        return Check("state", "ready", f"state.db, {row['runs']} runs")


def _disk(home: Home) -> Check:
    existing = next(path for path in (home.root, *home.root.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / 1e9:.0f} GB free"
    if free >= FREE_BYTES:
        return Check("disk", "ready", detail)
    return Check("disk", "warning", detail, f"free at least {FREE_BYTES / 1e9:.0f} GB")


def _asked_of_a_worker(settings: Settings) -> tuple[Check, ...]:
    """What only heavy imports can tell: the base model, the training library, the sources."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "secdaemon.pipeline.tasks", "doctor"],
            input=msgspec.json.encode(settings),
            capture_output=True,
            check=False,
            timeout=READING_SECONDS,
            env=environment("doctor", dict(os.environ)),
        )
    except subprocess.TimeoutExpired:
        detail = f"the worker did not answer within {READING_SECONDS} seconds"
        cure = "ask again when the computer is less busy"
        return (Check("worker", "missing", detail, cure),)
    try:
        return msgspec.json.decode(done.stdout, type=tuple[Check, ...])
    except msgspec.DecodeError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        detail = last[0] if last else f"the worker ended with status {done.returncode}"
        return (Check("worker", "missing", detail, "install secdaemon again"),)


def _program(name: str, why: str) -> Check:
    found = shutil.which(name)
    if found:
        return Check(name, "ready", found)
    return Check(name, "warning", f"not on PATH; {why}", f"install {name}")


def _github(home: Home, settings: Settings) -> Check:
    """Whether there is a token, and what the last polls said; GitHub itself is not asked here."""
    github = settings.github
    if not github.repositories:
        return Check("github", "ready", "no repository is watched; zips come by the inbox")
    with existing_store(home) as store:
        rows = [
            get_watch(store, watch_of(github, item), item.name) if store else None
            for item in github.repositories
        ]
    if trouble := next((row.trouble for row in rows if row and row.trouble), None):
        return Check("github", "warning", trouble, "secdaemon poll, once that is put right")
    if not is_safe(github.api_url):
        cure = "set github.api_url to the https address"
        return Check("github", "warning", f"no token is sent to {github.api_url}", cure)
    token = next(find_tokens(github.api_url, os.environ), None)
    if token is None:
        return Check("github", "warning", "no token, so that no artifact can be had", HOW)
    detail = f"{len(rows)} watched, the token is from {token.source}"
    return Check("github", "ready", detail)


def _publishing(settings: Settings) -> Check:
    publish = settings.publish
    if not publish.enabled:
        return Check("publish", "ready", "switched off; runs end in retained")
    if publish.target == "folder":
        return _folder("publish", Path(publish.folder))
    return Check("publish", "ready", f"Hugging Face, {publish.model_repo}, {publish.dataset_repo}")


def _daemon(home: Home) -> Check:
    held = holder(home)
    if held and held.command == "run":
        return Check("daemon", "ready", f"running, process {held.pid}")
    cure = "secdaemon agent install, or secdaemon run"
    return Check("daemon", "warning", "not running", cure)
