"""Weekly slots compared with a minute-by-minute walk through local time, for every IANA zone from 1970 to 2037."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from weekbot.domain.schedule import WEEK, Slot, Weekly, next_slot, slot_in, to_utc, week_of

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EAST, WEST = timedelta(hours=15), timedelta(hours=13)
"""The largest offsets ahead of and behind UTC."""
MIDWAY = ZoneInfo("Pacific/Midway")
KIRITIMATI = ZoneInfo("Pacific/Kiritimati")

zones = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
far_zones = st.sampled_from([MIDWAY, KIRITIMATI, ZoneInfo("Etc/GMT+12"), ZoneInfo("Pacific/Auckland")])
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
weeklies = st.builds(Weekly, st.integers(0, 6), times, far_zones | zones)
instants = st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
edits = st.lists(st.tuples(weeklies, st.timedeltas(timedelta(), timedelta(days=20))), min_size=1, max_size=5)


def wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return the local time at that instant."""
    return instant.astimezone(zone).replace(tzinfo=None)


def first_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant with that local time or, if it is skipped, with the first one after it."""
    start = local.replace(tzinfo=UTC) - EAST
    minutes = (start + minute * MINUTE for minute in range((EAST + WEST) // MINUTE))
    reached = [(shown, minute) for minute in minutes if (shown := wall(minute, zone)) >= local]
    # Some clock changes were on an odd second, so walk through the minutes found by seconds.
    near = [min(reached)[1], *(minute for shown, minute in reached if shown < local + MINUTE)]
    seconds = (minute - second * SECOND for minute in near for second in range(60))
    return min((shown, second) for second in seconds if (shown := wall(second, zone)) >= local)[1]


def clock_changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """Return the minutes of the year at which the zone's offset changes."""
    found = [datetime(year, 1, 1, tzinfo=UTC)]
    for whole, part in ((366 * DAY, DAY), (DAY, HOUR), (HOUR, MINUTE)):
        parts = (start + number * part for start in found for number in range(whole // part))
        found = [start for start in parts if offset(start, zone) != offset(start + part, zone)]
    return [start + MINUTE for start in found]


def offset(instant: datetime, zone: ZoneInfo) -> timedelta | None:
    return instant.astimezone(zone).utcoffset()


@st.composite
def local_times(draw: st.DrawFn) -> tuple[datetime, ZoneInfo]:
    """Draw a zone and a local time, near a clock change if the year has one."""
    zone, year = draw(zones), draw(st.integers(1970, 2037))
    changes = clock_changes(zone, year) or [datetime(year, 1, 1, tzinfo=UTC)]
    moment = wall(draw(st.sampled_from(changes)), zone).replace(second=0)
    return moment + draw(st.integers(-150, 150)) * MINUTE, zone


def iso_week(instant: datetime, zone: ZoneInfo) -> tuple[int, int]:
    year, week, _ = instant.astimezone(zone).isocalendar()
    return year, week


def slots(weekly: Weekly, after: datetime, count: int) -> list[Slot]:
    """Return the next slots, each computed from the previous one, as the dispatcher does."""
    found = [next_slot(weekly, after)]
    while len(found) < count:
        found.append(next_slot(weekly, found[-1].instant, found[-1]))
    return found


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        pytest.param("UTC", "2026-11-23 09:00", "2026-11-23 09:00", id="an ordinary time"),
        pytest.param("Asia/Kathmandu", "2026-11-23 09:00", "2026-11-23 03:15", id="an offset of three quarters"),
        pytest.param("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:00", id="a time skipped in spring"),
        pytest.param("Europe/Berlin", "2026-03-29 02:00", "2026-03-29 01:00", id="the first time skipped in spring"),
        pytest.param(
            "Europe/Berlin", "2026-03-29 03:00", "2026-03-29 01:00", id="the first time after the skipped ones"
        ),
        pytest.param("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30", id="a time repeated in autumn"),
        pytest.param("America/New_York", "2026-11-01 01:30", "2026-11-01 05:30", id="a repeated time in the US"),
        pytest.param("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:30", id="a skipped half hour"),
        pytest.param("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45", id="a repeated half hour"),
        pytest.param("Pacific/Apia", "2011-12-30 09:00", "2011-12-30 10:00", id="Samoa's lost day"),
        pytest.param("Africa/Casablanca", "2025-02-23 02:30", "2025-02-23 01:30", id="the beginning of Ramadan"),
        pytest.param("Africa/Casablanca", "2025-04-06 02:30", "2025-04-06 02:00", id="the end of Ramadan"),
        pytest.param("Africa/Monrovia", "1972-01-07 00:30", "1972-01-07 00:44:30", id="a change on an odd second"),
    ],
)
def test_a_local_time_maps_to_its_first_instant(zone: str, local: str, expected: str) -> None:
    assert to_utc(datetime.fromisoformat(local), ZoneInfo(zone)) == utc(expected)


