"""What a rehearsal has made, by Discord's answers and by the mark that is in all that it writes."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from functools import partial
from typing import Any, TypeVar

import discord

from weekbot.clock import Clock
from weekbot.delivery.outcomes import RateLimitedError
from weekbot.rehearse.asking import asked
from weekbot.rehearse.exchange import Exchange, Payload, messages_in
from weekbot.rehearse.stage import Stage

LONGEST_WAIT, TRIES = timedelta(seconds=15), 4  # for rate limits
A_PAGE, MOST_PAGES = 100, 20
FOLLOW_NOTICE, STARTER = 12, 21

T = TypeVar("T")


class Kind(IntEnum):
    """In the order in which they are deleted."""

    THREAD = 0
    MESSAGE = 1
    COPY = 2
    WEBHOOK = 3


@dataclass(frozen=True)
class Made:
    """A message or a copy in a channel, a thread on or in it, or the webhook by which it follows."""

    kind: Kind
    channel_id: int
    id: int


def made(exchanges: Iterable[Exchange]) -> Iterator[Made]:
    """What Discord's answers say was made, and not deleted since."""
    done = [each for each in exchanges if each.ok]
    deleted = {each.path.rpartition("/")[2] for each in done if each.method == "DELETE"}
    for each in done:
        if each.method == "POST" and isinstance(each.answer, dict):
            yield from (this for this in _made(each) if str(this.id) not in deleted)


def _made(exchange: Exchange) -> Iterator[Made]:
    answer = exchange.answer
    match exchange.path.strip("/").split("/"):
        case ["channels", channel_id, "messages"]:
            yield Made(Kind.MESSAGE, int(channel_id), int(answer["id"]))
        case ["channels", channel_id, *_, "threads"]:
            yield Made(Kind.THREAD, int(channel_id), int(answer["id"]))
        case ["channels", _, "followers"]:
            yield Made(Kind.WEBHOOK, int(exchange.sent["webhook_channel_id"]), int(answer["webhook_id"]))


async def patiently(ask: Callable[[], Awaitable[T]], clock: Clock) -> T:
    """Ask again after a rate limit that is not too long. Raises the errors of `outcomes`."""
    for _ in range(TRIES - 1):
        try:
            return await asked(ask())
        except RateLimitedError as error:
            if error.after > LONGEST_WAIT:
                raise
            await clock.sleep(error.after)
    return await asked(ask())


class Search:
    """Looks for what was made though its answer got lost, and for what Discord wrote in the bot's name.

    `began` is a moment before the rehearsal, by Discord's time. Raises the errors of `outcomes`, and LookupError or
    TypeError if an answer has an unexpected form.
    """

    def __init__(self, stage: Stage, began: datetime) -> None:
        self._stage = stage
        self._http = stage.client.http
        self._after = discord.utils.time_snowflake(began)

    async def messages(self, known: Iterable[Made]) -> AsyncIterator[Made]:
        """Those with the mark, what tells of them, such as of a pin, and their threads."""
        channel_id = self._stage.channel_id
        history = [each async for each in self._history(channel_id) if self._is_own(each)]
        own = {each["id"] for each in history if self._stage.script.mark in json.dumps(each)} | _messages(known)
        for each in history:
            if each["id"] in own or _referred(each) in own:
                yield Made(Kind.MESSAGE, channel_id, int(each["id"]))
                if thread := each.get("thread"):
                    yield Made(Kind.THREAD, channel_id, int(thread["id"]))

    async def forum_posts(self, _: Iterable[Made]) -> AsyncIterator[Made]:
        if forum := self._stage.venue.forum:
            listed = await self._asked(lambda: self._http.get_active_threads(forum.channel.guild.id))
            for thread in listed["threads"]:
                if thread["owner_id"] == str(self._stage.own_id) and self._stage.script.mark in thread["name"]:
                    yield Made(Kind.THREAD, int(thread["parent_id"]), int(thread["id"]))

    async def copies(self, known: Iterable[Made]) -> AsyncIterator[Made]:
        """Those that the follower has, and what tells there that it follows."""
        if follower := self._stage.venue.follower:
            sources = _messages(known)
            async for each in self._history(follower.channel.id):
                if _referred(each) in sources:
                    yield Made(Kind.COPY, follower.channel.id, int(each["id"]))
                elif self._is_own(each) and self._tells_of_following(each):
                    yield Made(Kind.MESSAGE, follower.channel.id, int(each["id"]))

    async def webhooks(self, known: Iterable[Made]) -> AsyncIterator[Made]:
        """The one by which the follower follows, if it was to and Discord did not say so."""
        follower = self._stage.venue.follower
        to_follow = any(each.path.endswith("/followers") for each in self._stage.transcript.exchanges)
        if follower is None or not to_follow or any(each.kind is Kind.WEBHOOK for each in known):
            return
        for each in await self._asked(lambda: self._http.channel_webhooks(follower.channel.id)):
            source = each.get("source_channel") or {}
            if source.get("id") == str(self._stage.channel_id) and int(each["id"]) > self._after:
                yield Made(Kind.WEBHOOK, follower.channel.id, int(each["id"]))

    async def in_thread(self, thread_id: int) -> AsyncIterator[Made]:
        async for each in self._history(thread_id):
            if self._is_own(each) and each["type"] != STARTER:
                yield Made(Kind.MESSAGE, thread_id, int(each["id"]))

    async def _history(self, channel_id: int) -> AsyncIterator[Payload]:
        """The channel's messages since the rehearsal began."""
        after = self._after
        for _ in range(MOST_PAGES):
            ask = partial(self._http.logs_from, channel_id, A_PAGE, after=after)
            page = list(messages_in(await self._asked(ask)))
            for message in page:
                yield message
            if len(page) < A_PAGE:
                return
            after = max(int(message["id"]) for message in page)

    async def _asked(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        return await patiently(ask, self._stage.clock)

    def _is_own(self, message: Payload) -> bool:
        return bool(message["author"]["id"] == str(self._stage.own_id))

    def _tells_of_following(self, message: Payload) -> bool:
        reference = message.get("message_reference") or {}
        return message["type"] == FOLLOW_NOTICE and reference.get("channel_id") == str(self._stage.channel_id)


def _messages(known: Iterable[Made]) -> set[str]:
    return {str(each.id) for each in known if each.kind is Kind.MESSAGE}


def _referred(message: Payload) -> str | None:
    """The id of the message that this one is about."""
    reference = message.get("message_reference") or {}
    return reference.get("message_id")
