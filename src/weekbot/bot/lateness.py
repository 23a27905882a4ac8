"""The expected lateness of posts whose slot many servers share, found within a time limit."""

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any

from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import describe
from weekbot.runtime.tasks import cancel_and_wait

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.1
MAX_PENDING = 2
"""The number of pending searches from which on no new ones start, because the database doesn't respond."""
SHORTEST, LONGEST = timedelta(minutes=5), timedelta(hours=1)

PostsUntilTurn = Callable[[Collection[int], int], Coroutine[Any, Any, Mapping[int, int]]]
"""Returns, by subscription id, the posts of its slot up to the end of its turn; at most as many as the limit."""


class Lateness:
    """Estimates lateness. A search that takes too long isn't cancelled, because cancelling a database call isn't safe.

    `requests_per_second` is the leader's rate, also if this process is a standby.
    """

    def __init__(self, posts_until_turn: PostsUntilTurn, requests_per_second: float, clock: Clock) -> None:
        self._posts_until_turn = posts_until_turn
        self._rate = requests_per_second
        self._clock = clock
        self._pending: set[asyncio.Task[Mapping[int, int]]] = set()

    async def of(self, subscriptions: Sequence[Subscription]) -> dict[int, timedelta]:
        """By subscription id, how late its next post may be, up to an hour, if that is more than five minutes.

        Empty if the database doesn't respond in time.
        """
        posts, now = await self._search([each.id for each in subscriptions]), self._clock.now()
        found = {}
        for each in subscriptions:
            waiting = timedelta(seconds=posts.get(each.id, 0) / self._rate)
            if waiting > SHORTEST:
                found[each.id] = min(waiting + max(now - each.next_slot.instant, timedelta()), LONGEST)
        return found

    async def stop(self) -> None:
        """Cancel all pending searches, so that the database can be closed."""
        await cancel_and_wait(*self._pending)

    async def _search(self, subscription_ids: Collection[int]) -> Mapping[int, int]:
        if len(self._pending) >= MAX_PENDING:
            return {}
        limit = math.ceil(LONGEST.total_seconds() * self._rate)
        search = asyncio.create_task(self._posts_until_turn(subscription_ids, limit))
        self._pending.add(search)
        search.add_done_callback(self._on_done)
        await asyncio.wait({search}, timeout=TIMEOUT_SECONDS)
        return search.result() if search.done() and not search.cancelled() and not search.exception() else {}

    def _on_done(self, search: asyncio.Task[Mapping[int, int]]) -> None:
        self._pending.discard(search)
        if not search.cancelled() and (error := search.exception()):
            log.info("the status is shown without the expected lateness: %s", describe(error))
