"""`status --json` shows what the contract lists: no key more, no key less."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.intake import Offer, accept
from secdaemon.daemon.lock import hold
from secdaemon.daemon.views import view_run, view_status
from secdaemon.pipeline.findings.model import Counts, FileKind, FileReport
from secdaemon.pipeline.interface import (
    BuildOutput,
    ExampleCounts,
    Gate,
    Interval,
    Metrics,
    ParseOutput,
    Progress,
    PublishOutput,
    RetentionOutput,
    RetentionResult,
    Stage1Output,
    Stage2Output,
    StepOutput,
    TrainingSummary,
    UnpackOutput,
)
from secdaemon.state.daemon_row import daemon_started, set_paused, set_problem
from secdaemon.state.leases import acquire, heartbeat
from secdaemon.state.machine import State, Step, rule_from, rule_of
from secdaemon.state.model import UnknownRunError
from secdaemon.state.runs import Move, get_run, move
from secdaemon.state.store import Store

NOW = 1_800_000_000.0
STATUS = {"version", "home", "inbox", "daemon", "runs"}
DAEMON = {"running", "pid", "paused", "started_at", "last_poll_at", "problems"}
RUN = {
    *("id", "state", "step", "source", "created_at", "updated_at", "attempts", "reason"),
    *("progress", "findings", "examples", "stage1", "stage2", "retention", "published", "run_dir"),
}
SOURCE = {
    *("kind", "name", "sha256", "size", "repository", "workflow_run_id", "run_attempt", "head_sha"),
}
PROGRESS = {"iteration", "iterations", "loss", "tokens_per_second", "eta_seconds"}
METRICS = {"examples", "loss", "perplexity", "token_accuracy", "exact_match", "codebleu"}
NESTED: dict[str, set[str]] = {
    "source": SOURCE,
    "findings": {"in", "kept", "duplicate", "suppressed", "rejected"},
    "examples": {"train", "validation", "test", "replay"},
    "stage1": {"fingerprint", "reused", "metrics"},
    "stage2": {"metrics", "baseline"},
    "retention": {"value", "ci_low", "ci_high", "threshold", "passed"},
    "published": {"target", "model_url", "dataset_url", "revision"},
}

METRIC = Metrics(examples=3, loss=1.0, perplexity=2.7, token_accuracy=0.5)
COUNTS = ExampleCounts(train=8, validation=1, test=1)
TRAINING = TrainingSummary(
    iterations=9, examples=8, tokens=99, first_loss=2.0, last_loss=1.0, seconds=1.0
)
OUTPUTS: dict[Step, StepOutput] = {
    Step.UNPACK: UnpackOutput(files=1, bytes=2),
    Step.PARSE: ParseOutput(
        counts=Counts(entered=4, kept=1, duplicate=1, suppressed=1, rejected=1),
        files=(FileReport(path="a.sarif", kind=FileKind.OK, findings=4),),
        by_tool={"x": 1},
    ),
    Step.BUILD_DATASET: BuildOutput(
        examples=COUNTS, fingerprint="f", by_category={"advice": 10}, left_out={}
    ),
    Step.STAGE1: Stage1Output(
        fingerprint="s1",
        reused=False,
        created_at="2026-01-01T00:00:00.000Z",
        folder="/s1",
        base_metrics=METRIC,
        metrics=METRIC,
        examples=COUNTS,
        left_out={},
        revisions={},
        training=TRAINING,
    ),
    Step.STAGE2: Stage2Output(
        base_metrics=METRIC,
        baseline=METRIC,
        metrics=METRIC,
        examples=ExampleCounts(train=8, validation=1, test=1, replay=2),
        left_out={},
        training=TRAINING,
    ),
    Step.RETENTION: RetentionOutput(
        stage1_test=METRIC,
        retention=RetentionResult(
            value=None,
            ci_low=None,
            ci_high=None,
            threshold=0.9,
            passed=True,
            gain=Interval(value=0.0, ci_low=-1.0, ci_high=1.0),
            token_accuracy_ratio=1.0,
            reason="undefined",
        ),
        gates=(Gate(name="retention", passed=True, quality=True, detail=""),),
    ),
    Step.PUBLISH: PublishOutput(
        target="folder",
        model_url="/m",
        dataset_url="/d",
        revision="r",
        gates=(Gate(name="secrets", passed=True, quality=False, detail="none in 3 files"),),
    ),
}


@pytest.fixture
def run(home: Home, settings: Settings, store: Store, make_zip: Callable[..., Path]) -> str:
    """Return a run that was just received."""
    offer = Offer(path=make_zip(home.root / "scan.zip"), kind="manual", remove=False)
    return accept(store, home, settings, offer, NOW).run


def advance(store: Store, run_id: str) -> None:
    """Let the run's next step succeed."""
    run = get_run(store, run_id)
    rule = rule_from(run.state)
    assert rule
    output = msgspec.json.encode(OUTPUTS[rule.step]).decode()
    how = Move(target=rule.target, cause=rule.step, detail="well", output=output)
    assert move(store, run, how, NOW)


