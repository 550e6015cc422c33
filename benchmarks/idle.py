"""What a daemon with nothing to do occupies and uses: both sizes of state.db over the same time."""

import threading
from contextlib import ExitStack

from benchmarks.processes import daemon, usage
from benchmarks.table import Row, show
from secdaemon.config.paths import Home

SETTLE_SECONDS = 5.0


def measure(homes: dict[str, Home], seconds: float) -> None:
    """Run one daemon a home, side by side, and look at them twice."""
    pause = threading.Event()
    with ExitStack() as stack:
        running = {name: stack.enter_context(daemon(home)) for name, home in homes.items()}
        pause.wait(SETTLE_SECONDS)
        before = {name: usage(pid) for name, pid in running.items()}
        pause.wait(seconds)
        after = {name: usage(pid) for name, pid in running.items()}
    rows = []
    for name in homes:
        resident = after[name].resident_bytes / 1e6
        share = (after[name].cpu_seconds - before[name].cpu_seconds) / seconds
        rows.append(Row(f"resident memory, {name}", f"{resident:.1f} MB", "under 70 MB"))
        rows.append(Row(f"CPU, {name}", f"{share:.2%} of a core", "under 0.3 %, the same for both"))
    show(f"Idle daemon over {seconds:.0f} s", rows)
