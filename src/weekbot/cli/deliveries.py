"""`weekbot deliveries`: what became of each post."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from weekbot.settings import load_settings

if TYPE_CHECKING:
    from weekbot.store.reports.delivery_history import DeliveryFilter, DeliveryRecord

GREATEST_ID = 2**63 - 1


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"


class Status(StrEnum):
    """The states of a delivery: without the store, whose import takes time, as this module is imported each time."""

    PENDING = "pending"
    SENT = "sent"
    SKIPPED = "skipped"
    MISSED = "missed"
    BLOCKED = "blocked"
    UNVERIFIED = "unverified"
    UNKNOWN = "unknown"


def _day(text: str) -> datetime:
    """The day's beginning in UTC."""
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            raise ValueError
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write one like 2026-11-23.") from None


def deliveries(
    guild: Annotated[int | None, typer.Option(min=1, max=GREATEST_ID, help="Only of the server with this id.")] = None,
    channel: Annotated[int | None, typer.Option(min=1, max=GREATEST_ID, help="Only of this channel.")] = None,
    since: Annotated[
        datetime | None, typer.Option(parser=_day, metavar="DATE", help="Only those due on that day (UTC) or later.")
    ] = None,
    status: Annotated[Status | None, typer.Option(help="Only those with this status.")] = None,
    form: Annotated[Form, typer.Option("--format", help="JSON has a line for each.")] = Form.TABLE,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
) -> None:
    """Show what became of each post and of each attempt at it, newest first, also beside a running bot."""
    from weekbot.domain.deliveries import State
    from weekbot.store.reports.delivery_history import DeliveryFilter

    which = DeliveryFilter(guild, channel, since, State(status) if status else None)
    asyncio.run(_show(load_settings().database_url, which, form, limit))


async def _show(url: str, which: "DeliveryFilter", form: Form, limit: int) -> None:
    from weekbot.db.database import Database
    from weekbot.db.schema_inspection import check_up_to_date
    from weekbot.store.reports.delivery_history import latest_deliveries

    async with Database(url) as database:
        await check_up_to_date(database)
        await _write(latest_deliveries(database, which, limit + 1), form, limit)


async def _write(entries: "AsyncIterator[DeliveryRecord]", form: Form, limit: int) -> None:
    """To stdout all but what is beyond the limit, of which stderr tells."""
    from weekbot.cli.delivery_format import HEAD, in_json, in_table

    written = 0
    async for entry in entries:
        if written == limit:
            typer.echo(f"There are more than {limit}; --limit shows more of them.", err=True)
            return
        if not written and form is Form.TABLE:
            typer.echo(HEAD)
        typer.echo(in_json(entry) if form is Form.JSON else in_table(entry))
        written += 1
    if not written:
        typer.echo("There is no such delivery.", err=True)
