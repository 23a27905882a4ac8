"""Formats deliveries as a table or as JSON. Times are UTC, in ISO 8601."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

import typer

from weekbot.cli.terminal import encodable, one_line, styled
from weekbot.domain.deliveries import Attempt, Delivery, Outcome, State
from weekbot.store.reports.delivery_history import DeliveryRecord

HEAD = f"{'due':20}  {'status':10}  {'channel':19}  topic"
_INDENT = " " * 4
_COLOURS = {
    State.SENT: typer.colors.GREEN,
    State.UNVERIFIED: typer.colors.YELLOW,
    State.MISSED: typer.colors.RED,
    State.BLOCKED: typer.colors.RED,
}
_OUTCOMES = {Outcome.FOUND: "found in the history", Outcome.NOT_SENT: "not sent", Outcome.GIVEN_UP: "given up"}


def in_json(entry: DeliveryRecord) -> str:
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
        "message": _id(delivery.message_id),
        "message_channel": _id(delivery.message_channel_id),
        "next_attempt_at": delivery.retry_at,
        "attempts_made": delivery.attempts,
        "attempts": list(map(asdict, entry.attempts)),
    }
    return json.dumps(fields, default=_iso)


def _iso(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _id(snowflake: int | None) -> str | None:
    return str(snowflake) if snowflake else None


def in_table(entry: DeliveryRecord) -> str:
    """Return a row, followed by an indented line for each attempt and other detail."""
    details = [detail for text in _details(entry) for detail in _wrapped(one_line(text))]
    return encodable("\n".join([_line(entry.delivery), *details]))


def _line(delivery: Delivery) -> str:
    status = styled(f"{delivery.state:10}", colour=_COLOURS.get(delivery.state))
    topic = one_line(delivery.topic) + ("" if delivery.scheduled else " (manual)")
    return f"{_second(delivery.slot)}  {status}  {delivery.subscription.channel_id:<19}  {topic}"


def _details(entry: DeliveryRecord) -> Iterator[str]:
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
    """Indent the text, and wrap it to the width of the terminal, if there is one."""
    if not _is_terminal():
        return [_INDENT + text]
    width = shutil.get_terminal_size().columns
    return textwrap.wrap(text, width, initial_indent=_INDENT, subsequent_indent=_INDENT * 2, break_on_hyphens=False)


def _is_terminal() -> bool:
    return sys.stdout.isatty()
