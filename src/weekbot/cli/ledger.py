"""Entries of the ledger, written for people or for other programs. Instants are UTC, in ISO 8601."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime

import typer

from weekbot.cli.plain import encodable, one_line
from weekbot.cli.problems import has_colours
from weekbot.store.attempts import Attempt, Outcome
from weekbot.store.delivery import Delivery, State
from weekbot.store.history import Entry

HEAD = f"{'due':20}  {'status':10}  {'channel':19}  topic"
_INDENT = " " * 4
_COLOURS = {
    State.SENT: typer.colors.GREEN,
    State.UNVERIFIED: typer.colors.YELLOW,
    State.MISSED: typer.colors.RED,
    State.BLOCKED: typer.colors.RED,
}
_OUTCOMES = {
    Outcome.FOUND: "found in the history",
    Outcome.NOT_SENT: "not sent",
    Outcome.GIVEN_UP: "given up",
}


def in_json(entry: Entry) -> str:
    """An object on a line. Ids of Discord's are strings, as not every program keeps all their digits."""
    delivery, subscription = entry.delivery, entry.delivery.subscription
    return json.dumps(
        {
            "id": delivery.id,
            "due": _exactly(delivery.slot),
            "status": delivery.state,
            "guild": str(subscription.guild_id),
            "channel": str(subscription.channel_id),
            "topic": delivery.topic,
            "scheduled": delivery.scheduled,
            "reason": delivery.reason,
            "sent_at": _exactly(delivery.sent_at),
            "message": _id(delivery.message_id),
            "message_channel": _id(delivery.message_channel_id),
            "next_attempt_at": _exactly(delivery.retry_at),
            "attempts_made": delivery.attempts,
            "attempts": [
                {
                    "number": attempt.number,
                    "began_at": _exactly(attempt.began_at),
                    "ended_at": _exactly(attempt.ended_at),
                    "outcome": attempt.outcome,
                    "reason": attempt.reason,
                }
                for attempt in entry.attempts
            ],
        }
    )


def _exactly(instant: datetime | None) -> str | None:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}" if instant else None


def _id(snowflake: int | None) -> str | None:
    return str(snowflake) if snowflake else None


def in_table(entry: Entry) -> str:
    """A line under the table's head, and an indented one for each attempt and for what else there is to say."""
    details = [detail for text in _details(entry) for detail in _wrapped(one_line(text))]
    return encodable("\n".join([_line(entry.delivery), *details]))


def _line(delivery: Delivery) -> str:
    colour = _COLOURS.get(delivery.state)
    state = f"{delivery.state:10}"
    status = typer.style(state, fg=colour) if colour and has_colours() else state
    topic = one_line(delivery.topic) + ("" if delivery.scheduled else " (manual)")
    return f"{_second(delivery.slot)}  {status}  {delivery.subscription.channel_id:<19}  {topic}"


def _details(entry: Entry) -> Iterator[str]:
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
    """Indented; in a terminal on lines that fit, elsewhere on one."""
    if not _is_terminal():
        return [_INDENT + text]
    width = shutil.get_terminal_size().columns
    return textwrap.wrap(text, width, initial_indent=_INDENT, subsequent_indent=_INDENT * 2, break_on_hyphens=False)


def _is_terminal() -> bool:
    return sys.stdout.isatty()
