"""Deletes everything that a rehearsal made, as far as the bot may."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import discord
from discord.http import Route

from weekbot.delivery.errors import RateLimitedError
from weekbot.discord_io.errors import expect_list
from weekbot.rehearse.payload import Payload, reference
from weekbot.rehearse.rehearsal_context import RehearsalContext
from weekbot.rehearse.transcript import Exchange, with_deadline
from weekbot.runtime.errors import WeekbotError

GONE = {10003, 10008, 10015}  # the channel, the message, the webhook
LONGEST_WAIT, TRIES = timedelta(seconds=15), 4  # for rate limits
A_PAGE, MOST_PAGES = 100, 20
FOLLOW_NOTICE = 12


class ItemKind(StrEnum):
    """Named as people read it, in the order of deletion: a thread takes along everything in it."""

    THREAD = "a thread"
    MESSAGE = "a message"
    COPY = "the copy of a message"
    WEBHOOK = "the webhook by which the channel follows"


NEEDED = {ItemKind.THREAD: ["manage_threads"], ItemKind.COPY: ["manage_messages"]}


@dataclass(frozen=True)
class CreatedItem:
    """A message or a copy in a channel, a thread on or in it, or the webhook by which it follows."""

    kind: ItemKind
    channel_id: int
    id: int


class Cleanup:
    """Deletes what Discord's answers name, and what a search finds: Discord's notices, and items without an answer."""

    def __init__(self, context: RehearsalContext, began: datetime) -> None:
        self._context = context
        self._channels = context.channels
        self._http = context.client.http
        self._own_id = str(context.own_id)
        self._after = discord.utils.time_snowflake(began)
        self._pending = dict.fromkeys(created_items(context.transcript.exchanges))
        self._left: list[str] = []

    @property
    def left(self) -> list[str]:
        """A line for each item that still exists, with its link and the reason."""
        return self._left + [self._leftover(each, "not deleted") for each in self._pending]

    async def run(self) -> None:
        for found in (self._messages(), self._threads(), self._copies(), self._webhooks()):
            await self._collect(found)
        while self._pending:
            await self._remove(min(self._pending, key=lambda each: list(ItemKind).index(each.kind)))

    async def _collect(self, found: AsyncIterator[CreatedItem]) -> None:
        started = len(self._context.transcript.exchanges)
        try:
            async for each in found:
                self._pending[each] = None
        except Exception as error:
            link = self._channels.test.link(self._context.channel_id)
            self._left.append(f"{link}  possibly more ({self._context.describe(error, started)})")

    async def _messages(self) -> AsyncIterator[CreatedItem]:
        """Yield the bot's messages with the mark, and Discord's notices of them, such as of a pin."""
        channel_id, mark = self._context.channel_id, self._context.mark
        history = [each async for each in self._history(channel_id) if each["author"]["id"] == self._own_id]
        own = {each["id"] for each in history if mark in json.dumps(each)} | self._message_ids()
        for each in history:
            if each["id"] in own or reference(each) in own:
                yield CreatedItem(ItemKind.MESSAGE, channel_id, int(each["id"]))

    async def _threads(self) -> AsyncIterator[CreatedItem]:
        listed = await self._patiently(self._http.get_active_threads, self._channels.test.channel.guild.id)
        for each in listed["threads"]:
            if each["owner_id"] == self._own_id and self._context.mark in each["name"]:
                yield CreatedItem(ItemKind.THREAD, int(each["parent_id"]), int(each["id"]))

    async def _copies(self) -> AsyncIterator[CreatedItem]:
        if follower := self._channels.follower:
            published = self._message_ids()
            async for each in self._history(follower.channel.id):
                is_notice = each["type"] == FOLLOW_NOTICE and each["author"]["id"] == self._own_id
                if reference(each) in published:
                    yield CreatedItem(ItemKind.COPY, follower.channel.id, int(each["id"]))
                elif is_notice and reference(each, "channel_id") == str(self._context.channel_id):
                    yield CreatedItem(ItemKind.MESSAGE, follower.channel.id, int(each["id"]))

    async def _webhooks(self) -> AsyncIterator[CreatedItem]:
        follower = self._channels.follower
        requested = any(each.path.endswith("/followers") for each in self._context.transcript.exchanges)
        if follower and requested:
            for each in await self._patiently(self._http.channel_webhooks, follower.channel.id):
                source = each.get("source_channel") or {}
                if source.get("id") == str(self._context.channel_id) and int(each["id"]) > self._after:
                    yield CreatedItem(ItemKind.WEBHOOK, follower.channel.id, int(each["id"]))

    async def _history(self, channel_id: int) -> AsyncIterator[Payload]:
        after = self._after
        for _ in range(MOST_PAGES):
            messages = expect_list(await self._patiently(self._http.logs_from, channel_id, A_PAGE, after=after))
            for message in messages:
                yield message
            if len(messages) < A_PAGE:
                return
            after = max(int(message["id"]) for message in messages)

    def _message_ids(self) -> set[str]:
        return {str(each.id) for each in self._pending if each.kind is ItemKind.MESSAGE}

    async def _remove(self, item: CreatedItem) -> None:
        if why := self._obstacle(item) or await self._delete(item):
            self._left.append(self._leftover(item, why))
        gone_id = item.id if item.kind is ItemKind.THREAD and not why else None
        self._pending = {each: None for each in self._pending if each != item and each.channel_id != gone_id}

    def _obstacle(self, item: CreatedItem) -> str | None:
        """Return the reason why a deletion is not even tried."""
        if item.id in self._context.kept and item.kind is not ItemKind.THREAD:
            return "kept for you to look at"
        access = self._channels.access(item.channel_id)
        lacking = access.lacks(NEEDED.get(item.kind, [])) if access else []
        return f"missing: {lacking[0]}" if lacking else None

    async def _delete(self, item: CreatedItem) -> str | None:
        """Return the reason if the item still exists."""
        exchanges = self._context.transcript.exchanges
        started = len(exchanges)
        try:
            await self._patiently(self._request, item)
        except WeekbotError as error:
            is_gone = len(exchanges) > started and exchanges[-1].code in GONE
            return None if is_gone else self._context.describe(error, started)
        return None

    async def _request(self, item: CreatedItem) -> None:
        match item.kind:
            case ItemKind.THREAD:
                await self._http.delete_channel(item.id)
            case ItemKind.WEBHOOK:
                await self._http.request(Route("DELETE", "/webhooks/{webhook_id}", webhook_id=item.id))
            case _:
                await self._http.delete_message(item.channel_id, item.id)

    async def _patiently(self, ask: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """Retry after a rate limit that isn't too long. Raises delivery errors."""
        for _ in range(TRIES - 1):
            try:
                return await with_deadline(ask(*args, **kwargs))
            except RateLimitedError as error:
                if error.after > LONGEST_WAIT:
                    raise
                await self._context.clock.sleep(error.after)
        return await with_deadline(ask(*args, **kwargs))

    def _leftover(self, item: CreatedItem, why: str) -> str:
        ids = {ItemKind.THREAD: (item.id,), ItemKind.WEBHOOK: (item.channel_id,)}
        access = self._channels.access(item.channel_id) or self._channels.test
        return f"{access.link(*ids.get(item.kind, (item.channel_id, item.id)))}  {item.kind} ({why})"


def created_items(exchanges: list[Exchange]) -> Iterator[CreatedItem]:
    """Yield the messages and threads that Discord's answers name as created, and that were not deleted since."""
    done = [each for each in exchanges if each.ok]
    deleted = {each.path.rpartition("/")[2] for each in done if each.method == "DELETE"}
    created = [each for each in done if each.method == "POST" and isinstance(each.answer, dict)]
    for each in [each for each in created if each.answer.get("id") not in deleted]:
        match each.path.partition("?")[0].strip("/").split("/"):
            case ["channels", channel_id, "messages"]:
                yield CreatedItem(ItemKind.MESSAGE, int(channel_id), int(each.answer["id"]))
            case ["channels", channel_id, *between, "threads"]:
                thread_id = int(each.answer["id"])
                yield CreatedItem(ItemKind.THREAD, int(channel_id), thread_id)
                if not between:  # a forum post, whose first message has the thread's id
                    yield CreatedItem(ItemKind.MESSAGE, thread_id, thread_id)
