"""The loop keeps to the hours and to the power that `schedule` asks for."""

import fcntl
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon import jobs
from secdaemon.daemon.intake import Offer, accept
from secdaemon.daemon.loop import Loop, Scope
from secdaemon.daemon.power import MAINS, Power, Wakefulness
from secdaemon.daemon.tables import run_lines, status_lines
from secdaemon.daemon.views import training_waits, view_run, view_status
from secdaemon.pipeline.interface import Stage1Output
from secdaemon.state.daemon_row import problems, set_paused
from secdaemon.state.machine import Slot, State, Step, rule_from
from secdaemon.state.runs import Move, events, get_run, move, outputs_of
from secdaemon.state.store import Store, open_store

Make = Callable[..., Path]
MakeLoop = Callable[..., Any]

NIGHT = "22:00-07:00"
HOUR = 3600.0
"""The driven clock starts at 08:00 UTC, so that the night begins 14 hours later."""
FOR_22 = "training waits for 22:00 (schedule.hours)"


def asking(settings: Settings, **keys: object) -> Settings:
    """Return settings whose schedule asks for this."""
    return msgspec.structs.replace(
        settings, schedule=msgspec.structs.replace(settings.schedule, **keys)
    )


class Battery:
    """A computer's power that a test sets, and that counts who asks."""

    def __init__(self) -> None:
        """Start on mains, without a battery."""
        self.power = MAINS
        self.looks = 0

    def __call__(self) -> Power:
        """Answer as psutil would."""
        self.looks += 1
        return self.power

    def left(self, percent: float) -> None:
        """Go on on the battery."""
        self.power = Power(plugged=False, percent=percent)


@pytest.fixture
def built(home: Home, settings: Settings, store: Store, make_zip: Make) -> Callable[..., str]:
    """Return a maker of runs that stand before Stage 1, without the files of their data."""

    def make(name: str = "a", state: State = State.DATASET_BUILT) -> str:
        path = make_zip(home.root / f"{name}.zip", name=name)
        offer = Offer(path=path, kind="manual", remove=False)
        run = accept(store, home, settings, offer, 1_800_000_000.0).run
        while (now := get_run(store, run)).state is not state:
            rule = rule_from(now.state)
            assert rule is not None
            how = Move(target=rule.target, cause=rule.step, detail="", project=f"project-{name}")
            assert move(store, now, how, 1_800_000_000.0)
        return run

    return make


