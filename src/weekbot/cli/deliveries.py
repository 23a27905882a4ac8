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
    from weekbot.store.history import Entry, Which

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
        raise typer.BadParameter(f"{text!r} isn't a valid date. Use YYYY-MM-DD, for example 2026-11-23.") from None


def deliveries(
    guild: Annotated[int | None, typer.Option(min=1, max=GREATEST_ID, help="Filter by server ID")] = None,
    channel: Annotated[int | None, typer.Option(min=1, max=GREATEST_ID, help="Filter by channel ID")] = None,
    since: Annotated[
        datetime | None, typer.Option(parser=_day, metavar="DATE", help="Only posts due on this day (UTC) or later")
    ] = None,
    status: Annotated[Status | None, typer.Option(help="Filter by status")] = None,
    form: Annotated[Form, typer.Option("--format", help="Output format")] = Form.TABLE,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of posts")] = 100,
) -> None:
    """Show the outcome of each post and of each attempt, newest first, even while the bot runs."""
    from weekbot.store.delivery import State
    from weekbot.store.history import Which

    which = Which(guild, channel, since, State(status) if status else None)
    asyncio.run(_show(load_settings().database_url, which, form, limit))


async def _show(url: str, which: "Which", form: Form, limit: int) -> None:
    from weekbot.store.condition import check_up_to_date
    from weekbot.store.database import Database
    from weekbot.store.history import newest

    async with Database(url) as database:
        await check_up_to_date(database)
        await _write(newest(database, which, limit + 1), form, limit)


async def _write(entries: "AsyncIterator[Entry]", form: Form, limit: int) -> None:
    """To stdout all but what is beyond the limit, of which stderr tells."""
    from weekbot.cli.ledger import HEAD, in_json, in_table

    written = 0
    async for entry in entries:
        if written == limit:
            typer.echo(f"There are more than {limit}. To show more, use --limit.", err=True)
            return
        if not written and form is Form.TABLE:
            typer.echo(HEAD)
        typer.echo(in_json(entry) if form is Form.JSON else in_table(entry))
        written += 1
    if not written:
        typer.echo("There are no matching posts.", err=True)
