"""The loop, driven by hand over real files, a real store and real workers of the light steps."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.intake import Offer, accept
from secdaemon.daemon.loop import Scope
from secdaemon.state.daemon_row import problems
from secdaemon.state.leases import leases
from secdaemon.state.machine import Cause, State, Step
from secdaemon.state.model import Run
from secdaemon.state.runs import Move, events, get_run, move, newest_runs
from secdaemon.state.store import Store

Make = Callable[..., Path]
MakeLoop = Callable[..., Any]
NOTHING = '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "quiet"}}, "results": []}]}'


def only(store: Store) -> Run:
    """Return the one run there is."""
    (run,) = newest_runs(store, -1)
    return run


def state(store: Store, run: str) -> State:
    """Return where a run stands."""
    return get_run(store, run).state


def changed(settings: Settings, section: str, **values: object) -> Settings:
    """Return settings with other values in one section."""
    part = msgspec.structs.replace(getattr(settings, section), **values)
    return msgspec.structs.replace(settings, **{section: part})


@pytest.fixture
def untrained(settings: Settings) -> Settings:
    """Return settings whose base model is not there, so that training ends before it begins."""
    return changed(settings, "models", base="absent")


def test_files_are_taken_in_without_a_single_event(
    home: Home, store: Store, settings: Settings, make_loop: MakeLoop, make_zip: Make
) -> None:
    """A file there at start and one dropped later are both found by reading the folder."""
    driven = make_loop()
    make_zip(home.root / "inbox" / "early.zip", name="early")
    driven.tick()
    assert newest_runs(store, -1) == []
    wait = driven.tick(settings.inbox.stable_seconds)
    assert [run.name for run in newest_runs(store, -1)] == ["early.zip"]
    make_zip(home.root / "inbox" / "late.zip", name="late")
    assert wait <= settings.inbox.rescan_seconds
    driven.tick(settings.inbox.rescan_seconds)
    driven.tick(settings.inbox.stable_seconds)
    assert [run.name for run in newest_runs(store, -1)] == ["late.zip", "early.zip"]


def test_a_hint_spares_the_wait_for_the_next_reading(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """The watcher's event makes the next tick read the folder."""
    driven = make_loop()
    driven.tick()
    make_zip(home.root / "inbox" / "scan.zip")
    driven.loop.hint()
    assert driven.tick(0.1) <= 0.21
    assert driven.tick(0.2) <= 0.21
    driven.tick(0.2)
    assert only(store).state is State.RECEIVED


