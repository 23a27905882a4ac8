"""`weekbot content republish`: edits the outdated posts of a topic, here or by the running bot."""

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
from weekbot.runtime.tasks import cancel_and_wait
from weekbot.settings import Settings, content_directory
from weekbot.store.republication import PostCounts, Republication

SHARE = 0.75  # of the budget: nobody waits for an edit, and a bot that starts meanwhile has its own requests
RELOAD_TIME = timedelta(seconds=3)  # by then a running bot has loaded the changed content
POLL_INTERVAL = timedelta(seconds=1)  # while the running bot edits
SLICE_SECONDS, SLICE_PAUSE = 2.0, timedelta(seconds=0.3)

IN_USE = "weekbot is running with this database, so it edits them itself, within its budget. Waiting for it ..."


class NotAllEditedError(WeekbotError):
    """Some copies still show another text; fix the cause, then run it again."""


@dataclass(frozen=True)
class _TopicPosts:
    """The posts of a topic: its current versions, one per language, and the names under which it was posted."""

    store: Republication
    versions: frozenset[str]
    names: frozenset[str]

    async def count(self) -> PostCounts:
        return await self.store.count(self.names, self.versions)


async def republish(
    settings: Settings, slug: str, clock: Clock, tell: Callable[[str], None], *, dry_run: bool = False
) -> None:
    """Edit the posts that show another version of the topic; `tell` is called with each line of the report.

    Raises WeekbotError, after all others are edited, if some could not be edited.
    """
    library, cards = load_library(content_directory(settings)), RenderedPosts()
    topic = _topic(library, slug)
    async with Database(settings.database_url) as database:
        await database.upgrade()
        store = Republication(database)
        names = frozenset(name for name in await store.posted_topics() if library.find(name) is topic)
        posts = _TopicPosts(store, cards.versions(topic), names)
        before = await posts.count()
        tell(f"{topic.title} was posted {before.current + before.outdated} times; {before.outdated} copies to edit.")
        if before.outdated and not dry_run:
            await _Republisher(settings, library, cards, posts, clock).edit_all(database, tell)
            _report(before, await posts.count(), tell)


def _topic(library: Library, slug: str) -> Topic:
    if slug not in library.topics:
        near = ", ".join(topic.slug for topic in library.similar(slug))
        hint = f"did you mean {near}?" if near else "`weekbot content list` shows them all."
        raise WeekbotError(f"There is no topic {slug}; {hint}")
    return library.topics[slug]


def _report(before: PostCounts, after: PostCounts, tell: Callable[[str], None]) -> None:
    tell(f"{before.outdated - after.outdated} edited.")
    if after.outdated:
        why = "Discord refused the edit, as the log says, or the running bot has other content"
        raise NotAllEditedError(f"{after.outdated} copies still show another text: {why}. Fix that, then run it again.")


class _Republisher:
    """Edits the posts, or waits for the running bot to do so.

    Only one process sends at a time. This one releases the lock every few seconds, so that a bot can start.
    """

    def __init__(
        self, settings: Settings, library: Library, cards: RenderedPosts, posts: _TopicPosts, clock: Clock
    ) -> None:
        self._token = require_token(settings.discord_token)
        self._library = library
        self._cards = cards
        self._posts = posts
        self._clock = clock
        self._limiter = RateLimiter(settings.requests_per_second * SHARE)
        self._is_enqueued = False
        use_addresses(str(settings.discord_api_url), None)

    async def edit_all(self, database: Database, tell: Callable[[str], None]) -> None:
        async with RestClient(self._limiter) as client:
            while True:
                try:
                    async with process_lock(database) as alone:
                        await self._edit_some(client, alone)
                except InUseError:
                    await self._wait_for_bot(tell)
                if not (await self._posts.count()).waiting:
                    return
                await self._clock.sleep(SLICE_PAUSE)

    async def _wait_for_bot(self, tell: Callable[[str], None]) -> None:
        if not self._is_enqueued:
            tell(IN_USE)
            await self._clock.sleep(RELOAD_TIME)
            await self._enqueue()
        await self._clock.sleep(POLL_INTERVAL)

    async def _enqueue(self) -> None:
        self._is_enqueued = True
        await self._posts.store.enqueue_outdated(self._posts.names, self._posts.versions, self._clock.now())

    async def _edit_some(self, client: RestClient, database: Database) -> None:
        if client.user is None:
            await log_in(client, self._token)
        if not self._is_enqueued:
            await self._enqueue()
        editor = DiscordSender(client, self._cards, custom_ids.delivered)
        queue = republication(database, editor, lambda: self._library, self._clock)
        dispatcher = Dispatcher([queue], lambda: self._limiter, self._clock)
        running = asyncio.create_task(dispatcher.run())
        try:
            await asyncio.wait({running}, timeout=SLICE_SECONDS)
            await dispatcher.stop()
            await running
        finally:
            await cancel_and_wait(running)
