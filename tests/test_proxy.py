"""A proxy between the bot and Discord's API, which operators use to share the rate limit among programs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from processes import Place, place_in, posted, posts

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host"}


@asynccontextmanager
async def reverse_proxy(upstream: str, forwarded: list[str]) -> AsyncIterator[str]:
    """Run a plain reverse proxy that records the paths it forwards; yield its URL."""

    async def forward(request: web.Request) -> web.Response:
        forwarded.append(request.path)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        async with session.request(
            request.method, f"{upstream}{request.raw_path}", headers=headers, data=await request.read()
        ) as response:
            headers = {name: value for name, value in response.headers.items() if name.lower() not in HOP_BY_HOP}
            return web.Response(status=response.status, headers=headers, body=await response.read())

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(application, access_log=None)
    async with ClientSession() as session:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with place_in(tmp_path) as place:
        yield place


async def test_every_request_goes_through_the_configured_proxy(place: Place) -> None:
    channel, forwarded = place.guild.add_text_channel("weekly"), list[str]()
    slot = await place.enter(channel)
    host, _, path = place.server.api_url.partition("/api")
    before = len(place.server.requests)
    async with reverse_proxy(host, forwarded) as proxy:
        place.more |= {"WEEKBOT_DISCORD_API_URL": f"{proxy}/api{path}", "WEEKBOT_DISCORD_GATEWAY_URL": ""}
        async with place.running(slot + timedelta(seconds=5)):
            await posted(place, channel)
            assert "How to use these weeks" in await place.status(channel)
    assert len(posts(place, channel)) == 1
    assert len(forwarded) == len(place.server.requests) - before


async def test_errors_of_the_proxy_neither_lose_nor_duplicate_a_post(place: Place) -> None:
    channels = [place.guild.add_text_channel(f"weekly-{number}") for number in range(3)]
    slot = await place.enter(*channels)
    host, _, path = place.server.api_url.partition("/api")
    async with reverse_proxy(host, []) as proxy:
        place.more |= {"WEEKBOT_DISCORD_API_URL": f"{proxy}/api{path}"}
        for status in (429, 502, 503):
            place.server.fail_next("POST", r"/channels/\d+/messages$", status)
        async with place.running(slot + timedelta(seconds=5)):
            await posted(place, *channels)
    assert [len(posts(place, channel)) for channel in channels] == [1, 1, 1]
