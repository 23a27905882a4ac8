"""Records the outcomes of attempts that did not post: in the ledger, the metrics and the log."""

import logging
from datetime import datetime, timedelta

from weekbot.delivery.context import DeliveryContext
from weekbot.delivery.errors import PermanentError, RetryableError
from weekbot.delivery.retry import ServerLimit
from weekbot.domain.deliveries import Delivery, State
from weekbot.i18n.language import N_
from weekbot.store.deliveries import Deliveries

log = logging.getLogger("weekbot.delivery.posts")  # operators filter the lines about posts by one name

MAX_REFUSALS = 25  # of a server in ten minutes: two hundred servers at their worst leave the others' posts alone
TOO_MANY = N_("Discord refused too many posts in this server; weekbot pauses them for a few minutes")
REMOVED = N_("somebody removed the post")


class PostFailures:
    def __init__(self, context: DeliveryContext, deliveries: Deliveries) -> None:
        self._context = context
        self._deliveries = deliveries
        self._refusals = ServerLimit(MAX_REFUSALS, timedelta(minutes=10), context.clock)

    def check_refusals(self, guild_id: int) -> None:
        """Raise RetryableError if the server has used up its share of the refusals that Discord counts."""
        if pause := self._refusals.pause(guild_id):
            raise RetryableError(TOO_MANY, pause)

    async def removed(self, delivery: Delivery) -> None:
        """Discord knows the nonce, but its message is gone: somebody removed the post."""
        log.info("posted, and removed by somebody")
        await self._deliveries.record_removed(delivery, REMOVED, self._context.now())
        self._context.metrics.posted(None)

    async def missed(self, delivery: Delivery, reason: str) -> None:
        log.warning("missed: %s", reason)
        await self._deliveries.record_missed(delivery, reason, self._context.now())
        self._context.metrics.ended(State.MISSED)

    async def unverified(self, delivery: Delivery, reason: str) -> None:
        log.warning("may or may not be posted: %s", reason)
        await self._deliveries.record_unverified(delivery, reason, self._context.now())
        self._context.metrics.ended(State.UNVERIFIED)

    async def refused(self, delivery: Delivery, error: PermanentError, *, notify: bool = True) -> None:
        log.warning("refused: %s", error)
        self._refusals.use(delivery.subscription.guild_id)
        state = State.BLOCKED if delivery.first_attempt_at is None else State.UNVERIFIED
        await self._deliveries.record_blocked(delivery, str(error), self._context.now(), state=state, notify=notify)
        self._context.metrics.ended(state)

    async def failed(self, delivery: Delivery, at: datetime, reason: str, *, outcome_known: bool) -> None:
        await self._deliveries.record_failed(delivery, at, reason, self._context.now(), outcome_known=outcome_known)
        self._context.metrics.retried()
