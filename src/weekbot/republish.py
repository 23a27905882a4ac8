"""`weekbot content republish`: every copy of a corrected topic is edited, here or by the bot that is running."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.post_renderer import RenderedPosts
from weekbot.cluster.process_lock import InUseError, process_lock
from weekbot.content.library import Library
from weekbot.content.loading.folder import load_library
from weekbot.content.model import Topic
from weekbot.db.database import Database
from weekbot.delivery.assembly import republication
from weekbot.delivery.dispatcher import Dispatcher
from weekbot.discord_io.login import log_in, require_token
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rest_client import RestClient, use_addresses
from weekbot.discord_io.sender import DiscordSender
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.settings import Settings, content_directory
from weekbot.store.republication import Count, Republication

SHARE = 0.75  # of the budget: nobody waits for it, and a bot that starts meanwhile has requests of its own
NOTICED = timedelta(seconds=3)  # by then a running bot has loaded what was just saved
LOOK_AGAIN = timedelta(seconds=1)  # while the running bot is at it
SLICE_SECONDS, LET_GO = 2.0, timedelta(seconds=0.3)

IN_USE = "weekbot is running with this database, so it edits them itself, within its budget. Waiting for it ..."


class NotAllEditedError(WeekbotError):
    """Some copies still show another text; run it again when the reason is gone."""


@dataclass(frozen=True)
class Correction:
    """A topic's versions as they should be shown, one a language, and the names under which it was posted."""

    topic: Topic
    versions: frozenset[str]
    names: frozenset[str]

    async def count(self, copies: Republication) -> Count:
        return await copies.count(self.names, self.versions)


async def republish(
    settings: Settings, slug: str, clock: Clock, tell: Callable[[str], None], *, dry_run: bool = False
) -> None:
    """Edit the copies that show another version of the topic; `tell` what there is to do, and what was done.

    Raises WeekbotError, after all the others, where some could not be edited.
    """
    library, cards = load_library(content_directory(settings)), RenderedPosts()
    topic = _topic(library, slug)
    async with Database(settings.database_url) as database:
        await database.upgrade()
        copies = Republication(database)
        names = frozenset(name for name in await copies.topics() if library.find(name) is topic)
        correction = Correction(topic, cards.versions(topic), names)
        before = await correction.count(copies)
        tell(f"{topic.title} was posted {before.current + before.outdated} times; {before.outdated} copies to edit.")
        if before.outdated and not dry_run:
            await _Republication(settings, library, cards, copies, clock).correct(correction, database, tell)
            _sum_up(before, await correction.count(copies), tell)


def _topic(library: Library, slug: str) -> Topic:
    if slug not in library.topics:
        near = ", ".join(topic.slug for topic in library.similar(slug))
        hint = f"did you mean {near}?" if near else "`weekbot content list` shows them all."
        raise WeekbotError(f"There is no topic {slug}; {hint}")
    return library.topics[slug]


def _sum_up(before: Count, after: Count, tell: Callable[[str], None]) -> None:
    tell(f"{before.outdated - after.outdated} edited.")
    if after.outdated:
        why = "Discord refused the edit, as the log says, or the running bot has other content"
        raise NotAllEditedError(f"{after.outdated} copies still show another text: {why}. Run it again afterwards.")


class _Republication:
    """Edits the copies of one correction, or waits for the bot that is running to do so.

    One process at a time sends. Here it is let go of every few seconds, so that a bot that starts need not wait.
    """

    def __init__(
        self, settings: Settings, library: Library, cards: RenderedPosts, copies: Republication, clock: Clock
    ) -> None:
        self._token = require_token(settings.discord_token)
        self._library = library
        self._cards = cards
        self._copies = copies
        self._clock = clock
        self._pace = RateLimiter(settings.requests_per_second * SHARE)
        self._marked = False
        use_addresses(str(settings.discord_api_url), None)

    async def correct(self, correction: Correction, database: Database, tell: Callable[[str], None]) -> None:
        """Return when no copy waits for its correction any more."""
        async with RestClient(self._pace) as client:
            while True:
                try:
                    async with process_lock(database) as alone:
                        await self._edit_some(client, correction, alone)
                except InUseError:
                    await self._leave_it_to_the_bot(correction, tell)
                if not (await correction.count(self._copies)).waiting:
                    return
                await self._clock.sleep(LET_GO)

    async def _leave_it_to_the_bot(self, correction: Correction, tell: Callable[[str], None]) -> None:
        if not self._marked:
            tell(IN_USE)
            await self._clock.sleep(NOTICED)
            await self._mark(correction)
        await self._clock.sleep(LOOK_AGAIN)

    async def _mark(self, correction: Correction) -> None:
        self._marked = True
        await self._copies.mark(correction.names, correction.versions, self._clock.now())

    async def _edit_some(self, client: RestClient, correction: Correction, database: Database) -> None:
        if client.user is None:
            await log_in(client, self._token)
        if not self._marked:
            await self._mark(correction)
        editor = DiscordSender(client, self._cards, custom_ids.delivered)
        copies = republication(database, editor, lambda: self._library, self._clock)
        dispatcher = Dispatcher([copies], lambda: self._pace, self._clock)
        running = asyncio.create_task(dispatcher.run())
        await asyncio.wait({running}, timeout=SLICE_SECONDS)
        await dispatcher.stop()
        await running
