"""Incomplete lists of guilds in the loopback Discord, and guilds that are unavailable or load late."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bare_client import ask
from discord_server import DiscordServer
from discord_server import request_fault as faults
from discord_server.event_fault import lost
from discord_server.fault import FOREVER

LIST = "/users/@me/guilds"
SECONDS = 10


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(limits=None) as server:
        yield server


async def page(server: DiscordServer, after: str = "0") -> list[str]:
    answer = await ask(server, "GET", LIST, query={"limit": "200", "after": after})
    return [each["id"] for each in answer.json]


async def test_a_page_can_be_short_though_more_guilds_follow(server: DiscordServer) -> None:
    ids = [str(server.add_guild(f"guild {number}").id) for number in range(210)]
    server.inject("GET", f"{LIST}$", faults.shortened())
    first = await page(server)
    assert first == ids[:199]
    assert await page(server, first[-1]) == ids[199:]
    assert await page(server) == ids[:200]


async def test_a_response_can_be_empty_once(server: DiscordServer) -> None:
    guild = server.add_guild("Pythonistas")
    server.inject("GET", f"{LIST}$", faults.emptied())
    assert [await page(server) for _ in range(2)] == [[], [str(guild.id)]]


async def test_one_guild_can_be_missing_from_one_response(server: DiscordServer) -> None:
    ids = [str(server.add_guild(f"guild {number}").id) for number in range(3)]
    server.inject("GET", f"{LIST}$", faults.omitting(int(ids[1])))
    assert await page(server) == [ids[0], ids[2]]
    assert await page(server) == ids


# The gateway's events


@asynccontextmanager
async def session(server: DiscordServer) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with aiohttp.ClientSession() as client, client.ws_connect(server.gateway_url) as socket:
        identify = {"token": server.token, "intents": 1, "shard": [0, 1], "properties": {}}
        await socket.send_json({"op": 2, "d": identify})
        yield socket


async def events_until(socket: aiohttp.ClientWebSocketResponse, last: str) -> list[tuple[str, Any]]:
    """Return the events up to the last one."""
    found: list[tuple[str, Any]] = []
    async with asyncio.timeout(SECONDS):
        while not found or found[-1][0] != last:
            frame = json.loads(await socket.receive_str())
            if frame["op"] == 0:
                found.append((frame["t"], frame["d"]))
    return found


async def test_a_guild_can_be_loaded_late(server: DiscordServer) -> None:
    early, late = server.add_guild("Early"), server.add_guild("Late", available=False)
    async with session(server) as socket:
        (_, ready), (_, created) = await events_until(socket, "GUILD_CREATE")
        assert [each["id"] for each in ready["guilds"]] == [str(early.id), str(late.id)]
        assert created["id"] == str(early.id)

        late.add_text_channel("created during the outage")
        late.come_back()
        [(_, created)] = await events_until(socket, "GUILD_CREATE")
        assert (created["id"], created["unavailable"], len(created["channels"])) == (str(late.id), False, 1)
    assert await page(server) == [str(early.id), str(late.id)]


async def test_a_guild_may_never_be_loaded(server: DiscordServer) -> None:
    guild = server.add_guild("Pythonistas")
    server.gateway.mangle("GUILD_CREATE", lost(), FOREVER)
    async with session(server) as socket:
        await server.ready()
        guild.add_text_channel("general")
        assert [name for name, _ in await events_until(socket, "CHANNEL_CREATE")] == ["READY", "CHANNEL_CREATE"]
    assert server.injected == {"GUILD_CREATE: lost": 1}


async def test_a_guild_can_be_temporarily_unavailable(server: DiscordServer) -> None:
    guild = server.add_guild("Pythonistas")
    async with session(server) as socket:
        await events_until(socket, "GUILD_CREATE")
        with guild.outage():
            [(_, gone)] = await events_until(socket, "GUILD_DELETE")
            guild.add_text_channel("created meanwhile")
        [(_, back)] = await events_until(socket, "GUILD_CREATE")
    assert gone == {"id": str(guild.id), "unavailable": True}
    assert [each["name"] for each in back["channels"]] == ["created meanwhile"]


async def test_no_event_is_sent_for_a_guild_without_the_bot(server: DiscordServer) -> None:
    guild = server.add_guild("Elsewhere", joined=False)
    async with session(server) as socket:
        [(_, ready)] = await events_until(socket, "READY")
        guild.add_text_channel("general")
    assert ready["guilds"] == []
    assert await page(server) == []
