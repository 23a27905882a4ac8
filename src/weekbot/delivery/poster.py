"""One attempt at one delivery: from what the ledger knows of it to what the ledger records of it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from weekbot.clock import Clock
from weekbot.content.library import Library
from weekbot.delivery.outcomes import HistoryUnreadableError, NotSentError, OutcomeUnknownError, RefusedError
from weekbot.delivery.plan import planner, too_late
from weekbot.delivery.ports import Sender, Sent
from weekbot.delivery.retries import pause_after, reason_of
from weekbot.store.deliveries import Deliveries, Delivery
from weekbot.store.steps import wanted

log = logging.getLogger(__name__)

ATTEMPT_SECONDS = 40
LEASE = timedelta(seconds=45)  # longer than an attempt, and short enough for the nonce to be known at the next


class Poster:
    """A delivery whose `first_attempt_at` is set has an unknown outcome: it may stand in the channel already."""

    def __init__(
        self,
        library: Callable[[], Library],
        deliveries: Deliveries,
        sender: Sender,
        clock: Clock,
        catch_up: timedelta,
    ) -> None:
        self._library = library
        self._deliveries = deliveries
        self._sender = sender
        self._clock = clock
        self._catch_up = catch_up
        self._in_flight: set[str] = set()

    async def attempt(self, delivery: Delivery) -> None:
        """Post the delivery if it is not posted yet, and record what became of it; never twice at once."""
        if delivery.id in self._in_flight:
            return
        self._in_flight.add(delivery.id)
        try:
            await self._settle(delivery)
        finally:
            self._in_flight.discard(delivery.id)

    async def _settle(self, delivery: Delivery) -> None:
        unsettled: Delivery | None = delivery
        if self._nonce_forgotten(delivery):
            unsettled = await self._look_up(delivery)
        if unsettled is None:
            return
        if unsettled.first_attempt_at is None and (reason := self._not_wanted(unsettled)):
            await self._deliveries.missed(unsettled, reason)
        else:
            await self._send(unsettled)

    def _not_wanted(self, delivery: Delivery) -> str | None:
        """Why a delivery that is certainly not posted should not be posted any more."""
        if not delivery.subscription.active:
            return "the channel was unsubscribed"
        if delivery.subscription.paused and delivery.scheduled:
            return "the channel was paused"
        if too_late(delivery.slot, self._clock.now(), self._catch_up):
            return delivery.reason or "it could not be posted in time"
        return None

    def _nonce_forgotten(self, delivery: Delivery) -> bool:
        """Whether sending again could double the post."""
        first = delivery.first_attempt_at
        return first is not None and self._clock.now() - first >= self._sender.nonce_known(delivery)

    async def _look_up(self, delivery: Delivery) -> Delivery | None:
        """Settle an unknown outcome by the channel's history; the delivery comes back where it was not posted."""
        tried = replace(delivery, attempts=delivery.attempts + 1)
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                sent = await self._sender.find(delivery)
        except (HistoryUnreadableError, RefusedError) as error:
            await self._deliveries.unverified(delivery, str(error))
        except (NotSentError, OutcomeUnknownError, TimeoutError) as error:
            await self._retry(tried, error, outcome_known=False)
        except Exception as error:
            log.exception("delivery %s: unexpected error in its look-up", delivery.id)
            await self._retry(tried, error, outcome_known=False)
        else:
            if sent is None:
                return replace(delivery, first_attempt_at=None)
            await self._record(delivery, sent)
        return None

    async def _send(self, delivery: Delivery) -> None:
        outcome_known = delivery.first_attempt_at is None
        topics = self._library().topics
        if delivery.topic not in topics and outcome_known:
            delivery = await self._deliveries.replan(delivery, planner(self._library()))
        begun = await self._deliveries.begin_attempt(delivery, self._clock.now(), LEASE)
        if begun is None:
            return
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                sent = await self._sender.send(begun, topics[begun.topic])
        except RefusedError as error:
            await self._refused(begun, error, outcome_known=outcome_known)
        except NotSentError as error:
            await self._retry(begun, error, outcome_known=outcome_known)
        except (OutcomeUnknownError, TimeoutError) as error:
            await self._retry(begun, error, outcome_known=False)
        else:
            await self._record(begun, sent)

    async def _record(self, delivery: Delivery, sent: Sent) -> None:
        options = delivery.subscription.options
        await self._deliveries.sent(delivery, sent.message_id, sent.channel_id, wanted(options))
        log.info("posted %s in channel %d", delivery.topic, delivery.subscription.channel_id)

    async def _refused(self, delivery: Delivery, error: RefusedError, *, outcome_known: bool) -> None:
        log.warning("channel %d refused the post: %s", delivery.subscription.channel_id, error)
        if outcome_known:
            await self._deliveries.blocked(delivery, str(error))
        else:
            await self._deliveries.unverified(delivery, str(error))

    async def _retry(self, delivery: Delivery, error: Exception, *, outcome_known: bool) -> None:
        now = self._clock.now()
        if not outcome_known and too_late(delivery.slot, now, self._catch_up + LEASE):
            await self._deliveries.unverified(delivery, str(error))
            return
        at, reason = now + pause_after(error, delivery.attempts), reason_of(error)
        log.warning("channel %d: %s; trying again at %s", delivery.subscription.channel_id, reason, at)
        await self._deliveries.retry(delivery, at, reason, outcome_known=outcome_known)
