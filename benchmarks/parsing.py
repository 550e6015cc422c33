"""Reading SARIF into redacted findings against `json.load` of the same bytes.

Each reading is a fresh process, the two sides alternating. Seconds are of the processor (both have
one thread, and a shared machine disturbs them less than the clock's) and of the reading alone (file
to findings: decoding, recognising, normalising, redacting; de-duplication is a row of its own),
peak memory is of the whole process with its interpreter; `idle` is a process that has imported our
reader and read nothing. `python -m benchmarks.parsing WAY FILE` is one such process.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from benchmarks import synthetic_sarif
from benchmarks.table import Row, show, spread, times

CORPUS = Path(__file__).resolve().parents[1].parent / "shared" / "corpus"
AIM = "at least 1.00x"
MEMORY_AIM = "under 3 up to 50 MB"
SIZES = ((10, 0.2), (50, 0.0), (50, 0.2), (50, 1.0), (200, 0.2))
"""Megabytes, and the part of the texts that no other result has."""


class Reading(msgspec.Struct, frozen=True):
    """What one process took, and how many results it has found."""

    seconds: float
    peak_bytes: int
    results: int = 0


def measure(work: Path, rounds: int, *, quick: bool) -> None:
    """Measure made-up files of every size, then the real ones where they are."""
    for megabytes, distinct in SIZES[: 1 if quick else None]:
        path = work / f"{megabytes}-{distinct}.sarif"
        synthetic_sarif.write(path, megabytes * 10**6, distinct)
        fewer = rounds if megabytes < 200 else min(rounds, 3)
        _compare(f"{megabytes} MB, {distinct:.0%} of the texts distinct", path, fewer)
        path.unlink()
    real = sorted((path for path in CORPUS.rglob("*.sarif") if path.is_file()), key=_size)
    if not real:
        print("\nParsing real scans: skipped, they are not here")
    for path in real[-3:]:
        _compare(f"real, {path.name}, {_size(path) / 1e6:.1f} MB", path, rounds)


def _size(path: Path) -> int:
    return path.stat().st_size


def _compare(title: str, path: Path, rounds: int) -> None:
    found: dict[str, list[Reading]] = {"ours": [], "json.load": []}
    for _ in range(rounds):
        for way, readings in found.items():
            readings.append(_reading(way, path))
    size = _size(path)
    rows = []
    for way, readings in found.items():
        rates = [size / 1e6 / reading.seconds for reading in readings]
        rows.append(Row(way, spread(rates, lambda rate: f"{rate:.0f} MB/s")))
    ratios = [b.seconds / a.seconds for a, b in zip(*found.values(), strict=True)]
    rows.append(Row("ours against json.load, by round", spread(ratios, times), AIM))
    for way, readings in found.items():
        peak = statistics.median(reading.peak_bytes for reading in readings)
        share = f"{peak / 1e6:.0f} MB, {peak / size:.1f} of the file"
        rows.append(Row(f"peak memory, {way}", share, MEMORY_AIM if way == "ours" else ""))
    idle = _reading("idle", path).peak_bytes
    growth = statistics.median(reading.peak_bytes for reading in found["ours"]) - idle
    share = f"{growth / 1e6:.0f} MB over {idle / 1e6:.0f} MB, {growth / size:.1f} of the file"
    rows.append(Row("ours, growth over an idle process", share))
    dedupe = _reading("dedupe", path)
    rows.append(Row("de-duplication, beside it", f"{dedupe.seconds:.2f} s"))
    show(f"Parsing: {title}, {found['ours'][0].results:,} results", rows)


def _reading(way: str, path: Path) -> Reading:
    command = [sys.executable, "-m", "benchmarks.parsing", way, str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    return msgspec.json.decode(done.stdout, type=Reading)


def _json_load(path: Path) -> Reading:
    began = time.process_time()
    with path.open("rb") as file:
        value = json.load(file)
    took = time.process_time() - began
    assert value
    return Reading(took, peak_bytes())


def _ours(path: Path, *, dedupe: bool) -> Reading:
    from secdaemon.pipeline.findings.dedupe import deduplicate
    from secdaemon.pipeline.findings.read import read_file

    began = time.process_time()
    parsed = read_file(path, path.name)
    took = time.process_time() - began
    if dedupe:
        began = time.process_time()
        deduplicate(parsed.findings)
        took = time.process_time() - began
    return Reading(took, peak_bytes(), parsed.report.findings)


def _idle() -> Reading:
    from secdaemon.pipeline.findings import read

    assert read
    return Reading(0.0, peak_bytes())


def peak_bytes() -> int:
    """Return the largest resident size so far.

    Linux counts in KiB, macOS in bytes; and Linux's getrusage counts the parent's size before
    exec, too, so that /proc is asked where it is there.
    """
    if (status := Path("/proc/self/status")).exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def main() -> None:
    """Read one file in one way and print what it took."""
    way, path = sys.argv[1], Path(sys.argv[2])
    match way:
        case "idle":
            reading = _idle()
        case "json.load":
            reading = _json_load(path)
        case _:
            reading = _ours(path, dedupe=way == "dedupe")
    sys.stdout.buffer.write(msgspec.json.encode(reading))


if __name__ == "__main__":
    main()
