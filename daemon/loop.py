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
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from secdaemon.config.paths import Home
from secdaemon.config.schema import Settings
from secdaemon.daemon.crew import Crew, Said
from secdaemon.daemon.inbox import Tracker, scan
from secdaemon.daemon.intake import Offer, accept, sweep, text_of
from secdaemon.daemon.manners import Manners, Wait, at_any_time
from secdaemon.daemon.power import PowerSource, Wakefulness, read_power
from secdaemon.daemon.worker import Exited
from secdaemon.state.daemon_row import read_daemon, set_problem
from secdaemon.state.leases import give_back, leases
from secdaemon.state.machine import BEFORE_TRAINING, Cause, Rule, Slot, State, rule_from
from secdaemon.state.model import Run
from secdaemon.state.runs import (
    Move,
    get_run,
    move,
    newer_trained_run,
    newer_unread_run,
    open_runs,
)
from secdaemon.state.store import Store

if TYPE_CHECKING:
    # PyGithub costs 40 MB, which a home that watches no repository never pays.
    from secdaemon.daemon.github.watch import Polls

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the loop looks whether another process wrote to state.db (one PRAGMA)."""
SCAN_SECONDS = 0.2
"""The inbox is read at most this often: a large file being copied in makes events without end."""
GONE_SECONDS = 5.0
"""How often an inbox that has gone (renamed, its volume unmounted) is looked for."""
TROUBLE_SECONDS = 5.0
"""How long the loop waits when state.db itself cannot be written."""


class Hint(msgspec.Struct, frozen=True):
    """Something may have happened in the inbox, or a timer went off."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a loop looks after: everything, or one run alone (`process`).

    A person waits for that one, so it trains at any hour and on any power.
    """

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
        *,
        power: PowerSource = read_power,
        zone: tzinfo | None = None,
        awake: Wakefulness | None = None,
    ) -> None:
        """Make a loop that looks at the computer through its arguments only.

        Args:
            home: where everything lies.
            settings: what is asked for.
            store: the home's.
            scope: what of it is this loop's.
            clock: monotonic, in seconds, and not counting the time that the machine sleeps, so that
                nobody is taken for stalled after it: Python's is CLOCK_MONOTONIC on Linux and
                mach_absolute_time on macOS, and both stand still in sleep.
            power: what the computer runs on.
            zone: where `schedule.hours` are counted; None is this computer's own zone.
            awake: what keeps the computer awake while a model trains.
        """
        self.home = home
        self.settings = settings
        self.store = store
        self.scope = scope
        self.queue: queue.SimpleQueue[Said | Hint] = queue.SimpleQueue()
        self.crew = Crew(
            home, settings, store, self.queue.put, clock=clock, awake=awake or Wakefulness()
        )
        self.stopping = False
        self.taken: set[str] = set()
        """Runs that this loop took in or found open: what it answers for."""
        self.polls: Polls | None = None
        """Who asks GitHub, where anything is watched there."""
        self._poll_at = 0.0
        self._tracker = Tracker(
            settings.inbox.stable_seconds, settings.inbox.broken_seconds, settings.artifact
        )
        self._mounted = False
        """Whether the inbox was the root of a volume when it was read."""
        self._posts: list[Said | Hint] = []
        self._look_again = True
        self._scan_at = 0.0
        self._scanned_at = 0.0
        self._version = -1
        self._retries: list[float] = []
        self._hinted = False
        schedule = settings.schedule if scope.only is None else at_any_time(settings.schedule)
        self._manners = Manners(schedule, power, zone)
        self._training_waits = False

    # -- life -------------------------------------------------------------------------------

    def recover(self, now: float) -> None:
        """Put right what a kill left: claims without a worker, ends that were not tidied up."""
        for lease in leases(self.store):
            give_back(self.store, lease, "the daemon was stopped in the middle; it goes on", now)
        sweep(self.home, now)
        for row in self.store.read(
            "SELECT id FROM runs WHERE state = ? AND run_dir IS NOT NULL", (State.REJECTED,)
        ):
            self.crew.settle(get_run(self.store, row["id"]))
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
                wait = min(self.tick(time.time()), LOOK_SECONDS)
                if until_idle and self.idle():
                    break
            except (sqlite3.Error, OSError) as error:
                # A full disk under state.db, as a rule: every change is a transaction, so that
                # nothing is half done, and it goes on by itself once there is room.
                log.warning("%s: %s; tried again in %.0f s", self.home.root, error, TROUBLE_SECONDS)
                wait = TROUBLE_SECONDS
                self._look_again = True
            self.wait(wait)
        if self.polls:
            self.polls.stop()
        self.stop_workers()
        if not until_idle:
            # After --until-idle they stay in `status`: they are why the runs stand.
            self._manners.tell(self.store, (), time.time())

    def wait(self, seconds: float) -> None:
        """Sleep until something is posted, `seconds` at most."""
        try:
            item = self.queue.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return
        self._posts.append(item)

    def stop_workers(self) -> None:
        """Have every worker checkpoint and end, and hear their last words."""
        while self.crew.workers:
            self.crew.stop()
            self.wait(0.2)
            self._take_posts(time.time())

    def idle(self) -> bool:
        """Return whether no run can advance: no worker, no file on its way, no retry ahead.

        A run whose training waits for its hours or for power cannot.
        """
        if self.crew.workers or self._tracker.expects() or not self.queue.empty():
            return False
        if self.polls and self.polls.busy:
            return False
        if read_daemon(self.store).paused:
            return True
        return not any(
            self._is_ours(run) and not (self._training_waits and _trains_next(run))
            for run in open_runs(self.store)
        )

    # -- one tick ---------------------------------------------------------------------------

    def tick(self, now: float) -> float:
        """Do what is due at `now` (Unix seconds); return the seconds until more will be."""
        self._take_posts(now)
        if self.scope.inbox:
            self._read_inbox(now)
        self._poll(now)
        self._mind_manners(now)
        version = self.store.data_version()
        retry = any(at <= now for at in self._retries)
        if version != self._version or self._look_again or retry:
            self._version, self._look_again = version, False
            self.crew.check_claims(now)
            self._start_steps(now)
        self._manners.tell(self.store, self._waits(now), now)
        self.crew.tell_progress(now)
        self.crew.check_silence()
        return max(0.0, self._next_due(now) - now)

    def _take_posts(self, now: float) -> None:
        """Handle what was posted; a worker's last word frees its slot."""
        while not self.queue.empty():
            self._posts.append(self.queue.get())
        while self._posts:
            item = self._posts.pop(0)
            if isinstance(item, Hint):
                self._look_again = True
                self._scan_at = max(now, self._scanned_at + SCAN_SECONDS)
            else:
                self._look_again |= isinstance(item[1], Exited)
                self.crew.hear(item, now)

    def _next_due(self, now: float) -> float:
        due = [now + 60.0]
        if self.scope.inbox:
            due.append(self._scanned_at + self.settings.inbox.rescan_seconds)
            due.extend([self._scan_at] if self._scan_at else [])
            if (file := self._tracker.next_due()) is not None:
                due.append(max(file, now + 0.05))
        due.extend(at for at in self._retries if at > now)
        if self.polls:
            due.append(self._poll_at)
        if self._manners.asks and self._training_matters:
            due.append(self._manners.due(now))
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
            self._tracker.observe(scan(folder, mounted=self._mounted), now)
            self._mounted = folder.is_mount()
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
        if taken.new:
            self.taken.add(taken.run)
        self._look_again = True
        log.info("%s: %s %s", taken.run, "taken in" if taken.new else "dropped again", name)

    def _poll(self, now: float) -> None:
        """Have those repositories polled, elsewhere, whose time has come."""
        if self.polls and not self.stopping:
            self._poll_at = self.polls.tick(self.store, now)
            self.taken |= self.polls.taken
            self.polls.taken.clear()

    # -- manners ----------------------------------------------------------------------------

    @property
    def _training_matters(self) -> bool:
        """Whether a training runs or could start; otherwise nobody asks clock or battery."""
        return self._training_waits or Slot.HEAVY in self.crew.busy

    def _waits(self, now: float) -> tuple[Wait, ...]:
        return self._manners.waits(now) if self._training_matters else ()

    def _mind_manners(self, now: float) -> None:
        """Stop a training that must wait now; start one whose wait is over."""
        waits = self._waits(now)
        if waits:
            self.crew.stop_training(waits[0].text)
        elif self._training_waits:
            self._look_again = True

    # -- steps ------------------------------------------------------------------------------

    def _is_ours(self, run: Run) -> bool:
        return self.scope.only is None or run.id == self.scope.only

    def _start_steps(self, now: float) -> None:
        """Give each free slot the oldest run that waits for it."""
        self._retries = []
        self._training_waits = False
        if self.stopping or read_daemon(self.store).paused:
            return
        busy = self.crew.busy
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

    def _more_is_coming(self, run: Run) -> bool:
        """Return whether a poll is taking in newer ones: of a month's runs the last is trained."""
        return bool(self.polls and self.polls.expects(self.store, run.repository))

    def _may_start(self, run: Run, rule: Rule, now: float) -> bool:
        """Start a run's step unless a newer artifact of the project makes it pointless."""
        if self.scope.only is None and run.state in BEFORE_TRAINING and run.train:
            newer = newer_trained_run(self.store, run)
            if newer:
                why = f"a newer artifact of project {run.project} arrived (run {newer})"
                how = Move(target=State.SUPERSEDED, cause=Cause.SUPERSEDE, detail=why, reason=why)
                if move(self.store, run, how, now):
                    self.crew.ended(get_run(self.store, run.id))
                return False
            if rule.slot is Slot.HEAVY and (
                newer_unread_run(self.store, run, now) or self._more_is_coming(run)
            ):
                return False
        if rule.slot is Slot.HEAVY and self._manners.waits(now):
            self._training_waits = True
            return False
        started = self.crew.start(run, rule, now)
        if not started and (retry_at := get_run(self.store, run.id).retry_at) is not None:
            self._retries.append(retry_at)
        return started


def _trains_next(run: Run) -> bool:
    """Return whether a run's next step is one that trains or measures."""
    rule = rule_from(run.state)
    return rule is not None and rule.slot is Slot.HEAVY
