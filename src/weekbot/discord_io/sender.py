"""The Discord side of a delivery: posting, finding, and following up, with Discord's errors told apart."""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import discord

from weekbot.content.model import Topic, translated
from weekbot.delivery.errors import AmbiguousError, HistoryUnreadableError, PermanentError, RetryableError
from weekbot.delivery.ports import NONCE_KNOWN, Read, Sent
from weekbot.discord_io.channels import UNAVAILABLE, ChannelDirectory
from weekbot.discord_io.errors import (
    ALREADY_PUBLISHED,
    MESSAGE_GONE,
    NOT_A_TEXT_CHANNEL,
    THREAD_ARCHIVED,
    THREAD_EXISTS,
    TOO_MANY_PINS,
    entries,
    map_errors,
)
from weekbot.discord_io.history import Delivered, History, delivery_named_in
from weekbot.discord_io.mentions import no_mentions, role_mention
from weekbot.domain.deliveries import Delivery, PostForm
from weekbot.domain.reconciliations import CLOCKS_APART, Post
from weekbot.domain.steps import StepName
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import Language, language_of

log = logging.getLogger(__name__)

THREAD_ARCHIVED_AFTER: Final = 10080  # minutes: a week
FIRST_MESSAGES = 20  # of a thread
ORDINARY = 0  # the type of a message that somebody has written

Arguments = dict[str, Any]
"""The keyword arguments with which discord.py sends or edits a message."""


class PostRenderer(Protocol):
    """Makes posts."""

    def form(self, subscription: Subscription) -> PostForm:
        """The form of the subscription's next post."""

    def stamped(
        self, topic: Topic, delivery_id: str, ping_role_id: int | None, locale: str | None, form: PostForm
    ) -> Arguments:
        """The post of a delivery, which pings the role, in the language of that locale of Discord's."""

    def version(self, topic: Topic, locale: str | None, form: PostForm) -> str:
        """Which rendering of the topic it shows."""

    def bears_other_mark(self, components: Iterable[Arguments]) -> bool:
        """Whether another process made the post of these components."""


