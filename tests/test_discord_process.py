"""The loopback Discord as a separate process, and its report."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from discord_server import DiscordServer

TESTS = Path(__file__).parent


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "discord_server",
        *arguments,
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
            await running.wait()


async def line(running: asyncio.subprocess.Process) -> Any:
    assert running.stdout is not None
    return json.loads(await running.stdout.readline())


async def test_it_prints_its_addresses_and_finally_a_report() -> None:
    async with process("--guilds", "3", "--channels", "2") as running:
        place = await line(running)
        channels = [channel for each in place["channels"].values() for channel in each]
        await post(place, channels[0], "1", "1", "2")
        await post(place, channels[1], "3")
        meanwhile = await report(place)
        running.terminate()
        assert await line(running) == meanwhile
        assert await running.wait() == 0

    assert [len(each) for each in place["channels"].values()] == [2, 2, 2]
    assert meanwhile["requests"] == {"POST /channels/{channel_id}/messages": {"200": 4}}
    assert (meanwhile["requests_total"], meanwhile["rate_limited"], meanwhile["invalid_requests"]) == (4, 0, 0)
    assert meanwhile["posts_by_channel"] == dict(zip(channels, [2, 1, 0, 0, 0, 0], strict=True))
    assert (meanwhile["posts"], meanwhile["doubled"], meanwhile["missing"]) == (3, 1, 4)
    assert meanwhile["first_post_at"] <= meanwhile["last_post_at"]


async def post(place: Any, channel: str, *nonces: str) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {place['token']}"}) as session:
        for nonce in nonces:
            body = {"content": "hello", "nonce": nonce, "enforce_nonce": True}
            async with session.post(f"{place['api_url']}/channels/{channel}/messages", json=body) as answer:
                assert answer.status == 200


async def report(place: Any) -> Any:
    async with aiohttp.ClientSession() as session, session.get(place["report_url"]) as answer:
        return await answer.json()


async def test_a_duplicated_nonce_is_reported() -> None:
    async with DiscordServer(record=False) as server:
        channel = server.add_guild("Pythonistas").add_text_channel("general")
        for _ in range(2):
            channel.post(server.world.bot, {"content": "hello", "nonce": "1"})
        assert (server.report()["repeated_nonces"], server.report()["doubled"]) == (1, 1)


async def test_requests_are_only_counted_without_recording() -> None:
    async with DiscordServer(record=False) as server:
        channel = server.add_guild("Pythonistas").add_text_channel("general")
        place = {"api_url": server.api_url, "token": server.token}
        server.cut_next("POST", "/messages$")
        with pytest.raises(aiohttp.ClientConnectionError):
            await post(place, str(channel.id), "1")
        await post(place, str(channel.id), "1")
        assert server.requests == []
        assert server.report()["requests"] == {"POST /channels/{channel_id}/messages": {"200": 1, "cut": 1}}


async def test_latencies_depend_on_a_seed() -> None:
    async with DiscordServer() as server:
        server.rest.latencies = (0.1, 0.3)
        drawn = []
        for _ in range(2):
            server.rest.random.seed(7)
            drawn.append([server.rest.latency for _ in range(50)])
        server.rest.latencies = (0.0, 0.0)
    assert drawn[0] == drawn[1]
    assert all(0.1 <= each <= 0.3 for each in drawn[0])
    assert len(set(drawn[0])) > 1
