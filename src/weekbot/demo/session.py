"""A demo from start to stop."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import discord

from weekbot.demo.scenario import create_server, subscribe
from weekbot.demo.simulation import serve_page, simulate, text_channel
from weekbot.domain.schedule import WEEK
from weekbot.runtime.clock import FastClock
from weekbot.runtime.signals import stop_signal
from weekbot.runtime.tasks import wait_for_first
from weekbot.scheduler import delivering

TICK = timedelta(seconds=0.25)
CATCH_UP_HOURS = 24 * 6  # a slow machine may be virtual days late
MOST_MESSAGES, TRIM_SECONDS = 12, 5  # the page is drawn with every message of the channel


async def demo(*, port: int, week_seconds: float, on_ready: Callable[[str], None]) -> None:
    """Serve the page until SIGINT or SIGTERM; `on_ready` gets its URL. Raises WeekbotError if the port is taken."""
    stop, clock = stop_signal(), FastClock(WEEK.total_seconds() / week_seconds)
    async with simulate(clock, catch_up_hours=CATCH_UP_HOURS) as (app, env):
        handle, viewers = create_server(env, week_seconds)
        channel = text_channel(app, handle)
        await subscribe(app, channel)
        async with serve_page(env, handle, viewers, port, partial(_trim, channel)) as page, delivering(app, TICK):
            on_ready(page.url)
            await wait_for_first(stop.wait(), page.wait_closed())


async def _trim(channel: discord.TextChannel) -> None:
    """Delete the oldest messages, until cancelled."""
    while True:
        messages = [message async for message in channel.history(limit=100)]
        for message in messages[MOST_MESSAGES:]:
            await message.delete()
        await asyncio.sleep(TRIM_SECONDS)
