"""Changes that moderators make to a channel's weekly topic, by command or by button."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import discord
from discord import ui

from weekbot.bot.cards.formatting import linked, moment
from weekbot.bot.cards.post_renderer import PREVIEW_ID, RenderedPosts
from weekbot.bot.cards.status_panel import action_button, schedule
from weekbot.bot.repositories import Repositories
from weekbot.bot.topic_lookup import TopicLookup
from weekbot.bot.upcoming_topics import UpcomingTopics
from weekbot.content.model import translated
from weekbot.content.tracks import EVERYTHING
from weekbot.delivery.manual import Manual, ManualDeliveries
from weekbot.discord_io.channel_checks import check_fit
from weekbot.discord_io.permissions import Channel
from weekbot.discord_io.sender import MessageArguments
from weekbot.domain import subscription_rules as rules
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.subscription_rules import Choices, NotSubscribedError, check_start
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.i18n.language import N_, Language
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.store.subscriptions import Change, Changed

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

ManualDelivery = Callable[[Subscription, str | None, int], Awaitable[Manual | None]]


@dataclass(frozen=True)
class ModerationResult:
    """A sentence on what was done, and a button for what a moderator may do next."""

    text: str
    button: ui.Button[Any] | None = None


@dataclass(frozen=True)
class Moderation:
    """Changes subscriptions for moderators, in whose language it reports the result.

    Methods take the id of a channel, and raise NotSubscribedError if it has no weekly topic. A repeated interaction
    changes nothing a second time: `interaction_id` identifies it.
    """

    store: Repositories
    manual: ManualDeliveries
    renderer: RenderedPosts
    upcoming: UpcomingTopics
    lookup: TopicLookup
    clock: Clock

    async def subscription(self, channel_id: int) -> Subscription:
        """Return the channel's active subscription."""
        subscription = await self.store.subscriptions.of_channel(channel_id)
        if subscription is None or not subscription.active:
            raise NotSubscribedError
        return subscription

    async def subscribe(self, tr: Language, channel: Channel, choices: Choices) -> ModerationResult:
        """Subscribe the channel, or change only the chosen options. Raises WeekbotError if that can't work."""
        await self._check(channel, choices)
        now, guild_id = self.clock.now(), channel.guild.id
        fresh = bool(choices.start_topic) and await self.store.deliveries.is_round_new(channel.id, now)

        def build(current: Subscription | None, guild_timezone: str) -> Subscription:
            built = rules.subscribe(current, guild_id, channel.id, guild_timezone, choices, now, round_just_begun=fresh)
            return replace(built, parent_id=channel.parent_id if isinstance(channel, discord.Thread) else None)

        changed = await self.store.subscriptions.put(guild_id, channel.id, build)
        await self.store.guilds.save_locales({guild_id: str(channel.guild.preferred_locale)})
        preview = action_button(tr("Preview"), "preview", channel.id)
        return await self._report(tr, _subscribed(changed, choices), changed.after, preview)

    async def _check(self, channel: Channel, choices: Choices) -> None:
        """Check the options before the transaction that stores them, because this reads discord.py's cache."""
        current = await self.store.subscriptions.of_channel(channel.id)
        options = choices.apply_to(current.options if current else Options(EVERYTHING))
        check_start(self.lookup.library(), options)
        check_fit(channel, options)

    async def preview(self, channel_id: int) -> MessageArguments:
        """Return the next post as it will be sent, in the server's language."""
        subscription = await self.subscription(channel_id)
        topic, form = await self.upcoming.topic(subscription), self.renderer.form(subscription)
        role_id, locale = subscription.options.ping_role_id, subscription.guild_locale
        return self.renderer.render(topic, PREVIEW_ID, role_id, locale, form)

    async def unsubscribe(self, tr: Language, channel_id: int) -> ModerationResult:
        return await self._change(tr, channel_id, rules.unsubscribe, UNSUBSCRIBED, ALREADY_UNSUBSCRIBED)

    async def pause(self, tr: Language, channel_id: int) -> ModerationResult:
        return await self._change(tr, channel_id, rules.pause, PAUSED, ALREADY_PAUSED)

    async def resume(self, tr: Language, channel_id: int) -> ModerationResult:
        change = partial(rules.resume, now=self.clock.now())
        return await self._change(tr, channel_id, change, NEXT, ALREADY_RUNNING)

    async def reset(self, tr: Language, channel_id: int, option: str) -> ModerationResult:
        change = partial(rules.reset, option=option, now=self.clock.now())
        return await self._change(tr, channel_id, change, RESET, ALREADY_RESET)

    async def choose(self, tr: Language, channel_id: int, topic: str) -> ModerationResult:
        """Choose the topic of the next post, unless it was chosen and posted within the last minute."""
        if posted := await self.store.deliveries.recently_chosen(channel_id, topic, self.clock.now()):
            return ModerationResult(self._already_posted(tr, posted))
        return await self._change(tr, channel_id, partial(rules.choose, topic=topic), NEXT, NEXT)

    async def _change(self, tr: Language, channel_id: int, change: Change, done: str, already: str) -> ModerationResult:
        """Change the subscription. The result is the text `done`, or `already` if it was like that before."""
        changed = await self.store.subscriptions.change(channel_id, change)
        if changed is None:
            raise NotSubscribedError
        return await self._report(tr, already if changed.before == changed.after else done, changed.after)

    async def skip(
        self, tr: Language, channel_id: int, interaction_id: int, topic: str | None = None
    ) -> ModerationResult:
        """Skip the next topic. Raises NotNextError if that isn't the given `topic`."""
        result = await self._deliver(self.manual.skip, channel_id, interaction_id, topic)
        skipped, subscription = self.lookup.title(tr, result.delivery.topic), result.delivery.subscription
        if not result.repeated:
            return await self._report(tr, SKIPPED, subscription, skipped=skipped)
        ago = moment(result.delivery.slot, "R")
        again = await self._button_for_next(tr, "skip", N_("Skip {topic} too"), result.delivery)
        return await self._report(tr, ALREADY_SKIPPED, subscription, again, skipped=skipped, ago=ago)

    async def post(
        self, tr: Language, channel_id: int, interaction_id: int, topic: str | None = None
    ) -> ModerationResult:
        """Post the next topic; return once it is posted, or can't be posted for now.

        Raises NotNextError if the next topic isn't the given `topic`.
        """
        result = await self._deliver(self.manual.post, channel_id, interaction_id, topic)
        delivery = result.delivery
        if not result.repeated or delivery.state is not State.SENT:
            return ModerationResult(self._posted(tr, delivery))
        button = await self._button_for_next(tr, "post", N_("Post {topic} too"), delivery)
        return ModerationResult(self._already_posted(tr, delivery), button)

    async def _deliver(self, act: ManualDelivery, channel_id: int, interaction_id: int, topic: str | None) -> Manual:
        result = await act(rules.require_readable(await self.subscription(channel_id)), topic, interaction_id)
        if result is None:
            raise WeekbotError("A post is already on its way here. `/weekly status` shows it.")
        return result

    def _posted(self, tr: Language, delivery: Delivery) -> str:
        title = self.lookup.title(tr, delivery.topic)
        if delivery.state is State.SENT:
            return tr("Posted {topic}.", topic=linked(title, delivery))
        if delivery.reason is None:
            return tr(ON_ITS_WAY, topic=title)
        text = POST_PENDING if delivery.state is State.PENDING else POST_FAILED
        return tr(text, topic=title, reason=tr.reason(delivery.reason))

    def _already_posted(self, tr: Language, delivery: Delivery) -> str:
        posted = linked(self.lookup.title(tr, delivery.topic), delivery)
        return tr(ALREADY_POSTED, posted=posted, ago=moment(delivery.sent_at or delivery.slot, "R"))

    async def _button_for_next(self, tr: Language, action: str, label: str, earlier: Delivery) -> ui.Button[Any] | None:
        """Return a button that repeats the action on the next topic; None if that is the same topic again."""
        upcoming = await self.upcoming.topic(earlier.subscription)
        if upcoming.slug == earlier.topic:
            return None
        title = translated(upcoming, tr.locale).title
        return action_button(tr(label, topic=title), action, earlier.subscription.channel_id, upcoming.slug)

    async def _report(
        self, tr: Language, text: str, subscription: Subscription, button: ui.Button[Any] | None = None, **values: str
    ) -> ModerationResult:
        """Translate the text, and fill in the subscription's channel, schedule and next topic."""
        upcoming, slot = await self.upcoming.topic(subscription), subscription.next_slot.instant
        sentence = tr(
            text,
            channel=f"<#{subscription.channel_id}>",
            when=schedule(tr, subscription),
            topic=translated(upcoming, tr.locale).title,
            slot=moment(slot),
            relative=moment(slot, "R"),
            **values,
        )
        return ModerationResult(sentence, button)


def _subscribed(changed: Changed, choices: Choices) -> str:
    """Return the message for a new, changed or continued subscription."""
    if changed.before and changed.before.active:
        return CHANGED
    return BACK if changed.before and not choices.start_topic else SUBSCRIBED
