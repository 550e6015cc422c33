"""The search for better settings: bounded, seeded, fair to what is in use."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.config.paths import Home
from secdaemon.config.settings import load_settings
from secdaemon.pipeline.account.tuned import told
from secdaemon.pipeline.interface import Interval, Job
from secdaemon.pipeline.tuning import Choice, Search, Trial, candidates, conclude, ranked

SAMPLE = Path(__file__).parent / "account" / "sample_run.json"
USED = Choice(learning_rate=4e-6, replay_ratio=0.15, rank=8)


def sample_job(seed: int = 0) -> Job:
    """Return the sample's job under the default settings and a seed."""
    environ = {"SECDAEMON_TRAINING__SEED": str(seed)}
    settings = load_settings(Home(Path("/Users/x/home"), chosen=True), environ=environ)
    places = {"run_dir": "x", "stage1_dir": "x", "archive": "x", "lock_file": "x", "salt": "00"}
    job = msgspec.json.decode(SAMPLE.read_bytes())["job"]
    return msgspec.convert({**job, **places, "settings": settings}, Job)


def trial(
    gain: float | None, rate: float = 1e-5, *, keeps: bool = True, diverged: bool = False
) -> Trial:
    """Return a trial of a rate with a gain of so many nats."""
    choice = Choice(learning_rate=rate, replay_ratio=0.15, rank=8)
    low, high = (None, None) if gain is None else (gain - 0.01, gain + 0.01)
    return Trial(
        choice=choice,
        current=choice == USED,
        iterations=10,
        gain=Interval(value=gain, ci_low=low, ci_high=high),
        retention=0.95,
        keeps=keeps,
        diverged=diverged,
    )


@given(st.integers(0, 1000), st.integers(1, 30))
def test_candidates_are_bounded_and_seeded(seed: int, count: int) -> None:
    """What is in use comes first, nothing comes twice, and rates stay within the spread."""
    found = candidates(sample_job(seed), count)
    assert found[0] == USED
    assert len(found) == len(set(found)) <= count
    assert found == candidates(sample_job(seed), count)
    assert all(3.9e-7 <= choice.learning_rate <= 4.1e-5 for choice in found)
    assert {choice.rank for choice in found} <= {8, 16, 32}


def test_forgetting_and_divergence_rank_last() -> None:
    """A candidate that forgets is behind every one that does not, whatever it gained."""
    best, forgetful, undefined, gone = (
        trial(0.1),
        trial(0.9, keeps=False),
        trial(None),
        trial(None, diverged=True),
    )
    assert ranked([gone, forgetful, undefined, best]) == [best, undefined, forgetful, gone]


def test_nothing_better_is_no_proposal() -> None:
    """Where the settings in use rank first they stay."""
    found = conclude("run", [trial(0.2, USED.learning_rate), trial(0.1)])
    assert found.proposal is None
    assert "nothing that was tried is better" in told(found)


@pytest.mark.parametrize(("gain", "chance"), [(0.205, True), (0.5, False)])
def test_a_proposal_comes_with_its_evidence(gain: float, chance: bool) -> None:
    """The text names both gains, says what may be chance, and is config.yaml's."""
    found = conclude("run", [trial(0.2, USED.learning_rate), trial(gain)])
    assert found.proposal == Choice(learning_rate=1e-5, replay_ratio=0.15, rank=8)
    text = told(found)
    assert ("may be chance" in text) == chance
    assert "stage2: {learning_rate: 1e-05, replay_ratio: 0.15}" in text
    assert isinstance(found, Search)
