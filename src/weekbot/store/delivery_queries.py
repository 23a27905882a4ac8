"""Reading the ledger of deliveries."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from weekbot.db.tables import deliveries, subscriptions
from weekbot.domain.deliveries import USED_STATES, Delivery, State, UsedTopics
from weekbot.domain.subscriptions import Subscription
from weekbot.store import subscriptions as subs
from weekbot.store.claims import DONE_AT, REPEATED_WITHIN, done_recently, used_topics_of
from weekbot.store.repository import Repository
from weekbot.store.rows import delivery_of

_WITH_SUBSCRIPTIONS = select(deliveries).join(subscriptions)


class DeliveryQueries(Repository):
    async def get(self, delivery_id: str) -> Delivery | None:
        return await self._latest(select(deliveries).where(deliveries.c.id == delivery_id))

    async def last(self, subscription_ids: Iterable[int], *states: State) -> dict[int, Delivery]:
        """By subscription id, its latest delivery in one of the states."""
        latest = (
            select(deliveries.c.subscription_id, func.max(deliveries.c.slot).label("slot"))
            .where(deliveries.c.subscription_id.in_(list(subscription_ids)), deliveries.c.state.in_(states))
            .group_by(deliveries.c.subscription_id)
            .subquery()
        )
        same = (deliveries.c.subscription_id == latest.c.subscription_id) & (deliveries.c.slot == latest.c.slot)
        found = await self._all(select(deliveries).join(latest, same))
        return {delivery.subscription.id: delivery for delivery in found}

    async def refused(self, guild_ids: Iterable[int], since: datetime) -> list[Delivery]:
        """The servers' scheduled deliveries since that instant that Discord refused."""
        recent = (deliveries.c.state == State.BLOCKED) & deliveries.c.scheduled & (deliveries.c.slot >= since)
        return await self._all(_WITH_SUBSCRIPTIONS.where(recent, subscriptions.c.guild_id.in_(list(guild_ids))))

    async def used_topics(self, subscription: Subscription) -> UsedTopics:
        async with self._database.read() as connection:
            return (await used_topics_of(connection, [subscription]))[subscription.id]

    async def topics_of(self, channel_id: int) -> set[str]:
        query = select(deliveries.c.topic).join(subscriptions).where(_posted_in(channel_id)).distinct()
        return set(await self._values(query))

    async def last_of_topic(self, channel_id: int, names: Collection[str]) -> Delivery | None:
        """The channel's latest post of a topic, which may have had several names."""
        return await self._latest(_WITH_SUBSCRIPTIONS.where(_posted_in(channel_id), deliveries.c.topic.in_(names)))

    async def recently_chosen(self, channel_id: int, topic: str, now: datetime) -> Delivery | None:
        """The channel's post of this topic within the last minute, if a moderator had chosen the topic."""
        chosen = done_recently(now) & deliveries.c.state.in_(USED_STATES) & deliveries.c.chosen
        this = (subscriptions.c.channel_id == channel_id) & (deliveries.c.topic == topic)
        return await self._latest(_WITH_SUBSCRIPTIONS.where(this, chosen))

    async def is_round_new(self, channel_id: int, now: datetime) -> bool:
        """Return whether the channel's current round has used no topic yet, except within the last minute."""
        used = deliveries.c.state.in_(USED_STATES) & (now - REPEATED_WITHIN > DONE_AT)
        this = (subscriptions.c.channel_id == channel_id) & (subscriptions.c.round == deliveries.c.round)
        return await self._latest(_WITH_SUBSCRIPTIONS.where(this, used)) is None

    async def _all(self, query: Select[Any]) -> list[Delivery]:
        async with self._database.read() as connection:
            return await subs.with_subscriptions(connection, query, delivery_of)

    async def _latest(self, query: Select[Any]) -> Delivery | None:
        return next(iter(await self._all(query.order_by(deliveries.c.slot.desc()).limit(1))), None)


def _posted_in(channel_id: int) -> ColumnElement[bool]:
    return (subscriptions.c.channel_id == channel_id) & (deliveries.c.state == State.SENT)
