"""`demo`: the main job, for real, on the embedded tiny model: a zip in, a published adapter out.

A daemon is started in a throw-away home, the sample scans are zipped and dropped into its inbox,
and what happens is told from its state.db as anybody could.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from secdaemon.config.paths import Home
from secdaemon.daemon.cli import FAILED, WELL, WrongUseError
from secdaemon.daemon.commands import say, writing_store
from secdaemon.daemon.intake import zip_folder
from secdaemon.daemon.lock import holder
from secdaemon.daemon.tables import progress_text, retention_text
from secdaemon.daemon.views import FullRunView, MetricsView, view_run
from secdaemon.state.machine import ENDS, State
from secdaemon.state.runs import newest_runs
from secdaemon.state.store import Store

LOOK_SECONDS = 0.5
START_SECONDS = 30.0
SHOW_SECONDS = 5.0

SETTINGS = """\
# Made by `secdaemon demo`: everything embedded, nothing from the network.
inbox: {stable_seconds: 0.5}
models: {base: "embedded:tiny"}
training: {max_seq_length: 1024}
stage1: {sources: [embedded], iterations: 60, learning_rate: 1.0e-4}
stage2: {iterations: 30, learning_rate: 2.0e-5}
evaluation: {generate_examples: 2, max_tokens: 32}
publish: {target: folder}
"""


def demo(args: Namespace, home: Home) -> int:
    """`secdaemon demo`."""
    started = time.monotonic()
    root = (
        Path(args.home).absolute()
        if args.home
        else Path(tempfile.mkdtemp(prefix="secdaemon-demo-"))
    )
    if root.exists() and any(root.iterdir()):
        msg = f"{root} is not empty; the demo wants a home of its own"
        raise WrongUseError(msg)
    throwaway = Home(root=root, chosen=True)
    throwaway.make()
    throwaway.config_file.write_text(SETTINGS, encoding="utf-8")
    say(f"home       {root}")
    with _daemon(throwaway), writing_store(throwaway) as store:
        _drop(throwaway)
        done = _watch(store)
    _summary(done, root, time.monotonic() - started)
    return WELL if done.state is State.PUBLISHED else FAILED


@contextmanager
def _daemon(home: Home) -> Iterator[None]:
    """Run `secdaemon run` in the home for the length of the block."""
    command = [sys.executable, "-m", "secdaemon.daemon", "--home", str(home.root), "run"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SECDAEMON_")}
    with subprocess.Popen(command, env=kept, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while holder(home) is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    msg = f"the daemon did not start; see {home.logs / 'daemon.log'}"
                    raise WrongUseError(msg)
                time.sleep(LOOK_SECONDS / 10)
            say(f"daemon     running, process {process.pid}")
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def _drop(home: Home) -> None:
    """Zip the sample scans under a half-copied name, then give them their own."""
    inbox = home.root / "inbox"
    inbox.mkdir(exist_ok=True)
    sample = resources.files("secdaemon.pipeline.embedded") / "sample_scans"
    with resources.as_file(sample) as folder:
        zip_folder(folder, inbox / "notes-service-scans.zip.part")
    (inbox / "notes-service-scans.zip.part").rename(inbox / "notes-service-scans.zip")
    say("dropped    notes-service-scans.zip: Semgrep, Checkov, Bandit and zizmor outputs")


def _watch(store: Store) -> FullRunView:
    """Tell what happens to the run until it has ended."""
    shown = _Teller()
    while True:
        runs = newest_runs(store, 1)
        if runs:
            view = view_run(store, runs[0].id)
            shown.tell(view)
            if view.state in ENDS:
                return view
        time.sleep(LOOK_SECONDS)


class _Teller:
    """Prints each new event once, and progress in place (on a terminal) or now and then."""

    def __init__(self) -> None:
        self._events = 0
        self._progress_at = 0.0
        self._live = sys.stdout.isatty()

    def tell(self, view: FullRunView) -> None:
        for event in view.events[self._events :]:
            self._clear()
            say(f"{event.target:<15} {event.detail}")
        self._events = len(view.events)
        if view.progress is None:
            return
        text = f"  {view.step}: {progress_text(view.progress)}"
        if self._live:
            self._clear()
            print(text[:110], end="", flush=True)  # noqa: T201 - overwritten in place
        elif time.monotonic() > self._progress_at + SHOW_SECONDS:
            self._progress_at = time.monotonic()
            say(text)

    def _clear(self) -> None:
        if self._live:
            print("\r\x1b[2K", end="")  # noqa: T201 - the line that is overwritten


def _summary(run: FullRunView, root: Path, seconds: float) -> None:
    say("")
    passed = [event.target for event in run.events if event.source != event.target]
    say(f"states     {' -> '.join(passed)}")
    if run.reason:
        say(f"reason     {run.reason}")
    if run.findings:
        say(f"findings   {run.findings.entered} results, {run.findings.kept} kept after merging")
    if run.examples:
        found = run.examples
        say(
            f"examples   {found.train} training + {found.replay} replay, "
            f"{found.validation} validation, {found.test} test"
        )
    if run.stage1:
        say(f"stage 1    test loss {_loss(run.stage1.metrics)} on public fixes")
    if run.stage2:
        before, after = _loss(run.stage2.baseline), _loss(run.stage2.metrics)
        say(f"stage 2    test loss {before} before, {after} after, on this project's findings")
    say(f"retention  {retention_text(run)}")
    if run.published:
        for url in (run.published.model_url, run.published.dataset_url):
            files = sorted(path for path in Path(url).rglob("*") if path.is_file())
            say(f"published  {url}")
            for path in files:
                size = path.stat().st_size
                say(f"             {path.relative_to(url).as_posix():<32} {size:>9} bytes")
    if run.run_dir:
        say(f"folder     {run.run_dir}")
        say(f"report     {Path(run.run_dir) / 'report.html'}")
    say(f"took       {seconds:.0f} s; remove everything with: rm -r {root}")


def _loss(metrics: MetricsView) -> str:
    return "unknown" if metrics.loss is None else f"{metrics.loss:.4f}"
