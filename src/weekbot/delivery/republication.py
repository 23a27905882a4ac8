"""Edits the posts of topics that have changed since."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from weekbot.content.library import Library
from weekbot.delivery.deadline import deadline_at
from weekbot.delivery.errors import GoneError, UnreadableAnswerError
from weekbot.delivery.ports import Editor
from weekbot.delivery.retry import pause_after
from weekbot.delivery.worker import FinalError, TemporaryError, run_attempt
from weekbot.domain.deliveries import Delivery
from weekbot.runtime.clock import Clock
from weekbot.runtime.log import RepeatedWarnings
from weekbot.store.republication import Republication

log = logging.getLogger(__name__)

EDIT_SECONDS = 10
LEASE = timedelta(seconds=EDIT_SECONDS + 5)
FIRST_PAUSE = 5  # as long as the fifth pause elsewhere, half a minute, because nobody waits for an edit
MAX_ATTEMPTS = 1000  # about a day
MAX_UNREADABLE = 10  # attempts with an unreadable answer: the edit was probably made


class RepublicationHandler:
    """An ambiguous edit is repeated, but not after its deadline: another process may have edited since."""

    seconds = EDIT_SECONDS

    def __init__(self, library: Callable[[], Library], posts: Republication, editor: Editor, clock: Clock) -> None:
        self._library = library
        self._posts = posts
        self.next_at = posts.next_at
        self._editor = editor
        self._clock = clock
        self._warnings = RepeatedWarnings(log, "posts could not be corrected yet")

    async def claim(self, now: datetime, limit: int) -> Sequence[Delivery]:
        return await self._posts.claim(now, LEASE, limit)

    async def attempt(self, delivery: Delivery, deadline: float) -> None:
        await run_attempt(self, delivery, delivery.log_fields, self._edit(delivery, deadline))

    async def _edit(self, delivery: Delivery, deadline: float) -> None:
        topic = self._library().find(delivery.topic)
        if topic is None:
            await self._posts.finish(delivery, reason=None)
            return
        if delivery.version != self._editor.version(delivery, topic):
            with suppress(GoneError):
                async with deadline_at(deadline):
                    delivery = await self._editor.with_form(delivery)
                    await self._editor.edit(delivery, topic)
        await self._posts.record_edit(delivery, self._editor.version(delivery, topic))

    async def retry(self, delivery: Delivery, error: TemporaryError) -> None:
        attempts = delivery.edit_attempts or 1
        if attempts >= (MAX_UNREADABLE if isinstance(error, UnreadableAnswerError) else MAX_ATTEMPTS):
            await self.give_up(delivery, error)
            return
        self._warnings.warn(str(error), "not corrected yet: %s", error)
        await self._posts.retry(delivery, self._clock.now() + pause_after(error, FIRST_PAUSE + attempts - 1))

    async def give_up(self, delivery: Delivery, error: FinalError | TemporaryError) -> None:
        log.warning("not corrected: %s", error)
        await self._posts.finish(delivery, reason=str(error))
