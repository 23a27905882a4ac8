"""Looks up posts that the ledger lacks, because it is from an earlier time, before a channel's next post."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial

from weekbot.delivery.context import DeliveryContext
from weekbot.delivery.deadline import deadline_at
from weekbot.delivery.posts import ATTEMPT_SECONDS, LEASE
from weekbot.delivery.retry import pause_after
from weekbot.delivery.token_users import Sign
from weekbot.delivery.worker import FinalError, TemporaryError, run_attempt
from weekbot.domain.deliveries import State
from weekbot.domain.planning import planner, planner_of_post
from weekbot.domain.reconciliations import CLOCK_SKEW, Post, Reconciliation
from weekbot.domain.steps import requested_steps
from weekbot.runtime.log import RepeatedWarnings
from weekbot.store.reconciliations import Reconciliations

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 150  # about a day; or that many thousand messages
OLDER_COPY = (
    "the database does not know posts from before this start, and adds them now: it is an older copy, or another"
    " program posts with the bot's token. After the next restore run `weekbot db mark-restored` before weekbot starts"
)


class ReconciliationHandler:
    seconds = ATTEMPT_SECONDS

    def __init__(self, context: DeliveryContext, reconciliations: Reconciliations) -> None:
        self._context, self._reconciliations = context, reconciliations
        self._started: datetime | None = None
        self._has_warned = self._has_finished = False  # since the start, and since the last call of `next_at`
        self._warnings = RepeatedWarnings(log, "channels could not be looked up and will be again")

    async def claim(self, now: datetime, limit: int) -> Sequence[Reconciliation]:
        self._started = self._started or now
        return await self._reconciliations.claim(now, LEASE, limit)

    async def next_at(self) -> datetime | None:
        """Now, if a look-up has finished since, because a post may have waited for it."""
        has_finished, self._has_finished = self._has_finished, False
        return self._context.now() if has_finished else await self._reconciliations.next_at()

    async def attempt(self, job: Reconciliation, deadline: float) -> None:
        await run_attempt(self, job, job.subscription.log_fields, self._look_up(job, deadline))

    async def _look_up(self, job: Reconciliation, deadline: float) -> None:
        async with deadline_at(deadline):
            read = await self._context.sender.posts_in(job.subscription, job.since - CLOCK_SKEW, job.cursor)
        subscription, plan = job.subscription, partial(planner_of_post, self._context.library())
        steps, now = requested_steps(subscription.options), self._context.now()
        async with nullcontext() if read.cursor else self._context.verification.completing(subscription):
            found = await self._reconciliations.record_posts(job, read.posts, plan, steps, now, read.cursor)
        self._has_finished |= not read.cursor
        if count := len(found.unknown) + len(found.pending):
            log.info("recorded %d posts that the ledger lacked", count)
        self._explain(found.unknown, restored=job.restored)

    def _explain(self, unknown: Sequence[Post], *, restored: bool) -> None:
        """Report that another program posted, or that the database is an older copy."""
        since_start = [post for post in unknown if self._started and post.at > self._started]
        if since_start:
            self._context.token_users.record(Sign.POST)
        if len(unknown) > len(since_start) and not (restored or self._has_warned):
            self._has_warned = True
            log.warning(OLDER_COPY)

    async def retry(self, job: Reconciliation, error: TemporaryError) -> None:
        if job.attempts >= MAX_ATTEMPTS:
            await self.give_up(job, error)
            return
        at = self._context.now() + pause_after(error, job.attempts)
        self._warnings.warn(str(error), "looked up again at %s: %s", at.isoformat(timespec="seconds"), error)
        await self._reconciliations.retry(job, at)

    async def give_up(self, job: Reconciliation, error: FinalError | TemporaryError) -> None:
        """Continue without a look-up: whatever certainly wasn't sent is sent."""
        log.warning("not looked up: %s", error)
        plan = planner(self._context.library(), State.UNVERIFIED, reason=str(error))
        async with self._context.verification.completing(job.subscription):
            await self._reconciliations.record_unreadable(job, plan, self._context.now())
        self._has_finished = True
