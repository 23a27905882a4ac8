"""Requests that end within half a minute: with an answer, or with a delivery error."""

from collections.abc import Awaitable
from typing import TypeVar

from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.discord_io.errors import map_errors

ANSWER_SECONDS = 30.0  # also for a call of several requests, each of which may wait for the rate limiter

T = TypeVar("T")


async def with_deadline(request: Awaitable[T]) -> T:
    """Raises the errors of `weekbot.delivery.errors`."""
    async with deadline_at(from_now(ANSWER_SECONDS)):
        with map_errors():
            return await request
