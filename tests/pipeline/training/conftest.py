"""What the tests of training share: ways to interrupt one, and what it has to leave."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from secdaemon.pipeline.interface import Progress, StopRequested
from secdaemon.pipeline.training.train import TrainSpec, train

CHILD = """
import os, pickle, signal, sys
from secdaemon.pipeline.training.train import train

spec, last = pickle.load(sys.stdin.buffer)

def report(progress):
    if progress.iteration == last and progress.loss is not None:
        os.kill(os.getpid(), signal.SIGKILL)

train(spec, report)
"""


@pytest.fixture(scope="session")
def killed_at() -> Callable[..., None]:
    """Return what trains in a process that SIGKILL ends behind an iteration."""

    def killed(spec: TrainSpec, iteration: int, **variables: str) -> None:
        ended = subprocess.run(
            [sys.executable, "-c", CHILD],
            input=pickle.dumps((spec, iteration)),
            env=os.environ | variables,
            check=False,
        )
        assert ended.returncode == -signal.SIGKILL

    return killed


@pytest.fixture(scope="session")
def stopped_at() -> Callable[[TrainSpec, int], None]:
    """Return what trains until a stop is requested behind an iteration."""

    def stopped(spec: TrainSpec, iteration: int) -> None:
        def report(progress: Progress) -> None:
            if progress.iteration == iteration and progress.loss is not None:
                msg = "asked to stop"
                raise StopRequested(msg)

        with pytest.raises(StopRequested):
            train(spec, report)

    return stopped


@pytest.fixture(scope="session")
def made() -> Callable[[Path], tuple[bytes, str, bytes]]:
    """Return what reads everything that has to be the same after a resume, and nothing more."""

    def read(folder: Path) -> tuple[bytes, str, bytes]:
        adapters = folder / "adapters"
        assert sorted(path.name for path in folder.iterdir()) == [
            "adapters",
            "losses.jsonl",
            "summary.json",
        ]
        return (
            (adapters / "adapters.safetensors").read_bytes(),
            (adapters / "adapter_config.json").read_text(),
            (folder / "losses.jsonl").read_bytes(),
        )

    return read


@pytest.fixture(scope="session")
def as_trained(
    trained: Path, made: Callable[[Path], tuple[bytes, str, bytes]]
) -> Callable[[Path], bool]:
    """Return what tells whether a training ended as the uninterrupted one."""
    return lambda folder: made(folder) == made(trained)


@pytest.fixture(scope="session")
def checkpoints() -> Callable[[Path], list[str]]:
    """Return what lists the checkpoints of a training folder by name."""

    def names(folder: Path) -> list[str]:
        found = (path.name for path in (folder / "checkpoints").iterdir())
        return sorted(name for name in found if name.isdecimal())

    return names
