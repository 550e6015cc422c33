"""Stage 1 preparation: rows a second, peak memory as rows grow, and what the cache saves.

The rows are those of corpus/stage1, repeated with other identifiers in each copy, so that no copy
is a duplicate of another (or, where the corpus is not there, made-up pairs). Each preparation is a
fresh process; `python -m benchmarks.public_data CACHE INTO FILE` is one such process.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.parsing import peak_bytes
from benchmarks.table import Row, show

STAGE1 = Path(__file__).resolve().parents[1].parent / "shared" / "corpus" / "stage1"
NAMES = ("crossvul_shape.jsonl", "cvefixes_shape.jsonl")
ROWS = 22_300
SPEED_UP = 20
_WORD = re.compile(r"\b[A-Za-z_]\w{3,}\b")
_CODE = ("vulnerable_code", "fixed_code", "diff_with_context")
_GRAMMARS = ("c", "cpp", "python", "javascript", "ruby", "go", "java")


class Preparation(msgspec.Struct, frozen=True):
    """What one process took."""

    seconds: float
    peak_bytes: int
    entered: int
    examples: int
    left_out: dict[str, int]


def write_rows(folder: Path, copies: int) -> tuple[list[Path], int]:
    """Write the rows `copies` times over into `folder`; return the files and the rows in them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, count = [], 0
    for name in NAMES:
        rows = list(_rows(name))
        path = folder / name
        with path.open("w", encoding="utf-8") as file:
            for copy in range(copies):
                file.writelines(json.dumps(renamed(row, copy)) + "\n" for row in rows)
        paths.append(path)
        count += copies * len(rows)
    return paths, count


def renamed(row: dict[str, Any], copy: int) -> dict[str, Any]:
    """Return a row with other identifiers in its code and another group; copy 0 is the row."""
    if copy == 0:
        return row
    spared = _keywords()

    def other(match: re.Match[str]) -> str:
        return match[0] if match[0] in spared else f"{match[0]}_{copy}"

    changed = {name: _WORD.sub(other, row[name]) for name in _CODE if row.get(name)}
    if row.get("file_pair_id"):
        changed["file_pair_id"] = f"{copy}-{row['file_pair_id']}"
    if row.get("cve_id"):
        changed["cve_id"] = f"{row['cve_id']}-{copy}"
    return row | changed


def _keywords() -> frozenset[str]:
    from secdaemon.pipeline.evaluation.grammars import keywords

    return frozenset().union(*map(keywords, _GRAMMARS))


def _rows(name: str) -> Iterator[dict[str, Any]]:
    path = STAGE1 / name
    if path.exists():
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)
    elif name == NAMES[0]:
        for n in range(1_800):
            body = "\n".join(f"    total_{n}_{k} = first_{n} + {k}" for k in range(n % 90))
            yield {
                "file_pair_id": f"{n}_0",
                "cwe_id": "CWE-78",
                "cwe_description": "OS Command Injection - A shell is given input.",
                "language": "python",
                "language_dir": "py",
                "vulnerable_code": f"def run_{n}(name_{n}):\n{body}\n    os.system(name_{n})\n",
                "fixed_code": f"def run_{n}(name_{n}):\n{body}\n    subprocess.run([name_{n}])\n",
            }


def prepared(cache: Path, into: Path, files: list[Path]) -> Preparation:
    """Prepare the files' rows in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.public_data", str(cache), str(into)]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, check=True)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Preparation)


def measure(work: Path, *, quick: bool) -> None:
    """Prepare the rows once, four and twelve times over, and the most of them again."""
    if not STAGE1.exists():
        print("\nStage 1 preparation: corpus/stage1 is not here, the rows are made up")
    found: dict[int, tuple[Preparation, int]] = {}
    one = sum(1 for name in NAMES for _ in _rows(name))
    for copies in (1, 2) if quick else (1, 4, -(-ROWS // one)):
        folder = work / f"public-{copies}"
        files, rows = write_rows(folder / "rows", copies)
        first = prepared(folder / "cache", folder / "first", files)
        again = prepared(folder / "cache", folder / "again", files)
        found[copies] = (first, rows)
        kept = sum(path.stat().st_size for path in (folder / "cache").rglob("*") if path.is_file())
        written = sum(path.stat().st_size for path in (folder / "first").iterdir())
        same = all(
            path.read_bytes() == (folder / "again" / path.name).read_bytes()
            for path in (folder / "first").iterdir()
        )
        rows_of_table = [
            Row("rows a second, first", f"{rows / first.seconds:,.0f} ({first.seconds:.1f} s)"),
            Row(
                "again, from the cache",
                f"{again.seconds:.2f} s, {first.seconds / again.seconds:.0f} times as fast",
                f"{SPEED_UP} times" if rows >= ROWS else "",
            ),
            Row("peak memory, first", f"{first.peak_bytes / 1e6:.0f} MB"),
            Row("peak memory, again", f"{again.peak_bytes / 1e6:.0f} MB"),
            Row("cache, and what it stands for", f"{kept / 1e6:.0f} MB, {written / 1e6:.0f} MB"),
            Row("used of the entries", f"{first.examples:,} of {first.entered:,} {first.left_out}"),
            Row("the same bytes", "yes" if same else "NO", "yes"),
        ]
        show(f"Stage 1 preparation: {rows:,} rows", rows_of_table)
    least, most = found[min(found)], found[max(found)]
    growth = most[0].peak_bytes / least[0].peak_bytes
    share = f"{growth:.2f} times the memory for {most[1] / least[1]:.0f} times the rows"
    show("Stage 1 preparation: memory as rows grow", [Row("first", share, "flat")])


def main() -> None:
    """Prepare the files named on the command line and print what it took."""
    from secdaemon.pipeline.public.data import prepare

    cache, into, *files = sys.argv[1:]
    began = time.perf_counter()
    found = prepare(files, None, seed=0, cache=Path(cache), into=Path(into))
    took = time.perf_counter() - began
    examples = found.examples.train + found.examples.validation + found.examples.test
    reading = Preparation(took, peak_bytes(), found.entered, examples, found.left_out)
    print(msgspec.json.encode(reading).decode())


if __name__ == "__main__":
    main()
