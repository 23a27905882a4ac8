"""Deleting all that a rehearsal made, as far as the bot may."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from functools import partial
from typing import Any

import discord
from discord.http import Route

from weekbot.delivery.outcomes import RateLimitedError
from weekbot.errors import WeekbotError
from weekbot.rehearse.asking import asked
from weekbot.rehearse.context import Context, what_happened
from weekbot.rehearse.payload import Payload, messages_in, reference
from weekbot.rehearse.transcript import Exchange

GONE = {10003, 10008, 10015}  # the channel, the message, the webhook
LONGEST_WAIT, TRIES = timedelta(seconds=15), 4  # for rate limits
A_PAGE, MOST_PAGES = 100, 20
FOLLOW_NOTICE = 12


class Kind(IntEnum):
    """In the order in which they are deleted: with a thread goes all that is in it."""

    THREAD = 0
    MESSAGE = 1
    COPY = 2
    WEBHOOK = 3


NAMES = {
    Kind.THREAD: "a thread",
    Kind.MESSAGE: "a message",
    Kind.COPY: "the copy of a message",
    Kind.WEBHOOK: "the webhook by which the channel follows",
}
NEEDED = {Kind.THREAD: "manage_threads", Kind.COPY: "manage_messages"}


@dataclass(frozen=True)
class Made:
    """A message or a copy in a channel, a thread on or in it, or the webhook by which it follows."""

    kind: Kind
    channel_id: int
    id: int


@dataclass(frozen=True)
class Left:
    """Something that is still there, and why."""

    what: str
    link: str
    why: str


class CleanUp:
    """Deletes what Discord's answers name, and what a search finds: its notices, and what was made unanswered.

    `began` is a moment before the rehearsal, by Discord's time.
    """

    def __init__(self, context: Context, began: datetime) -> None:
        self._context = context
        self._http = context.client.http
        self._after = discord.utils.time_snowflake(began)
        self._pending = list(dict.fromkeys(made(context.transcript.exchanges)))
        self._left: list[Left] = []

    @property
    def left(self) -> list[Left]:
        """What is still there; until `run` has ended, also what it has not come to yet."""
        return self._left + [self._unfinished(each, "not deleted") for each in self._pending]

    async def run(self) -> None:
        """Try everything, whatever fails."""
        for found in (self._messages(), self._threads(), self._copies(), self._webhooks()):
            await self._add(found)
        while self._pending:
            await self._remove(min(self._pending, key=lambda each: each.kind))

    async def _add(self, found: AsyncIterator[Made]) -> None:
        begun = len(self._context.transcript.exchanges)
        try:
            async for each in found:
                if each not in self._pending:
                    self._pending.append(each)
        except Exception as error:
            why = what_happened(error, self._context.transcript.exchanges[begun:])
            self._left.append(Left("possibly more", self._link(self._context.channel_id), why))

    async def _messages(self) -> AsyncIterator[Made]:
        """The bot's, with the mark, and Discord's notices of them, such as of a pin."""
        history = [each async for each in self._history(self._context.channel_id) if self._is_own(each)]
        own = {each["id"] for each in history if self._context.mark in json.dumps(each)} | self._message_ids()
        for each in history:
            if each["id"] in own or reference(each) in own:
                yield Made(Kind.MESSAGE, self._context.channel_id, int(each["id"]))

    async def _threads(self) -> AsyncIterator[Made]:
        guild_id = self._context.channels.test.channel.guild.id
        listed: Any = await self._patiently(partial(self._http.get_active_threads, guild_id))
        for each in listed["threads"]:
            if each["owner_id"] == str(self._context.own_id) and self._context.mark in each["name"]:
                yield Made(Kind.THREAD, int(each["parent_id"]), int(each["id"]))

    async def _copies(self) -> AsyncIterator[Made]:
        """With the notice that the channel follows."""
        if follower := self._context.channels.follower:
            published = self._message_ids()
            async for each in self._history(follower.channel.id):
                if reference(each) in published:
                    yield Made(Kind.COPY, follower.channel.id, int(each["id"]))
                elif each["type"] == FOLLOW_NOTICE and self._is_own(each) and self._is_of_test(each):
                    yield Made(Kind.MESSAGE, follower.channel.id, int(each["id"]))

    async def _webhooks(self) -> AsyncIterator[Made]:
        follower = self._context.channels.follower
        asked_for = any(each.path.endswith("/followers") for each in self._context.transcript.exchanges)
        if follower and asked_for:
            listed: Any = await self._patiently(partial(self._http.channel_webhooks, follower.channel.id))
            for each in listed:
                source = each.get("source_channel") or {}
                if source.get("id") == str(self._context.channel_id) and int(each["id"]) > self._after:
                    yield Made(Kind.WEBHOOK, follower.channel.id, int(each["id"]))

    async def _history(self, channel_id: int) -> AsyncIterator[Payload]:
        """The channel's messages since the rehearsal began."""
        after = self._after
        for _ in range(MOST_PAGES):
            page = await self._patiently(partial(self._http.logs_from, channel_id, A_PAGE, after=after))
            messages = list(messages_in(page))
            for message in messages:
                yield message
            if len(messages) < A_PAGE:
                return
            after = max(int(message["id"]) for message in messages)

    def _is_own(self, message: Payload) -> bool:
        return bool(message["author"]["id"] == str(self._context.own_id))

    def _is_of_test(self, notice: Payload) -> bool:
        return reference(notice, "channel_id") == str(self._context.channel_id)

    def _message_ids(self) -> set[str]:
        return {str(each.id) for each in self._pending if each.kind is Kind.MESSAGE}

    async def _remove(self, this: Made) -> None:
        why = self._hindrance(this) or await self._delete(this)
        if why:
            self._left.append(self._unfinished(this, why))
        gone_id = this.id if this.kind is Kind.THREAD and not why else None
        self._pending = [each for each in self._pending if each != this and each.channel_id != gone_id]

    def _hindrance(self, this: Made) -> str | None:
        """Why it is not even tried."""
        if this.id in self._context.kept and this.kind is not Kind.THREAD:
            return "kept for you to look at"
        channels = self._context.channels
        for access in filter(None, (channels.test, channels.forum, channels.follower)):
            needed = [NEEDED[this.kind]] if this.kind in NEEDED and access.channel.id == this.channel_id else []
            if lacking := access.lacks(needed):
                return f"missing: {', '.join(lacking)}"
        return None

    async def _delete(self, this: Made) -> str | None:
        """Why it is still there, if it is."""
        exchanges = self._context.transcript.exchanges
        begun = len(exchanges)
        try:
            await self._patiently(partial(self._request, this))
        except WeekbotError as error:
            is_gone = len(exchanges) > begun and exchanges[-1].code in GONE
            return None if is_gone else what_happened(error, exchanges[begun:])
        return None

    async def _request(self, this: Made) -> None:
        if this.kind is Kind.THREAD:
            await self._http.delete_channel(this.id)
        elif this.kind is Kind.WEBHOOK:
            await self._http.request(Route("DELETE", "/webhooks/{webhook_id}", webhook_id=this.id))
        else:
            await self._http.delete_message(this.channel_id, this.id)

    async def _patiently(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask again after a rate limit that is not too long. Raises the errors of `outcomes`."""
        for _ in range(TRIES - 1):
            try:
                return await asked(ask())
            except RateLimitedError as error:
                if error.after > LONGEST_WAIT:
                    raise
                await self._context.clock.sleep(error.after)
        return await asked(ask())

    def _unfinished(self, this: Made, why: str) -> Left:
        ids = {Kind.THREAD: (this.id,), Kind.WEBHOOK: (this.channel_id,)}
        return Left(NAMES[this.kind], self._link(*ids.get(this.kind, (this.channel_id, this.id))), why)

    def _link(self, *ids: int) -> str:
        channels = self._context.channels
        in_follower = channels.follower and ids[0] == channels.follower.channel.id
        access = channels.follower if channels.follower and in_follower else channels.test
        return "/".join(["https://discord.com/channels", str(access.channel.guild.id), *map(str, ids)])


def made(exchanges: list[Exchange]) -> Iterator[Made]:
    """The messages and threads that were made, by Discord's answers, and not deleted since."""
    done = [each for each in exchanges if each.ok]
    deleted = {each.path.rpartition("/")[2] for each in done if each.method == "DELETE"}
    for each in done:
        if each.method == "POST" and isinstance(each.answer, dict) and each.answer.get("id") not in deleted:
            yield from _made(each)


def _made(exchange: Exchange) -> Iterator[Made]:
    match exchange.path.partition("?")[0].strip("/").split("/"):
        case ["channels", channel_id, "messages"]:
            yield Made(Kind.MESSAGE, int(channel_id), int(exchange.answer["id"]))
        case ["channels", channel_id, *between, "threads"]:
            thread_id = int(exchange.answer["id"])
            yield Made(Kind.THREAD, int(channel_id), thread_id)
            if not between:  # a forum post, whose first message has its id
                yield Made(Kind.MESSAGE, thread_id, thread_id)
