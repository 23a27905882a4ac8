"""The command `weekbot deliveries`, with a table and JSON as its formats. Times are UTC, in ISO 8601."""

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from weekbot.cli.database import on_database
from weekbot.cli.terminal import encodable, one_line, styled
from weekbot.domain.deliveries import Attempt, Delivery, Outcome, State

if TYPE_CHECKING:
    from weekbot.db.database import Database
    from weekbot.store.reports.delivery_history import DeliveryFilter, DeliveryRecord

GREATEST_ID = 2**63 - 1
HEAD = f"{'due':20}  {'status':10}  {'channel':19}  topic"
_INDENT = " " * 4
_COLOURS = {
    State.SENT: typer.colors.GREEN,
    State.UNVERIFIED: typer.colors.YELLOW,
    State.MISSED: typer.colors.RED,
    State.BLOCKED: typer.colors.RED,
}
_OUTCOMES = {Outcome.FOUND: "found in the history", Outcome.NOT_SENT: "not sent", Outcome.GIVEN_UP: "given up"}


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
    from weekbot.store.reports.delivery_history import DeliveryFilter

    which = DeliveryFilter(guild, channel, since, status)
    on_database(lambda database: _show(database, which, form, limit))


async def _show(database: "Database", which: "DeliveryFilter", form: OutputFormat, limit: int) -> None:
    """Write up to `limit` deliveries to stdout; stderr reports that there are more, or none."""
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


def in_json(entry: "DeliveryRecord") -> str:
    """Return one line of JSON. Discord's ids are strings, because some programs don't keep all their digits."""
    delivery, subscription = entry.delivery, entry.delivery.subscription
    fields = {
        "id": delivery.id,
        "due": delivery.slot,
        "status": delivery.state,
        "guild": str(subscription.guild_id),
        "channel": str(subscription.channel_id),
        "topic": delivery.topic,
        "scheduled": delivery.scheduled,
        "reason": delivery.reason,
        "sent_at": delivery.sent_at,
        "message": delivery.message_id and str(delivery.message_id),
        "message_channel": delivery.message_channel_id and str(delivery.message_channel_id),
        "next_attempt_at": delivery.retry_at,
        "attempts_made": delivery.attempts,
        "attempts": list(map(asdict, entry.attempts)),
    }
    return json.dumps(fields, default=_iso)


def _iso(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def in_table(entry: "DeliveryRecord") -> str:
    """Return a row, followed by an indented line for each attempt and other detail."""
    details = [detail for text in _details(entry) for detail in _wrapped(one_line(text))]
    return encodable("\n".join([_line(entry.delivery), *details]))


def _line(delivery: Delivery) -> str:
    status = styled(f"{delivery.state:10}", colour=_COLOURS.get(delivery.state))
    topic = one_line(delivery.topic) + ("" if delivery.scheduled else " (manual)")
    return f"{_second(delivery.slot)}  {status}  {delivery.subscription.channel_id:<19}  {topic}"


def _details(entry: "DeliveryRecord") -> Iterator[str]:
    delivery, attempts = entry.delivery, entry.attempts
    if (missing := delivery.attempts - len(attempts)) > 0:
        yield f"{missing} attempt{'s' * (missing > 1)} not recorded"
    yield from (_attempt(attempt, delivery) for attempt in attempts)
    if delivery.state is State.SKIPPED:
        yield "a moderator skipped the topic"
    if delivery.reason and delivery.reason not in [attempt.reason for attempt in attempts]:
        yield delivery.reason
    if delivery.retry_at and delivery.attempt_at is None:
        yield f"next attempt at {_second(delivery.retry_at)}"


def _attempt(attempt: Attempt, delivery: Delivery) -> str:
    began = f"{attempt.number}. {_second(attempt.began_at)}"
    if attempt.ended_at is None or attempt.outcome is None:
        under_way = delivery.state is State.PENDING and attempt.number == delivery.attempts
        return f"{began}, its outcome is unknown{' so far' * under_way}"
    outcome = _OUTCOMES.get(attempt.outcome, attempt.outcome.value)
    return f"{began} to {_second(attempt.ended_at)}, {outcome}" + (f": {attempt.reason}" if attempt.reason else "")


def _second(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _wrapped(text: str) -> list[str]:
    if not _is_terminal():
        return [_INDENT + text]
    width = shutil.get_terminal_size().columns
    return textwrap.wrap(text, width, initial_indent=_INDENT, subsequent_indent=_INDENT * 2, break_on_hyphens=False)


def _is_terminal() -> bool:
    return sys.stdout.isatty()
