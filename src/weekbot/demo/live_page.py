"""Keeps the demo's page live, with private parts of SimCord, whose version is therefore pinned."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from simcord import Env, Preview, SetupError
from simcord._clock import Clock as SimulatedClock

from weekbot.runtime.clock import FastClock
from weekbot.runtime.tasks import cancel_and_wait

log = logging.getLogger(__name__)

CHANGES = {"MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "CHANNEL_PINS_UPDATE", "THREAD_CREATE"}
REFRESH_SECONDS = 15  # keeps "in 3 days" true
BREATH_SECONDS = 0.2  # changes within it are published together

Job = Callable[[], Awaitable[None]]


class ChannelClock(SimulatedClock):
    """Follows the bot's fast time between actions, and runs in real time otherwise: Discord allows three seconds."""

    def __init__(self, clock: FastClock) -> None:
        super().__init__()
        self._clock = clock
        self._epoch = clock.now()
        self._reached = 0.0
        self._since = time.perf_counter()

    @property
    def elapsed(self) -> float:
        return self._reached + time.perf_counter() - self._since

    @elapsed.setter
    def elapsed(self, _: float) -> None:
        """Ignore the base class, which sets it to 0."""

    def advance(self, seconds: float) -> None:
        """Do nothing: time passes by itself."""

    def catch_up(self) -> None:
        bots = (self._clock.now() - self._epoch).total_seconds()
        self._reached, self._since = max(bots, self.elapsed), time.perf_counter()


class LivePage:
    """Publishes each change, and accepts an action on a slightly outdated page, which SimCord refuses."""

    def __init__(self, env: Env, preview: Preview) -> None:
        self._clock = cast("ChannelClock", env.backend.clock)
        self._preview = cast("Any", preview)
        self._one_at_a_time = asyncio.Lock()
        self._changed = asyncio.Event()
        self._act = self._preview._action
        self._preview._action = self._action
        env.backend.subscribers.append(self._notice)

    @asynccontextmanager
    async def running(self, *jobs: Job) -> AsyncIterator[None]:
        """Keep the page live and run these jobs until the block ends. A job that fails is logged."""
        tasks = [asyncio.create_task(_logged(job)) for job in (self._keep_fresh, self._keep_time, *jobs)]
        try:
            yield
        finally:
            await cancel_and_wait(*tasks)

    async def _keep_fresh(self) -> None:
        """Publish each change, until cancelled or the page is closed."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS):  # before Python 3.12, `wait_for` can lose a cancellation
                    await self._changed.wait()
            self._changed.clear()
            async with self._one_at_a_time:
                try:
                    await self._preview.refresh()
                except TimeoutError:
                    log.warning("the bot is still busy; the page is refreshed a little later")
                except SetupError:
                    return
            await asyncio.sleep(BREATH_SECONDS)

    async def _keep_time(self) -> None:
        """Let the channel's clock follow the bot's between actions, until cancelled."""
        while True:
            async with self._one_at_a_time:
                self._clock.catch_up()
            await asyncio.sleep(BREATH_SECONDS)

    def _notice(self, event: str, _: object) -> None:
        if event in CHANGES:
            self._changed.set()

    async def _action(self, context_id: str, body: Any) -> Any:
        async with self._one_at_a_time:
            page = self._preview._pages.get(context_id)
            if page is not None:
                body = _caught_up(body, page.revision)
            result = await self._act(context_id, body)
            answers = [each["messageId"] for each in result.get("outcomes", ()) if each.get("messageId")]
            is_open = page is not None and page.id in self._preview._pages
            if is_open and answers and not result.get("rejected"):
                page.target_id = int(answers[0])  # scroll to the answer
                self._preview._publish(page, reason="action")
            return result


async def _logged(job: Job) -> None:
    try:
        await job()
    except Exception:
        log.exception("unexpected error; the demo continues without this background task")


def _caught_up(body: Any, revision: int) -> Any:
    """Return the action as if it referred to the page's latest revision."""
    behind = isinstance(body, dict) and type(body.get("published_revision")) is int
    return {**body, "published_revision": revision} if behind and body["published_revision"] < revision else body
