"""A demo from start to stop, with a server of two members, and a subscription with a post that is due soon."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import discord
from simcord import ChannelHandle, Env, MemberActor

from weekbot.app import App
from weekbot.demo.simulation import serve_page, simulate, text_channel
from weekbot.domain import subscription_rules
from weekbot.domain.schedule import WEEK
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.clock import FastClock
from weekbot.runtime.signals import stop_signal
from weekbot.runtime.tasks import wait_for_first
from weekbot.scheduler import delivering

TICK = timedelta(seconds=0.25)
CATCH_UP_HOURS = 24 * 6  # a slow machine may be virtual days late
MOST_MESSAGES, TRIM_SECONDS = 12, 5  # the page is drawn with every message of the channel
FIRST_POST_AFTER = timedelta(hours=10)  # on the fast clock: a moment after the page appears
FIRST_TOPIC = "flask"
TOPIC = "Here a week lasts {seconds:g} seconds. Type / and pick a command, such as /framework"


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
    while True:
        messages = [message async for message in channel.history(limit=100)]
        for message in messages[MOST_MESSAGES:]:
            await message.delete()
        await asyncio.sleep(TRIM_SECONDS)


def create_server(env: Env, week_seconds: float) -> tuple[ChannelHandle, list[MemberActor]]:
    """Return the channel of the page, and the two members who can act on it."""
    guild = env.create_guild("Python learners", shard_id=0)
    moderators = guild.create_role("Moderators", permissions=discord.Permissions(manage_guild=True), color=0xE67E22)
    guild.create_role("Weekly readers", color=0x2ECC71)
    channel = guild.create_text_channel("python-weekly", topic=TOPIC.format(seconds=week_seconds))
    guild.create_news_channel("announcements")
    guild.create_forum_channel("showcase")
    ada = guild.add_member(env.create_user("ada", global_name="Ada (moderator)"), roles=[moderators])
    bob = guild.add_member(env.create_user("bob", global_name="Bob (member)"))
    return channel, [ada, bob]


async def subscribe(app: App, channel: discord.TextChannel) -> None:
    now = app.clock.now()
    due = now + FIRST_POST_AFTER
    at = due.time().replace(second=0, microsecond=0)
    given = subscription_rules.Choices(weekday=due.weekday(), at=at, start_topic=FIRST_TOPIC)

    def build(current: Subscription | None, timezone: str) -> Subscription:
        return subscription_rules.subscribe(current, channel.guild.id, channel.id, timezone, given, now)

    await app.repositories.subscriptions.put(channel.guild.id, channel.id, build)
