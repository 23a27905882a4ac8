"""Work that only the process that sends may take."""

from collections.abc import Callable, Sequence
from datetime import datetime

from weekbot.db.errors import FencedError
from weekbot.delivery.dispatcher import Source, Work
from weekbot.runtime.leadership import Duties


class Turn:
    """This process's turn to send, which begins when it has looked which servers the bot is in."""

    def __init__(self, duties: Duties) -> None:
        self.duties = duties
        self._begun_in = 0

    def __call__(self) -> bool:
        return self.duties.sends() and self._begun_in == self.duties.term

    def begin(self) -> None:
        self._begun_in = self.duties.term


class Only:
    """A source at times: there is no work from it while this process is not to do it."""

    def __init__(self, source: Source, when: Callable[[], bool]) -> None:
        self._source = source
        self._when = when

    async def take(self, limit: int) -> Sequence[Work]:
        if not self._when():
            return []
        try:
            return await self._source.take(limit)
        except FencedError:
            return []

    async def next_at(self) -> datetime | None:
        return await self._source.next_at() if self._when() else None
