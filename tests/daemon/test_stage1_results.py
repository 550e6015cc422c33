"""Looking after the shared Stage 1 results: what is told of them, and what may go."""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.config.files import copy_tree
from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.intake import Offer, accept
from secdaemon.daemon.stage1_results import (
    Leftover,
    Needs,
    Plan,
    Result,
    leftovers,
    needs,
    plan,
    remove,
    set_aside,
    survey,
    training_kept_out,
)
from secdaemon.pipeline.stage1_record import read_record
from secdaemon.state.leases import StageOne, record_stage1, stage1_results
from secdaemon.state.machine import State, Step, rule_from
from secdaemon.state.runs import Move, get_run, move
from secdaemon.state.store import Store

MakeResult = Callable[..., Path]
NOW = 1_800_000_000.0
"""2027-01-15 08:00 UTC."""
TODAY = "2027-01-15T07:00:00.000Z"
LONG_AGO = "2026-11-01T07:00:00.000Z"
NOBODY = Needs(waiting=(), stranded=(), idle=True)


@pytest.fixture
def make_run(home: Home, settings: Settings, store: Store, make_zip: Callable[..., Path]) -> Any:
    """Return a maker of runs in a state; those past Stage 1 built on the named result."""

    def make(state: State, fingerprint: str = "", now: float = NOW) -> str:
        path = make_zip(home.root / f"{len(list(home.archive.iterdir()))}.zip", name=str(now))
        offer = Offer(path=path, kind="manual", remove=False, again=True)
        run = accept(store, home, settings, offer, now).run
        while (at := get_run(store, run)).state not in {state, State.FAILED}:
            rule = rule_from(at.state)
            assert rule is not None
            stage1 = rule.step is Step.STAGE1
            record = read_record(home.stage1 / fingerprint) if stage1 and fingerprint else None
            failed = stage1 and state is State.FAILED
            how = Move(
                target=State.FAILED if failed else rule.target,
                cause=rule.step,
                detail="",
                output=msgspec.json.encode(record.output).decode() if record else None,
            )
            assert move(store, at, how, now)
        return run

    return make


def by_name(home: Home, store: Store | None = None) -> dict[str, Result]:
    """Return the results as they are told on that day."""
    return {one.fingerprint: one for one in survey(home, store, 30.0, NOW)}


def chosen(home: Home, store: Store | None, wanted: Needs, unused: bool = False) -> Plan:
    """Return what would go on that day."""
    return plan(survey(home, store, 30.0, NOW), leftovers(home), wanted, unused=unused)


def names(choices: Any) -> dict[str, str]:
    """Return why by name."""
    return {choice.name: choice.why for choice in choices}


def test_each_result_is_told_as_it_is(
    home: Home, store: Store, make_stage1: MakeResult, make_run: Any
) -> None:
    """Reusable, expired, damaged or set aside; with its age, its maker and its users."""
    make_stage1("young", TODAY, "20270115_070000")
    make_stage1("aged", LONG_AGO)
    (make_stage1("broken", TODAY) / "adapters" / "adapters.safetensors").write_bytes(b"x")
    (make_stage1("unread", TODAY) / "stage1.json").write_bytes(b"{")
    make_stage1("unwanted", TODAY)
    set_aside(by_name(home)["unwanted"], NOW)
    users = (make_run(State.STAGE2_TRAINED, "young"), make_run(State.PUBLISHED, "young"))
    found = by_name(home, store)
    assert {name: one.condition for name, one in found.items()} == {
        "young": "reusable",
        "aged": "expired",
        "broken": "damaged",
        "unread": "damaged",
        "unwanted": "set aside",
    }
    young = found["young"]
    assert (young.run, young.base, young.sources) == (
        "20270115_070000",
        "embedded:tiny",
        ("embedded",),
    )
    assert (young.age_days, young.used_by) == (0.04, users)
    assert young.bytes > 500
    assert (found["unread"].run, found["unread"].sources) == (None, None)
    assert found["aged"].used_by == ()


def test_what_is_expired_damaged_or_set_aside_goes(
    home: Home, store: Store, make_stage1: MakeResult
) -> None:
    """What could be reused stays, unless it is asked for and no run was built on it."""
    make_stage1("young", TODAY)
    make_stage1("aged", LONG_AGO)
    shutil.rmtree(make_stage1("broken", TODAY) / "adapters")
    make_stage1("unwanted", TODAY)
    set_aside(by_name(home)["unwanted"], NOW)
    record_stage1(store, StageOne(fingerprint="aged", folder="/", created_at=LONG_AGO, run="r"))
    found = chosen(home, store, NOBODY)
    assert names(found.removed) == {
        "aged": "expired, 75 days old",
        "broken": "damaged",
        "unwanted": "set aside",
    }
    remove(home, store, found)
    assert [path.name for path in home.stage1.iterdir()] == ["young"]
    assert stage1_results(store) == []
    assert chosen(home, store, NOBODY) == Plan(removed=(), kept=())
    assert names(chosen(home, store, NOBODY, unused=True).removed) == {
        "young": "no run was built on it"
    }


def test_what_a_run_was_built_on_stays_with_it(
    home: Home, store: Store, make_stage1: MakeResult, make_run: Any, tmp_path: Path
) -> None:
    """A run's folder shares the files by hard link: they stay, and so does their room."""
    folder = make_stage1("aged", LONG_AGO)
    make_run(State.PUBLISHED, "aged")
    copy_tree(folder, tmp_path / "run")
    found = chosen(home, store, NOBODY)
    assert names(found.removed) == {
        "aged": "expired, 75 days old; the runs built on it keep its files"
    }
    assert found.freed_bytes == 0
    remove(home, store, found)
    assert (tmp_path / "run" / "adapters" / "adapters.safetensors").read_bytes() == b"aged" * 100