def test_the_clock_going_back_stops_nothing(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """After a jump back by a day, new files are still found and steps still start."""
    driven = make_loop()
    driven.tick()
    driven.now -= 86_400.0
    make_zip(home.root / "inbox" / "scan.zip")
    driven.tick()
    driven.tick(0.2)
    run = only(store)
    driven.until(lambda: state(store, run.id) is not State.RECEIVED)


def test_an_artifact_goes_to_its_data_and_fails_for_want_of_a_model(  # noqa: PLR0917 - fixtures
    home: Home,
    store: Store,
    untrained: Settings,
    make_loop: MakeLoop,
    make_zip: Make,
    tmp_path: Path,
) -> None:
    """Light steps do their real work; the missing base model ends it with the sentence that cures."""
    driven = make_loop(untrained)
    make_zip(home.root / "inbox" / "scan.zip")
    driven.until(lambda: newest_runs(store, -1))
    run = only(store).id
    driven.until(lambda: get_run(store, run).finished)
    driven.settled()
    ended = get_run(store, run)
    assert (ended.state, ended.ended_in, ended.attempts) == (State.FAILED, Step.STAGE1, 1)
    assert "absent is not there" in str(ended.reason)
    assert "secdaemon doctor" in str(ended.reason)
    passed = [event.target for event in events(store, run) if event.source != event.target]
    assert passed == ["received", "unpacked", "parsed", "dataset_built", "failed"]
    folder = Path(str(ended.run_dir))
    assert (folder / "findings.jsonl").read_text().count("\n") == 6
    assert (folder / "dataset" / "train.jsonl").stat().st_size
    assert "absent is not there" in (home.logs / f"{run}.log").read_text()
    assert leases(store) == []
    assert driven.loop.idle()
    assert driven.loop.taken == {run}


def test_a_step_that_fails_for_now_backs_off_and_in_the_end_fails(
    home: Home, store: Store, settings: Settings, make_loop: MakeLoop, make_zip: Make
) -> None:
    """The wait doubles up to its limit, no try comes early, and a person may start it again."""
    patient = changed(
        settings, "schedule", backoff_seconds=100.0, backoff_max_seconds=150.0, max_attempts=3
    )
    driven = make_loop(patient)
    make_zip(home.root / "inbox" / "scan.zip")
    driven.tick()
    driven.until(lambda: newest_runs(store, -1))
    run = only(store)
    away = Path(run.archive).rename(home.root / "away")
    for attempt, wait in ((1, 100.0), (2, 150.0)):
        driven.until(lambda: get_run(store, run.id).retry_at)
        driven.settled()
        waiting = get_run(store, run.id)
        assert waiting.attempts == attempt
        assert waiting.retry_at == pytest.approx(driven.now + wait, abs=5.0)
        assert "No such file" in str(waiting.reason)
        assert not driven.loop.idle()
        assert driven.tick() <= 60.0
        assert not driven.loop.crew.workers
        driven.tick(wait)
        assert driven.loop.crew.workers
    driven.until(lambda: get_run(store, run.id).finished)
    failed = get_run(store, run.id)
    assert (failed.state, failed.attempts) == (State.FAILED, 3)
    assert "No such file" in str(failed.reason)
    away.rename(run.archive)
    again = Move(target=State.RECEIVED, cause=Cause.RETRY, detail="again")
    assert move(store, failed, again, driven.now)
    driven.loop.hint()
    driven.until(lambda: state(store, run.id) is State.UNPACKED)
    assert get_run(store, run.id).reason is None


def test_a_retry_is_not_lost_when_the_clock_goes_back(
    home: Home, store: Store, settings: Settings, make_loop: MakeLoop, make_zip: Make
) -> None:
    """A try that lies further ahead than any wait may be is made at once."""
    driven = make_loop(changed(settings, "schedule", backoff_max_seconds=10.0))
    make_zip(home.root / "inbox" / "scan.zip")
    driven.until(lambda: newest_runs(store, -1))
    run = only(store)
    away = Path(run.archive).rename(home.root / "away")
    driven.until(lambda: get_run(store, run.id).retry_at)
    away.rename(run.archive)
    driven.now -= 86_400.0
    driven.loop.hint()
    driven.until(lambda: state(store, run.id) is not State.RECEIVED)


def test_only_the_newest_artifact_of_a_project_is_trained_on(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """The older one is read, keeps its findings, and ends superseded before its training began."""
    driven = make_loop()
    for name in ("a", "b"):
        make_zip(home.root / "inbox" / f"{name}.zip", name=name)
    driven.until(lambda: len(newest_runs(store, -1)) == 2)
    newer, older = newest_runs(store, -1)
    assert (older.name, newer.name) == ("a.zip", "b.zip")
    driven.until(lambda: get_run(store, older.id).finished)
    ended = get_run(store, older.id)
    assert ended.state is State.SUPERSEDED
    assert newer.id in str(ended.reason)
    assert (Path(str(ended.run_dir)) / "findings.jsonl").exists()
    assert not (Path(str(ended.run_dir)) / "work").exists()
    assert not any(event.step == "stage1" for event in events(store, older.id))
    driven.until(lambda: get_run(store, newer.id).step is Step.STAGE1)


@pytest.mark.parametrize("content", [{"a.sarif": NOTHING}, {"notes.txt": "no scan at all"}])
def test_an_artifact_with_nothing_in_it_supersedes_nothing(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make, content: dict[str, str]
) -> None:
    """A newer scan without findings, or a refused one, leaves the older run its training."""
    driven = make_loop()
    make_zip(home.root / "inbox" / "a.zip")
    make_zip(home.root / "inbox" / "b.zip", content)
    driven.until(lambda: len(newest_runs(store, -1)) == 2)
    newer, older = newest_runs(store, -1)
    driven.until(lambda: get_run(store, older.id).step is Step.STAGE1)
    assert state(store, newer.id) in (State.SKIPPED, State.REJECTED)


def test_a_file_that_cannot_be_taken_in_waits_and_is_told(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """The problem stands in `status` until the disk is well again; nothing else is held up."""
    driven = make_loop()
    path = make_zip(home.root / "inbox" / "scan.zip")
    home.archive.rename(home.root / "away")
    home.archive.write_text("in the way")
    driven.tick()
    driven.tick(0.2)
    (problem,) = problems(store)
    assert problem.startswith("scan.zip cannot be taken in yet: ")
    assert path.exists()
    home.archive.unlink()
    home.archive.mkdir()
    driven.tick(0.5)
    assert newest_runs(store, -1) == []
    driven.tick(0.5)
    assert only(store).name == "scan.zip"
    assert problems(store) == []


def test_waiting_for_idleness_ends_with_a_file_that_cannot_be_taken_in(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """`--until-idle` tries it a few times and does not wait for ever."""
    driven = make_loop()
    make_zip(home.root / "inbox" / "scan.zip")
    home.archive.rename(home.root / "away")
    home.archive.write_text("in the way")
    driven.tick()
    driven.tick(0.2)
    assert not driven.loop.idle()
    for _ in range(4):
        driven.tick(300.0)
    assert driven.loop.idle()


def test_an_inbox_that_cannot_be_read_is_told(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """One that was renamed or unmounted is a problem in `status` until it is back, and not made."""
    driven = make_loop()
    inbox = make_zip(home.root / "inbox" / "scan.zip").parent
    inbox.rename(home.root / "away")
    driven.tick()
    (problem,) = problems(store)
    assert str(inbox) in problem
    driven.tick(6.0)
    assert not inbox.exists()
    (home.root / "away").rename(inbox)
    driven.tick(6.0)
    assert problems(store) == []
    driven.tick(1.0)
    assert only(store).name == "scan.zip"


def test_names_that_are_no_text_stop_nothing(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """A name of any bytes is taken in, or told, like any other."""
    driven = make_loop()
    inbox = home.root / "inbox"
    good = make_zip(inbox / "good.zip")
    good.rename(os.fsdecode(os.fsencode(inbox) + b"/b\xff.zip"))
    archive = home.archive.rename(home.root / "away")
    home.archive.write_text("in the way")
    driven.tick()
    driven.tick(0.2)
    assert "b\ufffd.zip cannot be taken in yet" in problems(store)[0]
    home.archive.unlink()
    archive.rename(home.archive)
    driven.tick(1.0)
    assert only(store).name == "b\ufffd.zip"


def test_a_loop_for_one_run_leaves_the_others_alone(
    home: Home, store: Store, settings: Settings, make_loop: MakeLoop, make_zip: Make
) -> None:
    """`process` works on its own run: no inbox, no other run, no superseding."""
    runs = []
    for name in ("a", "b"):
        path = make_zip(home.root / f"{name}.zip", name=name)
        offer = Offer(path=path, kind="manual", remove=False, train=False)
        runs.append(accept(store, home, settings, offer, 1_000.0).run)
    make_zip(home.root / "inbox" / "c.zip", name="c")
    driven = make_loop(scope=Scope(inbox=False, only=runs[0]))
    driven.loop.recover(1_000.0)
    driven.until(driven.loop.idle)
    assert state(store, runs[0]) is State.SKIPPED
    assert get_run(store, runs[0]).reason == "fine-tuning was not asked for"
    assert state(store, runs[1]) is State.RECEIVED
    assert len(newest_runs(store, -1)) == 2


def test_a_folder_moved_in_is_taken_whole(
    home: Home, store: Store, make_loop: MakeLoop, make_sarif: Callable[[str, int], str]
) -> None:
    """It becomes one run of its name, and leaves the inbox once that is recorded."""
    inbox = home.root / "inbox"
    (inbox / "nightly" / "semgrep").mkdir(parents=True)
    (inbox / "nightly" / "semgrep" / "out.sarif").write_text(make_sarif("a", 6))
    (inbox / "nightly" / "notes.txt").write_text("unrelated")
    driven = make_loop()
    driven.tick()
    driven.tick(1.0)
    run = only(store)
    assert (run.name, run.kind, run.state) == ("nightly", "inbox", State.RECEIVED)
    assert not list(inbox.iterdir())


def test_bytes_dropped_again_are_not_this_loops_run(
    home: Home, store: Store, make_loop: MakeLoop, make_zip: Make
) -> None:
    """`--until-idle` answers for the runs of its own call, not for one that failed long ago."""
    driven = make_loop()
    make_zip(home.root / "inbox" / "scan.zip")
    driven.tick()
    driven.tick(1.0)
    assert driven.loop.taken == {only(store).id}
    again = make_loop()
    make_zip(home.root / "inbox" / "again.zip")
    again.tick(2.0)
    again.tick(1.0)
    assert only(store)
    assert again.loop.taken == set()
