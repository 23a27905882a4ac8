"""What moderators do to a channel's weekly topic, by command or by button: each answers with a sentence."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from discord import ui

from weekbot.bot.cards import topic_cards
from weekbot.bot.cards.links import linked, moment
from weekbot.bot.cards.status_panel import action_button, when
from weekbot.bot.services import Services
from weekbot.content.model import translated
from weekbot.delivery.manual import Manual
from weekbot.discord_io.sender import MessageArguments
from weekbot.domain import subscription_rules
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.subscription_rules import NotSubscribedError
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import N_, Language
from weekbot.runtime.errors import WeekbotError
from weekbot.store.subscriptions import Changed

SUBSCRIBED = N_("{channel} gets a topic each week: {when}.\nFirst: **{topic}**, {slot} ({relative}).")
CHANGED = N_("Changed. {channel}: {when}.\nNext: **{topic}**, {slot} ({relative}).")
UNSUBSCRIBED = N_("{channel} gets no more weekly topics.")
PAUSED = N_("{channel} is paused; no topic is lost. `/weekly resume` continues with **{topic}**.")
NEXT = N_("Next in {channel}: **{topic}**, {slot} ({relative}).")
SKIPPED = N_("Skipped **{skipped}** in this round. Next in {channel}: **{topic}**, {slot} ({relative}).")
BACK = N_(
    "{channel} continues where it stopped, with the same options: {when}.\nNext: **{topic}**, {slot} ({relative})."
)
RESET = N_("Reset. {channel}: {when}.\nNext: **{topic}**, {slot} ({relative}).")
ALREADY_UNSUBSCRIBED = N_("{channel} already has no weekly topic. `/weekly subscribe` starts one again.")
ALREADY_PAUSED = N_("{channel} is already paused; no topic is lost. `/weekly resume` continues with **{topic}**.")
ALREADY_RUNNING = N_("{channel} isn't paused. Next: **{topic}**, {slot} ({relative}).")
ALREADY_RESET = N_("There was nothing to reset. {channel}: {when}.\nNext: **{topic}**, {slot} ({relative}).")
ALREADY_SKIPPED = N_(
    "I already skipped **{skipped}** {ago}, so I skipped nothing else. Next in {channel}: **{topic}**, {slot} "
    "({relative})."
)
ALREADY_POSTED = N_("I already posted {posted} {ago}, so I posted nothing else.")
POST_PENDING = N_(
    "I couldn't post **{topic}** yet ({reason}). I'll keep trying; `/weekly status` shows how it's going."
)
ON_ITS_WAY = N_("**{topic}** is on its way. `/weekly status` shows how it's going.")
POST_FAILED = N_("**{topic}** was not posted: {reason}.")


@dataclass(frozen=True)
class Done:
    """A sentence on what was done. After a repetition, `again` is a button that does it for the next topic, too."""

    text: str
    again: ui.Button[Any] | None = None


async def subscribed(services: Services, channel_id: int) -> Subscription:
    """Raises NotSubscribedError where the channel has no weekly topic."""
    subscription = await services.subscriptions.of_channel(channel_id)
    if subscription is None or not subscription.active:
        raise NotSubscribedError
    return subscription


class Moderation:
    """Every method takes the id of a channel, and raises NotSubscribedError where it has no weekly topic.

    `interaction_id` is the id of the interaction that requests the action.
    """

    def __init__(self, tr: Language, services: Services, interaction_id: int) -> None:
        self._tr = tr
        self._services = services
        self._interaction_id = interaction_id

    async def preview(self, channel_id: int) -> MessageArguments:
        """The next post as it will be, in the server's language and in its form."""
        subscription = await subscribed(self._services, channel_id)
        topic, post_cards = await self._services.coming_topic(subscription), self._services.post_cards
        role_id, locale = subscription.options.ping_role_id, subscription.guild_locale
        return post_cards.render(topic, topic_cards.PREVIEW_ID, role_id, locale, post_cards.form(subscription))

    async def unsubscribe(self, channel_id: int) -> str:
        changed = await self._change(channel_id, subscription_rules.unsubscribe)
        return await self.tell(UNSUBSCRIBED if _was_active(changed) else ALREADY_UNSUBSCRIBED, changed.after)

    async def pause(self, channel_id: int) -> str:
        changed = await self._change(channel_id, subscription_rules.pause)
        return await self.tell(ALREADY_PAUSED if _was_paused(changed) else PAUSED, changed.after)

    async def resume(self, channel_id: int) -> str:
        now = self._services.clock.now()
        changed = await self._change(channel_id, lambda current: subscription_rules.resume(current, now))
        return await self.tell(NEXT if _was_paused(changed) else ALREADY_RUNNING, changed.after)

    async def reset(self, channel_id: int, option: str) -> str:
        now = self._services.clock.now()
        changed = await self._change(channel_id, lambda current: subscription_rules.reset(current, option, now))
        return await self.tell(ALREADY_RESET if changed.before == changed.after else RESET, changed.after)

    async def choose(self, channel_id: int, topic: str) -> str:
        """Let the next post be this topic, unless the choice was made and posted within the last minute."""
        if posted := await self._services.deliveries.recently_chosen(channel_id, topic, self._services.clock.now()):
            return self._already_posted(posted)
        changed = await self._change(channel_id, lambda current: subscription_rules.choose(current, topic))
        return await self.tell(NEXT, changed.after)

    async def skip(self, channel_id: int, topic: str | None = None) -> Done:
        """Raises NotNextError where not the topic comes next, if one is given."""
        by_hand, asked = self._services.manual, self._interaction_id
        manual = await self._now(channel_id, lambda current: by_hand.skip(current, topic, asked))
        delivery, title = manual.delivery, self._services.title(self._tr, manual.delivery.topic)
        if not manual.repeated:
            return Done(await self.tell(SKIPPED, delivery.subscription, skipped=title))
        text = await self.tell(ALREADY_SKIPPED, delivery.subscription, skipped=title, ago=moment(delivery.slot, "R"))
        return Done(text, await self._again("skip", N_("Skip {topic} too"), delivery))

    async def post(self, channel_id: int, topic: str | None = None) -> Done:
        """Return when the post stands, or could not be posted for now.

        Raises NotNextError where not the topic comes next, if one is given.
        """
        by_hand, asked = self._services.manual, self._interaction_id
        manual = await self._now(channel_id, lambda current: by_hand.post(current, topic, asked))
        delivery = manual.delivery
        if not manual.repeated or delivery.state is not State.SENT:
            return Done(self._posted(delivery))
        return Done(self._already_posted(delivery), await self._again("post", N_("Post {topic} too"), delivery))

    def _posted(self, delivery: Delivery) -> str:
        tr, title = self._tr, self._services.title(self._tr, delivery.topic)
        if delivery.state is State.SENT:
            return tr("Posted {topic}.", topic=linked(title, delivery))
        if delivery.reason is None:
            return tr(ON_ITS_WAY, topic=title)
        text = POST_PENDING if delivery.state is State.PENDING else POST_FAILED
        return tr(text, topic=title, reason=tr.reason(delivery.reason))

    def _already_posted(self, delivery: Delivery) -> str:
        posted = linked(self._services.title(self._tr, delivery.topic), delivery)
        return self._tr(ALREADY_POSTED, posted=posted, ago=moment(delivery.sent_at or delivery.slot, "R"))

    async def _again(self, action: str, label: str, repeated: Delivery) -> ui.Button[Any] | None:
        """The button for the next topic; None if that is the same one, as in a track with a single topic."""
        coming = await self._services.coming_topic(repeated.subscription)
        if coming.slug == repeated.topic:
            return None
        title = translated(coming, self._tr.locale).title
        return action_button(self._tr(label, topic=title), action, repeated.subscription.channel_id, coming.slug)

    async def tell(self, text: str, subscription: Subscription, **more: str) -> str:
        """The text with what is known of the subscription filled in."""
        coming = await self._services.coming_topic(subscription)
        slot = subscription.next_slot.instant
        return self._tr(
            text,
            channel=f"<#{subscription.channel_id}>",
            when=when(self._tr, subscription),
            topic=translated(coming, self._tr.locale).title,
            slot=moment(slot),
            relative=moment(slot, "R"),
            **more,
        )

    async def _change(self, channel_id: int, change: Callable[[Subscription], Subscription]) -> Changed:
        changed = await self._services.subscriptions.change(channel_id, change)
        if changed is None:
            raise NotSubscribedError
        return changed

    async def _now(self, channel_id: int, act: Callable[[Subscription], Awaitable[Manual | None]]) -> Manual:
        manual = await act(subscription_rules.require_readable(await subscribed(self._services, channel_id)))
        if manual is None:
            raise WeekbotError("A post is already on its way here. `/weekly status` shows it.")
        return manual


def _was_active(changed: Changed) -> bool:
    return changed.before is not None and changed.before.active


def _was_paused(changed: Changed) -> bool:
    return changed.before is not None and changed.before.paused
