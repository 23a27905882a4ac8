"""Requests that end: each has an answer, or an error of `outcomes`, within half a minute."""

from collections.abc import Awaitable
from typing import TypeVar

from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.discord_io.errors import map_errors

ANSWER_SECONDS = 30.0
"""For what takes several requests, each of which may wait for its turn."""

T = TypeVar("T")


async def asked(request: Awaitable[T]) -> T:
    """Raises the errors of `outcomes`."""
    async with deadline_at(from_now(ANSWER_SECONDS)):
        with map_errors():
            return await request
