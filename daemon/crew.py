"""The crew: the workers that live now, what they say, and what their ends mean for the runs."""

import logging
import subprocess
from collections.abc import Callable

import msgspec

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon import jobs
from secdaemon.daemon.power import Wakefulness
from secdaemon.daemon.worker import Exited, Worker, last_line
from secdaemon.pipeline.interface import (
    Advanced,
    Beat,
    Done,
    Ended,
    Failed,
    Message,
    Progress,
    Stopped,
)
from secdaemon.state.daemon_row import read_daemon
from secdaemon.state.leases import acquire, back_off, finish, give_back, heartbeat, leases
from secdaemon.state.machine import Rule, Slot
from secdaemon.state.model import Lease, Run
from secdaemon.state.runs import get_run
from secdaemon.state.store import Store

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 1.0
"""Progress is written to state.db at most this often."""

Said = tuple[Lease, Message | Exited]


class Crew:
    """Starts workers, hears them, and moves their runs; not safe across threads."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        store: Store,
        post: Callable[[Said], None],
        *,
        clock: Callable[[], float],
        awake: Wakefulness,
    ) -> None:
        """`post` takes what workers say, from their threads; `clock` is monotonic."""
        self._home = home
        self._settings = settings
        self._store = store
        self._post = post
        self._clock = clock
        self._awake = awake
        self._said: dict[str, float] = {}
        self._untold: dict[str, str] = {}
        """Progress (JSON) that came too soon after the one before it."""
        self._losses: dict[str, float] = {}
        """The last one that a training told."""
        self._told: list[subprocess.Popen[bytes]] = []
        self.workers: dict[str, Worker] = {}
        """By the token of their lease."""

    @property
    def busy(self) -> set[Slot]:
        """The slots that are taken."""
        return {Slot(worker.lease.slot) for worker in self.workers.values()}

    def start(self, run: Run, rule: Rule, now: float) -> bool:
        """Start a worker for a run's next step; False where that could not be."""
        lease = acquire(self._store, run, rule, now)
        if lease is None:
            return False
        log.info("%s: %s, attempt %d", run.id, rule.step, run.attempts + 1)
        try:
            job = jobs.make_job(self._store, self._home, self._settings, run, rule.slot, now)
            worker = Worker(
                lease,
                job,
                self._home.logs / f"{run.id}.log",
                self._settings.schedule.nice,
                lambda claim, message: self._post((claim, message)),
            )
        except (OSError, msgspec.ValidationError) as error:
            reason = f"no worker could be started: {error}"
            self._failed(lease, Failed(reason, transient=True), now)
            return False
        self.workers[lease.token] = worker
        if rule.slot is Slot.HEAVY:
            self._awake.keep(worker.pid)
        return True

    def hear(self, said: Said, now: float) -> None:
        """Do what a worker's message asks for; one that cannot be understood fails its step."""
        lease, message = said
        worker = self.workers.get(lease.token)
        if worker is None:
            return
        worker.last_heard = self._clock()
        try:
            self._hear(worker, message, now)
        except Exception:
            # The one broad except: whatever one run's worker said, the others go on.
            log.exception("%s: %s", lease.run, lease.step)
            worker.kill()
            self._failed(lease, Failed("its worker could not be understood", transient=True), now)

    def _hear(self, worker: Worker, message: Message | Exited, now: float) -> None:
        lease = worker.lease
        match message:
            case Beat():
                self._beat(lease, None, now)
            case Advanced():
                self._beat(lease, self._with_loss(lease, message.progress), now)
            case Done() | Ended():
                self._finished(lease, message, now)
            case Failed():
                self._failed(lease, message, now)
            case Stopped():
                why = f"{worker.stopped_for}; it goes on from here"
                give_back(self._store, lease, why, now)
            case Exited():
                del self.workers[lease.token]
                self._gone(worker, message.code, now)

    def _beat(self, lease: Lease, progress: str | None, now: float) -> None:
        if progress is not None:
            self._untold[lease.token] = progress
        if self._said.get(lease.token, 0.0) <= now < self._said_next(lease):
            return
        self._said[lease.token] = now
        heartbeat(self._store, lease, self._untold.pop(lease.token, None), now)

    def _with_loss(self, lease: Lease, progress: Progress) -> str:
        """Return progress as JSON; a training that validates still has the loss it had."""
        if progress.loss is not None:
            self._losses[lease.token] = progress.loss
        elif progress.tokens_per_second is not None:
            loss = self._losses.get(lease.token)
            progress = msgspec.structs.replace(progress, loss=loss)
        return msgspec.json.encode(progress).decode()

    def _said_next(self, lease: Lease) -> float:
        return self._said.get(lease.token, 0.0) + PROGRESS_SECONDS

    def tell_progress(self, now: float) -> None:
        """Write the progress that was held back; an iteration may take minutes after it."""
        for worker in self.workers.values():
            if worker.lease.token in self._untold:
                self._beat(worker.lease, None, now)

    def _finished(self, lease: Lease, message: Done | Ended, now: float) -> None:
        output = jobs.read_output(lease.step, message.output)
        how = jobs.move_of(lease, message, output, get_run(self._store, lease.run).run_dir)
        jobs.remember(self._store, lease, output)
        if not finish(self._store, lease, how, now):
            log.info("%s: %s came too late, the run moved on without it", lease.run, lease.step)
            return
        log.info("%s: %s -> %s: %s", lease.run, lease.step, how.target, how.detail)
        run = get_run(self._store, lease.run)
        if run.finished:
            self.ended(run)

    def _failed(self, lease: Lease, failed: Failed, now: float) -> None:
        attempts = get_run(self._store, lease.run).attempts
        wait = jobs.retry_after(self._settings.schedule, attempts) if failed.transient else None
        log.warning("%s: %s failed, attempt %d: %s", lease.run, lease.step, attempts, failed.reason)
        if wait is not None:
            back_off(self._store, lease, failed.reason, now + wait, now)
        elif finish(self._store, lease, jobs.failure_of(lease, failed), now):
            self.ended(get_run(self._store, lease.run))

    def _gone(self, worker: Worker, code: int, now: float) -> None:
        """A worker that said no last word: we stopped it, or it died by itself."""
        lease = worker.lease
        self._said.pop(lease.token, None)
        self._untold.pop(lease.token, None)
        self._losses.pop(lease.token, None)
        if not any(claim.token == lease.token for claim in leases(self._store)):
            run = get_run(self._store, lease.run)
            if run.finished:
                # Cancelled, say: what the worker made since nobody has tidied up yet.
                self.settle(run)
            return
        if worker.stop_deadline is not None:
            why = f"{worker.stopped_for}; it goes on from its last checkpoint"
            give_back(self._store, lease, why, now)
            return
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        last = last_line(self._home.logs / f"{lease.run}.log") if code >= 0 else ""
        reason = f"its worker {how}{': ' if last else ''}{last}; see `secdaemon logs {lease.run}`"
        self._failed(lease, Failed(reason, transient=True), now)

    def check_claims(self, now: float) -> None:
        """Stop the workers whose run moved on without them, and all of them while paused.

        A claim without a worker is left where the worker's end could not be noted (a full disk).
        """
        claims = leases(self._store)
        for lease in claims:
            if lease.token not in self.workers:
                give_back(self._store, lease, "its worker is gone; it goes on from here", now)
        valid = {lease.token for lease in claims}
        paused = read_daemon(self._store).paused
        for worker in self.workers.values():
            if paused or worker.lease.token not in valid:
                worker.stop(self._clock())

    def check_silence(self) -> None:
        """Kill what was told to stop and did not, and what says nothing any more."""
        for worker in self.workers.values():
            if worker.stop_deadline is not None:
                worker.stop(self._clock())
            elif worker.last_heard is None:
                worker.last_heard = self._clock()
            elif self._clock() > worker.last_heard + self._settings.schedule.stalled_seconds:
                log.warning("%s: %s says nothing any more", worker.lease.run, worker.lease.step)
                worker.kill()

    def stop_training(self, why: str) -> None:
        """Ask the worker that trains, if there is one, to checkpoint and end."""
        for worker in self.workers.values():
            if worker.lease.slot == Slot.HEAVY:
                worker.stop(self._clock(), why)

    def stop(self) -> None:
        """Ask every worker to checkpoint and end; call again, past their time they are killed."""
        for worker in list(self.workers.values()):
            worker.stop(self._clock())

    def settle(self, run: Run) -> None:
        """Tidy up behind a run that has ended; doing it twice is as good as once."""
        try:
            jobs.settle(self._store, self._home, run)
        except OSError:
            log.exception("%s: could not be tidied up; it is tried again at the next start", run.id)

    def ended(self, run: Run) -> None:
        """Tidy up behind a run that has just ended, and tell whoever wants to know."""
        self.settle(run)
        self._notify(run)

    def _notify(self, run: Run) -> None:
        """Start notify.command with the run's id, state and reason; nobody waits for it."""
        self._told = [process for process in self._told if process.poll() is None]
        command = self._settings.notify.command
        if not command:
            return
        try:
            told = subprocess.Popen(
                [*command, run.id, run.state, run.reason or ""],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            log.warning("notify.command: %s", error)
        else:
            self._told.append(told)
