"""Collects the status of a server's subscriptions for moderators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import discord

from weekbot.bot.cards.card import Card
from weekbot.bot.cards.status_panel import PAGE_SIZE, Overview, SubscriptionStatus, status_card
from weekbot.bot.home_channel import HomeChannel
from weekbot.bot.lateness import Lateness
from weekbot.bot.repositories import Repositories
from weekbot.bot.topic_lookup import TopicLookup
from weekbot.bot.upcoming_topics import UpcomingTopics
from weekbot.content.model import translated
from weekbot.discord_io.channel_checks import ChannelChecks
from weekbot.discord_io.notice_channel import notice_channel_of
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import Language

SHOWN_STATES = (State.PENDING, State.SENT, State.MISSED, State.BLOCKED, State.UNVERIFIED)


@dataclass(frozen=True)
class WeeklyOverview:
    store: Repositories
    checks: ChannelChecks
    home_channel: HomeChannel
    upcoming: UpcomingTopics
    lookup: TopicLookup
    lateness: Lateness

    async def card(self, tr: Language, guild: discord.Guild, here: int, first: int = 0) -> Card:
        """Return the page of the server's subscriptions that begins with number `first`.

        The subscription of the channel `here` comes first, then those in trouble, because a page is short.
        """
        found = await self.store.subscriptions.of_guild(guild.id)
        details = await self._details(tr, found)
        in_trouble = {each.id for each in found if each.unreadable or each.blocked or details.is_in_trouble(each.id)}
        found.sort(key=lambda each: (each.channel_id != here, each.id not in in_trouble, each.id))
        first = min(first, max(0, len(found) - 1))
        shown = found[first : first + PAGE_SIZE]
        late = await self.lateness.of(shown)
        settings = await self.store.guilds.settings(guild.id)
        overview = Overview(
            statuses=[await self._status(tr, each, details, late) for each in shown],
            first=first,
            total=len(found),
            in_trouble=len(in_trouble),
            paused=sum(each.paused for each in found),
            followers=await self.home_channel.followers(guild.id),
            has_notice_channel=notice_channel_of(guild, settings.notices_channel_id) is not None,
        )
        return status_card(tr, overview, settings)

    async def of_channel(self, tr: Language, subscription: Subscription) -> SubscriptionStatus:
        details, late = await self._details(tr, [subscription]), await self.lateness.of([subscription])
        return await self._status(tr, subscription, details, late)

    async def _details(self, tr: Language, subscriptions: Sequence[Subscription]) -> "_Details":
        troubles = await self.checks.summaries(tr, subscriptions)
        last = await self.store.deliveries.last([each.id for each in subscriptions], *SHOWN_STATES)
        steps = await self.store.steps.failures([delivery.id for delivery in last.values()])
        failures = {id_: [*_edit_failure(delivery), *steps.get(delivery.id, [])] for id_, delivery in last.items()}
        return _Details(troubles, last, failures)

    async def _status(
        self, tr: Language, subscription: Subscription, details: "_Details", late: Mapping[int, timedelta]
    ) -> SubscriptionStatus:
        last = details.last.get(subscription.id)
        return SubscriptionStatus(
            subscription=subscription,
            upcoming=translated(await self.upcoming.topic(subscription), tr.locale),
            last=last,
            title=self.lookup.title(tr, last.topic) if last else "",
            failures=details.failures.get(subscription.id, []),
            trouble=details.troubles.get(subscription.id),
            needs=self.checks.required_permissions(subscription),
            lateness=late.get(subscription.id),
        )


@dataclass(frozen=True)
class _Details:
    """By subscription id: what would spoil the next post, the last delivery, and its failed steps and edits."""

    troubles: Mapping[int, str]
    last: Mapping[int, Delivery]
    failures: Mapping[int, Sequence[str]]

    def is_in_trouble(self, subscription_id: int) -> bool:
        return subscription_id in self.troubles or bool(self.failures.get(subscription_id))


def _edit_failure(last: Delivery) -> list[str]:
    """Why the post could not be edited when its topic changed; a removed post has a reason of its own."""
    return [last.reason] if last.state is State.SENT and last.message_id and last.reason else []
