"""A simulated Discord with the bot logged in to it, and the page that shows one of its channels."""

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import discord
from simcord import ChannelHandle, Env, MemberActor, Preview, SetupError

from weekbot.app import App
from weekbot.demo.channel_clock import ChannelClock
from weekbot.runtime.errors import WeekbotError
from weekbot.settings import Settings, load_settings


@contextmanager
def settings_of_one_run(**changes: object) -> Iterator[Settings]:
    """The settings that are there, but with a database that goes when the block ends, and one shard."""
    with tempfile.TemporaryDirectory(prefix="weekbot-") as folder:
        own = {"database_url": f"sqlite:///{Path(folder) / 'weekbot.db'}", "shard_count": 1, "shard_ids": None}
        yield load_settings().model_copy(update=own | changes)


@asynccontextmanager
async def simulated(app: App, clock: ChannelClock) -> AsyncIterator[Env]:
    env = Env(app.client, check_errors=False)
    env.backend.clock = clock
    env.backend.bot_user.name = "weekbot"
    await env.start()
    try:
        await app.registration.keep_trying()
        with env.time_context():
            yield env
    finally:
        await env.shutdown()
        await app.client.close()


@asynccontextmanager
async def page(env: Env, channel: ChannelHandle, viewers: Sequence[MemberActor], port: int) -> AsyncIterator[Preview]:
    """Served on the loopback interface. Raises WeekbotError where the port is taken."""
    preview = env.preview(channel=channel, viewers=viewers, layout="channel", port=port or None)
    try:
        await preview.__aenter__()
    except SetupError as error:
        raise WeekbotError(f"The page cannot be served: {error}. Choose another port with --port.") from error
    try:
        yield preview
    finally:
        await preview.__aexit__(None, None, None)


def text_channel(app: App, channel: ChannelHandle) -> discord.TextChannel:
    """The channel as the bot knows it."""
    known = app.client.get_channel(channel.id)
    if not isinstance(known, discord.TextChannel):
        raise TypeError("the channel of the page is a text channel")
    return known