def test_a_run_that_waits_keeps_what_it_may_need(
    home: Home, store: Store, make_stage1: MakeResult, make_run: Any
) -> None:
    """An unfinished training, its own result however old, and anything reusable."""
    run = make_run(State.DATASET_BUILT)
    make_stage1("own", LONG_AGO, run)
    make_stage1("young", TODAY)
    make_stage1("aged", LONG_AGO)
    (home.stage1 / ".new.training").mkdir()
    found = chosen(home, store, needs(store, 30.0, NOW, idle=True), unused=True)
    assert list(names(found.removed)) == ["aged"]
    assert names(found.kept) == {
        "own": f"run {run} trained it and has not gone on yet",
        "young": f"run {run} may reuse it",
        ".new.training": f"run {run} may go on with it",
    }


def test_nobody_removes_what_is_being_trained(
    home: Home, store: Store, make_stage1: MakeResult
) -> None:
    """While a worker has the heavy lock, its folders stay, and what it may be replacing too."""
    make_stage1("aged", LONG_AGO)
    make_stage1("older", LONG_AGO)
    (home.stage1 / ".aged.training").mkdir()
    (home.stage1 / ".aged.old").mkdir()
    with (home.locks / "heavy.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with training_kept_out(home) as idle:
            assert not idle
            found = chosen(home, store, needs(store, 30.0, NOW, idle=idle))
    assert list(names(found.removed)) == ["older"]
    assert set(names(found.kept)) == {"aged", ".aged.training", ".aged.old"}
    with training_kept_out(home) as idle, training_kept_out(home) as other:
        assert (idle, other) == (True, False)
        free = chosen(home, store, needs(store, 30.0, NOW, idle=idle))
    assert set(names(free.removed)) == {"aged", "older", ".aged.training", ".aged.old"}


def test_a_training_that_failed_is_kept_for_another_try(
    home: Home, store: Store, make_run: Any
) -> None:
    """`retry` goes on from its checkpoint; after max_age_days nobody waits for that any more."""
    (home.stage1 / ".new.training").mkdir()
    run = make_run(State.FAILED)
    wanted = needs(store, 30.0, NOW, idle=True)
    assert wanted == Needs(waiting=(), stranded=(run,), idle=True)
    (kept,) = chosen(home, store, wanted).kept
    assert kept.why == f"run {run} ended in Stage 1 and may be tried again"
    later = needs(store, 30.0, NOW + 31 * 86_400, idle=True)
    assert names(chosen(home, store, later).removed) == {".new.training": "abandoned"}


def test_a_prune_that_was_killed_is_ended_by_the_next(
    home: Home, store: Store, make_stage1: MakeResult, die_at: Callable[..., bool]
) -> None:
    """However far it came, no half result is left that anybody could take for a whole one."""
    for point in range(100):
        make_stage1("aged", LONG_AGO)
        killed = die_at(point, home, lambda other: remove(home, other, chosen(home, other, NOBODY)))
        whole = by_name(home)
        assert all(one.condition == "expired" for one in whole.values())
        remove(home, store, chosen(home, store, NOBODY))
        assert list(home.stage1.iterdir()) == []
        if not killed:
            break
    assert point > 3


def test_a_result_is_set_aside_at_once_or_not_at_all(
    home: Home, make_stage1: MakeResult, die_at: Callable[..., bool]
) -> None:
    """A kill leaves it reusable or set aside, never damaged, and its own files as they were."""
    folder = make_stage1("young", TODAY)
    before = (folder / "stage1.json").read_bytes()
    for point in range(20):
        (result,) = survey(home, None, 30.0, NOW)
        killed = die_at(point, home, lambda _, result=result: set_aside(result, NOW))
        assert by_name(home)["young"].condition in {"reusable", "set aside"}
        if not killed:
            break
    assert by_name(home)["young"].condition == "set aside"
    assert (folder / "stage1.json").read_bytes() == before


results = st.builds(
    Result,
    fingerprint=st.sampled_from("abcdef"),
    condition=st.sampled_from(["reusable", "expired", "set aside", "damaged"]),
    folder=st.sampled_from("abcdef").map("/none/{}".format),
    bytes=st.just(1),
    used_by=st.lists(st.sampled_from(["r1", "r2"]), unique=True).map(tuple),
    age_days=st.none() | st.floats(0, 1000),
    run=st.none() | st.sampled_from(["r1", "r2"]),
)
left = st.builds(
    Leftover,
    name=st.sampled_from([".a.training", ".b.old", ".c.gone"]),
    folder=st.just("/none/left"),
    bytes=st.just(1),
)
runs = st.lists(st.sampled_from(["r1", "r2"]), unique=True).map(tuple)
wants = st.builds(Needs, waiting=runs, stranded=runs, idle=st.booleans())


@given(st.lists(results, max_size=6), st.lists(left, max_size=3), wants, st.booleans())
def test_a_plan_never_takes_what_is_needed(
    found: list[Result], rest: list[Leftover], wanted: Needs, unused: bool
) -> None:
    """Reusable results go only when asked for, unused and nobody waits; leftovers only when idle."""
    made = plan(found, rest, wanted, unused=unused)
    gone = names(made.removed)
    for one in found:
        if [other.fingerprint for other in found].count(one.fingerprint) > 1:
            continue
        if one.condition == "reusable":
            assert (one.fingerprint in gone) == (unused and not one.used_by and not wanted.waiting)
        elif one.condition == "expired" and one.run in wanted.waiting:
            assert one.fingerprint not in gone
    if not wanted.idle:
        assert not any(name.startswith(".") for name in gone)
    if wanted.waiting or wanted.stranded:
        assert ".a.training" not in gone
    assert made == plan(found, rest, wanted, unused=unused)
