"""Homes with as many runs as are wanted: one real run through the whole pipeline, and its copies.

The copies are made by the store's own functions, with every state, event and finding, so that a
database of 10,000 runs is what 10,000 such artifacts would have left.
"""

import hashlib
import shutil
import subprocess
import zipfile
from contextlib import closing
from datetime import datetime
from importlib import resources
from pathlib import Path

import msgspec

from benchmarks.processes import SECDAEMON, clean_environment
from secdaemon.config.paths import Home
from secdaemon.daemon.intake import zip_folder
from secdaemon.state.history import IndexedFinding
from secdaemon.state.leases import acquire, finish
from secdaemon.state.machine import RULES, Step
from secdaemon.state.model import NewRun, Run
from secdaemon.state.runs import Move, events, get_run, newest_runs, outputs, set_run_dir, take_in
from secdaemon.state.store import Store, open_store

SECONDS_APART = 3600.0
SETTINGS = """\
models: {base: "embedded:tiny"}
training: {max_seq_length: 512}
stage1: {sources: [embedded], iterations: 10, learning_rate: 2.0e-4}
stage2: {iterations: 10, learning_rate: 4.0e-5}
evaluation: {max_examples: 12, generate_examples: 0, bootstrap_samples: 200}
retention: {threshold: 0.0, when_undefined: pass}
gates: {improvement: false}
publish: {target: folder}
"""


def new_home(root: Path, settings: str = SETTINGS) -> Home:
    """Return a made home with these settings."""
    home = Home(root=root, chosen=True)
    home.make()
    (root / "inbox").mkdir()
    home.config_file.write_text(settings, encoding="utf-8")
    return home


def home_of_one(root: Path) -> Home:
    """Return a home in which the sample scans went all the way."""
    home = new_home(root)
    sample = resources.files("secdaemon.pipeline.embedded") / "sample_scans"
    with resources.as_file(sample) as folder:
        zip_folder(folder, root / "inbox" / "sample.zip")
    command = [*SECDAEMON, "--home", str(root), "run", "--until-idle"]
    subprocess.run(command, env=clean_environment(), stderr=subprocess.DEVNULL, check=True)
    return home


def home_of_many(one: Home, root: Path, count: int) -> Home:
    """Return a home whose state.db has `count` runs like that of the home of one."""
    home = new_home(root)
    with closing(open_store(one)) as store:
        model = newest_runs(store, 1)[0]
        moves = _moves(store, model)
    with closing(open_store(home)) as store:
        # Nothing here has to outlive a power cut, and 160,000 fsyncs are an hour.
        store.read("PRAGMA synchronous = OFF")
        born = datetime.fromisoformat(model.created_at).timestamp()
        for number in range(count):
            _copy_run(store, home, model, moves, number, born - SECONDS_APART * (count - number))
    return home


def _moves(store: Store, model: Run) -> dict[Step, Move]:
    """Return what each step of a run did, ready to be done to another."""
    texts = outputs(store, [model.id])[model.id]
    said = {event.step: event.detail for event in events(store, model.id)}
    rows = store.read(
        "SELECT id, tool, rule, severity, place FROM findings WHERE run = ?", (model.id,)
    )
    found = tuple(msgspec.convert([dict(row) for row in rows], list[IndexedFinding]))
    return {
        rule.step: Move(
            target=rule.target,
            cause=rule.step,
            detail=said[rule.step],
            output=texts[rule.step],
            findings=found if rule.step is Step.PARSE else None,
        )
        for rule in RULES
    }


def _copy_run(  # noqa: PLR0917 - what a copy is made of
    store: Store, home: Home, model: Run, moves: dict[Step, Move], number: int, now: float
) -> None:
    """Record an artifact of its own and take it through every step, a second each."""
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    new = NewRun(
        kind=model.kind,
        name=model.name,
        sha256=sha256,
        size=model.size,
        project=model.project,
        archive=str(home.archive / f"{sha256}.zip"),
    )
    run_id = take_in(store, new, now).run
    set_run_dir(store, run_id, str(home.root / "models" / "fine-tuned" / run_id))
    for rule in RULES:
        now += 1.0
        lease = acquire(store, get_run(store, run_id), rule, now)
        assert lease
        how = msgspec.structs.replace(moves[rule.step], fingerprint=run_id)
        assert finish(store, lease, how, now)


def copy_home(home: Home, root: Path) -> Home:
    """Return a copy of a home's settings and state.db."""
    copied = new_home(root, home.config_file.read_text(encoding="utf-8"))
    for path in home.root.glob("state.db*"):
        shutil.copyfile(path, root / path.name)
    return copied


def small_zip(path: Path, number: int) -> Path:
    """Write a zip of one small scan; each number gives other bytes."""
    text = f'{{"version": "2.1.0", "runs": [], "number": {number}}}'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scan.sarif", text)
    return path
