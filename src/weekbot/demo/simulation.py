"""A simulated Discord with the bot logged in to it, and the page that shows one of its channels."""

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import discord
from simcord import ChannelHandle, Env, MemberActor, Preview, SetupError

from weekbot.app import App, build
from weekbot.content.loading.live_library import LiveLibrary
from weekbot.demo.live_page import ChannelClock, Job, LivePage
from weekbot.runtime.clock import FastClock
from weekbot.runtime.errors import WeekbotError
from weekbot.settings import load_settings


@asynccontextmanager
async def simulate(
    clock: FastClock, live: LiveLibrary | None = None, **settings: object
) -> AsyncIterator[tuple[App, Env]]:
    """Log in with a temporary database, one shard and the current settings, changed by `settings`."""
    with tempfile.TemporaryDirectory(prefix="weekbot-") as folder:
        own = {"database_url": f"sqlite:///{Path(folder) / 'weekbot.db'}", "shard_count": 1, "shard_ids": None}
        async with build(load_settings().model_copy(update=own | settings), clock, live) as app:
            env = Env(app.client, check_errors=False)
            env.backend.clock = ChannelClock(clock)
            env.backend.bot_user.name = "weekbot"
            await env.start()
            try:
                await app.registration.keep_trying()
                with env.time_context():
                    yield app, env
            finally:
                await env.shutdown()
                await app.client.close()


@asynccontextmanager
async def serve_page(
    env: Env, channel: ChannelHandle, viewers: Sequence[MemberActor], port: int, job: Job
) -> AsyncIterator[Preview]:
    """Serve a live page on the loopback interface, and run the job. Raises WeekbotError if the port is taken."""
    async with AsyncExitStack() as stack:
        preview = env.preview(channel=channel, viewers=viewers, layout="channel", port=port or None)
        try:
            await stack.enter_async_context(preview)
        except SetupError as error:
            raise WeekbotError(f"The page cannot be served: {error}. Choose another port with --port.") from error
        async with LivePage(env, preview).running(job):
            yield preview


def text_channel(app: App, channel: ChannelHandle) -> discord.TextChannel:
    known = app.client.get_channel(channel.id)
    if not isinstance(known, discord.TextChannel):
        raise TypeError("the page shows a text channel")
    return known
