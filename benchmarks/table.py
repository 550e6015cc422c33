"""How a benchmark tells what it found: a small table, each number with its spread and its aim."""

import statistics
from collections.abc import Callable, Iterable, Sequence

import msgspec


class Row(msgspec.Struct, frozen=True):
    """One measured thing."""

    what: str
    found: str
    aim: str = ""


def show(title: str, rows: Iterable[Row]) -> None:
    """Print a title and the rows beneath it, in columns."""
    rows = list(rows)
    widths = [max(len(getattr(row, name)) for row in rows) for name in ("what", "found")]
    print(f"\n{title}")
    for row in rows:
        aim = f"  aim: {row.aim}" if row.aim else ""
        print(f"  {row.what.ljust(widths[0])}  {row.found.ljust(widths[1])}{aim}".rstrip())


def spread(values: Sequence[float], write: Callable[[float], str]) -> str:
    """Return the median and, in brackets, the smallest and the largest value."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{write(middle)} ({write(low)} to {write(high)}, n={len(values)})"


def milliseconds(seconds: float) -> str:
    """Return seconds as milliseconds, to three digits or so."""
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def times(ratio: float) -> str:
    """Return a ratio."""
    return f"{ratio:.2f}x"


def columns(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a title and a Markdown table beneath it, its columns aligned."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(header))]
    lines.insert(1, tuple("-" * width for width in widths))
    print(f"\n{title}\n")
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(f"| {' | '.join(cells)} |")