@settings(max_examples=150, deadline=None)
@given(local_times())
def test_a_skipped_time_moves_forward_and_a_repeated_time_is_the_first_one(
    place: tuple[datetime, ZoneInfo],
) -> None:
    local, zone = place
    assert to_utc(local, zone) == first_instant(local, zone)


@settings(max_examples=60, deadline=None)
@given(weeklies, instants)
def test_the_next_slot_is_the_first_one_after_now(weekly: Weekly, after: datetime) -> None:
    today = wall(after, weekly.zone).date()
    days = [day for day in (today + number * DAY for number in range(-2, 10)) if day.weekday() == weekly.weekday]
    expected = [first_instant(datetime.combine(day, weekly.at), weekly.zone) for day in days]
    assert next_slot(weekly, after).instant == min(instant for instant in expected if instant > after)


@settings(max_examples=150, deadline=None)
@given(weeklies, instants)
def test_the_next_slot_is_strictly_after_the_instant(weekly: Weekly, after: datetime) -> None:
    slot = next_slot(weekly, after)
    assert after < slot.instant < next_slot(weekly, slot.instant).instant
    assert next_slot(weekly, slot.instant - SECOND).instant == slot.instant


@settings(max_examples=120, deadline=None)
@given(weeklies, instants)
def test_each_local_week_of_a_year_has_one_slot(weekly: Weekly, start: datetime) -> None:
    year = slots(weekly, start, 53)
    weeks = [iso_week(slot.instant, weekly.zone) for slot in year]
    assert len(set(weeks)) == 53
    for earlier, later in pairwise(year):
        skipped_week = earlier.week + WEEK
        if later.week != skipped_week:
            local = datetime.combine(skipped_week + weekly.weekday * DAY, weekly.at)
            assert iso_week(earlier.instant, weekly.zone) == iso_week(first_instant(local, weekly.zone), weekly.zone)


def test_a_repeated_half_past_one_in_new_york_has_one_slot() -> None:
    weekly = Weekly(6, time(1, 30), ZoneInfo("America/New_York"))
    upcoming = [slot.instant for slot in slots(weekly, utc("2026-10-19 00:00"), 4)]
    assert upcoming == [utc(f"2026-{day}") for day in ("10-25 05:30", "11-01 05:30", "11-08 06:30", "11-15 06:30")]


def test_between_the_two_half_past_ones_the_next_slot_is_a_week_later() -> None:
    weekly = Weekly(6, time(1, 30), ZoneInfo("America/New_York"))
    assert next_slot(weekly, utc("2026-11-01 06:00")).instant == utc("2026-11-08 06:30")


def test_a_slot_on_samoas_skipped_friday_is_at_the_start_of_saturday() -> None:
    weekly = Weekly(4, time(9), ZoneInfo("Pacific/Apia"))
    upcoming = [wall(slot.instant, weekly.zone) for slot in slots(weekly, utc("2011-12-20 00:00"), 3)]
    assert [f"{local:%a %Y-%m-%d %H:%M}" for local in upcoming] == [
        "Fri 2011-12-23 09:00",
        "Sat 2011-12-31 00:00",
        "Fri 2012-01-06 09:00",
    ]


def test_a_slot_moved_into_the_next_week_by_a_skipped_hour_counts_for_that_week() -> None:
    """Algiers skipped the last hour of a Sunday in 1971, the only such case."""
    weekly = Weekly(6, time(23, 30), ZoneInfo("Africa/Algiers"))
    upcoming = [wall(slot.instant, weekly.zone) for slot in slots(weekly, utc("1971-04-17 00:00"), 3)]
    assert [f"{local:%a %Y-%m-%d %H:%M}" for local in upcoming] == [
        "Sun 1971-04-18 23:30",
        "Mon 1971-04-26 00:00",
        "Sun 1971-05-09 23:30",
    ]


def test_a_year_of_53_weeks_has_53_slots() -> None:
    weekly = Weekly(3, time(12), ZoneInfo("Europe/Berlin"))
    weeks = [iso_week(slot.instant, weekly.zone) for slot in slots(weekly, utc("2025-12-30 00:00"), 54)]
    assert weeks == [*((2026, week) for week in range(1, 54)), (2027, 1)]


