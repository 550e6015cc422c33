"""What is done about a Stage 2 that forgot too much, before its run is held.

First without training: back along the line from Stage 1 to it, to the furthest point that keeps
enough of both. Then the training again, with more replay and a lower rate, and the line once more.

Everything lies below the run's `healing/` and is made from the job alone: killed anywhere and
started again, it measures and trains nothing twice and comes to the same bytes.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from secdaemon.config import schema
from secdaemon.pipeline.interface import EndRun, HealingAttempt, Job, Report
from secdaemon.pipeline.judging import Bench, Judgement
from secdaemon.pipeline.layout import StageFolder
from secdaemon.pipeline.stage2 import train_from_stage1
from secdaemon.pipeline.training.interpolate import interpolate
from secdaemon.pipeline.training.retention import is_curable

PROBES = 6
"""Points tried on one line; the answer is true to a sixty-fourth of it."""
HEALED = "healed"
"""What the final model's measurements are called where it is not Stage 2 as trained."""
LEAST_REPLAY = 0.15
"""What a training that replayed less, or nothing, replays the next time."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A model that may become the final one; without a judgement where its training diverged."""

    kind: str
    training: int
    t: float
    settings: schema.Stage2
    """What its training was asked for."""
    adapter: Path
    judgement: Judgement | None
    diverged: str = ""

    @property
    def passed(self) -> bool:
        """Whether no quality gate says no."""
        return self.judgement is not None and not self.judgement.failed

    @property
    def keeps_both(self) -> bool:
        """Whether it knows enough of either stage."""
        return self.judgement is not None and self.judgement.keeps_both


def heal(job: Job, bench: Bench, trained: Candidate, report: Report) -> tuple[Candidate, ...]:
    """Return every model that was tried, in order, the one that training made first.

    Nothing else is tried where that one passed, where what stands against it is not forgetting, or
    where healing is switched off. It ends with the first model that passes every quality gate.
    """
    tried = [trained]
    if not job.settings.retention.heal or not needs_healing(trained):
        return (trained,)
    tried += _walk(bench, trained)
    for number in range(1, job.settings.retention.max_retrainings + 1):
        if any(candidate.passed for candidate in tried):
            break
        again = _train_again(job, bench, number, report)
        tried.append(again)
        if needs_healing(again):
            tried += _walk(bench, again)
    return tuple(tried)


def needs_healing(candidate: Candidate) -> bool:
    """Return whether forgetting, measured in numbers that are finite, stands against a model."""
    found = candidate.judgement
    if found is None:
        return False
    guarded = any(gate.name == "edited_tokens" for gate in found.failed)
    return is_curable(found.retention) or (found.retention.passed and guarded)


def _walk(bench: Bench, end: Candidate) -> list[Candidate]:
    """Halve the line between what keeps both and what does not, PROBES times.

    At 0 stands Stage 1, which forgot nothing, at 1 the model that did. Losses are convex along the
    line, so that what keeps enough is one stretch of it. The whole test split judges every point,
    which is no harm: with one stretch, some point beyond its true end passes by chance no oftener
    than the one at that end does.
    """
    points: list[Candidate] = []

    def keeps_both(t: float) -> bool:
        place = StageFolder(bench.folder.healing / f"walk-{end.training}" / f"{t:.6f}")
        interpolate(bench.folder.stage1.adapters, end.adapter, t, place.adapters)
        point = msgspec.structs.replace(
            end,
            kind="walk",
            t=t,
            adapter=place.adapters,
            judgement=bench.probe(place.adapters, place.evaluation),
        )
        points.append(point)
        return point.keeps_both

    furthest(keeps_both, PROBES)
    return points


def furthest(keeps: Callable[[float], bool], probes: int) -> float:
    """Return how far from 0 `keeps` holds, to within 0.5 ** probes, where it holds on [0, x].

    It holds at the answer, unless that is 0; neither 0 nor 1 is asked about.
    """
    low, high = 0.0, 1.0
    for _ in range(probes):
        t = (low + high) / 2
        low, high = (t, high) if keeps(t) else (low, t)
    return low


def _train_again(job: Job, bench: Bench, number: int, report: Report) -> Candidate:
    """Train Stage 2 from the Stage 1 adapter once more, more carefully, and judge what it made."""
    gentler = gentler_settings(job.settings.stage2, number)
    settings = msgspec.structs.replace(job.settings, stage2=gentler)
    into = StageFolder(bench.folder.healing / f"retraining-{number}")
    candidate = Candidate(
        kind="retrained",
        training=number,
        t=1.0,
        settings=gentler,
        adapter=into.adapters,
        judgement=None,
    )
    try:
        train_from_stage1(msgspec.structs.replace(job, settings=settings), into, report)
    except EndRun as end:
        return msgspec.structs.replace(candidate, diverged=str(end))
    judgement = bench.probe(into.adapters, into.evaluation)
    return msgspec.structs.replace(candidate, judgement=judgement)


