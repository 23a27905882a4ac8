"""A simulated Discord with the bot logged in to it, and the page that shows one of its channels."""

import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import discord
from simcord import ChannelHandle, Env, MemberActor, Preview, SetupError

from weekbot.app import App
from weekbot.demo.channel_clock import ChannelClock
from weekbot.runtime.errors import WeekbotError
from weekbot.settings import Settings, load_settings


@contextmanager
def temporary_settings(**changes: object) -> Iterator[Settings]:
    """Load the settings, with one shard and a database that is deleted when the block ends."""
    with tempfile.TemporaryDirectory(prefix="weekbot-") as folder:
        own = {"database_url": f"sqlite:///{Path(folder) / 'weekbot.db'}", "shard_count": 1, "shard_ids": None}
        yield load_settings().model_copy(update=own | changes)


@asynccontextmanager
async def simulate(app: App, clock: ChannelClock) -> AsyncIterator[Env]:
    env = Env(app.client, check_errors=False)
    env.backend.clock = clock
    env.backend.bot_user.name = "weekbot"
    await env.start()
    try:
        await app.client.registration.keep_trying()
        with env.time_context():
            yield env
    finally:
        await env.shutdown()
        await app.client.close()


@asynccontextmanager
async def serve_page(
    env: Env, channel: ChannelHandle, viewers: Sequence[MemberActor], port: int
) -> AsyncIterator[Preview]:
    """Serve the page on the loopback interface. Raises WeekbotError if the port is taken."""
    async with AsyncExitStack() as stack:
        preview = env.preview(channel=channel, viewers=viewers, layout="channel", port=port or None)
        try:
            await stack.enter_async_context(preview)
        except SetupError as error:
            raise WeekbotError(f"The page cannot be served: {error}. Choose another port with --port.") from error
        yield preview


def text_channel(app: App, channel: ChannelHandle) -> discord.TextChannel:
    """Return the bot's object of the channel."""
    known = app.client.get_channel(channel.id)
    if not isinstance(known, discord.TextChannel):
        raise TypeError("the page shows a text channel")
    return known
