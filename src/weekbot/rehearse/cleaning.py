"""Deleting all that a rehearsal made, as far as the bot may."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from discord.http import Route

from weekbot.errors import WeekbotError
from weekbot.rehearse.stage import Stage, what_happened
from weekbot.rehearse.traces import Kind, Made, Search, made, patiently

GONE = {10003, 10008, 10015}  # the channel, the message, the webhook
NAMES = {
    Kind.MESSAGE: "a message",
    Kind.THREAD: "a thread",
    Kind.COPY: "the copy of a message",
    Kind.WEBHOOK: "the webhook by which the channel follows",
}


@dataclass(frozen=True)
class Left:
    """Something that is still there, and why."""

    what: str
    link: str
    why: str


class CleanUp:
    """`began` is a moment before the rehearsal, by Discord's time."""

    def __init__(self, stage: Stage, began: datetime) -> None:
        self._stage = stage
        self._search = Search(stage, began)
        self._pending = list(dict.fromkeys(made(stage.transcript.exchanges)))
        self._left: list[Left] = []

    @property
    def left(self) -> list[Left]:
        """What is still there; until `run` has ended, also what it has not come to yet."""
        return self._left + [self._unfinished(each, "not deleted") for each in self._pending]

    async def run(self) -> None:
        """Try everything, whatever fails."""
        for search in (self._search.messages, self._search.forum_posts, self._search.copies, self._search.webhooks):
            await self._add(search(tuple(self._pending)))
        for thread in [each for each in self._pending if each.kind is Kind.THREAD and self._hindrance(each)]:
            await self._add(self._search.in_thread(thread.id))
        while self._pending:
            await self._remove(min(self._pending, key=lambda each: each.kind))

    async def _add(self, found: AsyncIterator[Made]) -> None:
        begun = len(self._stage.transcript.exchanges)
        try:
            async for each in found:
                if each not in self._pending:
                    self._pending.append(each)
        except Exception as error:
            why = what_happened(error, self._stage.transcript.exchanges[begun:])
            self._left.append(Left("what else there may be", self._link(self._stage.channel_id), why))

    async def _remove(self, this: Made) -> None:
        """Delete it; a thread with everything in it."""
        why = self._hindrance(this) or await self._delete(this)
        if why:
            self._left.append(self._unfinished(this, why))
        is_gone = this.kind is Kind.THREAD and not why
        self._pending = [
            each for each in self._pending if each != this and not (is_gone and each.channel_id == this.id)
        ]

    def _hindrance(self, this: Made) -> str | None:
        """Why it is not even tried."""
        if this.kind in (Kind.MESSAGE, Kind.COPY) and this.id in self._stage.kept:
            return "kept for you to look at"
        lacking = self._lacking(this)
        return f"missing: {', '.join(lacking)}" if lacking else None

    def _lacking(self, this: Made) -> list[str]:
        venue, permission = self._stage.venue, {Kind.THREAD: "manage_threads", Kind.COPY: "manage_messages"}
        spots = [each for each in (venue.test, venue.forum, venue.follower) if each]
        spot = next((each for each in spots if each.channel.id == this.channel_id), None)
        return spot.lacks([permission[this.kind]]) if spot and this.kind in permission else []

    async def _delete(self, this: Made) -> str | None:
        """Why it is still there, if it is."""
        exchanges = self._stage.transcript.exchanges
        begun = len(exchanges)
        try:
            await patiently(lambda: self._request(this), self._stage.clock)
        except WeekbotError as error:
            is_gone = len(exchanges) > begun and exchanges[-1].code in GONE
            return None if is_gone else what_happened(error, exchanges[begun:])
        return None

    async def _request(self, this: Made) -> None:
        http = self._stage.client.http
        if this.kind is Kind.THREAD:
            await http.delete_channel(this.id)
        elif this.kind is Kind.WEBHOOK:
            await http.request(Route("DELETE", "/webhooks/{webhook_id}", webhook_id=this.id))
        else:
            await http.delete_message(this.channel_id, this.id)

    def _unfinished(self, this: Made, why: str) -> Left:
        ids = {Kind.THREAD: (this.id,), Kind.WEBHOOK: (this.channel_id,)}
        return Left(NAMES[this.kind], self._link(*ids.get(this.kind, (this.channel_id, this.id))), why)

    def _link(self, *ids: int) -> str:
        venue = self._stage.venue
        in_follower = venue.follower and ids[0] == venue.follower.channel.id
        spot = venue.follower if venue.follower and in_follower else venue.test
        return "/".join(["https://discord.com/channels", str(spot.channel.guild.id), *map(str, ids)])
