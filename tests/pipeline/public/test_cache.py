"""The kept rows: whatever ends a preparation, the next one goes on, and gives the same bytes."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from secdaemon.pipeline.interface import PermanentError, StopRequested, TransientError
from secdaemon.pipeline.public import cache_folder
from secdaemon.pipeline.public.cache import SHARD_ROWS, opened
from secdaemon.pipeline.public.cache_folder import Key, kept, last_known, outdated
from secdaemon.pipeline.public.data import load, prepare
from secdaemon.pipeline.public.sources import Cursor, Row, Rows, RowSource

KEY = Key(source="rows", revision="1", transform=1, max_chars=6_000)


def row(number: int) -> dict[str, Any]:
    """Return a CrossVul row; every ninth cannot be used."""
    return {
        "file_pair_id": f"{number}_0",
        "cwe_id": "CWE-78",
        "cwe_description": "OS Command Injection - A shell is given input.",
        "language": "text" if number % 9 == 4 else "python",
        "language_dir": "",
        "vulnerable_code": f"def r{number}(n{number}):\n    c{number} = n{number}\n    os.system(c{number})\n",
        "fixed_code": f"def r{number}(n{number}):\n    c{number} = n{number}\n    run(['a', c{number}])\n",
    }


class Counting:
    """A source of rows that counts what is read of it and breaks where it is told to."""

    def __init__(self, count: int, breaks_at: int | None = None) -> None:
        """Have `count` rows, and a connection that breaks before row `breaks_at`."""
        self.count, self.breaks_at = count, breaks_at
        self.read: list[int] = []

    def source(self) -> RowSource:
        """Return it as a source."""
        return RowSource("rows", "1", self._rows)

    def _rows(self, cursor: Cursor) -> Rows:
        for number in range(cursor.rows, self.count):
            if number == self.breaks_at:
                msg = "the connection broke"
                raise TransientError(msg)
            self.read.append(number)
            found: Row = row(number)
            yield found, Cursor(0, number + 1)


def lines(cache: Path, source: RowSource) -> tuple[list[str], list[bytes]]:
    """Return the reasons of all entries, and the lines of those that have one."""
    with opened(cache, KEY, source, confirmed=True) as rows:
        reasons = [entry.reason for entry in rows.entries()]
        marks = [0 if reason else 1 for reason in reasons]
        return reasons, list(rows.lines(marks, 1))


@pytest.mark.parametrize("breaks_at", [0, 1, SHARD_ROWS - 1, SHARD_ROWS, SHARD_ROWS + 1, 300, 399])
def test_no_row_is_read_twice(tmp_path: Path, breaks_at: int) -> None:
    """A break anywhere costs no row, and what comes out is as without it."""
    whole = lines(tmp_path / "whole", Counting(400).source())
    broken, mended = Counting(400, breaks_at), Counting(400)
    with pytest.raises(TransientError, match="broke"):
        lines(tmp_path / "cache", broken.source())
    assert lines(tmp_path / "cache", mended.source()) == whole
    assert broken.read == list(range(breaks_at))
    assert mended.read == list(range(breaks_at, 400))
    again = Counting(400)
    assert lines(tmp_path / "cache", again.source()) == whole
    assert not again.read


def test_a_consumer_that_has_enough_loses_nothing(tmp_path: Path) -> None:
    """What was read for it is kept when it stops in the middle of a shard."""
    few = Counting(400)
    with opened(tmp_path, KEY, few.source(), confirmed=True) as rows:
        entries: Iterator[Any] = rows.entries()
        for _ in range(50):
            next(entries)
        entries.close()  # type: ignore[attr-defined]
    rest = Counting(400)
    assert lines(tmp_path, rest.source()) == lines(tmp_path / "w", Counting(400).source())
    assert few.read + rest.read == list(range(400))


@pytest.mark.parametrize("damage", ["cut", "byte", "gone", "empty"])
def test_a_damaged_shard_is_made_again(tmp_path: Path, damage: str) -> None:
    """Damage is found, at the latest when the shard is read, and the attempt after it is whole."""
    whole = lines(tmp_path, Counting(400).source())
    shard = sorted(tmp_path.glob("*/*.parquet"))[1]
    data = bytearray(shard.read_bytes())
    if damage == "byte":
        data[len(data) // 3] ^= 0xFF
    shard.write_bytes({"cut": data[:-9], "empty": b""}.get(damage, data))
    if damage == "gone":
        shard.unlink()
    source = Counting(400)
    if damage == "byte":
        with pytest.raises(TransientError, match="the next attempt makes it"):
            lines(tmp_path, source.source())
    assert lines(tmp_path, source.source()) == whole
    assert min(source.read) == SHARD_ROWS


def test_two_processes_do_not_disturb_each_other(tmp_path: Path) -> None:
    """While another process adds, a second one goes on in a copy of its own, which then goes."""
    with pytest.raises(TransientError):
        lines(tmp_path, Counting(400, 200).source())
    names = sorted(path.name for path in tmp_path.glob("*/*"))
    with (tmp_path / KEY.name / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = Counting(400)
        found = lines(tmp_path, second.source())
    assert second.read == list(range(200, 400))
    assert sorted(path.name for path in tmp_path.glob("*/*")) == names
    assert found == lines(tmp_path, Counting(400).source())


def write(path: Path, count: int) -> str:
    """Write rows as JSONL."""
    path.write_text("".join(json.dumps(row(number)) + "\n" for number in range(count)))
    return str(path)


def files(folder: Path) -> dict[str, bytes]:
    """Return the bytes of a folder's files."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_bytes_with_and_without_the_cache(tmp_path: Path) -> None:
    """Prepared twice from the cache, once without, and one example at a time in memory: the same."""
    sources = [write(tmp_path / "rows.jsonl", 300), "embedded"]
    made = [
        prepare(sources, None, seed=0, cache=tmp_path / cache, into=tmp_path / into)
        for cache, into in (("cache", "one"), ("cache", "two"), ("other", "three"))
    ]
    assert made[0] == made[1] == made[2]
    assert files(tmp_path / "one") == files(tmp_path / "two") == files(tmp_path / "three")
    found = load(sources, None)
    assert found.left_out == made[0].left_out
    assert found.entered == made[0].entered
    assert found.revisions == made[0].revisions
    count = made[0].examples.train + made[0].examples.validation + made[0].examples.test
    assert count == len(found.examples)
    text = b"".join(files(tmp_path / "one").values()).decode()
    assert {e.id for e in found.examples} == {json.loads(line)["id"] for line in text.splitlines()}


