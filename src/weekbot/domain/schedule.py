"""Weekly slots: pure functions from a weekday, a time and a time zone to the instants of posts.

A slot belongs to a local ISO week, named by the date of its Monday. Each week has one slot, so ordering slots by week
is enough to never have two in one.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEK = timedelta(weeks=1)


@dataclass(frozen=True)
class Weekly:
    """When a post is due each week. `weekday` counts from 0, Monday; `at` is local time, to the minute."""

    weekday: int
    at: time
    zone: ZoneInfo


@dataclass(frozen=True)
class Slot:
    """The instant (UTC) a post is due, and the Monday of the week it is due in, by the calendar of the zone."""

    instant: datetime
    week: date
    zone: ZoneInfo


def week_of(instant: datetime, zone: ZoneInfo) -> date:
    """The Monday of the local ISO week that holds the instant."""
    local = instant.astimezone(zone).date()
    return local - timedelta(days=local.weekday())


def slot_in(weekly: Weekly, week: date) -> Slot:
    """The slot of the local week that begins on the Monday `week`."""
    local = datetime.combine(week + timedelta(days=weekly.weekday), weekly.at)
    return Slot(to_utc(local, weekly.zone), week, weekly.zone)


def next_slot(weekly: Weekly, after: datetime, last: Slot | None = None) -> Slot:
    """The first slot later than the instant `after`, in a later week than the slot `last`.

    Later by the calendar of either's zone, so that an edit never makes a second post in one week.
    """
    week = week_of(after, weekly.zone)
    if last is not None:
        week = max(week, last.week + WEEK, week_of(last.instant, weekly.zone) + WEEK)
    slot = slot_in(weekly, week)
    while slot.instant <= after or (last is not None and week_of(slot.instant, last.zone) <= last.week):
        slot = slot_in(weekly, slot.week + WEEK)
    return slot


def renewed(weekly: Weekly, slot: Slot, last: Slot | None, now: datetime) -> Slot:
    """A stored next slot by the zone's present rules, or the next one after `now` if that is in an earlier week.

    `last` is the slot that was last claimed.
    """
    same_week = next_slot(weekly, slot_in(weekly, slot.week).instant - timedelta(microseconds=1), last)
    if same_week.instant <= now:
        return same_week
    return min(same_week, next_slot(weekly, now, last), key=lambda each: each.week)


def to_utc(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant of a naive local time: the first of two, and where there is none, the first that exists after it."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == local:
        return first
    return _end_of_gap(local, zone)


def _end_of_gap(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which the clocks jump over the local time: found by halving, as zoneinfo names no transitions."""
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    old_offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == old_offset:
            before = middle
        else:
            after = middle
    return after