def shown(value: object) -> Any:
    """Return a view as a script gets it."""
    return json.loads(msgspec.json.encode(value))


def test_an_empty_home_has_a_status(home: Home, settings: Settings, tmp_path: Path) -> None:
    """Without a state.db all keys are there, and nothing is made."""
    empty = Home(root=tmp_path / "absent", chosen=True)
    status = shown(view_status(None, empty, settings, -1))
    assert set(status) == STATUS
    assert set(status["daemon"]) == DAEMON
    assert status["runs"] == []
    assert status["daemon"] == {
        "running": False,
        "pid": None,
        "paused": False,
        "started_at": None,
        "last_poll_at": None,
        "problems": [],
    }
    assert not empty.root.exists()


def test_the_daemon_is_shown_while_it_holds_the_home(
    home: Home, settings: Settings, store: Store
) -> None:
    """Running, since when, paused, and with its problems; another command's hold is no daemon."""
    daemon_started(store, 1, NOW)
    set_paused(store, True)
    set_problem(store, "inbox", "it cannot be read", NOW)
    with hold(home, "process"):
        assert not view_status(store, home, settings, -1).daemon.running
    with hold(home, "run"):
        daemon = view_status(store, home, settings, -1).daemon
    assert (daemon.running, daemon.pid, daemon.paused) == (True, os.getpid(), True)
    assert daemon.started_at == "2027-01-15T08:00:00.000Z"
    assert daemon.problems == ["it cannot be read"]
    assert view_status(store, home, settings, -1).daemon.pid is None


def test_a_run_has_exactly_the_contracts_keys_in_every_state(
    home: Home, settings: Settings, store: Store, run: str
) -> None:
    """What is not known yet is null, and what is known has all of its own keys."""
    for _ in range(len(State)):
        (overview,) = shown(view_status(store, home, settings, -1))["runs"]
        full = shown(view_run(store, run))
        assert set(overview) == RUN
        judged = {"gates"} if full["state"] in {"retained", "published"} else set()
        built = set() if full["examples"] is None else {"answers"}
        assert set(full) == RUN | {"events", "files", "changes", "tools"} | judged | built
        assert {key: full[key] for key in RUN} == overview
        for key, keys in NESTED.items():
            assert overview[key] is None or set(overview[key]) == keys, key
        if get_run(store, run).finished:
            break
        advance(store, run)
    assert full["state"] == "published"
    assert all(full[key] is not None for key in NESTED)
    for metrics in (
        full["stage1"]["metrics"],
        full["stage2"]["metrics"],
        full["stage2"]["baseline"],
    ):
        assert set(metrics) == METRICS
    assert full["examples"]["replay"] == 2
    assert full["findings"]["in"] == 4
    assert full["retention"]["value"] is None
    (file,) = full["files"]
    assert set(file) == {"path", "kind", "tool", "format", "findings", "error"}
    assert [event["to"] for event in full["events"]][-1] == "published"
    assert all(set(event) == {"at", "from", "to", "step", "detail"} for event in full["events"])
    assert [gate["name"] for gate in full["gates"]] == ["retention", "secrets"]
    assert full["events"][0]["from"] is None
    assert all(event["at"].endswith("Z") for event in full["events"])


def test_progress_is_shown_while_its_step_runs(
    home: Home, settings: Settings, store: Store, run: str
) -> None:
    """It belongs to the step being worked on, and goes with it."""
    lease = acquire(store, get_run(store, run), rule_of(Step.UNPACK), NOW)
    assert lease
    progress = msgspec.json.encode(Progress(iteration=1, iterations=2, loss=0.5)).decode()
    assert heartbeat(store, lease, progress, NOW)
    assert shown(view_run(store, run))["step"] is None, "nobody works in this home"
    with hold(home, "run"):
        found = shown(view_run(store, run))
    assert found["step"] == "unpack"
    assert found["attempts"] == 1
    assert set(found["progress"]) == PROGRESS
    advance(store, run)
    found = shown(view_run(store, run))
    assert (found["step"], found["progress"], found["attempts"]) == (None, None, 0)


def test_the_newest_runs_come_first_and_a_limit_cuts(
    home: Home, settings: Settings, store: Store, make_zip: Callable[..., Path]
) -> None:
    """A limit of 0 shows none, a negative one all."""
    made = [
        accept(
            store,
            home,
            settings,
            Offer(path=make_zip(home.root / f"{n}.zip", name=f"n{n}"), kind="manual", remove=False),
            NOW + n,
        ).run
        for n in range(3)
    ]
    seen = [run.id for run in view_status(store, home, settings, -1).runs]
    assert seen == made[::-1]
    assert [run.id for run in view_status(store, home, settings, 1).runs] == made[2:]
    assert view_status(store, home, settings, 0).runs == []


def test_an_unknown_run_is_an_error_of_its_own(store: Store) -> None:
    """The sentence names the run and says where to look."""
    with pytest.raises(UnknownRunError, match=r"no run nothing .*secdaemon status"):
        view_run(store, "nothing")
