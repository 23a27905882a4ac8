"""Sending, finding and editing posts."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import discord

from weekbot.content.model import Topic
from weekbot.delivery.errors import AmbiguousError, HistoryUnreadableError, PermanentError, RetryableError
from weekbot.delivery.ports import NONCE_KNOWN, HistoryPage, SentMessage
from weekbot.discord_io.channels import UNAVAILABLE, ChannelDirectory
from weekbot.discord_io.errors import NOT_A_TEXT_CHANNEL, THREAD_ARCHIVED, map_errors
from weekbot.discord_io.history import ChannelHistory, CustomIdParser, find_delivery
from weekbot.discord_io.mentions import no_mentions, role_mention
from weekbot.discord_io.post_steps import PostSteps, thread_name
from weekbot.domain.deliveries import Delivery, PostForm
from weekbot.domain.reconciliations import CLOCK_SKEW
from weekbot.domain.steps import StepName
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import language_of

log = logging.getLogger(__name__)

MessageArguments = dict[str, Any]  # for discord.py's methods that send or edit a message


class PostRenderer(Protocol):
    """Renders posts for Discord locales; None is the default locale."""

    def form(self, subscription: Subscription) -> PostForm: ...

    def render(
        self, topic: Topic, delivery_id: str, ping_role_id: int | None, locale: str | None, form: PostForm
    ) -> MessageArguments: ...

    def version(self, topic: Topic, locale: str | None, form: PostForm) -> str: ...

    def is_foreign(self, components: Iterable[MessageArguments]) -> bool:
        """Return whether another process rendered the post with these components."""


@dataclass(eq=False)
class DiscordSender:
    client: discord.Client
    renderer: PostRenderer
    parse_custom_id: CustomIdParser
    is_current: Callable[[int], bool] = lambda _: False  # whether the cached server with that id is up to date
    on_foreign_post: Callable[[], object] = lambda: None  # called for each post from a process with another ledger

    def __post_init__(self) -> None:
        self._channels = ChannelDirectory(self.client)
        self._history = ChannelHistory(self.client, self._channels, self.parse_custom_id)
        self._steps = PostSteps(self.client, self._channels, self._history, self.on_foreign_post)

    def nonce_known(self, delivery: Delivery) -> timedelta:
        """A forum post has no nonce."""
        return timedelta() if self._channels.may_be_forum(delivery.subscription) else NONCE_KNOWN

    async def send(self, delivery: Delivery, topic: Topic) -> SentMessage:
        try:
            return await self._send(delivery, topic)
        except PermanentError as error:
            if self._channels.is_unavailable(delivery.subscription):
                raise RetryableError(UNAVAILABLE) from error
            raise

    async def _send(self, delivery: Delivery, topic: Topic) -> SentMessage:
        subscription, channels = delivery.subscription, self._channels
        if self.is_current(subscription.guild_id) and (reason := channels.refusal(subscription)):
            raise PermanentError(reason)  # Discord would certainly refuse, and too many invalid requests block the bot
        forum = channels.cached_forum(subscription)
        with map_errors():
            if not forum:
                try:
                    return await self._send_to_channel(delivery, topic)
                except discord.HTTPException as error:
                    if error.code != NOT_A_TEXT_CHANNEL or not (forum := await channels.fetch_forum(subscription)):
                        raise
            return await self._send_to_forum(forum, delivery, topic)

    async def _send_to_channel(self, delivery: Delivery, topic: Topic) -> SentMessage:
        subscription = delivery.subscription
        form = self.renderer.form(subscription)
        if form is PostForm.EMBED and not (await self._channels.permissions(subscription)).embed_links:
            form = PostForm.COMPONENTS  # Discord would silently drop the embed, and show only the buttons
        message = await self._channels.partial(subscription.channel_id, subscription).send(
            **self._render(delivery, topic, form),
            allowed_mentions=role_mention(subscription.options.ping_role_id),
            nonce=delivery.id,
        )
        return self._sent(message, delivery, topic)

    def _sent(self, message: discord.Message, delivery: Delivery, topic: Topic) -> SentMessage:
        """Describe the first message with the nonce, which may have another process's topic, or an older form."""
        form = _form_of(message)
        components: list[Any] = [each.to_dict() for each in message.components]
        found, foreign = find_delivery(components, self.parse_custom_id), self.renderer.is_foreign(components)
        slug = found[1] if found else topic.slug
        sent = SentMessage(message.id, message.channel.id, self._version(delivery, topic, form), form)
        if slug not in (topic.slug, *topic.aliases):
            return replace(sent, version=None, topic=slug, foreign=True)
        return replace(sent, version=None, foreign=foreign) if foreign or slug != topic.slug else sent

    def _render(self, delivery: Delivery, topic: Topic, form: PostForm) -> MessageArguments:
        role_id, locale = delivery.subscription.options.ping_role_id, delivery.subscription.guild_locale
        return self.renderer.render(topic, delivery.id, role_id, locale, form)

    def _version(self, delivery: Delivery, topic: Topic, form: PostForm) -> str:
        return self.renderer.version(topic, delivery.subscription.guild_locale, form)

    async def _send_to_forum(self, forum: discord.ForumChannel, delivery: Delivery, topic: Topic) -> SentMessage:
        """Forum posts have no nonce, so another process's post of the same delivery is searched for first."""
        if existing := await self._find_in_forum(delivery):
            return existing
        form = PostForm.COMPONENTS  # forum posts can't be published, so they need no embed
        made = await forum.create_thread(
            name=thread_name(topic, language_of(delivery.subscription.guild_locale)),
            **self._render(delivery, topic, form),
            allowed_mentions=role_mention(delivery.subscription.options.ping_role_id),
            applied_tags=forum_tags(forum, topic),
        )
        return SentMessage(made.message.id, made.thread.id, self._version(delivery, topic, form), form)

    async def _find_in_forum(self, delivery: Delivery) -> SentMessage | None:
        try:
            read = await self.find(delivery, delivery.slot - CLOCK_SKEW, None)
        except (HistoryUnreadableError, RetryableError, AmbiguousError) as error:
            log.info("posting without a look-up, which failed: %s", error)
            return None
        found = (SentMessage(post.message_id, post.channel_id, topic=post.topic, foreign=True) for post in read.posts)
        return next(found, None)

    async def find(self, delivery: Delivery, since: datetime, cursor: str | None) -> HistoryPage:
        read = await self._history.read(delivery.subscription, since, cursor, delivery.id)
        return replace(read, posts=[post for post in read.posts if post.delivery_id == delivery.id])

    async def posts_in(self, subscription: Subscription, since: datetime, cursor: str | None) -> HistoryPage:
        return await self._history.read(subscription, since, cursor)

    def is_quiet(self, subscription: Subscription, since: datetime) -> bool:
        last = self._channels.last_message_id(subscription)
        return last is not None and discord.utils.snowflake_time(last) < since

    def version(self, delivery: Delivery, topic: Topic) -> str:
        return self._version(delivery, topic, delivery.known_form or PostForm.COMPONENTS)

    async def with_form(self, delivery: Delivery) -> Delivery:
        if delivery.known_form:
            return replace(delivery, form=delivery.known_form)
        with map_errors():
            return replace(delivery, form=_form_of(await self._channels.message(delivery).fetch()))

    async def edit(self, delivery: Delivery, topic: Topic) -> None:
        post = self._render(delivery, topic, delivery.known_form or PostForm.COMPONENTS)
        with map_errors():
            message = self._channels.message(delivery)
            try:
                await message.edit(**post, allowed_mentions=no_mentions())
            except discord.HTTPException as error:
                if error.code != THREAD_ARCHIVED:
                    raise
                await self._edit_archived(message, post)

    async def _edit_archived(self, message: discord.PartialMessage, post: MessageArguments) -> None:
        """Open the archived thread, for example that of an old forum post, for the edit."""
        thread = await self.client.fetch_channel(message.channel.id)
        if not isinstance(thread, discord.Thread):
            raise PermanentError("the channel is archived")
        await thread.edit(archived=False)
        await message.edit(**post, allowed_mentions=no_mentions())
        await thread.edit(archived=True)

    async def follow_up(self, step: StepName, delivery: Delivery, topic: Topic | None) -> SentMessage | None:
        return await self._steps.follow_up(step, delivery, topic)


def _form_of(message: discord.Message) -> PostForm:
    return PostForm.COMPONENTS if message.flags.components_v2 else PostForm.EMBED


def forum_tags(forum: discord.ForumChannel, topic: Topic) -> list[discord.ForumTag]:
    """Return the tag named like the topic or its category. If the forum requires a tag, the default is its first."""
    usable = [tag for tag in forum.available_tags if not tag.moderated]
    names = {topic.title.casefold(), topic.slug, topic.category.value}
    matching = [tag for tag in usable if tag.name.casefold() in names]
    return (matching or (usable if forum.flags.require_tag else []))[:1]
