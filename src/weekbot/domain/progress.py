"""Members' progress: topics finished, quizzes answered, weeks in a row."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count
from zoneinfo import ZoneInfo

from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.content.tracks import EVERYTHING
from weekbot.domain.schedule import WEEK, monday_of, week_of

UTC_ZONE = ZoneInfo("UTC")


@dataclass(frozen=True)
class Progress:
    """A member's progress on a topic: when it was finished, and when and how its quiz was first answered, if it was.

    `finished_week` is the Monday of the week, in the time zone of the server where it was finished; None in old rows.
    """

    member_id: int
    topic: str
    finished_at: datetime | None = None
    quiz_right: bool | None = None
    quiz_at: datetime | None = None
    finished_week: date | None = None


@dataclass(frozen=True)
class RecordedProgress:
    """A member's rows, oldest first; the `row` of one press, and whether the press is `new`.

    `zone` is the time zone of the server where the button was pressed.
    """

    rows: Sequence[Progress]
    row: Progress
    new: bool
    zone: ZoneInfo = UTC_ZONE


IsSameTopic = Callable[[str], bool]
"""Return whether a slug is the topic's present or former one."""


@dataclass(frozen=True)
class ProgressSummary:
    """`finished` has the last topic first; `weeks` counts weeks in a row; `next` is the next topic."""

    finished: list[Topic]
    weeks: int
    quizzes: int
    right: int
    next: Topic | None


def summarize_progress(
    rows: Sequence[Progress],
    library: Library,
    now: datetime,
    order: Sequence[str] | None = None,
    zone: ZoneInfo = UTC_ZONE,
) -> ProgressSummary:
    """Summarize a member's rows. Renamed topics count under their new name, those that left the content don't count.

    `zone` is the time zone of the server where the member asks: it determines the current week, and the weeks of rows
    that were stored without one. The next topic is the first unfinished one in `order`, by default that of all topics.
    """
    finished = {topic.slug: topic for row in rows if row.finished_at and (topic := library.find(row.topic))}
    ordered = library.tracks[EVERYTHING].topics if order is None else order
    coming = next((slug for slug in ordered if slug not in finished), None)
    weeks = [row.finished_week or week_of(row.finished_at, zone) for row in rows if row.finished_at]
    return ProgressSummary(
        finished=list(reversed(finished.values())),
        weeks=weeks_in_a_row(weeks, week_of(now, zone)),
        quizzes=sum(bool(row.quiz_at) for row in rows),
        right=sum(bool(row.quiz_at and row.quiz_right) for row in rows),
        next=library.topics[coming] if coming else None,
    )


def weeks_in_a_row(days: Iterable[date], today: date) -> int:
    """Count the consecutive ISO weeks with at least one of the days, up to this week or the last one."""
    mondays = {monday_of(day) for day in days}
    week = monday_of(today)
    if week not in mondays:
        week -= WEEK
    return next(number for number in count() if week - number * WEEK not in mondays)
