"""Weekly slots: pure functions from a weekday, a time and a time zone to the instants of posts.

A slot belongs to a local ISO week, named by the date of its Monday. Each week has one slot, so comparing weeks is
enough to never have two slots in one week.
"""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEK = timedelta(weeks=1)


@dataclass(frozen=True)
class Weekly:
    """The time of a weekly post. `weekday` counts from 0, Monday; `at` is local time, to the minute."""

    weekday: int
    at: time
    zone: ZoneInfo


@dataclass(frozen=True)
class Slot:
    """The instant (UTC) at which a post is due, and the Monday of its week by the zone's calendar."""

    instant: datetime
    week: date
    zone: ZoneInfo


def monday_of(day: date) -> date:
    return day - timedelta(days=day.weekday())


def week_of(instant: datetime, zone: ZoneInfo) -> date:
    """Return the Monday of the instant's local ISO week."""
    return monday_of(instant.astimezone(zone).date())


def slot_in(weekly: Weekly, week: date) -> Slot:
    """Return the slot of the local week that begins on the Monday `week`."""
    local = datetime.combine(week + timedelta(days=weekly.weekday), weekly.at)
    return Slot(to_utc(local, weekly.zone), week, weekly.zone)


def next_slot(weekly: Weekly, after: datetime, last: Slot | None = None) -> Slot:
    """Return the first slot later than the instant `after`, in a later week than the slot `last`.

    The week is later by the calendars of both zones, so an edit never makes a second post in one week.
    """
    week = week_of(after, weekly.zone)
    if last is not None:
        week = max(week, last.week + WEEK, week_of(last.instant, weekly.zone) + WEEK)
    slot = slot_in(weekly, week)
    while slot.instant <= after or (last is not None and week_of(slot.instant, last.zone) <= last.week):
        slot = slot_in(weekly, slot.week + WEEK)
    return slot


def recompute_slot(weekly: Weekly, slot: Slot, last: Slot | None, now: datetime) -> Slot:
    """Recompute a stored next slot by the zone's present rules; or take the next one after `now` if that is in an
    earlier week. `last` is the slot that was last claimed.
    """
    same_week = next_slot(weekly, slot_in(weekly, slot.week).instant - timedelta(microseconds=1), last)
    if same_week.instant <= now:
        return same_week
    return min(same_week, next_slot(weekly, now, last), key=lambda each: each.week)


def to_utc(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a naive local time: the first if it exists twice, the next that exists if it doesn't."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return first
    # PEP 495: the clocks skip this time, somewhere between the two instants.
    seconds = range(int(second.timestamp()), int(first.timestamp()))
    skip = bisect_left(seconds, local, key=lambda each: datetime.fromtimestamp(each, zone).replace(tzinfo=None))
    return datetime.fromtimestamp(seconds.start + skip, UTC)