def gentler_settings(stage2: schema.Stage2, number: int) -> schema.Stage2:
    """Return the settings of the `number`-th retraining, from 1: twice the replay, half the rate.

    Replay starts at LEAST_REPLAY where there was less than half of it, and ends at one replayed
    example for each of the project's own.
    """
    had = stage2.replay_ratio if "replay" in stage2.method else 0.0
    ratio = max(had * 2.0**number, LEAST_REPLAY * 2.0 ** (number - 1))
    return msgspec.structs.replace(
        stage2,
        method=stage2.method if "replay" in stage2.method else ("replay", *stage2.method),
        replay_ratio=min(1.0, ratio),
        learning_rate=stage2.learning_rate * 0.5**number,
    )


def choose(tried: Sequence[Candidate]) -> Candidate:
    """Return the model with the fewest quality gates against it, the first one among equals.

    Of a walk only the furthest point that keeps both stages counts. So where nothing passed, what a
    person may release is the Stage 2 adapter as trained, unless another one is nearer to passing.
    """
    furthest: dict[int, float] = {}
    for candidate in tried:
        if candidate.kind == "walk" and candidate.keeps_both:
            furthest[candidate.training] = max(furthest.get(candidate.training, 0.0), candidate.t)
    eligible = [
        candidate
        for candidate in tried
        if candidate.judgement is not None
        and (candidate.kind != "walk" or furthest.get(candidate.training) == candidate.t)
    ]
    return min(eligible, key=lambda one: len(one.judgement.failed) if one.judgement else 0)


def attempts(tried: Sequence[Candidate], chosen: Candidate) -> tuple[HealingAttempt, ...]:
    """Return what the manifest and `status` tell of what was tried."""
    return tuple(_attempt(candidate, chosen) for candidate in tried)


def _attempt(candidate: Candidate, chosen: Candidate) -> HealingAttempt:
    found = candidate.judgement
    against = "; ".join(gate.detail for gate in found.failed) if found else candidate.diverged
    return msgspec.convert(
        {
            "kind": candidate.kind,
            "training": candidate.training,
            "t": candidate.t,
            "replay_ratio": candidate.settings.replay_ratio,
            "learning_rate": candidate.settings.learning_rate,
            "retention": found.retention.value if found else None,
            "improvement": found.improvement.value if found else None,
            "passed": candidate.passed,
            "chosen": candidate is chosen,
            "detail": against,
        },
        HealingAttempt,
    )


def tidy(folder: Path, tried: Sequence[Candidate], chosen: Candidate) -> None:
    """Remove the adapters of the points that were passed over; their scores stay.

    Where nothing had to be healed, what an earlier attempt under other settings tried goes as well.
    """
    if len(tried) == 1:
        shutil.rmtree(folder, ignore_errors=True)
    for candidate in tried:
        if candidate.kind == "walk" and candidate is not chosen:
            shutil.rmtree(candidate.adapter, ignore_errors=True)


def remedy(tried: Sequence[Candidate], chosen: Candidate) -> str | None:
    """Return what was tried and what came of it, a phrase; None where nothing was."""
    if len(tried) == 1:
        return None
    trainings = max(candidate.training for candidate in tried)
    points = sum(candidate.kind == "walk" for candidate in tried)
    effort = f"{points} point{'' if points == 1 else 's'} on the way back to Stage 1"
    if trainings:
        effort += " and another training" if trainings == 1 else f" and {trainings} trainings"
    if not chosen.passed:
        return f"healing was tried ({effort}); the final model is {_place(chosen)}"
    before = tried[0].judgement
    assert before is not None
    kept = before.retention.value
    was = "less" if kept is None else f"{kept:.3f}"
    return f"healed ({effort}): Stage 2 as trained kept {was}; the final model is {_place(chosen)}"


def _place(chosen: Candidate) -> str:
    stage2 = chosen.settings
    which = "Stage 2 as trained"
    if chosen.training:
        which = (
            f"Stage 2 trained again with {stage2.replay_ratio:.0%} replay at a rate of "
            f"{stage2.learning_rate:.3g}"
        )
    return which if chosen.kind != "walk" else f"{chosen.t:.3f} of the way from Stage 1 to {which}"
