"""Homes with as many runs as are wanted: one real run through the whole pipeline, and its copies.

The copies are made by the store's own functions, every state and event of them, so that a database
of 10,000 runs is what 10,000 such artifacts would have left.
"""

import hashlib
import shutil
import subprocess
import zipfile
from contextlib import closing
from importlib import resources
from pathlib import Path

from benchmarks.processes import SECDAEMON, clean_environment
from secdaemon.config.paths import Home
from secdaemon.daemon.intake import zip_folder
from secdaemon.state.leases import acquire, finish
from secdaemon.state.machine import RULES
from secdaemon.state.model import NewRun
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
        first = newest_runs(store, 1)[0]
        texts = outputs(store, [first.id])[first.id]
        said = {event.step: event.detail for event in events(store, first.id)}
        now = _unix(first.created_at)
    with closing(open_store(home)) as store:
        # Nothing here has to outlive a power cut, and 160,000 fsyncs are an hour.
        store.read("PRAGMA synchronous = OFF")
        for number in range(count):
            at = now - SECONDS_APART * (count - number)
            sha256 = hashlib.sha256(str(number).encode()).hexdigest()
            new = NewRun(
                kind=first.kind,
                name=first.name,
                sha256=sha256,
                size=first.size,
                project=first.project,
                archive=str(home.archive / f"{sha256}.zip"),
            )
            run_id = take_in(store, new, at).run
            set_run_dir(store, run_id, str(root / "models" / "fine-tuned" / run_id))
            _work(store, run_id, texts, said, at)
    return home


def _work(
    store: Store, run_id: str, texts: dict[str, str], said: dict[str | None, str], now: float
) -> None:
    """Take a run through every step."""
    for seconds, rule in enumerate(RULES, start=1):
        lease = acquire(store, get_run(store, run_id), rule, now + seconds)
        assert lease
        how = Move(
            target=rule.target,
            cause=rule.step,
            detail=said[rule.step],
            output=texts[rule.step],
            fingerprint=run_id,
        )
        assert finish(store, lease, how, now + seconds)


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


def _unix(moment: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(moment).timestamp()
