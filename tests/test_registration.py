"""Retries of the command registration while Discord refuses it for a day, in simulated time."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest

from fakes import simulated
from weekbot.bot.commands.registration import Registration, described
from weekbot.delivery.errors import RateLimitedError
from weekbot.store.metadata import Metadata

DAY, HOUR, QUARTER = (
    timedelta(**{unit: count}).total_seconds() for unit, count in (("days", 1), ("hours", 1), ("minutes", 15))
)


def http_error(status: int, code: int, message: str) -> Exception:
    response = cast("Any", SimpleNamespace(status=status, reason="", headers={}))
    return discord.HTTPException(response, {"code": code, "message": message})


REFUSALS: dict[str, Callable[[], Exception]] = {
    "daily quota": lambda: RateLimitedError(timedelta(hours=1)),
    "Entry Point": lambda: http_error(400, 50240, "You cannot remove this app's Entry Point command"),
    "no access": lambda: http_error(403, 50001, "Missing Access"),
    "trouble": lambda: discord.DiscordServerError(cast("Any", SimpleNamespace(status=500, reason="")), "oops"),
}


class RefusingHttp:
    """Refuses to register commands for a day, and then accepts them."""

    def __init__(self, refusal: Callable[[], Exception]) -> None:
        self._refusal = refusal
        self.started_at = asyncio.get_running_loop().time()
        self.attempts: list[float] = []

    @property
    def age(self) -> float:
        return asyncio.get_running_loop().time() - self.started_at

    async def request(self, *_: object, **__: object) -> list[Any]:
        return []

    async def bulk_upsert_global_commands(self, *_: object) -> None:
        self.attempts.append(self.age)
        if self.age < DAY:
            raise self._refusal()


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_commands_refused_for_a_day_are_registered_soon_afterwards(refusal: Callable[[], Exception]) -> None:
    async def registered() -> tuple[list[float], list[str | None]]:
        client, server = discord.Client(intents=discord.Intents.none()), RefusingHttp(refusal)
        client.http = cast("Any", server)
        tree = described(client, has_home_channel=False)
        registration = Registration(tree, cast("Metadata", SimpleNamespace(put=_put)))
        trying = asyncio.create_task(registration.keep_trying())
        await asyncio.sleep(DAY / 2)
        during = registration.trouble
        await trying
        return server.attempts, [during, registration.trouble]

    attempts, (during, after) = simulated(registered())
    pauses = [later - earlier for earlier, later in pairwise(attempts)]
    assert max(pauses) <= (HOUR + 1 if refusal is REFUSALS["daily quota"] else QUARTER)
    assert attempts[-1] - DAY <= max(pauses)
    assert len(attempts) < 150
    assert during
    assert after is None


async def _put(*_: object) -> None:
    """Store nothing."""
