"""Records the outcomes of attempts at posts: in the ledger, the metrics and the log."""

import logging
from datetime import datetime, timedelta

from weekbot.delivery.context import DeliveryContext
from weekbot.delivery.errors import PermanentError, RetryableError
from weekbot.delivery.ports import SentMessage
from weekbot.delivery.server_limit import ServerLimit
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.planning import planner_of_post
from weekbot.domain.steps import StepName, requested_steps
from weekbot.i18n.language import N_
from weekbot.store.deliveries import Deliveries
from weekbot.store.shown_topics import ShownTopic

log = logging.getLogger("weekbot.delivery.posts")  # operators filter the lines about posts by one name

MAX_REFUSALS = 25  # of a server in ten minutes: two hundred servers at their worst leave the others' posts alone
TOO_MANY = N_("Discord refused too many posts in this server; weekbot pauses them for a few minutes")
REMOVED = N_("somebody removed the post")


class PostOutcomes:
    def __init__(self, context: DeliveryContext, deliveries: Deliveries) -> None:
        self._context = context
        self._deliveries = deliveries
        self._refusals = ServerLimit(MAX_REFUSALS, timedelta(minutes=10), context.clock)

    def check_refusals(self, guild_id: int) -> None:
        """Raise RetryableError if the server has used up its share of the refusals that Discord counts."""
        if pause := self._refusals.pause(guild_id):
            raise RetryableError(TOO_MANY, pause)

    async def sent(self, delivery: Delivery, sent: SentMessage, *, found: bool = False) -> None:
        steps, now = requested_steps(delivery.subscription.options), self._context.now()
        in_forum = sent.channel_id != delivery.subscription.channel_id
        if in_forum or (delivery.attempts > 1 and not self._context.sender.nonce_known(delivery)):
            steps.append(StepName.STRAYS)
        message = (sent.message_id, sent.channel_id, steps, now, sent.version, sent.form)
        if shown := shown_topic(self._context, delivery, sent):
            log.warning("the post shows %s instead of %s", shown.slug, delivery.topic)
        await self._deliveries.record_sent(delivery, *message, found=found, shown=shown)
        if self._context.outage.record_success(delivery.subscription.guild_id):
            await self._deliveries.retry_now(now)
        late = now - delivery.slot if delivery.scheduled else None
        self._context.metrics.posted(late)
        fields = {"late_seconds": round(late.total_seconds(), 1)} if late is not None else {}
        log.info("found posted" if found else "posted", extra={"message_id": sent.message_id, **fields})

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


def shown_topic(context: DeliveryContext, delivery: Delivery, sent: SentMessage) -> ShownTopic | None:
    """The topic of the message, if it isn't the planned one."""
    if sent.topic in (None, delivery.topic):
        return None
    return ShownTopic(sent.topic, planner_of_post(context.library(), sent.topic))
