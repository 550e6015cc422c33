"""LoRA training that resumes exactly: one call of mlx-lm's trainer, with our feed and checkpoints.

The same spec gives the same adapter, byte for byte, however often it was stopped or killed on the
way (same machine, same number of BLAS threads). MLX's random state belongs to the thread: train in
the main thread of a process.
"""

import math
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import mlx.core as mx

from secdaemon.config.files import staged_folder
from secdaemon.pipeline.examples import write_jsonl
from secdaemon.pipeline.interface import (
    EndRun,
    PermanentError,
    PipelineError,
    Progress,
    Report,
    StopRequested,
    TrainingSummary,
)
from secdaemon.pipeline.training import (
    adapter,
    checkpoint,
    launch,
    preflight,
    record,
    trainer,
    validation,
)
from secdaemon.pipeline.training.checkpoint import Loss
from secdaemon.pipeline.training.evaluate import score
from secdaemon.pipeline.training.hostfile import read_hostfile
from secdaemon.pipeline.training.ready import make_ready
from secdaemon.pipeline.training.record import ADAPTERS
from secdaemon.pipeline.training.scores import metrics
from secdaemon.pipeline.training.spec import TrainSpec
from secdaemon.pipeline.training.team import ALONE, Ready, Team

__all__ = ["TrainSpec", "join", "train"]

LOSSES_FILE = "losses.jsonl"
_RATE_WINDOW = 32


def train(
    spec: TrainSpec,
    report: Report,
    *,
    free: checkpoint.Free = checkpoint.free_bytes,
    team: Team = ALONE,
) -> TrainingSummary:
    """Train an adapter, or go on where an earlier call with the same spec was stopped.

    A finished training returns its summary at once. `report` is called after every iteration; when
    it raises StopRequested, the optimizer's last step is checkpointed first. Where there was a
    validation, the adapter with the lowest loss in it is the one that is kept.

    With `training.hostfile` the computers it names train together. `team` is for their processes:
    this is then the first of it, in charge of all that is kept.

    Raises:
        StopRequested: by way of `report`.
        PermanentError: the base model does not load, has no such module, nothing fits into
            max_seq_length or into memory, or the adapter to resume does not fit.
        TransientError: the disk is nearly full, by `free`, or one of several computers is lost;
            older checkpoints stand as they were.
        EndRun: held, because a loss or the adapter is no longer finite.
        OSError: the folder cannot be written.
    """
    hostfile = None
    if spec.training.hostfile is not None:
        hostfile = read_hostfile(Path(spec.training.hostfile))
        spec = launch.spread(spec, hostfile)
    fingerprint = record.fingerprint(spec)
    done = record.finished(spec.folder, fingerprint)
    if done is not None:
        return done
    if spec.training.grad_checkpoint and spec.lora.dropout > 0:
        msg = "training.grad_checkpoint needs lora.dropout 0: together they give wrong gradients"
        raise PermanentError(msg)
    if hostfile is not None:
        return launch.train_on(hostfile, spec, report)
    session = _Session(spec, fingerprint, report, free, team)
    team.exchange(Ready())
    return session.run()


def join(spec: TrainSpec, team: Team) -> Callable[[], None]:
    """Return what trains along, as any process of a team but the first; nothing is kept.

    The spec's folder is not needed any more once this returns.

    Raises:
        PipelineError: a process of the team cannot go on, which all of them know then.
        OSError: this one cannot write its folder, which all of them know then.
    """
    try:
        fingerprint = record.fingerprint(spec)
        session = _Session(spec, fingerprint, lambda _: None, checkpoint.free_bytes, team)
        session.load()
    except (PipelineError, OSError) as error:
        team.complain(error)
        raise
    team.exchange(Ready())
    return session.follow


