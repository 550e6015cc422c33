"""Without room or network nothing is lost: it is said, waited for, and gone on with."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from secdaemon.daemon.views import FullRunView
from secdaemon.state.machine import State, Step

Scene = Any
Compare = Callable[[Scene], FullRunView]
NOTHING = '{"version": "2.1.0", "runs": []}'
MEGABYTE = 1 << 20
ROOM = 80 * MEGABYTE
"""A training does not begin where a checkpoint would leave less than 64 of them free."""
REFUSING = {"HF_ENDPOINT": "http://127.0.0.1:9"}
"""The discard port, where nobody listens."""


def big_zip(path: Path, megabytes: int) -> Path:
    """Write a zip of a scan without findings and as much beside it as is asked for."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("scan.sarif", NOTHING)
        archive.writestr("notes.bin", os.urandom(megabytes * MEGABYTE))
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a small file system."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    if (
        sys.platform != "linux"
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("a small file system can be mounted by root on Linux only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def fill() -> Callable[[Path, int], Path]:
    """Return what fills a disk up: (folder on it, bytes to leave) to the file that does."""

    def run(folder: Path, leave: int) -> Path:
        ballast = folder / "ballast"
        with ballast.open("wb", buffering=0) as file:
            left = shutil.disk_usage(folder).free - leave
            file.write(b"\0" * left)
        return ballast

    return run


def test_a_zip_too_large_for_the_disk_waits_for_room(
    small_disk: Path, tmp_path: Path, make_scene: Callable[..., Scene], fill: Callable[..., Path]
) -> None:
    """The problem is shown and the zip stays where it is; with room it is taken in by itself."""
    scene = make_scene(
        small_disk / "home", inbox=f"inbox: {{dir: {tmp_path}/inbox, stable_seconds: 0.2}}"
    )
    ballast = fill(small_disk, 2 * MEGABYTE)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    large = big_zip(inbox / "large.zip", 4)
    scene.begin()
    scene.until(lambda: scene.status().daemon.problems, "the problem is shown")
    (problem,) = scene.status().daemon.problems
    assert problem.startswith("large.zip cannot be taken in yet: ")
    assert "No space left on device" in problem
    assert large.exists()
    assert scene.runs() == []

    with zipfile.ZipFile(inbox / "small.zip", "w") as archive:
        archive.writestr("scan.sarif", NOTHING)
    scene.until(
        lambda: [run.name for run in scene.runs()] == ["small.zip"], "the small one is read"
    )

    ballast.unlink()
    scene.until(lambda: not large.exists(), "the large one is taken in")
    scene.until(lambda: all(run.state is State.SKIPPED for run in scene.runs()), "both are read")
    assert scene.status().daemon.problems == []
    assert len(scene.runs()) == 2
    assert list(scene.home.archive.glob(".*")) == []


@pytest.mark.slow
def test_a_disk_that_fills_up_in_training_costs_attempts_and_no_work(
    small_disk: Path,
    make_scene: Callable[..., Scene],
    scans: Path,
    fill: Callable[..., Path],
    ends_the_same: Compare,
) -> None:
    """Not a byte is left, for state.db neither: the daemon bears it, and goes on with the room."""
    patient = "{max_attempts: 50, backoff_seconds: 0.2, backoff_max_seconds: 1, nice: 0}"
    scene = make_scene(small_disk / "home", schedule=f"schedule: {patient}")
    shutil.copy(scans, scene.inbox)
    daemon = scene.begin("--until-idle")
    scene.until_in(Step.STAGE1)
    (worker,) = scene.workers(daemon)
    ballast = fill(small_disk, 0)
    scene.until(lambda: worker not in scene.workers(daemon), "the worker gives up")
    assert daemon.poll() is None
    ballast.unlink()
    assert daemon.wait(300) == 0
    ends_the_same(scene)
    assert len(scene.attempts(Step.STAGE1)) > 1


def test_a_limit_on_file_sizes_is_told_and_lasts_no_longer_than_it_is_there(
    make_scene: Callable[..., Scene],
) -> None:
    """The archive's copy fails half way; the zip is kept, and taken in once the limit is gone."""
    scene = make_scene()
    large = big_zip(scene.inbox / "large.zip", 3)
    limited = scene.begin(largest_file=2 * MEGABYTE // 512)
    scene.until(lambda: scene.status().daemon.problems, "the problem is shown")
    (problem,) = scene.status().daemon.problems
    assert problem.startswith("large.zip cannot be taken in yet: ")
    assert "File too large" in problem
    assert scene.runs() == []
    assert list(scene.home.archive.iterdir()) == []
    limited.terminate()
    assert limited.wait(60) == 0
    assert large.exists()
    assert scene.finish() == 0
    assert [run.state for run in scene.runs()] == [State.SKIPPED]
    assert not large.exists()


@pytest.mark.slow
def test_a_source_out_of_reach_fails_its_run_and_holds_up_no_other(
    make_scene: Callable[..., Scene], make_zip: Callable[..., Path], scans: Path
) -> None:
    """It is tried again as often as is set; a run that needs no Stage 1 is done meanwhile."""
    scene = make_scene(
        stage1="stage1: {sources: [crossvul]}",
        schedule="schedule: {max_attempts: 3, backoff_seconds: 3, nice: 0}",
    )
    shutil.copy(scans, scene.inbox)
    daemon = scene.begin("--until-idle", env=REFUSING)
    scene.until(lambda: len(scene.attempts(Step.STAGE1)) == 1, "Stage 1 is tried")
    make_zip(scene.inbox / "other.zip", {"scan.sarif": NOTHING})
    assert daemon.wait(300) == 1
    other, failed = scene.runs()
    assert failed.state is State.FAILED
    assert failed.reason.startswith("Stage 1 source crossvul cannot be read from Hugging Face (")
    assert "\n" not in failed.reason
    assert [number for number, _ in scene.attempts(Step.STAGE1)] == [1, 2, 3]
    assert (other.name, other.state) == ("other.zip", State.SKIPPED)
    assert other.updated_at < failed.updated_at
    assert failed.reason in [run.reason for run in scene.status().runs]
