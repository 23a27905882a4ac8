"""What moderators do to a channel's weekly topic, by command or by button: each answers with a sentence."""

from collections.abc import Awaitable, Callable

from weekbot import edits
from weekbot.bot import cards
from weekbot.bot.links import linked, moment
from weekbot.bot.services import Services
from weekbot.bot.status import when
from weekbot.content.model import in_language
from weekbot.delivery.sender import Arguments
from weekbot.edits import NotSubscribedError
from weekbot.errors import WeekbotError
from weekbot.language import N_, Language
from weekbot.store.delivery import Delivery, State
from weekbot.store.subscriptions import Subscription

SUBSCRIBED = N_("{channel} gets a topic each week: {when}.\nFirst comes **{topic}**, {slot} ({relative}).")
CHANGED = N_("Changed. {channel}: {when}.\nNext comes **{topic}**, {slot} ({relative}).")
UNSUBSCRIBED = N_("{channel} gets no more weekly topics.")
PAUSED = N_("{channel} is paused; no topic is lost. `/weekly resume` goes on with **{topic}**.")
NEXT = N_("Next in {channel} comes **{topic}**, {slot} ({relative}).")
SKIPPED = N_("Left out **{skipped}** in this round. Next in {channel} comes **{topic}**, {slot} ({relative}).")
POST_PENDING = N_("**{topic}** could not be posted yet ({reason}). I keep trying; `/weekly status` shows how it goes.")
ON_ITS_WAY = N_("**{topic}** is on its way. `/weekly status` shows how it goes.")
POST_FAILED = N_("**{topic}** was not posted: {reason}.")


async def subscribed(services: Services, channel_id: int) -> Subscription:
    """Raises NotSubscribedError where the channel has no weekly topic."""
    subscription = await services.subscriptions.of_channel(channel_id)
    if subscription is None or not subscription.active:
        raise NotSubscribedError
    return subscription


class Moderation:
    """Every method takes the id of a channel, and raises NotSubscribedError where it has no weekly topic.

    `interaction_id` is that of the interaction that asks for it.
    """

    def __init__(self, tr: Language, services: Services, interaction_id: int) -> None:
        self._tr = tr
        self._services = services
        self._interaction_id = interaction_id

    async def preview(self, channel_id: int) -> Arguments:
        """The next post as it will be, in the server's language and in its form."""
        subscription = await subscribed(self._services, channel_id)
        topic, post_cards = await self._services.coming_topic(subscription), self._services.post_cards
        role_id, locale = subscription.options.ping_role_id, subscription.guild_locale
        return post_cards.stamped(topic, cards.PREVIEW_ID, role_id, locale, post_cards.form(subscription))

    async def unsubscribe(self, channel_id: int) -> str:
        return await self.tell(UNSUBSCRIBED, await self._change(channel_id, edits.unsubscribe))

    async def pause(self, channel_id: int) -> str:
        return await self.tell(PAUSED, await self._change(channel_id, edits.pause))

    async def resume(self, channel_id: int) -> str:
        now = self._services.clock.now()
        return await self.tell(NEXT, await self._change(channel_id, lambda current: edits.resume(current, now)))

    async def choose(self, channel_id: int, topic: str) -> str:
        return await self.tell(NEXT, await self._change(channel_id, lambda current: edits.choose(current, topic)))

    async def skip(self, channel_id: int, topic: str | None = None) -> str:
        """Raises NotNextError where not the topic comes next, if one is given."""
        by_hand, asked = self._services.by_hand, self._interaction_id
        delivery = await self._now(channel_id, lambda current: by_hand.skip(current, topic, asked))
        skipped = self._services.title(self._tr, delivery.topic)
        return await self.tell(SKIPPED, delivery.subscription, skipped=skipped)

    async def post(self, channel_id: int, topic: str | None = None) -> str:
        """Return when the post stands, or could not be posted for now.

        Raises NotNextError where not the topic comes next, if one is given.
        """
        by_hand, asked = self._services.by_hand, self._interaction_id
        delivery = await self._now(channel_id, lambda current: by_hand.post(current, topic, asked))
        tr, title = self._tr, self._services.title(self._tr, delivery.topic)
        if delivery.state is State.SENT:
            return tr("Posted {topic}.", topic=linked(title, delivery))
        if delivery.reason is None:
            return tr(ON_ITS_WAY, topic=title)
        text = POST_PENDING if delivery.state is State.PENDING else POST_FAILED
        return tr(text, topic=title, reason=tr.reason(delivery.reason))

    async def tell(self, text: str, subscription: Subscription, **more: str) -> str:
        """The text with what is known of the subscription filled in."""
        coming = await self._services.coming_topic(subscription)
        slot = subscription.next_slot.instant
        return self._tr(
            text,
            channel=f"<#{subscription.channel_id}>",
            when=when(self._tr, subscription),
            topic=in_language(coming, self._tr.locale).title,
            slot=moment(slot),
            relative=moment(slot, "R"),
            **more,
        )

    async def _change(self, channel_id: int, change: Callable[[Subscription], Subscription]) -> Subscription:
        changed = await self._services.subscriptions.change(channel_id, change)
        if changed is None:
            raise NotSubscribedError
        return changed

    async def _now(self, channel_id: int, act: Callable[[Subscription], Awaitable[Delivery | None]]) -> Delivery:
        delivery = await act(edits.readable(await subscribed(self._services, channel_id)))
        if delivery is None:
            raise WeekbotError("A post is on its way here already. `/weekly status` shows it.")
        return delivery
