"""`stage1 prune` and the kept rows of public data: what goes, what stays, and until when."""

import os
from pathlib import Path

import pytest

from secdaemon.config.paths import Home
from secdaemon.daemon.stage1_results import Needs, plan_rows, remove
from secdaemon.pipeline.public.cache_folder import Key, note

IDLE = Needs(waiting=(), stranded=(), idle=True)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home with the rows of two revisions of one source, and with remains."""
    made = Home(root=tmp_path, chosen=True)
    made.make()
    for age, revision in enumerate(("old", "new")):
        key = Key(source="crossvul", revision=revision, transform=2, max_chars=6_000)
        folder = made.stage1_rows / key.name
        note(folder, key, confirmed=True)
        os.utime(folder / "source.json", (age, age))
        (folder / "000000000-0128.parquet").write_bytes(b"rows")
    (made.stage1_rows / "crossvul-1.x.private").mkdir()
    return made


def test_old_revisions_and_remains_go(home: Home) -> None:
    """The rows of the newest revision stay; a second prune finds nothing."""
    chosen = plan_rows(home, IDLE, unused=False)
    assert sorted(choice.why for choice in chosen.removed) == [
        "remains of a preparation",
        "the data has a newer revision by now",
    ]
    assert chosen.freed_bytes > 0
    remove(home, None, chosen)
    assert plan_rows(home, IDLE, unused=False).removed == ()
    (left,) = home.stage1_rows.iterdir()
    assert b'"new"' in (left / "source.json").read_bytes()


def test_unused_takes_all_unless_a_run_waits(home: Home) -> None:
    """With --unused the newest rows go too, but not those that a waiting run will read."""
    waiting = Needs(waiting=("20260101_000000",), stranded=(), idle=True)
    chosen = plan_rows(home, waiting, unused=True)
    assert len(chosen.removed) == 2
    assert [choice.why for choice in chosen.kept] == ["run 20260101_000000 may read it"]
    remove(home, None, plan_rows(home, IDLE, unused=True))
    assert list(home.stage1_rows.iterdir()) == []


def test_nothing_goes_while_a_training_runs(home: Home) -> None:
    """A worker may be reading or adding rows."""
    chosen = plan_rows(home, Needs(waiting=(), stranded=(), idle=False), unused=True)
    assert chosen.removed == ()
    assert {choice.why for choice in chosen.kept} == {"a training runs now"}


def test_a_removal_that_was_killed_is_ended(home: Home) -> None:
    """What was renamed before the kill goes with the next prune."""
    folder = next(home.stage1_rows.glob("crossvul-*"))
    folder.rename(folder.with_name(f".{folder.name}.gone"))
    remove(home, None, plan_rows(home, IDLE, unused=True))
    assert list(home.stage1_rows.iterdir()) == []


def test_a_home_without_rows_has_none_to_prune(tmp_path: Path) -> None:
    """Before the first preparation there is nothing, and no error."""
    assert plan_rows(Home(root=tmp_path, chosen=True), IDLE, unused=True).removed == ()