@pytest.mark.parametrize("most", [3, 40, 299])
def test_a_bound_takes_what_load_takes(tmp_path: Path, most: int) -> None:
    """With a bound the same examples are taken from the cache, whatever stands in it already."""
    sources = [write(tmp_path / "rows.jsonl", 300), "embedded"]
    for before in (None, most):
        cache = tmp_path / f"cache{before}"
        prepare(sources, before, seed=0, cache=cache, into=tmp_path / "before")
        into = tmp_path / f"into{before}"
        made = prepare(sources, most, seed=0, cache=cache, into=into)
        found = load(sources, most)
        text = b"".join(files(into).values()).decode()
        ids = {json.loads(line)["id"] for line in text.splitlines()}
        assert ids == {example.id for example in found.examples}
        assert (made.left_out, made.entered) == (found.left_out, found.entered)


def test_a_stop_loses_nothing(tmp_path: Path) -> None:
    """A step that is asked to stop while it reads keeps what it has read."""
    source = write(tmp_path / "rows.jsonl", 300)

    def stop(count: int) -> None:
        if count >= 128:
            msg = "asked to stop"
            raise StopRequested(msg)

    cache = tmp_path / "cache"
    with pytest.raises(StopRequested):
        prepare([source], None, seed=0, cache=cache, into=tmp_path / "into", alive=stop)
    assert len(list(cache.glob("*/*.parquet"))) == 2
    assert not (tmp_path / "into").exists()
    prepare([source], None, seed=0, cache=cache, into=tmp_path / "into")


def test_a_kill_costs_one_shard_at_most(tmp_path: Path) -> None:
    """A killed preparation leaves complete shards, and the next one gives the same bytes."""
    source = write(tmp_path / "rows.jsonl", 600)
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from secdaemon.pipeline.public.data import prepare\n"
        "def alive(count):\n"
        "    if count >= 320: os.kill(os.getpid(), signal.SIGKILL)\n"
        "prepare([sys.argv[1]], None, seed=0, cache=Path(sys.argv[2]), into=Path(sys.argv[3]),"
        " alive=alive)"
    )
    arguments = [source, str(tmp_path / "cache"), str(tmp_path / "into")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    left = {path.name: path.stat().st_ino for path in (tmp_path / "cache").glob("*/*.parquet")}
    assert len(left) == 320 * 9 // 8 // SHARD_ROWS
    made = prepare([source], None, seed=0, cache=tmp_path / "cache", into=tmp_path / "into")
    now = {path.name: path.stat().st_ino for path in (tmp_path / "cache").glob("*/*.parquet")}
    assert left.items() <= now.items()
    assert made == prepare([source], None, seed=0, cache=tmp_path / "c", into=tmp_path / "other")
    assert files(tmp_path / "into") == files(tmp_path / "other")


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    """Sources without a usable row end the step with a sentence, not with empty splits."""
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps(row(4)) + "\n")
    with pytest.raises(PermanentError, match="no usable example"):
        prepare([str(source)], None, seed=0, cache=tmp_path / "cache", into=tmp_path / "into")


def test_what_no_preparation_reads_again_is_outdated(tmp_path: Path) -> None:
    """Older revisions, older transforms and remains are; the last confirmed revision is not."""
    keys = [
        Key(source=source, revision=revision, transform=transform, max_chars=6_000)
        for source, revision, transform in (
            ("a", "1", 1),
            ("a", "1", 2),
            ("a", "2", 2),
            ("b", "1", 2),
        )
    ]
    for age, key in enumerate(keys):
        cache_folder.note(tmp_path / key.name, key, confirmed=True)
        (tmp_path / key.name / "000000000-0001.parquet").write_bytes(b"")
        os.utime(tmp_path / key.name / "source.json", (age, age))
    (tmp_path / "x.1.private").mkdir()
    found = {one.folder.name: why for one, why in outdated(tmp_path)}
    assert set(found) == {keys[0].name, keys[1].name, "x.1.private"}
    assert last_known(tmp_path, "a", 2, 6_000) == "2"
    assert last_known(tmp_path, "a", 3, 6_000) is None
    assert len(kept(tmp_path)) == 5
    cache_folder.note(tmp_path / keys[1].name, keys[1], confirmed=True)
    assert last_known(tmp_path, "a", 2, 6_000) == "1"
    cache_folder.note(tmp_path / keys[2].name, keys[2], confirmed=False)
    assert last_known(tmp_path, "a", 2, 6_000) == "1"
