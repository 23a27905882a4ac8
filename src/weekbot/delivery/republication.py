"""Republisher: posts of a topic that was changed since are edited, wherever they stand."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.delivery.deadline import deadline_at
from weekbot.delivery.errors import GoneError, UnreadableAnswerError
from weekbot.delivery.ports import Editor
from weekbot.delivery.retry import pause_after
from weekbot.delivery.worker import GivenUp, Retried, settle
from weekbot.domain.deliveries import Delivery
from weekbot.runtime.clock import Clock
from weekbot.runtime.log import bind_log_context
from weekbot.runtime.repeated_warnings import RepeatedWarnings
from weekbot.store.republication import Republication

log = logging.getLogger(__name__)

EDIT_SECONDS = 10
LEASE = timedelta(seconds=EDIT_SECONDS + 5)
PATIENCE = 5  # the first pause is as long as a fifth one elsewhere, half a minute, because nobody waits for an edit
MOST_ATTEMPTS = 1000  # bind_log_context a day
MOST_UNREADABLE = 10  # attempts whose answer can't be read: the edit was probably made


class RepublicationHandler:
    """An edit that may have been made already is made again, but none late: another process may have edited since."""

    seconds = EDIT_SECONDS

    def __init__(self, library: Callable[[], Library], copies: Republication, editor: Editor, clock: Clock) -> None:
        self._library = library
        self._copies = copies
        self._editor = editor
        self._clock = clock
        self._trouble = RepeatedWarnings(log, "posts could not be corrected yet")

    async def claim(self, now: datetime, limit: int) -> Sequence[Delivery]:
        return await self._copies.claim(now, LEASE, limit)

    async def next_at(self) -> datetime | None:
        return await self._copies.next_at()

    async def attempt(self, delivery: Delivery, deadline: float) -> None:
        bind_log_context(delivery.log_fields)
        topic = self._library().find(delivery.topic)
        if topic is None:
            await self._copies.give_up(delivery)
        else:
            await settle(self, delivery, self._edit(delivery, topic, deadline))

    async def _edit(self, delivery: Delivery, topic: Topic, deadline: float) -> None:
        if delivery.version != self._editor.version(delivery, topic):
            with suppress(GoneError):
                async with deadline_at(deadline):
                    delivery = await self._editor.with_form(delivery)
                    await self._editor.edit(delivery, topic)
        await self._copies.edited(delivery, self._editor.version(delivery, topic))

    async def retry(self, delivery: Delivery, error: Retried) -> None:
        attempts = delivery.edit_attempts or 1
        most = MOST_UNREADABLE if isinstance(error, UnreadableAnswerError) else MOST_ATTEMPTS
        if attempts >= most:
            await self.give_up(delivery, error)
            return
        self._trouble.warn(str(error), "not corrected yet: %s", error)
        await self._copies.retry(delivery, self._clock.now() + pause_after(error, PATIENCE + attempts - 1))

    async def give_up(self, delivery: Delivery, error: GivenUp | Retried) -> None:
        log.warning("not corrected: %s", error)
        await self._copies.give_up(delivery, str(error))
