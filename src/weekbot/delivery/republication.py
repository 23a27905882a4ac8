"""Republisher: posts of a topic that was changed since are edited, wherever they stand."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.delivery.dispatcher import Job
from weekbot.delivery.errors import AmbiguousError, GoneError, PermanentError, RetryableError, UnreadableAnswerError
from weekbot.delivery.ports import Editor
from weekbot.delivery.retry import pause_after
from weekbot.domain.deliveries import Delivery
from weekbot.runtime.clock import Clock
from weekbot.runtime.errors import WeekbotError
from weekbot.runtime.log import about
from weekbot.runtime.repeated_warnings import CommonTrouble
from weekbot.store.republication import Republication

log = logging.getLogger(__name__)

EDIT_SECONDS = 10
LEASE = timedelta(seconds=EDIT_SECONDS + 5)
PATIENCE = 5  # the first pause is as long as a fifth one elsewhere, half a minute, because nobody waits for an edit
MOST_ATTEMPTS = 1000  # about a day
MOST_UNREADABLE = 10  # attempts whose answer can't be read: the edit was probably made


class Republisher:
    """A source of work. An edit that may have been made already is simply made again.

    None is made late, when the copy may have got a newer version from another process.
    """

    def __init__(self, library: Callable[[], Library], copies: Republication, editor: Editor, clock: Clock) -> None:
        self._library = library
        self._copies = copies
        self._editor = editor
        self._clock = clock
        self._trouble = CommonTrouble(log, "posts could not be corrected yet")

    async def claim(self, limit: int) -> Sequence[Job]:
        latest = from_now(EDIT_SECONDS)
        taken = await self._copies.claim(self._clock.now(), LEASE, limit)
        return [self._attempt(delivery, latest) for delivery in taken]

    async def next_at(self) -> datetime | None:
        return await self._copies.next_at()

    async def _attempt(self, delivery: Delivery, latest: float) -> None:
        about(delivery.log_fields)
        topic = self._library().find(delivery.topic)
        if topic is None:
            await self._copies.give_up(delivery)
        elif delivery.version == self._editor.version(delivery, topic):
            await self._corrected(delivery, topic)
        else:
            await self._correct(delivery, topic, latest)

    async def _correct(self, delivery: Delivery, topic: Topic, latest: float) -> None:
        try:
            async with deadline_at(latest):
                delivery = await self._editor.with_form(delivery)
                await self._editor.edit(delivery, topic)
        except GoneError:
            await self._corrected(delivery, topic)
        except PermanentError as error:
            await self._give_up(delivery, error)
        except (RetryableError, AmbiguousError) as error:
            await self._later(delivery, error)
        else:
            await self._corrected(delivery, topic)

    async def _later(self, delivery: Delivery, error: RetryableError | AmbiguousError) -> None:
        attempts = delivery.edit_attempts or 1
        most = MOST_UNREADABLE if isinstance(error, UnreadableAnswerError) else MOST_ATTEMPTS
        if attempts >= most:
            await self._give_up(delivery, error)
            return
        self._trouble.warn(str(error), "not corrected yet: %s", error)
        wait = pause_after(error, PATIENCE + attempts - 1)
        await self._copies.retry(delivery, self._clock.now() + wait)

    async def _give_up(self, delivery: Delivery, error: WeekbotError) -> None:
        log.warning("not corrected: %s", error)
        await self._copies.give_up(delivery, str(error))

    async def _corrected(self, delivery: Delivery, topic: Topic) -> None:
        await self._copies.corrected(delivery, self._editor.version(delivery, topic))