def test_a_slot_has_the_monday_of_its_local_week() -> None:
    # Sunday evening in UTC is already Monday in Auckland.
    assert week_of(utc("2026-11-22 18:00"), ZoneInfo("Pacific/Auckland")) == date(2026, 11, 23)
    assert week_of(utc("2026-11-22 18:00"), ZoneInfo("UTC")) == date(2026, 11, 16)
    weekly = Weekly(6, time(9), ZoneInfo("UTC"))
    assert slot_in(weekly, date(2026, 11, 23)) == Slot(utc("2026-11-29 09:00"), date(2026, 11, 23), weekly.zone)


DATE_LINE = timedelta(hours=26)
"""The largest difference between two zones: changing the zone can delay a slot by this much more than a week."""


def posted_through_edits(
    weekly: Weekly, start: datetime, changes: list[tuple[Weekly, timedelta]]
) -> list[tuple[Slot, Weekly]]:
    """Return the slots of a subscription that is edited after each wait, with the schedule at that time."""
    posted: list[tuple[Slot, Weekly]] = []
    slot, now = next_slot(weekly, start), start
    for edited, wait in changes:
        now += wait
        while slot.instant <= now:
            posted.append((slot, weekly))
            slot = next_slot(weekly, slot.instant, slot)
        weekly = edited
        slot = next_slot(weekly, now, posted[-1][0] if posted else None)
        assert now < slot.instant <= now + 2 * WEEK + DATE_LINE, "an edit costs at most a week"
    return [*posted, (slot, weekly)]


@settings(max_examples=200, deadline=None)
@given(weeklies, instants, edits)
@example(Weekly(6, time(23, 59), MIDWAY), utc("2026-11-16 00:00"), [(Weekly(0, time(0), KIRITIMATI), 9 * DAY)])
@example(Weekly(0, time(0), KIRITIMATI), utc("2026-11-16 00:00"), [(Weekly(6, time(23, 59), MIDWAY), 5 * DAY)])
@example(
    Weekly(0, time(0), KIRITIMATI),
    utc("2000-02-02 07:00"),
    [
        (Weekly(0, time(0), MIDWAY), 6 * DAY),
        (Weekly(0, time(0), KIRITIMATI), timedelta(days=2, seconds=49307)),
        (Weekly(6, time(0), MIDWAY), timedelta(days=2, seconds=47893)),
    ],
)
def test_edits_never_cause_a_second_slot_in_a_local_week(
    weekly: Weekly, start: datetime, changes: list[tuple[Weekly, timedelta]]
) -> None:
    posted = posted_through_edits(weekly, start, changes)
    assert len({slot.week for slot, _ in posted}) == len(posted)
    for index, (slot, current) in enumerate(posted):
        earlier = {iso_week(before.instant, current.zone) for before, _ in posted[:index]}
        assert iso_week(slot.instant, current.zone) not in earlier


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        pytest.param(Weekly(4, time(9), ZoneInfo("UTC")), "2026-12-04 09:00", id="to a later weekday"),
        pytest.param(Weekly(0, time(18), ZoneInfo("UTC")), "2026-11-30 18:00", id="to a later time"),
        pytest.param(Weekly(0, time(9), ZoneInfo("America/New_York")), "2026-11-30 14:00", id="to a zone further west"),
        pytest.param(Weekly(6, time(23, 59), MIDWAY), "2026-12-07 10:59", id="over the date line"),
    ],
)
def test_an_edit_causes_no_second_post_in_a_week(edited: Weekly, expected: str) -> None:
    monday = next_slot(Weekly(0, time(9), ZoneInfo("UTC")), utc("2026-11-22 00:00"))
    assert next_slot(edited, monday.instant + MINUTE, monday).instant == utc(expected)


def test_an_edit_before_the_weeks_post_moves_it_within_the_week() -> None:
    last = next_slot(Weekly(4, time(9), ZoneInfo("UTC")), utc("2026-11-16 00:00"))
    wednesday = utc("2026-11-25 12:00")
    assert next_slot(Weekly(3, time(9), ZoneInfo("UTC")), wednesday, last).instant == utc("2026-11-26 09:00")
    # Tuesday is over: this week has no post, but the next one does.
    assert next_slot(Weekly(1, time(9), ZoneInfo("UTC")), wednesday, last).instant == utc("2026-12-01 09:00")


def test_an_edit_causes_no_second_slot_in_the_old_zones_week() -> None:
    tortola, chuuk = ZoneInfo("America/Tortola"), ZoneInfo("Pacific/Chuuk")
    thursday = next_slot(Weekly(3, time(4, 34), tortola), utc("2020-11-09 12:00"))
    monday = next_slot(Weekly(0, time(13, 9), chuuk), thursday.instant + MINUTE, thursday)
    assert iso_week(monday.instant, tortola) != iso_week(thursday.instant, tortola)