class _Session:
    """One process's share of a training; the trainer calls `took` after every iteration."""

    def __init__(
        self,
        spec: TrainSpec,
        fingerprint: str,
        report: Report,
        free: checkpoint.Free,
        team: Team,
    ) -> None:
        """Load the model and put everything where the newest checkpoint left it."""
        self._spec = spec
        self._fingerprint = fingerprint
        self._report = report
        self._free = free
        self._team = team
        self._started = time.monotonic()
        self._checkpoints = spec.folder / checkpoint.FOLDER
        path = checkpoint.newest(self._checkpoints, fingerprint)
        known = None if path is None else checkpoint.read_state(path)
        ready = make_ready(spec, None if known is None else known.preflight, report, team)
        self._ready = ready
        self._model, self._optimizer = ready.model, ready.optimizer
        self._losses: list[Loss] = []
        self._iteration = 0
        self._earlier_seconds = 0.0
        if path is None or known is None:
            checkpoint.begin(self._checkpoints)
        else:
            checkpoint.restore(path, self._model, self._optimizer)
            self._losses = list(known.losses)
            self._iteration = known.iteration
            self._earlier_seconds = known.seconds
        self._resumed_at = self._saved_at = self._stepped_at = self._iteration
        self._stepped_key = checkpoint.random_key()
        self._pace: deque[tuple[float, int]] = deque(maxlen=_RATE_WINDOW)
        checkpoint.require_space(self._checkpoints, self._model, self._optimizer, free)

    def run(self) -> TrainingSummary:
        """Train what is left, and write what remains of a training."""
        spec = self._spec
        with staged_folder(spec.folder / ADAPTERS) as staged:
            self._validate_if_due()
            self._pace.append((time.monotonic(), 0))
            self._train(self.took, staged / adapter.WEIGHTS_FILE)
            self._check_finite()
            if validation.best(self._losses) is not None:
                shutil.copyfile(checkpoint.best(self._checkpoints), staged / adapter.WEIGHTS_FILE)
            adapter.write_config(staged, self._ready.config)
        write_jsonl(spec.folder / LOSSES_FILE, self._losses)
        summary = self._summary()
        record.finish(spec.folder, self._fingerprint, summary)
        return summary

    def load(self) -> None:
        """Read what MLX would read from the files when it is first used."""
        mx.eval(self._model.parameters(), self._optimizer.state)

    def follow(self) -> None:
        """Train what is left, beside the process that keeps what comes of it."""
        self._train(lambda _: None, self._spec.folder / adapter.WEIGHTS_FILE)

    def _train(self, took: trainer.Took, adapter_file: Path) -> None:
        ready = self._ready
        trainer.run(
            self._model,
            self._optimizer,
            self._batches(),
            took,
            loss=ready.loss if self._team.alone else trainer.weighted(ready.loss),
            iterations=ready.iterations - self._iteration,
            accumulation=self._spec.training.grad_accumulation_steps,
            grad_checkpoint=ready.preflight.grad_checkpoint,
            cache_bytes=preflight.cache_bytes(ready.preflight),
            adapter_file=adapter_file,
        )

    def _summary(self) -> TrainingSummary:
        curve = [(row.train_loss, row.tokens) for row in self._losses if row.train_loss is not None]
        ready, asked = self._ready, self._spec.iterations
        return TrainingSummary(
            iterations=self._iteration,
            examples=ready.examples,
            tokens=sum(tokens for _, tokens in curve),
            first_loss=curve[0][0],
            last_loss=curve[-1][0],
            seconds=self._seconds(),
            left_out=ready.left_out,
            resumed_at=self._resumed_at,
            capped_from=asked if ready.iterations < asked else None,
            best_iteration=validation.best(self._losses),
            stopped_early=self._iteration < ready.iterations,
            preflight=ready.preflight,
        )

    def _batches(self) -> Iterator[trainer.Arrays]:
        """Yield the batches from the current position on, until the training stops early."""
        team, feed = self._team, self._ready.feed
        batches = feed.batches(self._iteration, team.share)
        for position, (ids, spans) in enumerate(batches, self._iteration):
            if self._has_stalled():
                return
            if team.alone:
                yield mx.array(ids), mx.array(spans)
                continue
            mean = feed.learned(position) / team.share.of
            weight = feed.learned(position, team.share) / mean
            team.begin(self._spec.seed, position)
            yield mx.array(ids), mx.array(spans), mx.array(weight)

    def _has_stalled(self) -> bool:
        patience = self._spec.training.early_stopping
        return patience is not None and validation.without_progress(self._losses) >= patience

    def took(self, step: trainer.Step) -> None:
        """Take note of an iteration."""
        self._iteration += 1
        loss = step.loss
        if not math.isfinite(loss):
            self._hold(f"the loss is {loss}")
        self._losses.append(Loss(iteration=self._iteration, tokens=step.tokens, train_loss=loss))
        fed = self._ready.feed.tokens(self._iteration - 1)
        self._pace.append((time.monotonic(), self._pace[-1][1] + fed))
        if self._iteration % self._spec.training.grad_accumulation_steps == 0:
            self._stepped_at, self._stepped_key = self._iteration, checkpoint.random_key()
            self._validate_if_due()
            every = self._spec.training.checkpoint_every
            due = self._iteration // every > self._saved_at // every
            if due and self._iteration < self._ready.iterations:
                self._checkpoint()
        self._tell(self._progress(loss))

    def _validate_if_due(self) -> None:
        """Measure the validation loss, unless the checkpoint we resumed from knows it."""
        ready, training = self._ready, self._spec.training
        due = validation.is_due(
            self._iteration,
            ready.iterations,
            batches=-(-len(ready.valid) // training.batch_size),
            accumulation=training.grad_accumulation_steps,
        )
        known = bool(self._losses) and self._losses[-1].valid_loss is not None
        if not ready.valid or not due or known:
            return
        self._model.eval()
        scores = score(
            self._model,
            ready.valid,
            training.batch_size,
            lambda _: self._tell(self._progress(None)),
        )
        self._model.train()
        measured = metrics(scores)
        if measured.loss is None:
            self._hold("the validation loss is not finite")
        self._losses.append(
            Loss(
                iteration=self._iteration,
                tokens=sum(row.tokens for row in scores),
                valid_loss=measured.loss,
            )
        )
        if validation.best(self._losses) == self._iteration:
            checkpoint.save_best(self._checkpoints, self._model)

    def _progress(self, loss: float | None) -> Progress:
        """Return where the training is; the pace is that of the last iterations."""
        rate = eta = None
        if len(self._pace) > 1:
            (since, before), (now, tokens) = self._pace[0], self._pace[-1]
            seconds = max(now - since, 1e-9)
            rate = (tokens - before) / seconds
            eta = (self._ready.iterations - self._iteration) * seconds / (len(self._pace) - 1)
        return Progress(
            iteration=self._iteration,
            iterations=self._ready.iterations,
            loss=loss,
            tokens_per_second=rate,
            eta_seconds=eta,
        )

    def _tell(self, progress: Progress) -> None:
        try:
            self._report(progress)
        except StopRequested:
            if self._saved_at != self._stepped_at:
                self._checkpoint()
            raise

    def _checkpoint(self) -> None:
        """Save the optimizer's last step: gradients that are being summed up are made again."""
        self._check_finite()
        checkpoint.require_space(self._checkpoints, self._model, self._optimizer, self._free)
        losses = [row for row in self._losses if row.iteration <= self._stepped_at]
        state = checkpoint.State(
            iteration=self._stepped_at,
            random=self._stepped_key,
            seconds=self._seconds(),
            losses=tuple(losses),
            preflight=self._ready.preflight,
        )
        checkpoint.save(self._checkpoints, self._fingerprint, self._model, self._optimizer, state)
        write_jsonl(self._spec.folder / LOSSES_FILE, losses)
        self._saved_at = self._stepped_at

    def _check_finite(self) -> None:
        if not adapter.all_finite(self._model):
            self._hold("the adapter is not finite")

    def _seconds(self) -> float:
        return self._earlier_seconds + time.monotonic() - self._started

    def _hold(self, what: str) -> NoReturn:
        msg = (
            f"training diverged: {what} at iteration {self._iteration} of "
            f"{self._ready.iterations}; a lower learning rate than {self._spec.learning_rate} may "
            "do"
        )
        raise EndRun(state="held", reason=msg)