@pytest.fixture
def slow(home: Home) -> Iterator[None]:
    """Hold the heavy slot's lock, so that a heavy worker lives and waits until it is told to end."""
    with (home.locks / "heavy.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def training(driven: Any) -> bool:
    """Return whether a heavy worker lives."""
    return Slot.HEAVY in driven.loop.crew.busy


@pytest.mark.usefixtures("slow")
def test_training_starts_when_its_hours_begin(
    store: Store, settings: Settings, make_loop: MakeLoop, built: Callable[..., str]
) -> None:
    """Before, nothing is started and `status` says what is waited for; then that goes."""
    run = built()
    driven = make_loop(asking(settings, hours=NIGHT), zone=UTC)
    assert driven.tick() <= 30.0
    assert driven.tick(13.9 * HOUR) <= 30.0
    assert not training(driven)
    assert problems(store) == [FOR_22]
    assert driven.loop.idle()
    driven.tick(0.2 * HOUR)
    assert training(driven)
    assert problems(store) == []
    assert get_run(store, run).attempts == 1


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("state", [State.DATASET_BUILT, State.STAGE1_READY, State.STAGE2_TRAINED])
def test_a_training_stops_when_its_hours_end(
    state: State,
    store: Store,
    settings: Settings,
    make_loop: MakeLoop,
    built: Callable[..., str],
) -> None:
    """It is asked to checkpoint, its history says why, it costs no attempt, and it goes on later."""
    run = built(state=state)
    driven = make_loop(asking(settings, hours="08:00-09:00"), zone=UTC)
    driven.tick()
    (worker,) = driven.loop.crew.workers.values()
    assert worker.stop_deadline is None
    driven.tick(HOUR)
    assert worker.stop_deadline is not None
    driven.settled()
    waiting = get_run(store, run)
    assert (waiting.state, waiting.attempts, waiting.reason) == (state, 0, None)
    told = "training waits for 08:00 (schedule.hours)"
    assert events(store, run)[-1].detail.startswith(f"stopped, {told}; it goes on from ")
    assert problems(store) == [told]
    assert driven.loop.idle()
    driven.tick(23 * HOUR)
    assert training(driven)


@pytest.mark.usefixtures("slow")
def test_a_low_battery_stops_training_until_it_is_charged(
    store: Store, settings: Settings, make_loop: MakeLoop, built: Callable[..., str]
) -> None:
    """The charge is told as it changes, and a little more than the limit is needed to go on."""
    built()
    battery = Battery()
    battery.left(60)
    driven = make_loop(asking(settings, min_battery_percent=40), power=battery)
    driven.tick()
    assert training(driven)
    battery.left(40)
    driven.tick(30)
    driven.settled()
    (told,) = problems(store)
    assert told == (
        "training waits for mains power: battery at 40 %, above 45 % it goes on "
        "(schedule.min_battery_percent)"
    )
    battery.left(44)
    driven.tick(30)
    assert not training(driven)
    assert "battery at 44 %" in problems(store)[0]
    battery.left(46)
    driven.tick(30)
    assert training(driven)
    assert problems(store) == []


@pytest.mark.usefixtures("slow")
def test_training_waits_for_mains(
    store: Store, settings: Settings, make_loop: MakeLoop, built: Callable[..., str]
) -> None:
    """With both asked for, both are told, and one that is over is told no more."""
    built()
    battery = Battery()
    battery.left(100)
    driven = make_loop(
        asking(settings, hours=NIGHT, on_ac_power_only=True), power=battery, zone=UTC
    )
    driven.tick()
    mains = "training waits for mains power (schedule.on_ac_power_only)"
    assert sorted(problems(store)) == [FOR_22, mains]
    battery.power = MAINS
    driven.tick(30)
    assert problems(store) == [FOR_22]
    driven.tick(14 * HOUR)
    assert training(driven)


def test_nobody_asks_the_battery_while_nothing_trains(
    home: Home, settings: Settings, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """An idle daemon, and one whose light steps work, never look."""
    battery = Battery()
    driven = make_loop(asking(settings, on_ac_power_only=True), power=battery)
    for _ in range(10):
        driven.tick(60)
    path = make_zip(home.root / "a.zip")
    run = accept(store, home, settings, Offer(path=path, kind="manual", remove=False), driven.now)
    driven.loop.hint()
    driven.until(lambda: get_run(store, run.run).state is State.PARSED)
    assert battery.looks == 0


def test_light_steps_do_not_wait(
    home: Home, settings: Settings, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """An artifact is read and its data built at any hour; then the loop has nothing to do."""
    driven = make_loop(asking(settings, hours=NIGHT), zone=UTC)
    make_zip(home.root / "inbox" / "scan.zip")
    driven.until(lambda: problems(store))
    (run,) = driven.loop.taken
    assert get_run(store, run).state is State.DATASET_BUILT
    assert get_run(store, run).attempts == 0
    assert driven.loop.idle()


@pytest.mark.usefixtures("slow")
def test_a_waiting_run_is_still_superseded(
    store: Store, settings: Settings, make_loop: MakeLoop, built: Callable[..., str]
) -> None:
    """Nobody has to wait for the night to see that a newer artifact came."""
    old, new = built("a"), built("b")
    project = Move(target=State.DATASET_BUILT, cause=Step.BUILD_DATASET, detail="", project="same")
    with store.transaction() as db:
        db.execute("UPDATE runs SET project = ?", (project.project,))
    driven = make_loop(asking(settings, hours=NIGHT), zone=UTC)
    driven.tick()
    assert get_run(store, old).state is State.SUPERSEDED
    assert get_run(store, new).state is State.DATASET_BUILT
    assert problems(store) == [FOR_22]


@pytest.mark.usefixtures("slow")
def test_what_is_told_goes_with_its_run(
    home: Home, store: Store, settings: Settings, make_loop: MakeLoop, built: Callable[..., str]
) -> None:
    """A paused daemon waits for `resume` and says nothing of hours; nor does one that has ended."""
    other = open_store(home)
    built()
    driven = make_loop(asking(settings, hours=NIGHT), zone=UTC)
    driven.tick()
    assert problems(store) == [FOR_22]
    set_paused(other, True)
    driven.tick()
    assert problems(store) == []
    set_paused(other, False)
    driven.tick()
    assert problems(store) == [FOR_22]
    driven.loop.stop()
    driven.loop.run()
    assert problems(store) == []
    other.close()


@pytest.mark.usefixtures("slow")
def test_a_person_who_waits_is_not_kept_waiting(
    store: Store, settings: Settings, make_loop: MakeLoop, built: Callable[..., str]
) -> None:
    """`process` trains one run now, whatever the hour and the battery."""
    run = built()
    battery = Battery()
    battery.left(1)
    driven = make_loop(
        asking(settings, hours=NIGHT, on_ac_power_only=True),
        scope=Scope(inbox=False, only=run),
        power=battery,
        zone=UTC,
    )
    driven.tick()
    assert training(driven)
    assert (problems(store), battery.looks) == ([], 0)


@pytest.mark.usefixtures("slow")
def test_status_says_why_beside_the_run(
    home: Home,
    store: Store,
    settings: Settings,
    make_loop: MakeLoop,
    built: Callable[..., str],
) -> None:
    """In the overview, in the run's own lines and in the JSON; a run whose turn it is not has none."""
    run, other = built("a"), built("b", State.UNPACKED)
    driven = make_loop(asking(settings, hours=NIGHT), zone=UTC)
    driven.tick()
    waits = training_waits(store)
    overview = view_status(store, home, settings, -1)
    assert overview.daemon.problems == waits == [FOR_22]
    lines = list(status_lines(overview, waits))
    assert f"problem  {FOR_22}" in lines
    beside = {line.split()[0]: FOR_22 in line for line in lines if line.startswith("2027")}
    assert beside == {run: True, other: False}
    assert f"waits      {FOR_22}" in list(run_lines(view_run(store, run), waits))
    assert not any(FOR_22 in line for line in run_lines(view_run(store, other), waits))
    assert training_waits(None) == []


@pytest.mark.usefixtures("slow")
def test_the_computer_is_kept_awake_while_it_trains_and_for_nothing_else(
    store: Store, settings: Settings, make_loop: MakeLoop, built: Callable[..., str], tmp_path: Path
) -> None:
    """A caffeinate is started beside the heavy worker, for its process, and not beside a light one."""
    program = tmp_path / "caffeinate"
    program.touch()
    told: list[list[str]] = []

    def record(command: list[str]) -> "subprocess.Popen[bytes]":
        told.append(command)
        done = subprocess.Popen([sys.executable, "-c", ""])
        done.wait()
        return done

    built("b", State.UNPACKED)
    run = built("a")
    driven = make_loop(awake=Wakefulness(program, record))
    driven.until(lambda: len(driven.loop.crew.workers) == 2 or not training(driven))
    heavy = [w.pid for w in driven.loop.crew.workers.values() if w.lease.slot == "heavy"]
    assert get_run(store, run).step is Step.STAGE1
    assert told == [[str(program), "-i", "-s", "-w", str(pid)] for pid in heavy]


@pytest.mark.slow
def test_a_real_training_checkpoints_waits_and_goes_on(
    home: Home, store: Store, settings: Settings, make_loop: MakeLoop, make_zip: Make
) -> None:
    """Unplugged in the middle, it leaves a checkpoint; plugged in again, it resumes from there."""
    battery = Battery()
    longer = msgspec.structs.replace(
        asking(settings, on_ac_power_only=True),
        stage1=msgspec.structs.replace(settings.stage1, iterations=30),
    )
    driven = make_loop(longer, power=battery)
    make_zip(home.root / "inbox" / "scan.zip", count=12)
    begun = ".*.training/checkpoints/*5/manifest.json"
    driven.until(lambda: any(home.stage1.glob(begun)), passed=1.0)
    (run,) = driven.loop.taken
    battery.left(80)
    driven.tick(30)
    driven.settled()
    assert (get_run(store, run).state, get_run(store, run).attempts) == (State.DATASET_BUILT, 0)
    assert "stopped, training waits for mains power" in events(store, run)[-1].detail
    battery.power = MAINS
    driven.tick(30)
    driven.until(lambda: get_run(store, run).state is State.STAGE1_READY, passed=1.0)
    output = jobs.read_output(
        Step.STAGE1, msgspec.Raw(outputs_of(store, Step.STAGE1)[run].encode())
    )
    assert isinstance(output, Stage1Output)
    assert output.training.resumed_at >= 5
    assert output.training.iterations == 30


def test_a_loop_has_defaults_for_the_computer(home: Home, settings: Settings, store: Store) -> None:
    """Without arguments it asks the real clock, zone and battery."""
    assert Loop(home, settings, store).tick(1_800_000_000.0) >= 0.0
