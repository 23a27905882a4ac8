"""The expected lateness of posts whose slot many servers share, found within a time limit."""

import logging
import math
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from weekbot.bot.searches import Searches, failure
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.clock import Clock

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 0.1
SHORTEST, LONGEST = timedelta(minutes=5), timedelta(hours=1)

PostsUntilTurn = Callable[[Collection[int], int], Coroutine[Any, Any, Mapping[int, int]]]
"""Returns, by subscription id, the posts of its slot up to the end of its turn; at most as many as the limit."""


class Lateness:
    """Estimates lateness. `requests_per_second` is the leader's rate, also if this process is a standby."""

    def __init__(self, posts_until_turn: PostsUntilTurn, requests_per_second: float, clock: Clock) -> None:
        self._posts_until_turn = posts_until_turn
        self._rate = requests_per_second
        self._clock = clock
        self._searches = Searches[Mapping[int, int]]()
        self.stop = self._searches.stop

    async def of(self, subscriptions: Sequence[Subscription]) -> dict[int, timedelta]:
        """By subscription id, how late its next post may be, up to an hour, if its turn is over five minutes away.

        Empty if the database doesn't respond in time.
        """
        posts, now = await self._search([each.id for each in subscriptions]), self._clock.now()
        found = {}
        for each in subscriptions:
            waiting = timedelta(seconds=posts.get(each.id, 0) / self._rate)
            if waiting > SHORTEST:
                found[each.id] = min(waiting + max(now - each.next_slot.instant, timedelta()), LONGEST)
        return found

    async def _search(self, subscription_ids: Collection[int]) -> Mapping[int, int]:
        limit = math.ceil(LONGEST.total_seconds() * self._rate)
        search = await self._searches.run(partial(self._posts_until_turn, subscription_ids, limit), TIMEOUT_SECONDS)
        if search is None:
            return {}
        if reason := failure(search):
            log.info("the status is shown without the expected lateness: %s", reason)
            return {}
        return search.result()
