"""The loop: what is due now, which step is next, and what the workers said.

`tick(now)` does everything there is to do at `now` and returns; it holds no clock of its own, so
that a test drives it through a year in a second. Everything that happens elsewhere (the watcher,
timers, workers, signals) only posts to one queue.
"""

import logging
import queue
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from secdaemon.config.paths import Home
from secdaemon.config.settings import Settings
from secdaemon.daemon import jobs
from secdaemon.daemon.inbox import Tracker, scan
from secdaemon.daemon.intake import Offer, accept, sweep, text_of
from secdaemon.daemon.worker import Exited, Worker, last_line
from secdaemon.pipeline.interface import (
    Advanced,
    Beat,
    Done,
    Ended,
    Failed,
    Message,
    Stopped,
)
from secdaemon.state.daemon_row import read_daemon, set_problem
from secdaemon.state.leases import acquire, back_off, finish, give_back, heartbeat, leases
from secdaemon.state.machine import BEFORE_TRAINING, Cause, Rule, Slot, State, rule_from
from secdaemon.state.model import Lease, Run
from secdaemon.state.runs import (
    Move,
    get_run,
    move,
    newer_trained_run,
    newer_unread_run,
    open_runs,
)
from secdaemon.state.store import Store

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the loop looks whether another process wrote to state.db (one PRAGMA)."""
SCAN_SECONDS = 0.2
"""The inbox is read at most this often: a large file being copied in makes events without end."""
GONE_SECONDS = 5.0
"""How often an inbox that has gone (renamed, its volume unmounted) is looked for."""
TROUBLE_SECONDS = 5.0
PROGRESS_SECONDS = 1.0
"""Progress is written to state.db at most this often."""


class Hint(msgspec.Struct, frozen=True):
    """Something may have happened in the inbox, or a timer went off."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a loop looks after: everything, or one run alone (`process`)."""

    inbox: bool = True
    only: str | None = None


EVERYTHING = Scope()


