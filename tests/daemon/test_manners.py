"""When training may run: a pure function of the wall clock and of what the computer runs on."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secdaemon.config.schema import Schedule, Settings
from secdaemon.daemon.manners import (
    LOOK_SECONDS,
    MARGIN_PERCENT,
    Cause,
    Manners,
    at_any_time,
    is_within,
    waits_for,
)
from secdaemon.daemon.power import MAINS, Power

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
NIGHT = "22:00-07:00"
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")

NOTHING_ASKED = Schedule(
    max_attempts=1,
    backoff_seconds=0.0,
    backoff_max_seconds=0.0,
    stalled_seconds=1.0,
    nice=0,
    hours=None,
    on_ac_power_only=False,
    min_battery_percent=None,
)

times = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
windows = st.builds("{}-{}".format, times, times)
moments = st.integers(946_684_800, 3_786_912_000).map(lambda at: datetime.fromtimestamp(at, UTC))
zones = st.sampled_from(ZONES).map(ZoneInfo)


def asked(settings: Settings, **keys: object) -> Schedule:
    """Return the schedule with other keys."""
    return msgspec.structs.replace(settings.schedule, **keys)


def on_battery(percent: float) -> Power:
    """Return a computer that runs on its battery."""
    return Power(plugged=False, percent=percent)


@pytest.mark.parametrize(
    ("clock", "within"),
    [
        *(("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True)),
        *(("06:59", True), ("07:00", False), ("12:00", False)),
    ],
)
def test_a_window_may_pass_midnight(clock: str, within: bool) -> None:
    """The start belongs to it, the end does not."""
    local = datetime.fromisoformat(f"2026-06-01T{clock}:59")
    assert is_within(NIGHT, local) is within


@given(windows, moments)
def test_a_window_and_its_complement_share_the_day(hours: str, local: datetime) -> None:
    """Every moment lies in exactly one of a-b and b-a; a whole day needs no complement."""
    start, end = hours.split("-")
    if start == end:
        assert is_within(hours, local)
    else:
        assert is_within(hours, local) is not is_within(f"{end}-{start}", local)


@given(windows, moments, st.integers(0, 59))
def test_only_the_wall_clock_counts(hours: str, local: datetime, second: int) -> None:
    """Neither the day nor the seconds decide, and no year of the calendar is special."""
    same = datetime(2026, 3, 29, local.hour, local.minute, second, tzinfo=UTC)
    assert is_within(hours, local) is is_within(hours, same)


@given(windows, moments, zones)
def test_a_night_with_another_length_is_no_special_case(
    hours: str, moment: datetime, zone: ZoneInfo
) -> None:
    """In every zone, also around a change of its clocks, it is the minute on the wall that counts."""
    schedule = msgspec.structs.replace(NOTHING_ASKED, hours=hours)
    manners = Manners(schedule, lambda: MAINS, zone)
    for hour in range(27):
        at = moment + timedelta(hours=hour)
        shown = f"{at.astimezone(zone):%H:%M}"
        start, end = hours.split("-")
        inside = start <= shown < end if start < end else shown >= start or shown < end
        assert bool(manners.waits(at.timestamp())) is not inside


def test_a_spring_night_opens_where_its_hour_is_left_out() -> None:
    """02:30 does not come on that day; training starts at 03:00, which is past it."""
    zone = ZoneInfo("Europe/Berlin")
    before = datetime(2026, 3, 29, 0, 59, tzinfo=UTC).astimezone(zone)
    after = datetime(2026, 3, 29, 1, 0, tzinfo=UTC).astimezone(zone)
    assert (f"{before:%H:%M}", f"{after:%H:%M}") == ("01:59", "03:00")
    assert not is_within("02:30-05:00", before)
    assert is_within("02:30-05:00", after)


def test_what_it_waits_for_is_said_with_its_key(settings: Settings) -> None:
    """A person reads why, until when, and which key asks for it."""
    schedule = asked(settings, hours=NIGHT, on_ac_power_only=True)
    texts = [wait.text for wait in waits_for(schedule, NOON, on_battery(80), frozenset())]
    assert texts == [
        "training waits for 22:00 (schedule.hours)",
        "training waits for mains power (schedule.on_ac_power_only)",
    ]
    low = asked(settings, min_battery_percent=35)
    (wait,) = waits_for(low, NOON, on_battery(35), frozenset())
    assert wait.text == (
        "training waits for mains power: battery at 35 %, above 40 % it goes on "
        "(schedule.min_battery_percent)"
    )


@given(
    st.integers(0, 100),
    st.floats(0, 100),
    st.booleans(),
    st.booleans(),
    st.frozensets(st.sampled_from(Cause)),
)
def test_on_mains_nothing_is_asked_of_the_battery(
    limit: int, percent: float, plugged: bool, only: bool, before: frozenset[Cause]
) -> None:
    """On mains training runs; on battery with on_ac_power_only it never does."""
    power = Power(plugged=plugged, percent=percent)
    schedule = msgspec.structs.replace(
        NOTHING_ASKED, on_ac_power_only=only, min_battery_percent=limit
    )
    causes = [wait.cause for wait in waits_for(schedule, NOON, power, before)]
    if plugged:
        assert causes == []
    elif only:
        assert causes == [Cause.MAINS]
    elif percent <= limit:
        assert causes == [Cause.BATTERY]
    elif percent > min(limit + MARGIN_PERCENT, 99):
        assert causes == []
    else:
        assert causes == ([Cause.BATTERY] if Cause.BATTERY in before else [])


@given(
    st.integers(0, 99),
    st.lists(st.floats(-1.5, 1.5), min_size=2, max_size=50),
)
def test_a_wavering_battery_does_not_flap(limit: int, noise: list[float]) -> None:
    """A reading that wavers around the limit stops training once and starts it no more."""
    schedule = msgspec.structs.replace(NOTHING_ASKED, min_battery_percent=limit)
    readings = iter([min(max(limit + each, 0.0), 100.0) for each in noise])
    manners = Manners(schedule, lambda: on_battery(next(readings)), UTC)
    waited = [bool(manners.waits(1e9 + LOOK_SECONDS * look)) for look in range(len(noise))]
    changes = sum(one is not other for one, other in pairwise(waited))
    assert changes <= 1 or limit + MARGIN_PERCENT > 100


def test_a_full_battery_ends_every_wait(settings: Settings) -> None:
    """However high the limit, what a charger can reach is enough; 100 means never on battery."""
    waited = frozenset({Cause.BATTERY})
    for limit in range(100):
        assert (
            waits_for(asked(settings, min_battery_percent=limit), NOON, on_battery(100), waited)
            == ()
        )
    (wait,) = waits_for(asked(settings, min_battery_percent=100), NOON, on_battery(100), waited)
    assert "it goes on" not in wait.text


def test_nobody_looks_oftener_than_asked(settings: Settings) -> None:
    """A look counts for half a minute, and for nothing once the clock went back behind it."""
    looks = [0]

    def look() -> Power:
        looks[0] += 1
        return on_battery(50)

    manners = Manners(asked(settings, on_ac_power_only=True), look, UTC)
    for second in range(60):
        assert manners.waits(1e9 + second)
    assert looks == [2]
    assert manners.due(1e9 + 59) == 1e9 + 60
    manners.waits(1e9 - 86_400)
    assert looks == [3]


def test_no_key_no_look(settings: Settings) -> None:
    """Where the settings ask for nothing, and for hours alone, the battery is never read."""

    def never() -> Power:
        raise AssertionError

    assert Manners(settings.schedule, never, UTC).waits(1e9) == ()
    assert Manners(asked(settings, hours="00:00-00:00"), never, UTC).waits(1e9) == ()
    everything = asked(settings, hours=NIGHT, on_ac_power_only=True, min_battery_percent=90)
    assert not Manners(at_any_time(everything), never, UTC).asks


def test_the_computers_own_zone_counts_without_another(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The zone is read anew at every look, for a laptop that travels."""
    manners = Manners(asked(settings, hours="12:00-13:00"), lambda: MAINS, None)
    for hours, zone in enumerate(("UTC", "<+01>-1", "<-01>+1", "UTC")):
        monkeypatch.setenv("TZ", zone)
        moment = NOON + timedelta(days=hours)
        assert bool(manners.waits(moment.timestamp())) is (zone != "UTC")
    monkeypatch.undo()
    local = datetime.fromtimestamp(NOON.timestamp(), timezone(timedelta(hours=1)))
    assert not is_within("12:00-13:00", local)
