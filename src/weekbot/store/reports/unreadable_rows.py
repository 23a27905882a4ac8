"""Values in the database that this machine or this version can't read."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, func, select

from weekbot.db.database import Database
from weekbot.db.tables import attempts, deliveries, notices, steps, subscriptions
from weekbot.domain.deliveries import Outcome, PostForm, State
from weekbot.domain.notices import NoticeKind
from weekbot.domain.steps import StepName
from weekbot.domain.unreadable_options import DAYS, is_time, zone_named
from weekbot.store.unreadable_values import ZONE

_OPTIONS: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "time zone": (ZONE, zone_named),
    "day": (subscriptions.c.weekday, lambda day: day in DAYS),
    "time": (subscriptions.c.at, is_time),
}
_NAMES: dict[Column[str], type[StrEnum]] = {
    deliveries.c.state: State,
    deliveries.c.form: PostForm,
    steps.c.name: StepName,
    notices.c.kind: NoticeKind,
    attempts.c.outcome: Outcome,
}


@dataclass(frozen=True)
class UnreadableOption:
    """An unreadable time zone, day or time, the number of channels that have it, and the id of one of them."""

    option: str
    value: Any
    channels: int
    channel_id: int

    def __str__(self) -> str:
        channels = f"{self.channels} channels, such as {self.channel_id}, have" if self.channels > 1 else ""
        have = channels or f"The channel {self.channel_id} has"
        return f"{have} the {self.option} {self.value!r}, which can't be read here"


@dataclass(frozen=True)
class UnknownName:
    """A name, such as a delivery's state, that this version doesn't know, and the number of rows with it."""

    table: str
    column: str
    name: str
    rows: int

    def __str__(self) -> str:
        rows = f"{self.rows} rows" if self.rows > 1 else "A row"
        return f"{rows} of the table {self.table} with the {self.column} {self.name!r}, which this version doesn't know"


async def unreadable_options(database: Database) -> list[UnreadableOption]:
    """Return unreadable options of active subscriptions, by option and value."""
    found: list[UnreadableOption] = []
    async with database.read() as connection:
        for option, (column, is_readable) in _OPTIONS.items():
            query = select(column, func.count(), func.min(subscriptions.c.channel_id)).where(subscriptions.c.active)
            rows = await connection.execute(query.group_by(column).order_by(column))
            found += [UnreadableOption(option, *row) for row in rows if not is_readable(row[0])]
    return found


async def unknown_names(database: Database) -> list[UnknownName]:
    """Return unknown names, by table, column and name."""
    found: list[UnknownName] = []
    async with database.read() as connection:
        for column, names in _NAMES.items():
            known = [name for name in names if name is not State.UNKNOWN]
            query = select(column, func.count()).where(column.not_in(known)).group_by(column).order_by(column)
            found += [UnknownName(column.table.name, column.name, *row) for row in await connection.execute(query)]
    return found
