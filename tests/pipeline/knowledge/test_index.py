"""The index follows the runs' folders, survives what happens to files, and is only a cache."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from past_runs import finding_of, id_of, make_run, write_model

from secdaemon.pipeline.interface import PastRun, PermanentError, Progress, StopRequested
from secdaemon.pipeline.knowledge.index import BROKEN_SUFFIX, Index
from secdaemon.pipeline.knowledge.static_model import StaticModel
from secdaemon.pipeline.layout import RunFolder


def unheard(_: Progress) -> None:
    """Take progress and say nothing."""


def rows(db: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Return all that is indexed, without the numbers of entries."""
    found = db.execute(
        "SELECT run, finding, document, words.rule, words.parts, vector IS NOT NULL FROM sightings "
        "JOIN entries ON entries.id = entry JOIN words ON words.rowid = entry "
        "ORDER BY run, finding"
    )
    return [tuple(row) for row in found]


def indexed(
    root: Path, runs: list[PastRun], model: StaticModel | None = None
) -> list[tuple[object, ...]]:
    """Return what an index in this folder holds, once it is up to date."""
    with Index(root / "knowledge.db", runs, model, unheard) as index:
        return index.ask(rows)


@pytest.fixture
def runs(tmp_path: Path) -> list[PastRun]:
    """Return two runs with a finding in common."""
    shared = finding_of("sql", 1)
    return [
        make_run(tmp_path, "20260101_000000", [shared, finding_of("sql", 2)]),
        make_run(tmp_path, "20260102_000000", [shared], test=[finding_of("path", 1)]),
    ]


def test_a_deleted_index_is_made_again(tmp_path: Path, runs: list[PastRun]) -> None:
    """What is indexed comes from the runs alone: deleting the file loses nothing."""
    before = indexed(tmp_path, runs)
    (tmp_path / "knowledge.db").unlink()
    assert indexed(tmp_path, runs) == before
    assert [row[:2] for row in before] == [
        (runs[0].run_id, id_of("sql", 1)),
        (runs[0].run_id, id_of("sql", 2)),
        (runs[1].run_id, id_of("path", 1)),
        (runs[1].run_id, id_of("sql", 1)),
    ]


def test_what_two_runs_have_is_kept_once(tmp_path: Path, runs: list[PastRun]) -> None:
    """The same finding with the same fix is one entry, seen by two runs."""
    with Index(tmp_path / "knowledge.db", runs, None, unheard) as index:
        assert index.ask(lambda db: db.execute("SELECT count(*) FROM entries").fetchone()[0]) == 3


def test_only_what_is_new_is_read(tmp_path: Path, runs: list[PastRun]) -> None:
    """A run that has not changed keeps its entries, whatever else is added."""
    numbers = "SELECT id FROM entries ORDER BY id"
    with Index(tmp_path / "knowledge.db", runs[:1], None, unheard) as index:
        before = index.ask(lambda db: db.execute(numbers).fetchall())
    with Index(tmp_path / "knowledge.db", runs, None, unheard) as index:
        after = index.ask(lambda db: db.execute(numbers).fetchall())
    assert [tuple(row) for row in after[: len(before)]] == [tuple(row) for row in before]
    assert len(after) == len(before) + 1


def test_an_edited_run_is_read_again(tmp_path: Path, runs: list[PastRun]) -> None:
    """What stands in a run's files now is what is indexed, and nothing of what stood there."""
    indexed(tmp_path, runs)
    make_run(tmp_path, runs[0].run_id, [finding_of("hash", 7)])
    found = indexed(tmp_path, runs)
    assert [row[1] for row in found if row[0] == runs[0].run_id] == [id_of("hash", 7)]


def test_a_touched_run_is_not_read_again(tmp_path: Path, runs: list[PastRun]) -> None:
    """Files with new times and the same content keep their entries."""
    before = indexed(tmp_path, runs)
    RunFolder(Path(runs[0].folder)).findings.touch()
    assert indexed(tmp_path, runs) == before


@pytest.mark.parametrize("listed", [True, False])
def test_a_deleted_run_is_forgotten(tmp_path: Path, runs: list[PastRun], listed: bool) -> None:
    """A folder that is gone takes its findings along, whether or not anybody still names it."""
    indexed(tmp_path, runs)
    shutil.rmtree(runs[0].folder)
    found = indexed(tmp_path, runs if listed else runs[1:])
    assert {row[0] for row in found} == {runs[1].run_id}
    assert len(found) == 2


def test_a_run_that_is_not_named_stays(tmp_path: Path, runs: list[PastRun]) -> None:
    """Who knows fewer runs, as a worker that was started earlier, makes nobody forget."""
    before = indexed(tmp_path, runs)
    assert indexed(tmp_path, runs[:1]) == before


def test_unreadable_lines_are_passed_over(tmp_path: Path, runs: list[PastRun]) -> None:
    """A line that is no finding, or no example, costs itself alone."""
    folder = RunFolder(Path(runs[0].folder))
    for path in (folder.findings, folder.project_data / "train.jsonl"):
        path.write_bytes(b"\xff\n{}\n[1]\n" + path.read_bytes() + b'{"id":')
    assert len([row for row in indexed(tmp_path, runs) if row[0] == runs[0].run_id]) == 2