class Loop:
    """One process's work in one home; it must hold the home's lock."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        store: Store,
        scope: Scope = EVERYTHING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is monotonic and stands still while the machine sleeps."""
        self.home = home
        self.settings = settings
        self.store = store
        self.scope = scope
        self.queue: queue.SimpleQueue[tuple[Lease, Message | Exited] | Hint] = queue.SimpleQueue()
        self.stopping = False
        self.taken: set[str] = set()
        """Runs that this loop took in or found open: what it answers for."""
        self._clock = clock
        self._tracker = Tracker(settings.inbox.stable_seconds, settings.inbox.broken_seconds)
        self._workers: dict[str, Worker] = {}
        self._said: dict[str, float] = {}
        self._look_again = True
        self._scan_at = 0.0
        self._scanned_at = 0.0
        self._version = -1
        self._retries: list[float] = []
        self._hinted = False

    # -- life -------------------------------------------------------------------------------

    def recover(self, now: float) -> None:
        """Put right what a kill left: claims without a worker, ends that were not tidied up."""
        for lease in leases(self.store):
            give_back(self.store, lease, "the daemon was stopped in the middle; it goes on", now)
        sweep(self.home, now)
        for row in self.store.read(
            "SELECT id FROM runs WHERE state = ? AND run_dir IS NOT NULL", (State.REJECTED,)
        ):
            self._settle(get_run(self.store, row["id"]))
        self.taken.update(run.id for run in open_runs(self.store) if self._is_ours(run))

    def hint(self) -> None:
        """Have the inbox read soon; safe from any thread. Many hints before that are one."""
        if not self._hinted:
            self._hinted = True
            self.queue.put(Hint())

    def stop(self) -> None:
        """Ask the loop to end; safe from any thread and from a signal."""
        self.stopping = True
        self.queue.put(Hint())

    def run(self, until_idle: bool = False) -> None:
        """Work until told to stop, or until nothing can advance."""
        while not self.stopping:
            try:
                wait = self.tick(time.time())
                if until_idle and self.idle():
                    break
            except (sqlite3.Error, OSError) as error:
                # A full disk under state.db, as a rule: every change is a transaction, so that
                # nothing is half done, and it goes on by itself once there is room.
                log.warning("%s: %s; tried again in %.0f s", self.home.root, error, TROUBLE_SECONDS)
                wait = TROUBLE_SECONDS
            self.wait(min(wait, LOOK_SECONDS))
        self.stop_workers()

    def wait(self, seconds: float) -> None:
        """Sleep until something is posted, `seconds` at most."""
        try:
            item = self.queue.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return
        self._take_post(item, time.time())

    def stop_workers(self) -> None:
        """Have every worker checkpoint and end, and hear their last words."""
        while self._workers:
            for worker in list(self._workers.values()):
                worker.stop(self._clock())
            self.wait(0.2)

    def idle(self) -> bool:
        """Return whether no run can advance: no worker, no file on its way, no retry ahead."""
        if self._workers or self._tracker.expects() or not self.queue.empty():
            return False
        if read_daemon(self.store).paused:
            return True
        return not any(self._is_ours(run) for run in open_runs(self.store))

    # -- one tick ---------------------------------------------------------------------------

    def tick(self, now: float) -> float:
        """Do what is due at `now` (Unix seconds); return the seconds until more will be."""
        while not self.queue.empty():
            self._take_post(self.queue.get(), now)
        if self.scope.inbox:
            self._read_inbox(now)
        version = self.store.data_version()
        retry = any(at <= now for at in self._retries)
        if version != self._version or self._look_again or retry:
            self._version, self._look_again = version, False
            self._check_workers()
            self._start_steps(now)
        self._check_stalled()
        return max(0.0, self._next_due(now) - now)

    def _next_due(self, now: float) -> float:
        due = [now + 60.0]
        if self.scope.inbox:
            due.append(self._scanned_at + self.settings.inbox.rescan_seconds)
            due.extend([self._scan_at] if self._scan_at else [])
            if (file := self._tracker.next_due()) is not None:
                due.append(max(file, now + 0.05))
        due.extend(at for at in self._retries if at > now)
        return min(due)

    # -- inbox ------------------------------------------------------------------------------

    def _read_inbox(self, now: float) -> None:
        """Scan when hinted, when a file may be complete, and every rescan_seconds."""
        interval = self.settings.inbox.rescan_seconds
        due = self._tracker.next_due()
        overdue = not self._scanned_at <= now < self._scanned_at + interval
        if not (overdue or now >= self._scan_at > 0 or (due is not None and now >= due)):
            return
        self._scanned_at, self._scan_at, self._hinted = now, 0.0, False
        folder = Path(self.settings.inbox.dir)
        try:
            self._tracker.observe(scan(folder), now)
        except OSError as error:
            text = f"inbox {folder}: {error.strerror or error}; it is looked for until it is back"
            set_problem(self.store, "inbox", text, now)
            self._scan_at = now + GONE_SECONDS
            return
        set_problem(self.store, "inbox", None, now)
        for path in list(self._tracker.complete(now)):
            self._take_in(path, now)

    def _take_in(self, path: Path, now: float) -> None:
        offer = Offer(path=path, kind="inbox", remove=True)
        name = text_of(path.name)
        key = f"inbox:{text_of(str(path))}"
        try:
            taken = accept(self.store, self.home, self.settings, offer, now)
        except OSError as error:
            if not path.exists():
                self._tracker.forget(path)
                set_problem(self.store, key, None, now)
                return
            self._tracker.delay(path, now)
            set_problem(
                self.store, key, f"{name} cannot be taken in yet: {text_of(str(error))}", now
            )
            return
        set_problem(self.store, key, None, now)
        self._tracker.forget(path)
        self.taken.add(taken.run)
        self._look_again = True
        log.info("%s: %s %s", taken.run, "taken in" if taken.new else "dropped again", name)

    # -- workers ----------------------------------------------------------------------------

    def _take_post(self, item: tuple[Lease, Message | Exited] | Hint, now: float) -> None:
        if isinstance(item, Hint):
            self._scan_at = max(now, self._scanned_at + SCAN_SECONDS)
            self._look_again = True
            return
        lease, message = item
        worker = self._workers.get(lease.token)
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
                self._beat(lease, msgspec.json.encode(message.progress).decode(), now)
            case Done() | Ended():
                self._finished(lease, message, now)
            case Failed():
                self._failed(lease, message, now)
            case Stopped():
                give_back(self.store, lease, "stopped; it goes on from here", now)
            case Exited():
                del self._workers[lease.token]
                self._look_again = True
                self._gone(worker, message.code, now)

    def _beat(self, lease: Lease, progress: str | None, now: float) -> None:
        if now < self._said.get(lease.token, 0.0) + PROGRESS_SECONDS:
            return
        self._said[lease.token] = now
        heartbeat(self.store, lease, progress, now)

    def _finished(self, lease: Lease, message: Done | Ended, now: float) -> None:
        how = jobs.move_of(lease, message, get_run(self.store, lease.run).run_dir)
        jobs.remember(self.store, lease, jobs.read_output(lease.step, message.output))
        if not finish(self.store, lease, how, now):
            log.info("%s: %s came too late, the run moved on without it", lease.run, lease.step)
            return
        log.info("%s: %s -> %s: %s", lease.run, lease.step, how.target, how.detail)
        run = get_run(self.store, lease.run)
        if run.finished:
            self._settle(run)

    def _failed(self, lease: Lease, failed: Failed, now: float) -> None:
        attempts = get_run(self.store, lease.run).attempts
        wait = jobs.retry_after(self.settings.schedule, attempts) if failed.transient else None
        log.warning("%s: %s failed, attempt %d: %s", lease.run, lease.step, attempts, failed.reason)
        if wait is not None:
            back_off(self.store, lease, failed.reason, now + wait, now)
        elif finish(self.store, lease, jobs.failure_of(lease, failed), now):
            self._settle(get_run(self.store, lease.run))

    def _gone(self, worker: Worker, code: int, now: float) -> None:
        """A worker that said no last word: we stopped it, or it died by itself."""
        lease = worker.lease
        self._said.pop(lease.token, None)
        if not any(claim.token == lease.token for claim in leases(self.store)):
            run = get_run(self.store, lease.run)
            if run.finished:
                # Cancelled, say: what the worker made since nobody has tidied up yet.
                self._settle(run)
            return
        if worker.stop_deadline is not None:
            give_back(self.store, lease, "stopped; it goes on from its last checkpoint", now)
            return
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        last = last_line(self.home.logs / f"{lease.run}.log") if code >= 0 else ""
        reason = f"its worker {how}{': ' if last else ''}{last}; see `secdaemon logs {lease.run}`"
        self._failed(lease, Failed(reason, transient=True), now)

    def _check_workers(self) -> None:
        """Stop the workers whose run moved on without them, and all of them while paused."""
        valid = {lease.token for lease in leases(self.store)}
        paused = read_daemon(self.store).paused
        for worker in self._workers.values():
            if paused or worker.lease.token not in valid:
                worker.stop(self._clock())

    def _check_stalled(self) -> None:
        for worker in self._workers.values():
            if worker.stop_deadline is not None:
                worker.stop(self._clock())
            elif worker.last_heard is None:
                worker.last_heard = self._clock()
            elif self._clock() > worker.last_heard + self.settings.schedule.stalled_seconds:
                log.warning("%s: %s says nothing any more", worker.lease.run, worker.lease.step)
                worker.kill()

    # -- steps ------------------------------------------------------------------------------

    def _is_ours(self, run: Run) -> bool:
        return self.scope.only is None or run.id == self.scope.only

    def _start_steps(self, now: float) -> None:
        """Give each free slot the oldest run that waits for it."""
        self._retries = []
        if self.stopping or read_daemon(self.store).paused:
            return
        busy = {Slot(worker.lease.slot) for worker in self._workers.values()}
        for run in open_runs(self.store):
            rule = rule_from(run.state)
            if rule is None or run.lease or not self._is_ours(run):
                continue
            if self._must_wait(run, now):
                self._retries.append(run.retry_at or now)
            elif rule.slot not in busy and self._may_start(run, rule, now):
                busy.add(rule.slot)

    def _must_wait(self, run: Run, now: float) -> bool:
        """Whether a run backs off; a time no wait could reach is left of a clock that went back."""
        longest = now + self.settings.schedule.backoff_max_seconds
        return run.retry_at is not None and now < run.retry_at <= longest

    def _may_start(self, run: Run, rule: Rule, now: float) -> bool:
        """Start a run's step unless a newer artifact of the project makes it pointless."""
        if self.scope.only is None and run.state in BEFORE_TRAINING and run.train:
            newer = newer_trained_run(self.store, run)
            if newer:
                why = f"a newer artifact of project {run.project} arrived (run {newer})"
                how = Move(target=State.SUPERSEDED, cause=Cause.SUPERSEDE, detail=why, reason=why)
                if move(self.store, run, how, now):
                    self._settle(get_run(self.store, run.id))
                return False
            if rule.slot is Slot.HEAVY and newer_unread_run(self.store, run, now):
                return False
        return self._start(run, rule, now)

    def _start(self, run: Run, rule: Rule, now: float) -> bool:
        lease = acquire(self.store, run, rule, now)
        if lease is None:
            return False
        log.info("%s: %s, attempt %d", run.id, rule.step, run.attempts + 1)
        try:
            job = jobs.make_job(self.store, self.home, self.settings, run, rule.slot, now)
            worker = Worker(
                lease,
                job,
                self.home.logs / f"{run.id}.log",
                self.settings.schedule.nice,
                lambda claim, message: self.queue.put((claim, message)),
            )
        except OSError as error:
            reason = f"no worker could be started: {error}"
            self._failed(lease, Failed(reason, transient=True), now)
            self._look_again = True
            return False
        self._workers[lease.token] = worker
        return True

    def _settle(self, run: Run) -> None:
        try:
            jobs.settle(self.store, self.home, run)
        except OSError:
            log.exception("%s: could not be tidied up; it is tried again at the next start", run.id)
