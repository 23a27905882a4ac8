"""The demo's server: its channels, two members, and a subscription with a post that is due soon."""

from datetime import timedelta

import discord
from simcord import ChannelHandle, Env, MemberActor

from weekbot.app import App
from weekbot.domain import subscription_rules
from weekbot.domain.subscriptions import Subscription

FIRST_POST_AFTER = timedelta(hours=10)  # on the fast clock: a moment after the page appears
FIRST_TOPIC = "flask"
TOPIC = "Here a week lasts {seconds:g} seconds. Type / and pick a command, such as /framework"


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
