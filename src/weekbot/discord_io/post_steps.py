"""The steps that follow a post: a thread, a pin, publication, and the removal of duplicates."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import discord

from weekbot.content.model import Topic, translated
from weekbot.delivery.ports import SentMessage
from weekbot.discord_io import errors
from weekbot.discord_io.channels import ChannelDirectory
from weekbot.discord_io.history import ChannelHistory
from weekbot.discord_io.mentions import no_mentions
from weekbot.domain.deliveries import Delivery
from weekbot.domain.reconciliations import CLOCK_SKEW, Post
from weekbot.domain.steps import StepName
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import Language, language_of

log = logging.getLogger(__name__)

AUTO_ARCHIVE_MINUTES: Final = 10080  # a week
FIRST_MESSAGES = 20  # of a thread
DEFAULT_MESSAGE = 0  # Discord's type of a message that somebody has written


@dataclass(frozen=True)
class PostSteps:
    """Each step can be repeated without harm. `on_foreign_post` is called for each post of another ledger."""

    client: discord.Client
    channels: ChannelDirectory
    history: ChannelHistory
    on_foreign_post: Callable[[], object]

    async def follow_up(self, step: StepName, delivery: Delivery, topic: Topic | None) -> SentMessage | None:
        with errors.map_errors():
            match step:
                case StepName.THREAD:
                    await self._open_thread(delivery, topic)
                case StepName.PIN:
                    await self._pin(delivery)
                case StepName.PUBLISH:
                    with errors.SuppressCodes(errors.ALREADY_PUBLISHED):
                        await self.channels.message(delivery).publish()
                case StepName.STRAYS:
                    return await self._remove_duplicates(delivery)
        return None

    async def _open_thread(self, delivery: Delivery, topic: Topic | None) -> None:
        """Open a thread on the post and ask the topic's question in it. A forum post already is a thread."""
        is_thread = delivery.message_channel_id != delivery.subscription.channel_id
        if topic is None or is_thread:
            return
        message, tr = self.channels.message(delivery), language_of(delivery.subscription.guild_locale)
        try:
            # `message.create_thread` requires the server in the cache; it may be another process's.
            await self.client.http.start_thread_with_message(
                message.channel.id, message.id, name=thread_name(topic, tr), auto_archive_duration=AUTO_ARCHIVE_MINUTES
            )
        except discord.HTTPException as error:
            if error.code != errors.THREAD_EXISTS:
                raise
            if await self._may_have_asked(delivery):
                return
        thread = self.channels.partial(message.id, delivery.subscription)  # it has its message's id
        question = translated(topic, tr.locale).body.discuss
        await thread.send(question, nonce=f"{delivery.id}q", allowed_mentions=no_mentions())

    async def _may_have_asked(self, delivery: Delivery) -> bool:
        """Return whether an earlier attempt may have sent the question; True if the history can't be read."""
        if not (await self.channels.permissions(delivery.subscription)).read_message_history:
            return True
        bot = str(self.channels.bot_id)
        first = errors.expect_list(await self.client.http.logs_from(delivery.message_id or 0, FIRST_MESSAGES, after=0))
        return any(each["author"]["id"] == bot and each["type"] == DEFAULT_MESSAGE for each in first)

    async def _pin(self, delivery: Delivery) -> None:
        """Pin the post and unpin the last one, which comes first if the channel has the maximum number of pins."""
        message, last = self.channels.message(delivery), delivery.subscription.pinned_message_id
        if last and last > message.id:
            return  # a later post was pinned meanwhile
        outdated = last if last != message.id else None
        try:
            await message.pin()
        except discord.HTTPException as error:
            if error.code != errors.TOO_MANY_PINS or outdated is None:
                raise
            await self._unpin(outdated, delivery.subscription)
            await message.pin()
        else:
            if outdated is not None:
                await self._unpin(outdated, delivery.subscription)

    async def _unpin(self, message_id: int, subscription: Subscription) -> None:
        channel = self.channels.partial(subscription.channel_id, subscription)
        with errors.SuppressCodes(errors.MESSAGE_GONE):
            await channel.get_partial_message(message_id).unpin()

    async def _remove_duplicates(self, delivery: Delivery) -> SentMessage | None:
        """Keep the first of several attempts' or ledgers' posts, and return it if it isn't the recorded one."""
        read = await self.history.read(delivery.subscription, delivery.slot - CLOCK_SKEW, None)
        found = (post for post in read.posts if post.delivery_id == delivery.id)
        posts = sorted(found, key=lambda post: post.message_id)
        refusal: discord.Forbidden | None = None
        for post in posts[1:]:
            if delivery.attempts == 1:
                self.on_foreign_post()
            log.warning("removing a duplicate of this delivery's post", extra={"message_id": post.message_id})
            try:
                await self._remove(post)
            except discord.Forbidden as error:
                refusal = error
        if posts and posts[0].message_id != delivery.message_id:
            return SentMessage(posts[0].message_id, posts[0].channel_id, topic=posts[0].topic)
        if refusal:
            raise refusal
        return None

    async def _remove(self, post: Post) -> None:
        """Delete the message and, for a forum post, its thread, which requires the permission Manage Threads."""
        with suppress(discord.NotFound):
            await self.client.http.delete_message(post.channel_id, post.message_id)
        if post.channel_id == post.message_id:
            with suppress(discord.NotFound):
                await self.client.http.delete_channel(post.channel_id)


def thread_name(topic: Topic, tr: Language) -> str:
    """Return the name, which fits into Discord's 100 characters, as a title has at most 60."""
    return tr("This week: {title}", title=translated(topic, tr.locale).title)
