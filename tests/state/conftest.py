"""A real store, and artifacts to put into it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.state.machine import rule_from
from secdaemon.state.model import NewRun, Run
from secdaemon.state.runs import Move, add_run, get_run, move
from secdaemon.state.store import Store, open_store

NOW = 1_700_000_000.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home without a database."""
    return Home(root=tmp_path, chosen=True)


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    """An open store of a new home."""
    opened = open_store(home)
    yield opened
    opened.close()


MakeRun = Callable[..., Run]
StepOn = Callable[..., Run]


@pytest.fixture
def make_run(store: Store) -> MakeRun:
    """Record a run of an artifact of its own; keywords are NewRun's, `now` is the time."""
    made = iter(range(10**6))

    def make(now: float = NOW, **changes: object) -> Run:
        fields: dict[str, object] = {
            "kind": "inbox",
            "name": "scan.zip",
            "sha256": f"{next(made):064x}",
            "size": 7,
            "project": "project",
            "archive": "/archive/scan.zip",
        }
        new = msgspec.convert(fields | changes, NewRun)
        return get_run(store, add_run(store, new, now).run)

    return make


@pytest.fixture
def step_on(store: Store) -> StepOn:
    """Let a run's next steps succeed, `times` of them, and return it as it stands then."""

    def step(run: Run, times: int = 1, fingerprint: str | None = None) -> Run:
        for _ in range(times):
            rule = rule_from(run.state)
            assert rule is not None
            how = Move(target=rule.target, cause=rule.step, detail="", fingerprint=fingerprint)
            assert move(store, run, how, NOW)
            run = get_run(store, run.id)
        return run

    return step
