"""How the weekly topics of a server are doing."""

from collections.abc import Sequence
from dataclasses import dataclass

import discord

from weekbot.bot.services import Services
from weekbot.content.model import Topic
from weekbot.store.delivery import Delivery, State
from weekbot.store.subscriptions import Subscription

SHOWN_STATES = (State.PENDING, State.SENT, State.MISSED, State.BLOCKED, State.UNVERIFIED)


@dataclass(frozen=True)
class Health:
    """A subscription and all that a moderator wants to know of it.

    `trouble` is what would keep the next post from being as it should; `title` is the last delivery's topic.
    """

    subscription: Subscription
    coming: Topic
    last: Delivery | None
    title: str
    failures: Sequence[str]
    trouble: str | None


async def guild_health(services: Services, guild: discord.Guild, first: int | None) -> list[Health]:
    """The server's subscriptions; that of the channel `first` leads, as a panel has room for few."""
    found = await services.subscriptions.of_guild(guild.id)
    found.sort(key=lambda subscription: subscription.channel_id != first)
    lasts = await services.deliveries.last([subscription.id for subscription in found], *SHOWN_STATES)
    failures = await services.steps.failures([last.id for last in lasts.values()])
    return [await _health(services, subscription, lasts, failures) for subscription in found]


async def _health(
    services: Services,
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
        trouble=services.inspection.now(subscription),
    )
