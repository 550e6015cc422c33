"""What Stage 2 trains on, by its methods against forgetting."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from secdaemon.config.schema import Settings
from secdaemon.pipeline.examples import Example, Splits, write_splits
from secdaemon.pipeline.interface import Job, Origin
from secdaemon.pipeline.layout import RunFolder
from secdaemon.pipeline.splitting.splits import REPLAY_MARK
from secdaemon.pipeline.stage2 import known_examples, mix

Examples = Callable[..., tuple[Example, ...]]
MakeJob = Callable[..., Job]


@pytest.fixture
def make_job(settings: Settings, make_examples: Examples, tmp_path: Path) -> MakeJob:
    """Return a maker of jobs whose run has 20 project and 30 Stage 1 training examples."""
    folder = RunFolder(tmp_path / "run")
    held_out = make_examples(2, first=90)
    write_splits(folder.project_data, Splits(make_examples(20), held_out, held_out))
    write_splits(folder.stage1.data, Splits(make_examples(30, first=40), held_out, held_out))

    def make(*method: str, **changes: Any) -> Job:
        stage2 = replace(settings.stage2, method=method, **changes)
        return Job(
            run_id="20260101_000000",
            project="p",
            origin=Origin(kind="manual", name="a.zip", sha256="0" * 64, size=0),
            archive="",
            run_dir=str(folder.root),
            stage1_dir="",
            lock_file="",
            now="2026-01-01T00:00:00Z",
            settings=replace(settings, stage2=stage2),
            salt="00",
        )

    return make


def test_replay_adds_its_share(make_job: MakeJob) -> None:
    """15 % of 20 project examples are three of Stage 1's, marked as such."""
    job = make_job("replay", "ewc")
    project, replayed = mix(job, RunFolder(Path(job.run_dir)))
    assert len(project.train) == 20
    assert [example.metadata[REPLAY_MARK] for example in replayed] == ["true"] * 3


@pytest.mark.parametrize("method", [(), ("distillation", "ewc", "multitask", "curriculum")])
def test_nothing_is_replayed_unasked(make_job: MakeJob, method: tuple[str, ...]) -> None:
    """Without replay among the methods its ratio counts for nothing."""
    job = make_job(*method, replay_ratio=0.9)
    _, replayed = mix(job, RunFolder(Path(job.run_dir)))
    assert replayed == ()


@pytest.mark.parametrize(
    ("method", "count"),
    [("replay", 0), ("distillation", 0), ("ewc", 30), ("multitask", 30), ("curriculum", 30)],
)
def test_stage_1s_examples_go_where_they_are_needed(
    make_job: MakeJob, method: str, count: int
) -> None:
    """The methods that work with Stage 1's training split get it; the others read nothing."""
    job = make_job(method)
    assert len(known_examples(job, RunFolder(Path(job.run_dir)))) == count
