"""Start the demo, and keep it running until it is told to stop."""

import asyncio
import os
import sys
import tempfile
import webbrowser
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import discord
import typer
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

TICK = timedelta(seconds=0.25)
CATCH_UP_HOURS = 24 * 6  # a slow machine may be virtual days late


async def demo(*, port: int, week_seconds: float, open_browser: bool) -> None:
    """Serve the page on the loopback interface until SIGINT or SIGTERM.

    Raises WeekbotError where the port is taken.
    """
    clock = FastClock(WEEK.total_seconds() / week_seconds)
    with tempfile.TemporaryDirectory(prefix="weekbot-demo-") as folder:
        async with build(_settings(Path(folder)), clock) as app:
            channel_clock = ChannelClock(clock)
            async with _simulated(app, channel_clock) as env:
                world = make_world(env, week_seconds)
                await subscribe(app, world)
                await _serve(app, env, world, channel_clock, port=port, open_browser=open_browser)


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


async def _serve(app: App, env: Env, world: World, clock: ChannelClock, *, port: int, open_browser: bool) -> None:
    stop = stop_signal()
    async with AsyncExitStack() as running:
        preview = await running.enter_async_context(_page(env, world, port))
        page = LivePage(env, preview, clock)
        for work in (page.keep_fresh(), page.keep_time(), tidy(_channel(app, world))):
            running.enter_context(_in_background(work))
        await running.enter_async_context(delivering(app, TICK))
        typer.echo(preview.url)
        if open_browser and _has_screen():
            await asyncio.to_thread(webbrowser.open, preview.url)
        stopped = asyncio.create_task(stop.wait())
        closed = asyncio.create_task(preview.wait_closed())
        _, unfinished = await asyncio.wait({stopped, closed}, return_when=asyncio.FIRST_COMPLETED)
        for task in unfinished:
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


@contextmanager
def _in_background(work: Coroutine[Any, Any, None]) -> Iterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()


def _channel(app: App, world: World) -> discord.TextChannel:
    channel = app.client.get_channel(world.channel.id)
    if not isinstance(channel, discord.TextChannel):
        raise TypeError("the demo's channel is a text channel")
    return channel


def _has_screen() -> bool:
    """Without one, a browser of the terminal's would take it over."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
