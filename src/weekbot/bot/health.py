"""How the weekly topics of a server are doing."""

from collections.abc import Sequence
from dataclasses import dataclass

import discord

from weekbot.bot.options import parse_channel
from weekbot.bot.permissions import missing
from weekbot.bot.services import Services
from weekbot.content.model import Topic
from weekbot.store.deliveries import Delivery, State
from weekbot.store.subscriptions import Subscription

SHOWN_STATES = (State.PENDING, State.SENT, State.MISSED, State.BLOCKED, State.UNVERIFIED)


@dataclass(frozen=True)
class Health:
    """A subscription and all that a moderator wants to know of it.

    `lacking` is why the bot may not post there, if so; `title` is the last delivery's topic.
    """

    subscription: Subscription
    coming: Topic
    last: Delivery | None
    title: str
    failures: Sequence[str]
    lacking: str | None


async def guild_health(services: Services, guild: discord.Guild, first: int | None) -> list[Health]:
    """The server's subscriptions; that of the channel `first` leads, as a panel has room for few."""
    found = await services.subscriptions.of_guild(guild.id)
    found.sort(key=lambda subscription: subscription.channel_id != first)
    lasts = await services.deliveries.last([subscription.id for subscription in found], *SHOWN_STATES)
    failures = await services.steps.failures([last.id for last in lasts.values()])
    return [await _health(services, guild, subscription, lasts, failures) for subscription in found]


async def _health(
    services: Services,
    guild: discord.Guild,
    subscription: Subscription,
    lasts: dict[int, Delivery],
    failures: dict[str, list[str]],
) -> Health:
    last = lasts.get(subscription.id)
    return Health(
        subscription=subscription,
        coming=await services.coming_topic(subscription),
        last=last,
        title=services.title(last.topic) if last else "",
        failures=failures.get(last.id, []) if last else [],
        lacking=_lacking(guild, subscription),
    )


def _lacking(guild: discord.Guild, subscription: Subscription) -> str | None:
    """Why the bot may not post there, as far as it can see."""
    channel = guild.get_channel_or_thread(subscription.channel_id)
    if channel is None:
        return "the channel is gone, or I cannot see it."
    lacking = missing(parse_channel(channel), subscription.options)
    return f"I lack {', '.join(lacking)}." if lacking else None
