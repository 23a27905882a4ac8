"""What every request passes: discord.py over real HTTP, against the loopback Discord."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import discord
import pytest
from discord.http import Route

from discord_server import DiscordServer
from weekbot.delivery.pacing import Pace
from weekbot.delivery.wire import watched


class CountedPace(Pace):
    """Lets everything pass, and counts it."""

    def __init__(self) -> None:
        super().__init__(10_000)
        self.turns = 0

    async def turn(self) -> None:
        self.turns += 1


@pytest.fixture
def pace() -> CountedPace:
    return CountedPace()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        monkeypatch.setattr(Route, "BASE", server.api_url)
        yield server


async def test_every_request_of_discord_pys_waits_for_its_turn(server: DiscordServer, pace: CountedPace) -> None:
    async with discord.Client(
        intents=discord.Intents.none(), http_trace=watched(lambda: pace, asyncio.Event())
    ) as client:
        await client.login(server.token)
        await client.application_info()
    assert pace.turns == len(server.requests) > 0


async def test_a_request_that_discord_py_repeats_waits_again(server: DiscordServer, pace: CountedPace) -> None:
    server.fail_next("GET", "/users/@me$", 429)
    async with discord.Client(
        intents=discord.Intents.none(), http_trace=watched(lambda: pace, asyncio.Event())
    ) as client:
        await client.login(server.token)
    assert len(server.sent("GET", "/users/@me")) == 2
    assert pace.turns == len(server.requests)


@pytest.mark.parametrize("path", ["/interactions/1/token/callback", "/webhooks/1/token/messages/@original"])
async def test_an_answer_to_a_member_never_waits(server: DiscordServer, pace: CountedPace, path: str) -> None:
    async with (
        aiohttp.ClientSession(trace_configs=[watched(lambda: pace, asyncio.Event())]) as session,
        session.post(server.api_url + path),
    ):
        pass
    server.violations.clear()  # it is not even a request that Discord would understand
    assert len(server.requests) == 1
    assert pace.turns == 0
