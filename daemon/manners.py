"""When training may run: the hours, the mains and the battery that `schedule` asks for.

What decides is a pure function of a moment and of what the computer runs on. Only the local wall
clock counts, read anew at every look: a clock that jumps, a time zone that changes and the nights
that are an hour longer or shorter need no case of their own.
"""

import logging
import time
from datetime import datetime, tzinfo
from enum import StrEnum

import msgspec

from secdaemon.config.schema import Schedule
from secdaemon.daemon.power import Power, PowerSource
from secdaemon.state.daemon_row import set_problem
from secdaemon.state.store import Store

log = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
"""How old a look at the clock and the battery may be, while a training runs or waits for one."""
MARGIN_PERCENT = 5
"""How much more charge than `schedule.min_battery_percent` ends a wait: a reading that wavers
around the limit must not stop and start a training each time."""
FULL_PERCENT = 100
PROBLEM_PREFIX = "training."
"""How the keys of these causes begin among the daemon's problems."""


class Cause(StrEnum):
    """What training can wait for."""

    HOURS = "hours"
    MAINS = "mains"
    BATTERY = "battery"


class Wait(msgspec.Struct, frozen=True):
    """Something that training waits for, as a sentence with the key that asks for it."""

    cause: Cause
    text: str


def waits_for(
    schedule: Schedule, local: datetime, power: Power | None, before: frozenset[Cause]
) -> tuple[Wait, ...]:
    """Return what training waits for at a moment; nothing where it may run.

    Args:
        schedule: what the settings ask for.
        local: the moment on the wall clock of this place.
        power: what the computer runs on; None where the settings do not ask.
        before: what it waited for at the look before: a battery must then have gained a little.
    """
    found = []
    if schedule.hours is not None and not is_within(schedule.hours, local):
        opens = schedule.hours.partition("-")[0]
        found.append(Wait(Cause.HOURS, f"training waits for {opens} (schedule.hours)"))
    if power is None or power.plugged:
        return tuple(found)
    if schedule.on_ac_power_only:
        text = "training waits for mains power (schedule.on_ac_power_only)"
        found.append(Wait(Cause.MAINS, text))
    elif schedule.min_battery_percent is not None and power.percent is not None:
        limit = schedule.min_battery_percent
        enough = _enough(limit)
        if power.percent <= (enough if Cause.BATTERY in before else limit):
            above = f", above {enough} % it goes on" if enough < FULL_PERCENT else ""
            text = (
                f"training waits for mains power: battery at {power.percent:.0f} %{above} "
                "(schedule.min_battery_percent)"
            )
            found.append(Wait(Cause.BATTERY, text))
    return tuple(found)


def _enough(limit: int) -> int:
    """Return the charge above which a wait ends; a full battery ends every wait but one for 100."""
    return max(limit, min(limit + MARGIN_PERCENT, FULL_PERCENT - 1))


def is_within(hours: str, local: datetime) -> bool:
    """Return whether a moment lies in "HH:MM-HH:MM": the start belongs to it, the end does not.

    An end before the start passes midnight; two equal times are the whole day.
    """
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in hours.split("-"))
    minute = local.hour * 60 + local.minute
    if start < end:
        return start <= minute < end
    return minute >= start or minute < end


def at_any_time(schedule: Schedule) -> Schedule:
    """Return a schedule that lets training run whenever it is asked for."""
    return msgspec.structs.replace(
        schedule, hours=None, on_ac_power_only=False, min_battery_percent=None
    )


class Manners:
    """Says what training waits for, looking no oftener than every LOOK_SECONDS."""

    def __init__(self, schedule: Schedule, power: PowerSource, zone: tzinfo | None) -> None:
        """`zone` is where the clock on the wall hangs; None is this computer's own."""
        self._schedule = schedule
        self._power = power
        self._zone = zone
        self._looked_at: float | None = None
        self._waits: tuple[Wait, ...] = ()
        self._asks_power = schedule.on_ac_power_only or schedule.min_battery_percent is not None
        self._told: dict[str, str] = {}
        self.asks = self._asks_power or schedule.hours is not None
        """Whether the settings ask for anything at all."""

    def waits(self, now: float) -> tuple[Wait, ...]:
        """Return what training waits for at `now` (Unix seconds), or did a moment ago."""
        if not self.asks or now < self.due(now):
            return self._waits
        self._looked_at = now
        before = frozenset(wait.cause for wait in self._waits)
        power = self._power() if self._asks_power else None
        self._waits = waits_for(self._schedule, self._local(now), power, before)
        return self._waits

    def due(self, now: float) -> float:
        """Return when to look again; at once where nobody has looked or the clock went back."""
        if self._looked_at is None or now < self._looked_at:
            return now
        return self._looked_at + LOOK_SECONDS

    def tell(self, store: Store, waits: tuple[Wait, ...], now: float) -> None:
        """Have `status` say what training waits for; what it no longer waits for goes."""
        texts = {f"{PROBLEM_PREFIX}{wait.cause}": wait.text for wait in waits}
        for key in sorted(self._told.keys() | texts.keys()):
            if self._told.get(key) != texts.get(key):
                set_problem(store, key, texts.get(key), now)
        if texts.keys() != self._told.keys():
            log.info("%s", "; ".join(texts.values()) or "training waits no longer")
        self._told = texts

    def _local(self, now: float) -> datetime:
        if self._zone is None:
            # A laptop that has travelled: the C library reads the zone once, unless asked again.
            time.tzset()
        return datetime.fromtimestamp(now, self._zone)
