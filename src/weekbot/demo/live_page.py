"""The demo's page, kept live.

SimCord's page shows what was published to it, and an action on it is refused where something was published meanwhile.
`LivePage` publishes by itself whenever the channel changed, one thing at a time, and lets an action through that is
only a moment behind. It reaches into SimCord for that, whose version is pinned for this reason.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

from simcord import Env, Preview, SetupError

from weekbot.demo.channel_clock import ChannelClock

log = logging.getLogger(__name__)

CHANGES = {"MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE", "CHANNEL_PINS_UPDATE", "THREAD_CREATE"}
REFRESH_SECONDS = 15  # keeps "in 3 days" true
BREATH_SECONDS = 0.2  # several changes at once are published together


class LivePage:
    def __init__(self, env: Env, preview: Preview, clock: ChannelClock) -> None:
        self._clock = clock
        self._preview = cast("Any", preview)
        self._one_at_a_time = asyncio.Lock()
        self._changed = asyncio.Event()
        self._act = self._preview._action
        self._preview._action = self._action
        env.backend.subscribers.append(self._heard)

    @asynccontextmanager
    async def kept(self, *works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """Live, and with these works going on, until the block ends."""
        tasks = [asyncio.create_task(work) for work in (self.keep_fresh(), self.keep_time(), *works)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def keep_fresh(self) -> None:
        """Publish after each change, until cancelled or the page is closed."""
        while True:
            await self._change_or_time_out()
            async with self._one_at_a_time:
                try:
                    await self._preview.refresh()
                except TimeoutError:
                    log.warning("the bot is still busy; the page is refreshed a little later")
                except SetupError:
                    return
            await asyncio.sleep(BREATH_SECONDS)

    async def keep_time(self) -> None:
        """Let the channel's time follow the bot's while nobody acts, until cancelled."""
        while True:
            async with self._one_at_a_time:
                self._clock.catch_up()
            await asyncio.sleep(BREATH_SECONDS)

    async def _change_or_time_out(self) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), REFRESH_SECONDS)
        except TimeoutError:
            return
        finally:
            self._changed.clear()

    def _heard(self, event: str, _: object) -> None:
        if event in CHANGES:
            self._changed.set()

    async def _action(self, context_id: str, body: Any) -> Any:
        async with self._one_at_a_time:
            page = self._preview._pages.get(context_id)
            if page is not None:
                body = _caught_up(body, page.revision)
            result = await self._act(context_id, body)
            if page is not None and page.id in self._preview._pages and not result.get("rejected"):
                self._show_answer(page, result)
            return result

    def _show_answer(self, page: Any, result: Any) -> None:
        """Scroll the page to the answer that the action got."""
        answers = [outcome for outcome in result.get("outcomes", ()) if outcome.get("messageId")]
        if answers:
            page.target_id = int(answers[0]["messageId"])
            self._preview._publish(page, reason="action")


def _caught_up(body: Any, revision: int) -> Any:
    """The action as if it came from the page's latest revision."""
    behind = isinstance(body, dict) and type(body.get("published_revision")) is int
    return {**body, "published_revision": revision} if behind and body["published_revision"] < revision else body
