"""The command `weekbot deliveries`."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from weekbot.cli.database import on_database
from weekbot.domain.deliveries import State
from weekbot.store.reports.delivery_history import DeliveryFilter

if TYPE_CHECKING:
    from weekbot.db.database import Database

GREATEST_ID = 2**63 - 1


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


def _day(text: str) -> datetime:
    """Return the start of the day in UTC."""
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
    status: Annotated[State | None, typer.Option(help="Filter by status")] = None,
    form: Annotated[OutputFormat, typer.Option("--format", help="Output format")] = OutputFormat.TABLE,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of posts")] = 100,
) -> None:
    """Show the outcome of each post and of each attempt, newest first, even while the bot runs."""

    which = DeliveryFilter(guild, channel, since, status)
    on_database(lambda database: _show(database, which, form, limit))


async def _show(database: "Database", which: "DeliveryFilter", form: OutputFormat, limit: int) -> None:
    """Write up to `limit` deliveries to stdout; stderr reports that there are more, or none."""
    from weekbot.cli.delivery_format import HEAD, in_json, in_table
    from weekbot.db.schema_inspection import check_up_to_date
    from weekbot.store.reports.delivery_history import latest_deliveries

    await check_up_to_date(database)
    written = 0
    async for entry in latest_deliveries(database, which, limit + 1):
        if written == limit:
            typer.echo(f"There are more than {limit}. To show more, use --limit.", err=True)
            return
        if not written and form is OutputFormat.TABLE:
            typer.echo(HEAD)
        typer.echo(in_json(entry) if form is OutputFormat.JSON else in_table(entry))
        written += 1
    if not written:
        typer.echo("There are no matching posts.", err=True)
