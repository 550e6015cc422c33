"""The job names the model to be equalled, where there is one; what was healed is shown."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.intake import Offer, accept
from secdaemon.daemon.jobs import make_job, summary
from secdaemon.daemon.tables import run_lines
from secdaemon.daemon.views import view_run
from secdaemon.pipeline.interface import (
    HealingAttempt,
    Interval,
    Metrics,
    RetentionOutput,
    RetentionResult,
)
from secdaemon.pipeline.layout import RunFolder
from secdaemon.state.machine import Cause, State, Step, rule_from
from secdaemon.state.model import Run
from secdaemon.state.runs import Move, get_run, move, set_run_dir
from secdaemon.state.store import Store

NOW = 1_700_000_000.0
TRAINED = HealingAttempt(
    kind="trained",
    training=0,
    t=1.0,
    replay_ratio=0.15,
    learning_rate=4e-6,
    retention=0.412,
    improvement=0.7,
    passed=False,
    chosen=False,
    detail="less than the threshold",
)
MOVED = msgspec.structs.replace(
    TRAINED, kind="walk", t=0.4375, retention=None, passed=True, chosen=True
)
HEALED = RetentionOutput(
    stage1_test=Metrics(examples=1, loss=None, perplexity=None, token_accuracy=None),
    retention=RetentionResult(
        value=0.95,
        ci_low=0.91,
        ci_high=0.99,
        threshold=0.9,
        passed=True,
        gain=Interval(value=1.0, ci_low=0.9, ci_high=1.1),
        token_accuracy_ratio=1.0,
        reason="0.950 is left",
    ),
    gates=(),
    healing=(TRAINED, MOVED),
    remedy="healed by moving back",
)


@pytest.fixture
def received(
    home: Home, settings: Settings, store: Store, make_zip: Callable[..., Path]
) -> Callable[[str], Run]:
    """Return a receiver of artifacts: (name) to its run."""

    def receive(name: str) -> Run:
        offer = Offer(
            path=make_zip(home.root / f"{name}.zip", name=name), kind="manual", remove=False
        )
        return get_run(store, accept(store, home, settings, offer, NOW).run)

    return receive


def go_to(store: Store, run: Run, state: State, output: RetentionOutput | None = None) -> Run:
    """Let the run's steps succeed until it stands in a state."""
    while run.state is not state:
        rule = rule_from(run.state)
        assert rule
        judged = output if rule.step is Step.RETENTION else None
        text = msgspec.json.encode(judged).decode() if judged else None
        how = Move(target=rule.target, cause=rule.step, detail=summary(judged), output=text)
        assert move(store, run, how, NOW)
        run = get_run(store, run.id)
    return run


def test_the_job_names_the_last_published_model(
    home: Home, settings: Settings, store: Store, received: Callable[[str], Run], tmp_path: Path
) -> None:
    """Its run and its MLX adapter, as long as that folder is there; before that nothing."""
    first = received("first")
    job = make_job(store, home, settings, first, "heavy", NOW)
    assert (job.champion, job.champion_run) == (None, None)
    set_run_dir(store, first.id, str(tmp_path / "first"))
    go_to(store, first, State.PUBLISHED)
    second = received("second")
    job = make_job(store, home, settings, second, "heavy", NOW)
    assert (job.champion, job.champion_run) == (None, None)
    adapter = RunFolder(tmp_path / "first").final_model / "mlx"
    adapter.mkdir(parents=True)
    job = make_job(store, home, settings, get_run(store, second.id), "heavy", NOW)
    assert (job.champion, job.champion_run) == (str(adapter), first.id)


def test_a_released_model_is_no_champion(
    home: Home, settings: Settings, store: Store, received: Callable[[str], Run], tmp_path: Path
) -> None:
    """What a gate held and a person published all the same is no measure for the next ones."""
    for name in ("good", "released"):
        run = received(name)
        set_run_dir(store, run.id, str(tmp_path / name))
        (RunFolder(tmp_path / name).final_model / "mlx").mkdir(parents=True)
        if name == "released":
            run = go_to(store, get_run(store, run.id), State.STAGE2_TRAINED)
            assert move(store, run, Move(target=State.HELD, cause=Step.RETENTION, detail="no"), NOW)
            run = get_run(store, run.id)
            assert move(
                store, run, Move(target=State.RETAINED, cause=Cause.RELEASE, detail="yes"), NOW
            )
        go_to(store, get_run(store, run.id), State.PUBLISHED)
    job = make_job(store, home, settings, received("next"), "heavy", NOW)
    assert job.champion == str(RunFolder(tmp_path / "good").final_model / "mlx")


def test_a_healed_run_says_so(store: Store, received: Callable[[str], Run]) -> None:
    """The event has what came of it, `status` a line and an object an attempt."""
    run = go_to(store, received("healed"), State.RETAINED, HEALED)
    view = view_run(store, run.id)
    assert view.events[-1].detail == "0.950 is left; healed by moving back"
    assert view.healing == (TRAINED, MOVED)
    lines = [line for line in run_lines(view) if line.startswith("healing")]
    assert lines == [
        "healing    trained, 15% replay at 4e-06: retention 0.412, improvement 0.700, not passed",
        (
            "healing    walk to 0.438, 15% replay at 4e-06: retention unknown, improvement 0.700, "
            "passed, the final model"
        ),
    ]
    assert '"healing":[{"kind":"trained"' in msgspec.json.encode(view).decode()


def test_a_run_that_was_not_healed_says_nothing_of_it(
    store: Store, received: Callable[[str], Run]
) -> None:
    """The key is not there at all."""
    output = msgspec.structs.replace(HEALED, healing=(), remedy=None)
    run = go_to(store, received("well"), State.RETAINED, output)
    view = view_run(store, run.id)
    assert view.events[-1].detail == "0.950 is left"
    assert "healing" not in msgspec.to_builtins(view)
    assert not [line for line in run_lines(view) if line.startswith("healing")]