class DiscordSender:
    """`is_current` returns whether the cached server with that id is up to date.

    `on_foreign_post` is called for each post that only a process with another ledger could have made.
    """

    def __init__(
        self,
        client: discord.Client,
        posts: PostRenderer,
        delivered: Delivered,
        is_current: Callable[[int], bool] = lambda _: False,
        on_foreign_post: Callable[[], object] = lambda: None,
    ) -> None:
        self._on_foreign_post = on_foreign_post
        self._is_current = is_current
        self._client = client
        self._places = ChannelDirectory(client)
        self._history = History(client, self._places, delivered)
        self._delivered = delivered
        self._posts = posts

    def version(self, delivery: Delivery, topic: Topic) -> str:
        return self._version(delivery, topic, delivery.known_form or PostForm.COMPONENTS)

    def _version(self, delivery: Delivery, topic: Topic, form: PostForm) -> str:
        return self._posts.version(topic, delivery.subscription.guild_locale, form)

    def nonce_known(self, delivery: Delivery) -> timedelta:
        """A forum post has no nonce."""
        return timedelta() if self._places.may_be_forum(delivery.subscription) else NONCE_KNOWN

    async def send(self, delivery: Delivery, topic: Topic) -> Sent:
        try:
            return await self._send(delivery, topic)
        except PermanentError as error:
            if self._places.is_unavailable(delivery.subscription):
                raise RetryableError(UNAVAILABLE) from error
            raise

    async def _send(self, delivery: Delivery, topic: Topic) -> Sent:
        subscription = delivery.subscription
        self._check_permissions(subscription)
        forum = self._places.forum(subscription)
        with map_errors():
            if forum:
                return await self._post_in_forum(forum, delivery, topic)
            try:
                return await self._post_in_channel(delivery, topic)
            except discord.HTTPException as error:
                if error.code != NOT_A_TEXT_CHANNEL or not (forum := await self._places.forum_elsewhere(subscription)):
                    raise
                return await self._post_in_forum(forum, delivery, topic)

    def _check_permissions(self, subscription: Subscription) -> None:
        """Raises PermanentError if Discord would surely refuse a post: too many refusals lock the bot out."""
        if self._is_current(subscription.guild_id) and (reason := self._places.refusal(subscription)):
            raise PermanentError(reason)

    async def _post_in_channel(self, delivery: Delivery, topic: Topic) -> Sent:
        subscription = delivery.subscription
        form = self._posts.form(subscription)
        if form is PostForm.EMBED and not await self._places.embeds_allowed(subscription):
            form = PostForm.COMPONENTS  # of a post in an embed Discord would show the buttons alone
        message = await self._places.partial(subscription.channel_id, subscription).send(
            **self._stamped(delivery, topic, form),
            allowed_mentions=role_mention(subscription.options.ping_role_id),
            nonce=delivery.id,
        )
        return self._sent(message, delivery, topic)

    def _sent(self, message: discord.Message, delivery: Delivery, topic: Topic) -> Sent:
        """Describe the message that Discord returned: for a known nonce, the first message that had it.

        An earlier attempt may have posted it in the other form; a process with another ledger, with another topic.
        """
        form = _form_of(message)
        components: list[Any] = [each.to_dict() for each in message.components]
        named, foreign = delivery_named_in(components, self._delivered), self._posts.bears_other_mark(components)
        sent = Sent(message.id, message.channel.id, self._version(delivery, topic, form), form)
        if named and named[1] not in (topic.slug, *topic.aliases):
            return replace(sent, version=None, topic=named[1], foreign=True)
        is_as_sent = not foreign and (named is None or named[1] == topic.slug)
        return sent if is_as_sent else replace(sent, version=None, foreign=foreign)

    async def _post_in_forum(self, forum: discord.ForumChannel, delivery: Delivery, topic: Topic) -> Sent:
        """Forum posts aren't published, so they are made of components.

        They have no nonce either, so another process's post of the same delivery is looked for first.
        """
        if standing := await self._standing(delivery):
            return standing
        form = PostForm.COMPONENTS
        made = await forum.create_thread(
            name=thread_name(_language(delivery), topic),
            **self._stamped(delivery, topic, form),
            allowed_mentions=role_mention(delivery.subscription.options.ping_role_id),
            applied_tags=forum_tags(forum, topic),
        )
        return Sent(made.message.id, made.thread.id, self._version(delivery, topic, form), form)

    async def _standing(self, delivery: Delivery) -> Sent | None:
        """Find the delivery's post in a forum; None if there is none, or the look-up fails."""
        try:
            read = await self.find(delivery, delivery.slot - CLOCKS_APART, None)
        except (HistoryUnreadableError, RetryableError, AmbiguousError) as error:
            log.info("sent without a look-up, which failed: %s", error)
            return None
        found = ((post.message_id, post.channel_id, post.topic) for post in read.posts)
        return next((Sent(id_, channel_id, topic=topic, foreign=True) for id_, channel_id, topic in found), None)

    async def find(self, delivery: Delivery, since: datetime, cursor: str | None) -> Read:
        read = await self._history.read(delivery.subscription, since, cursor, delivery.id)
        return replace(read, posts=[post for post in read.posts if post.delivery_id == delivery.id])

    async def posts_in(self, subscription: Subscription, since: datetime, cursor: str | None) -> Read:
        return await self._history.read(subscription, since, cursor)

    def is_quiet(self, subscription: Subscription, since: datetime) -> bool:
        last = self._places.last_message_id(subscription)
        return last is not None and discord.utils.snowflake_time(last) < since

    async def with_form(self, delivery: Delivery) -> Delivery:
        if delivery.known_form:
            return replace(delivery, form=delivery.known_form)
        with map_errors():
            return replace(delivery, form=_form_of(await self._message(delivery).fetch()))

    async def edit(self, delivery: Delivery, topic: Topic) -> None:
        post = self._stamped(delivery, topic, delivery.known_form or PostForm.COMPONENTS)
        with map_errors():
            message = self._message(delivery)
            try:
                await message.edit(**post, allowed_mentions=no_mentions())
            except discord.HTTPException as error:
                if error.code != THREAD_ARCHIVED:
                    raise
                await self._edit_archived(message, post)

    def _stamped(self, delivery: Delivery, topic: Topic, form: PostForm) -> Arguments:
        subscription = delivery.subscription
        role_id, locale = subscription.options.ping_role_id, subscription.guild_locale
        return self._posts.stamped(topic, delivery.id, role_id, locale, form)

    async def _edit_archived(self, message: discord.PartialMessage, post: Arguments) -> None:
        """As on a forum's post of some weeks ago: its thread is opened for the edit, and archived again."""
        thread = await self._client.fetch_channel(message.channel.id)
        if not isinstance(thread, discord.Thread):
            raise PermanentError("the channel is archived")
        await thread.edit(archived=False)
        await message.edit(**post, allowed_mentions=no_mentions())
        await thread.edit(archived=True)

    async def follow_up(self, step: StepName, delivery: Delivery, topic: Topic | None) -> Sent | None:
        if step is StepName.STRAYS:
            with map_errors():
                return await self._strays(delivery)
        carry_out = {
            StepName.THREAD: self._thread,
            StepName.PIN: self._pin,
            StepName.PUBLISH: self._publish,
        }
        with map_errors():
            await carry_out[step](delivery, topic)
        return None

    async def _thread(self, delivery: Delivery, topic: Topic | None) -> None:
        """Open a thread on the post, with the topic's question in it."""
        in_forum = delivery.message_channel_id != delivery.subscription.channel_id  # where a post is a thread itself
        if topic is None or in_forum:
            return
        message, tr = self._message(delivery), _language(delivery)
        try:
            # `message.create_thread` needs to know the server, which may be another process's.
            await self._client.http.start_thread_with_message(
                message.channel.id,
                message.id,
                name=thread_name(tr, topic),
                auto_archive_duration=THREAD_ARCHIVED_AFTER,
            )
        except discord.HTTPException as error:
            if error.code != THREAD_EXISTS:
                raise
            if await self._asked_already(delivery):
                return
        await self._own_thread(delivery).send(
            translated(topic, tr.locale).body.discuss, nonce=f"{delivery.id}q", allowed_mentions=no_mentions()
        )

    def _own_thread(self, delivery: Delivery) -> discord.PartialMessageable:
        """The thread opened on the post, which has the post's id."""
        return self._places.partial(delivery.message_id or 0, delivery.subscription)

    async def _asked_already(self, delivery: Delivery) -> bool:
        """Whether the question stands, or may stand, in the post's thread: an earlier attempt may have got that far.

        A thread begins with a message of another type, which shows the post.
        """
        if not await self._places.history_readable(delivery.subscription):
            return True
        own = str(self._places.own_id)
        first = entries(await self._client.http.logs_from(delivery.message_id or 0, FIRST_MESSAGES, after=0))
        return any(each["author"]["id"] == own and each["type"] == ORDINARY for each in first)

    async def _pin(self, delivery: Delivery, _: Topic | None) -> None:
        """Pin the post, and take the last one's pin off; before, if the channel has as many as it may have."""
        message, last = self._message(delivery), delivery.subscription.pinned_message_id
        if last and last > message.id:
            return  # a later post was pinned meanwhile
        try:
            await message.pin()
        except discord.HTTPException as error:
            if error.code != TOO_MANY_PINS or last in (None, message.id):
                raise
            await self._unpin(last, delivery.subscription)
            await message.pin()
        else:
            if last != message.id:
                await self._unpin(last, delivery.subscription)

    async def _unpin(self, message_id: int | None, subscription: Subscription) -> None:
        if message_id is None:
            return
        channel = self._places.partial(subscription.channel_id, subscription)
        try:
            await channel.get_partial_message(message_id).unpin()
        except discord.NotFound as error:
            if error.code != MESSAGE_GONE:
                raise

    async def _publish(self, delivery: Delivery, _: Topic | None) -> None:
        try:
            await self._message(delivery).publish()
        except discord.HTTPException as error:
            if error.code != ALREADY_PUBLISHED:
                raise

    async def _strays(self, delivery: Delivery) -> Sent | None:
        """Remove all posts of the delivery except the first, which is returned if it isn't the recorded one.

        Duplicates come from an earlier attempt whose post appeared only after the look-up, or from a process with
        another ledger. That process keeps the first post, too.
        """
        read = await self._history.read(delivery.subscription, delivery.slot - CLOCKS_APART, None)
        posts = sorted(
            (post for post in read.posts if post.delivery_id == delivery.id), key=lambda post: post.message_id
        )
        refusal: discord.Forbidden | None = None
        for post in posts[1:]:
            if delivery.attempts == 1:
                self._on_foreign_post()
            log.warning("a second post of this delivery is removed", extra={"message_id": post.message_id})
            try:
                await self._remove(post)
            except discord.Forbidden as error:
                refusal = error
        first = next(iter(posts), None)
        if first and first.message_id != delivery.message_id:
            return Sent(first.message_id, first.channel_id, topic=first.topic)
        if refusal:
            raise refusal
        return None

    async def _remove(self, post: Post) -> None:
        """Delete the message and, for a forum post, its thread, which requires the permission to manage threads."""
        with suppress(discord.NotFound):
            await self._client.http.delete_message(post.channel_id, post.message_id)
        if post.channel_id == post.message_id:
            with suppress(discord.NotFound):
                await self._client.http.delete_channel(post.channel_id)

    def _message(self, delivery: Delivery) -> discord.PartialMessage:
        if delivery.message_id is None or delivery.message_channel_id is None:
            raise PermanentError("the post is not known")
        channel = self._places.partial(delivery.message_channel_id, delivery.subscription)
        return channel.get_partial_message(delivery.message_id)


def _language(delivery: Delivery) -> Language:
    return language_of(delivery.subscription.guild_locale)


def _form_of(message: discord.Message) -> PostForm:
    return PostForm.COMPONENTS if message.flags.components_v2 else PostForm.EMBED


def forum_tags(forum: discord.ForumChannel, topic: Topic) -> list[discord.ForumTag]:
    """The tag named like the topic or its category; where the forum requires one, at least its first."""
    usable = [tag for tag in forum.available_tags if not tag.moderated]
    names = {topic.title.casefold(), topic.slug, topic.category.value}
    fitting = [tag for tag in usable if tag.name.casefold() in names]
    return (fitting or (usable if forum.flags.require_tag else []))[:1]


def thread_name(tr: Language, topic: Topic) -> str:
    """A title has at most 60 of the 100 characters that a thread's name may have."""
    return tr("This week: {title}", title=translated(topic, tr.locale).title)
