"""Preparing from a hub whose connection breaks: nothing is fetched or made twice, offline works."""

import io
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hub_server import Blob, Fault, Hub, Repository, serving
from pyarrow import parquet

DATA_SET = "hitoshura25/crossvul"
ROWS_A_FILE = 120
ROWS_A_GROUP = 40

CLIENT = """
import json, sys
from pathlib import Path
from secdaemon.pipeline.interface import PipelineError
from secdaemon.pipeline.public.data import prepare, revisions
most, cache, into = json.loads(sys.argv[1])
try:
    known = revisions(["crossvul"], Path(cache))
    found = prepare(["crossvul"], most, seed=0, cache=Path(cache), into=Path(into))
except PipelineError as error:
    print(json.dumps({"error": type(error).__name__, "text": str(error)}))
else:
    count = found.examples.train + found.examples.validation + found.examples.test
    print(json.dumps({"examples": count, "entered": found.entered, "revisions": found.revisions,
                      "same": known == found.revisions}))
"""


def table(file: int) -> bytes:
    """Return a Parquet file whose rows hold noise in a column that nobody asks for."""
    rng = random.Random(file)
    rows = [
        {
            "cwe_id": "CWE-89",
            "cwe_description": "SQL Injection - A query is built from input.",
            "language": "python",
            "language_dir": "py",
            "vulnerable_code": f"def find_{file}_{n}(name):\n    return query('a {n} ' + name)\n",
            "fixed_code": f"def find_{file}_{n}(name):\n    return query('a {n} ?', name)\n# "
            + rng.randbytes(300).hex(),
            "file_pair_id": f"{file}-{n}_0",
            "source": rng.randbytes(60_000).hex(),
        }
        for n in range(ROWS_A_FILE)
    ]
    buffer = io.BytesIO()
    parquet.write_table(
        pa.Table.from_pylist(rows), buffer, row_group_size=ROWS_A_GROUP, use_dictionary=False
    )
    return buffer.getvalue()


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Serve a data set of three files."""
    made = Hub("token")
    repository = Repository("datasets", DATA_SET, private=False)
    files = {f"data/train-0000{n}-of-00003.parquet": Blob(table(n), True) for n in range(3)}
    for blob in files.values():
        made.blobs[blob.sha256] = blob.data
    repository.commit("data", files)
    made.repositories["datasets", DATA_SET] = repository
    with serving(made):
        yield made


def ask(endpoint: str, folder: Path, into: str, most: int | None = None) -> dict[str, Any]:
    """Prepare in a process of its own, since the clients read HF_ENDPOINT at import."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_DISABLE_XET": "1",
    }
    arguments = json.dumps([most, str(folder / "cache"), str(folder / into)])
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**answer, "log": done.stderr}


def fetched(hub: Hub) -> Counter[str]:
    """Return the bytes asked for of each file, and forget the requests."""
    found: Counter[str] = Counter()
    for line, headers in zip(hub.log, hub.seen_headers, strict=True):
        method, path = line.split()
        span = {name.lower(): value for name, value in headers.items()}.get("range", "")
        if method == "GET" and path.startswith("/lfs/") and span:
            first, last = span.removeprefix("bytes=").split("-")
            found[path.removeprefix("/lfs/")] += int(last) - int(first) + 1
    hub.log.clear()
    hub.seen_headers.clear()
    return found


def shards(folder: Path) -> dict[str, int]:
    """Return the shards of the cache, each with the inode of its file."""
    return {path.name: path.stat().st_ino for path in (folder / "cache").glob("*/*.parquet")}


def written(folder: Path, into: str) -> list[bytes]:
    """Return the bytes of the splits."""
    return [(folder / into / f"{name}.jsonl").read_bytes() for name in ("train", "valid", "test")]


@pytest.mark.slow  # the client itself retries for some twenty seconds
def test_a_broken_connection_costs_no_row(hub: Hub, tmp_path: Path) -> None:
    """What came before the break is neither fetched nor made again; the bytes are as unbroken."""
    commit = hub.repository("datasets", DATA_SET).head
    first, second, third = (
        commit.tree[name].sha256 for name in sorted(commit.tree) if "data" in name
    )
    size = len(hub.blobs[first])
    begun = [0]

    def breaks(method: str, path: str, _: int) -> Fault | None:
        """Cut every request for the second file once its row groups are read."""
        begun[0] += path == f"/lfs/{second}"
        return Fault("cut") if path == f"/lfs/{second}" and begun[0] > 2 else None

    hub.plan = breaks
    broken = ask(hub.url, tmp_path, "into")
    assert broken["error"] == "TransientError"
    assert "crossvul" in broken["text"]
    kept = shards(tmp_path)
    assert sum(parquet.read_metadata(p).num_rows for p in (tmp_path / "cache").glob("*/*.parquet"))
    assert fetched(hub)[first] > 10_000

    hub.plan = lambda *_: None
    whole = ask(hub.url, tmp_path, "into")
    assert (whole["examples"], whole["entered"]) == (360, 360)
    again = fetched(hub)
    assert again[first] <= 3 * 65_536 < size / 10
    assert again[third] > 10_000
    assert kept.items() <= shards(tmp_path).items()

    fresh = tmp_path / "fresh"
    assert ask(hub.url, fresh, "into")["examples"] == 360
    assert written(fresh, "into") == written(tmp_path, "into")
    fetched(hub)
    assert ask(hub.url, tmp_path, "again")["examples"] == 360
    assert not fetched(hub)
    assert written(tmp_path, "again") == written(tmp_path, "into")


@pytest.mark.slow
def test_offline_the_cache_stands_in(hub: Hub, tmp_path: Path) -> None:
    """Without a network the last known revision is taken and said; without a cache it is an error."""
    online = ask(hub.url, tmp_path, "into", 100)
    assert online["examples"] == 100
    offline = ask("http://127.0.0.1:9", tmp_path, "offline", 100)
    assert offline["examples"] == 100
    assert offline["same"]
    assert offline["revisions"] == online["revisions"]
    said = f"taken from the cache at its revision {online['revisions']['crossvul']}"
    assert f"offline: crossvul is {said}" in offline["log"]
    assert written(tmp_path, "offline") == written(tmp_path, "into")
    beyond = ask("http://127.0.0.1:9", tmp_path, "beyond", None)
    assert beyond["error"] == "TransientError"
    none = ask("http://127.0.0.1:9", tmp_path / "other", "into", 100)
    assert none["error"] == "TransientError"
    assert "stage1.sources" in none["text"]


@pytest.mark.slow
def test_a_bound_reads_no_more_than_it_takes(hub: Hub, tmp_path: Path) -> None:
    """A hundred examples leave the last file alone, and a larger bound goes on behind them."""
    commit = hub.repository("datasets", DATA_SET).head
    last = max(name for name in commit.tree if "data" in name)
    assert ask(hub.url, tmp_path, "into", 100)["examples"] == 100
    assert fetched(hub)[commit.tree[last].sha256] <= 3 * 65_536
    kept = shards(tmp_path)
    assert ask(hub.url, tmp_path, "more", 150)["examples"] == 150
    assert kept.items() <= shards(tmp_path).items()
