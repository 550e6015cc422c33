"""Everything of one seed in the forgetting benchmark, in a process of its own.

`python -m benchmarks.forget FOLDER SEED VARIANT…` makes the project's data set from the sample
scans and a Stage 1 adapter once, then trains and measures each variant of Stage 2 from it. What
was made before stands and is taken as it is, so that a killed benchmark goes on.
"""

import sys
from importlib import resources
from pathlib import Path

import msgspec

from benchmarks.variants import SETTINGS, VARIANTS, Found
from secdaemon.config.files import write_file
from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.config.settings import load_settings
from secdaemon.daemon.intake import zip_folder
from secdaemon.pipeline import stage2, steps
from secdaemon.pipeline.examples import read_splits
from secdaemon.pipeline.interface import Job, Origin, Progress
from secdaemon.pipeline.layout import RunFolder, StageFolder
from secdaemon.pipeline.measure import Split, measure
from secdaemon.pipeline.training.base_model import base_folder
from secdaemon.pipeline.training.scores import Score


def main() -> None:
    """Train and measure what is named."""
    root, seed, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    job = _job(root, seed)
    folder = RunFolder(Path(job.run_dir))
    if not folder.project_data.exists():
        steps.parse(job, _unheard)
        steps.build_dataset(job, _unheard)
    if not folder.stage1.adapters.exists():
        steps.stage1(job, _unheard)
    for name in names:
        found = _variant(_with(job, name), folder, name)
        write_file(root / f"{seed}-{name}.json", msgspec.json.encode(found))


def _unheard(_: Progress) -> None:
    """Take progress and say nothing."""


def _job(root: Path, seed: int) -> Job:
    """Return the job of a run with the sample scans as its artifact."""
    home = Home(root=root / f"seed-{seed}", chosen=True)
    home.make()
    home.config_file.write_text(SETTINGS.format(seed=seed), encoding="utf-8")
    archive = home.root / "sample.zip"
    sample = resources.files("secdaemon.pipeline.embedded") / "sample_scans"
    with resources.as_file(sample) as scans:
        zip_folder(scans, archive)
    return Job(
        run_id="20260101_000000",
        project="benchmark",
        origin=Origin(kind="manual", name="sample.zip", sha256="0" * 64, size=0),
        archive=str(archive),
        run_dir=str(home.root / "run"),
        stage1_dir=str(home.stage1),
        lock_file=str(home.root / "lock"),
        now="2026-01-01T00:00:00Z",
        settings=load_settings(home, environ={}),
        salt="00" * 16,
    )


def _with(job: Job, name: str) -> Job:
    """Return the job with a variant's settings of Stage 2."""
    settings: Settings = job.settings
    changed = msgspec.structs.replace(settings.stage2, **VARIANTS[name])
    return msgspec.structs.replace(job, settings=msgspec.structs.replace(settings, stage2=changed))


def _variant(job: Job, folder: RunFolder, name: str) -> Found:
    """Train a variant and return what it and the models before it score on both test splits."""
    into = StageFolder(folder.root / "variants" / name)
    base = base_folder(job.settings.models)
    stage2.train_from_stage1(job, into, _unheard)
    known = Split(read_splits(folder.stage1.data).test, folder.root / "known")
    new = Split(read_splits(folder.project_data).test, folder.root / "new")

    def scores(split: Split, model: str, adapter: Path | None) -> tuple[Score, ...]:
        return measure(job, split, model, base, adapter, _unheard).scores

    return Found(
        base_known=scores(known, "base", None),
        stage1_known=scores(known, "stage1", folder.stage1.adapters),
        stage2_known=scores(known, name, into.adapters),
        stage1_new=scores(new, "stage1", folder.stage1.adapters),
        stage2_new=scores(new, name, into.adapters),
    )


if __name__ == "__main__":
    main()
