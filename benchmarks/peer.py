"""Other ways of sending, with plain discord.py: `python -m benchmarks.peer WAY card|text CHANNEL…`."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence

import discord
from aiolimiter import AsyncLimiter

from benchmarks.bot import ONLINE
from benchmarks.card import card
from weekbot.discord_io.rest_client import use_addresses

DONE = "done"
PLAIN = "This week: Flask. A small core for web applications, and everything else by choice."

Send = Callable[[int], Awaitable[object]]


async def one_after_another(channels: Sequence[int], send: Send) -> None:
    for channel in channels:
        await send(channel)


async def all_at_once(channels: Sequence[int], send: Send) -> None:
    await asyncio.gather(*(send(channel) for channel in channels), return_exceptions=True)


async def ten_at_a_time(channels: Sequence[int], send: Send) -> None:
    slots = asyncio.Semaphore(10)

    async def send_in_slot(channel: int) -> None:
        async with slots:
            await send(channel)

    await all_at_once(channels, send_in_slot)


async def _paced(channels: Sequence[int], send: Send, per_second: float) -> None:
    limiter = AsyncLimiter(1, 1 / per_second)
    async with asyncio.TaskGroup() as tasks:
        for channel in channels:
            await limiter.acquire()
            tasks.create_task(_awaited(send(channel)))


async def _awaited(sending: Awaitable[object]) -> None:
    await sending


async def paced_at_25(channels: Sequence[int], send: Send) -> None:
    await _paced(channels, send, 25)


async def paced_at_48(channels: Sequence[int], send: Send) -> None:
    await _paced(channels, send, 48)


WAYS = {way.__name__: way for way in (one_after_another, all_at_once, ten_at_a_time, paced_at_25, paced_at_48)}


class Peer(discord.Client):
    def __init__(self, way: str, what: str, channels: Sequence[int]) -> None:
        super().__init__(intents=discord.Intents(guilds=True))
        self._way = WAYS[way]
        self._what = what
        self._ids = channels

    async def on_ready(self) -> None:
        print(ONLINE, flush=True)
        finished = card()

        async def send_card(channel: int) -> object:
            return await self.get_partial_messageable(channel).send(view=finished)

        async def send_text(channel: int) -> object:
            return await self.get_partial_messageable(channel).send(PLAIN)

        await self._way(self._ids, send_card if self._what == "card" else send_text)
        print(DONE, flush=True)


if __name__ == "__main__":
    logging.getLogger("discord").setLevel(logging.CRITICAL)
    use_addresses(os.environ["WEEKBOT_DISCORD_API_URL"], os.environ["WEEKBOT_DISCORD_GATEWAY_URL"])
    peer = Peer(sys.argv[1], sys.argv[2], [int(channel) for channel in sys.argv[3:]])
    peer.run(os.environ["WEEKBOT_DISCORD_TOKEN"], log_handler=None)
