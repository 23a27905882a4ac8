"""Start the demo, and keep it running until it is told to stop."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import discord
from simcord import Env, Preview, SetupError

from weekbot.app import App, build, delivering
from weekbot.clock import FastClock
from weekbot.demo.clock import ChannelClock
from weekbot.demo.page import LivePage
from weekbot.demo.tidy import tidy
from weekbot.demo.world import World, make_world, subscribe
from weekbot.errors import WeekbotError
from weekbot.schedule import WEEK
from weekbot.settings import Settings, load_settings
from weekbot.signals import stop_signal
from weekbot.waiting import first_of

TICK = timedelta(seconds=0.25)
CATCH_UP_HOURS = 24 * 6  # a slow machine may be virtual days late


async def demo(*, port: int, week_seconds: float, on_ready: Callable[[str], None]) -> None:
    """Serve the page on the loopback interface until SIGINT or SIGTERM; `on_ready` gets its address.

    Raises WeekbotError where the port is taken.
    """
    stop = stop_signal()
    clock = FastClock(WEEK.total_seconds() / week_seconds)
    channel_clock = ChannelClock(clock)
    with tempfile.TemporaryDirectory(prefix="weekbot-demo-") as folder:
        async with build(_settings(Path(folder)), clock) as app, _simulated(app, channel_clock) as env:
            world = make_world(env, week_seconds)
            await subscribe(app, world)
            async with _page(env, world, port) as preview, _living(app, world, LivePage(env, preview, channel_clock)):
                on_ready(preview.url)
                await first_of(stop.wait(), preview.wait_closed())


def _settings(folder: Path) -> Settings:
    database_url = f"sqlite:///{folder / 'demo.db'}"
    changes = {"database_url": database_url, "catch_up_hours": CATCH_UP_HOURS, "shard_count": 1, "shard_ids": None}
    return load_settings().model_copy(update=changes)


@asynccontextmanager
async def _simulated(app: App, clock: ChannelClock) -> AsyncIterator[Env]:
    """A simulated Discord with the bot logged in to it."""
    env = Env(app.client, check_errors=False)
    env.backend.clock = clock
    env.backend.bot_user.name = "weekbot"
    await env.start()
    try:
        with env.time_context():
            yield env
    finally:
        await env.shutdown()
        await app.client.close()


@asynccontextmanager
async def _living(app: App, world: World, page: LivePage) -> AsyncIterator[None]:
    """Posts come, the page follows, and the channel stays short, until the block ends."""
    works = [page.keep_fresh(), page.keep_time(), tidy(_channel(app, world))]
    tasks = [asyncio.create_task(work) for work in works]
    try:
        async with delivering(app, TICK):
            yield
    finally:
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def _page(env: Env, world: World, port: int) -> AsyncIterator[Preview]:
    preview = env.preview(channel=world.channel, viewers=world.viewers, layout="channel", port=port or None)
    try:
        await preview.__aenter__()
    except SetupError as error:
        raise WeekbotError(f"The page cannot be served: {error}. Choose another port with --port.") from error
    try:
        yield preview
    finally:
        await preview.__aexit__(None, None, None)


def _channel(app: App, world: World) -> discord.TextChannel:
    channel = app.client.get_channel(world.channel.id)
    if not isinstance(channel, discord.TextChannel):
        raise TypeError("the demo's channel is a text channel")
    return channel
