"""What a member's progress comes to: pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.content.tracks import EVERYTHING
from weekbot.domain.schedule import week_of

WEEK = timedelta(weeks=1)


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
class Kept:
    """All that is kept about a member, the oldest first, and `row` of it, in which something is `new` or not.

    `zone` is the time zone of the server where the button was pressed.
    """

    rows: Sequence[Progress]
    row: Progress
    new: bool
    zone: ZoneInfo = UTC_ZONE


IsIt = Callable[[str], bool]
"""Whether a topic is kept under this name: it may have had others before."""


@dataclass(frozen=True)
class Record:
    """`finished` topics, the last one first; `weeks` in a row; quizzes answered, and right; what is `next`."""

    finished: list[Topic]
    weeks: int
    quizzes: int
    right: int
    next: Topic | None


def record_of(
    kept: Sequence[Progress],
    library: Library,
    now: datetime,
    order: Sequence[str] | None = None,
    zone: ZoneInfo = UTC_ZONE,
) -> Record:
    """Topics that were renamed count under their new name, those that left the content not at all.

    `zone` is the time zone of the server where the member asks: it determines the current week, and the weeks of rows
    that were stored without one.
    What is next is the first that is not finished in this order of slugs, or else in that of everything.
    """
    finished = {topic.slug: topic for topic in _known(library, (each for each in kept if each.finished_at))}
    ordered = library.tracks[EVERYTHING].topics if order is None else order
    coming = next((slug for slug in ordered if slug not in finished), None)
    quizzes = [each for each in kept if each.quiz_at]
    return Record(
        finished=list(reversed(finished.values())),
        weeks=weeks_in_a_row(_weeks(kept, zone), week_of(now, zone)),
        quizzes=len(quizzes),
        right=sum(bool(each.quiz_right) for each in quizzes),
        next=library.topics[coming] if coming else None,
    )


def weeks_in_a_row(days: Iterable[date], today: date) -> int:
    """How many calendar weeks (ISO) up to this one, or up to the last, have at least one of the days."""
    mondays = {_monday(day) for day in days}
    week = _monday(today)
    if week not in mondays:
        week -= WEEK
    count = 0
    while week in mondays:
        count += 1
        week -= WEEK
    return count


def _weeks(kept: Iterable[Progress], zone: ZoneInfo) -> list[date]:
    return [each.finished_week or week_of(each.finished_at, zone) for each in kept if each.finished_at]


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _known(library: Library, kept: Iterable[Progress]) -> list[Topic]:
    return [topic for each in kept if (topic := library.find(each.topic))]
