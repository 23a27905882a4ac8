"""`weekbot content republish`: edits the outdated posts of a topic, here or by the running bot."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.post_renderer import RenderedPosts
from weekbot.cluster.process_lock import InUseError, process_lock
from weekbot.content.library import Library
from weekbot.content.loading.folder import load_library
from weekbot.content.model import Topic
from weekbot.db.database import Database
from weekbot.delivery.dispatcher import Dispatcher
from weekbot.delivery.republication import RepublicationHandler
from weekbot.delivery.worker import Worker
from weekbot.discord_io.login import log_in, require_token
from weekbot.discord_io.rate_limiter import RateLimiter
from weekbot.discord_io.rest_client import RestClient, use_addresses
from weekbot.discord_io.sender import DiscordSender
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.tasks import cancel_and_wait
from weekbot.settings import Settings, content_directory
from weekbot.store.republication import PostCounts, Republication

SHARE = 0.75  # of the budget: nobody waits for an edit, and a bot that starts meanwhile has its own requests
RELOAD_TIME = timedelta(seconds=3)  # by then a running bot has loaded the changed content
POLL_INTERVAL = timedelta(seconds=1)  # while the running bot edits
SLICE_SECONDS, SLICE_PAUSE = 2.0, timedelta(seconds=0.3)

IN_USE = "weekbot is running with this database, so it edits them itself, within its budget. Waiting for it ..."
NOT_ALL_EDITED = (
    "{} copies still show another text: Discord refused the edit, as the log says, or the running bot has other"
    " content. Fix that, then run it again."
)


async def republish(
    settings: Settings, slug: str, clock: Clock, tell: Callable[[str], None], *, dry_run: bool = False
) -> None:
    """Edit the topic's outdated posts, and `tell` the report. Raises WeekbotError at its end if some weren't edited."""
    library, cards = load_library(content_directory(settings)), RenderedPosts()
    topic = _topic(library, slug)
    async with Database(settings.database_url) as database:
        await database.upgrade()
        store = Republication(database)
        names = [name for name in await store.posted_topics() if library.find(name) is topic]
        count = partial(store.count, names, cards.versions(topic))
        before = await count()
        tell(f"{topic.title} was posted {before.current + before.outdated} times; {before.outdated} copies to edit.")
        if before.outdated and not dry_run:
            enqueue = partial(store.enqueue_outdated, names, cards.versions(topic))
            await _Republisher(settings, library, cards, clock, tell, count, enqueue).edit_all(database)
            after = await count()
            tell(f"{before.outdated - after.outdated} edited.")
            if after.outdated:
                raise WeekbotError(NOT_ALL_EDITED.format(after.outdated))


def _topic(library: Library, slug: str) -> Topic:
    if slug not in library.topics:
        near = ", ".join(topic.slug for topic in library.similar(slug))
        hint = f"did you mean {near}?" if near else "`weekbot content list` shows them all."
        raise WeekbotError(f"There is no topic {slug}; {hint}")
    return library.topics[slug]


@dataclass(repr=False)
class _Republisher:
    """Edits the posts, or waits for the running bot. It releases the lock every few seconds, so that one can start."""

    settings: Settings
    library: Library
    cards: RenderedPosts
    clock: Clock
    tell: Callable[[str], None]
    count: Callable[[], Awaitable[PostCounts]]
    enqueue: Callable[[datetime], Awaitable[object]]

    def __post_init__(self) -> None:
        self._token = require_token(self.settings.discord_token)
        self._limiter = RateLimiter(self.settings.requests_per_second * SHARE)
        self._is_enqueued = False
        use_addresses(str(self.settings.discord_api_url), None)

    async def edit_all(self, database: Database) -> None:
        async with RestClient(self._limiter) as client:
            while True:
                try:
                    async with process_lock(database) as alone:
                        await self._edit_some(client, alone)
                except InUseError:
                    await self._wait_for_bot()
                if not (await self.count()).waiting:
                    return
                await self.clock.sleep(SLICE_PAUSE)

    async def _wait_for_bot(self) -> None:
        if not self._is_enqueued:
            self.tell(IN_USE)
            await self.clock.sleep(RELOAD_TIME)
            await self._enqueue_once()
        await self.clock.sleep(POLL_INTERVAL)

    async def _enqueue_once(self) -> None:
        if not self._is_enqueued:
            self._is_enqueued = True
            await self.enqueue(self.clock.now())

    async def _edit_some(self, client: RestClient, database: Database) -> None:
        if client.user is None:
            await log_in(client, self._token)
        await self._enqueue_once()
        editor = DiscordSender(client, self.cards, custom_ids.delivered)
        handler = RepublicationHandler(lambda: self.library, Republication(database), editor, self.clock)
        dispatcher = Dispatcher([Worker(handler, self.clock)], lambda: self._limiter, self.clock)
        running = asyncio.create_task(dispatcher.run())
        try:
            await asyncio.wait({running}, timeout=SLICE_SECONDS)
            await dispatcher.stop()
            await running
        finally:
            await cancel_and_wait(running)