@pytest.mark.parametrize(
    "damage", ["garbage", "cut", "page", "foreign", "version", "table", "empty"]
)
def test_a_broken_file_is_set_aside_and_made_again(
    tmp_path: Path, runs: list[PastRun], damage: str
) -> None:
    """Whatever lies there instead of an index, the answers are those of a new one."""
    before = indexed(tmp_path, runs)
    file = tmp_path / "knowledge.db"
    spoil(file, damage)
    assert indexed(tmp_path, runs) == before
    assert Path(f"{file}{BROKEN_SUFFIX}").exists() == (damage != "empty")


def spoil(file: Path, damage: str) -> None:
    """Damage an index in one of several ways."""
    content = file.read_bytes()
    if damage == "garbage":
        file.write_bytes(b"no database " * 500)
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "page":
        file.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        file.unlink(missing_ok=damage == "foreign")
        if damage != "foreign":
            file.write_bytes(content)
        change = {
            "foreign": "CREATE TABLE theirs (x)",
            "version": "PRAGMA user_version = 77",
            "table": "DROP TABLE sightings",
        }
        with sqlite3.connect(file) as db:
            db.execute(change[damage])
        db.close()


def test_damage_that_is_met_while_searching_is_healed(tmp_path: Path, runs: list[PastRun]) -> None:
    """A damaged index that opens well is made again once a question meets the damage."""
    indexed(tmp_path, runs)
    met: list[int] = []

    def question(db: sqlite3.Connection) -> int:
        met.append(1)
        if len(met) == 1:
            (tmp_path / "knowledge.db").write_bytes(b"spoilt")
            msg = "database disk image is malformed"
            raise sqlite3.DatabaseError(msg)
        return int(db.execute("SELECT count(*) FROM entries").fetchone()[0])

    with Index(tmp_path / "knowledge.db", runs, None, unheard) as index:
        assert index.ask(question) == 3


def test_a_folder_in_its_place_is_an_error_with_a_sentence(
    tmp_path: Path, runs: list[PastRun]
) -> None:
    """What cannot be opened is named, with what may be done about it."""
    (tmp_path / "knowledge.db").mkdir()
    with pytest.raises(PermanentError, match="only a cache"):
        indexed(tmp_path, runs)


def test_a_stop_leaves_whole_runs(tmp_path: Path, runs: list[PastRun]) -> None:
    """Whoever is stopped between two runs leaves the first, and the next one goes on."""

    def stop(progress: Progress) -> None:
        if progress.iteration:
            msg = "stopped"
            raise StopRequested(msg)

    with Index(tmp_path / "knowledge.db", runs, None, stop) as index, pytest.raises(StopRequested):
        index.ask(rows)
    with sqlite3.connect(tmp_path / "knowledge.db") as db:
        assert db.execute("SELECT id FROM runs").fetchall() == [(runs[0].run_id,)]
    db.close()
    assert len(indexed(tmp_path, runs)) == 4


INDEXING = """
import sys
from pathlib import Path
from secdaemon.pipeline.interface import PastRun
from secdaemon.pipeline.knowledge.index import Index
root = Path(sys.argv[1])
runs = [PastRun(run_id=f.name, project="p", folder=str(f)) for f in sorted(root.glob("2026*"))]
with Index(root / "knowledge.db", runs, None, lambda _: None) as index:
    index.ask(lambda db: None)
"""


def test_a_kill_amid_a_transaction_costs_nothing(
    tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    """Processes killed while they write leave an index that the next one completes."""
    runs = [
        make_run(
            tmp_path, f"20260101_0000{n:02}", [finding_of("sql", 30 * n + m) for m in range(30)]
        )
        for n in range(40)
    ]
    journal = tmp_path / "knowledge.db-journal"
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", INDEXING, tmp_path]) as process:
            wait_until(lambda: journal.exists() or process.poll() is not None)
            process.kill()
    found = indexed(tmp_path, runs)
    assert not Path(f"{tmp_path / 'knowledge.db'}{BROKEN_SUFFIX}").exists()
    (tmp_path / "knowledge.db").unlink()
    assert found == indexed(tmp_path, runs)
    assert len(found) == 40 * 30


def test_several_at_once_agree(tmp_path: Path) -> None:
    """Writers that come together wait for each other, and all see everything."""
    runs = [
        make_run(tmp_path, f"2026010{n}_000000", [finding_of("sql", m) for m in range(n, n + 9)])
        for n in range(1, 6)
    ]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: indexed(tmp_path, runs[n % 3 :]), range(6)))
    assert len(indexed(tmp_path, runs)) == 45
    assert {len(one) for one in found} <= {27, 36, 45}


def test_another_model_gives_other_vectors(tmp_path: Path, runs: list[PastRun]) -> None:
    """Vectors are made once by a model, and anew by another; without one nothing is lost."""
    models = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_model(tmp_path / name)
    config = tmp_path / "other" / "config.json"
    config.write_text('{"max_length": 2}', encoding="utf-8")
    models = [StaticModel(tmp_path / name) for name in ("one", "other")]

    def vectors(model: StaticModel | None) -> list[bytes]:
        with Index(tmp_path / "knowledge.db", runs, model, unheard) as index:
            found = index.ask(lambda db: db.execute("SELECT vector FROM entries").fetchall())
        return [row["vector"] for row in found]

    first = vectors(models[0])
    assert all(len(vector) == 12 for vector in first)
    assert vectors(None) == vectors(models[0]) == first
    assert vectors(models[1]) != first
