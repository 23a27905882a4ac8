"""Notices: telling a server once what is wrong with one of its weekly topics."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from weekbot.clock import Clock
from weekbot.delivery.dispatch import Work
from weekbot.delivery.in_time import from_now, until
from weekbot.delivery.outcomes import NotSentError, OutcomeUnknownError, RefusedError
from weekbot.delivery.ports import NONCE_KNOWN, Board
from weekbot.delivery.retries import pause_after
from weekbot.language import N_, language_of
from weekbot.log import about
from weekbot.store.notices import Kind, Notice, Notices
from weekbot.store.shards import ALL, Shards

log = logging.getLogger(__name__)

NOTICE_SECONDS = 30
LEASE = timedelta(seconds=40)
STALE = timedelta(days=1)

TEXTS = {
    Kind.BLOCKED: N_(
        "🚫 I couldn't post the weekly topic in {channel}: {reason}. Its settings are kept and no topic is lost. I'll "
        "try again with the next weekly post."
    ),
    Kind.WARNED: N_(
        "⚠️ There is a problem with the next weekly topic in {channel}, due {slot}: {reason}. `/weekly status` shows "
        "whether it's fixed."
    ),
    Kind.ROLE_GONE: N_(
        "ℹ️ The role that the weekly topic in {channel} pinged was deleted. Posts continue without a ping. Choose "
        "another role with `/weekly subscribe`."
    ),
}

PUBLIC_TEXT = N_(
    "⚠️ A weekly topic in this server needs a moderator. Anyone with *Manage Server* can find out more with `/weekly "
    "status`, and choose a channel for such notices with `/weekly settings`."
)


class Notifier:
    """A source of work: the notices for servers that this process sees. What may have been told is not told again."""

    def __init__(
        self, notices: Notices, board: Board, clock: Clock, shards: Callable[[], Shards] = lambda: ALL
    ) -> None:
        self._notices = notices
        self._board = board
        self._clock = clock
        self._shards = shards

    async def take(self, limit: int) -> Sequence[Work]:
        latest = from_now(NOTICE_SECONDS)
        taken = await self._notices.take(self._clock.now(), LEASE, limit, self._shards())
        return [self._attempt(notice, latest) for notice in taken]

    async def next_at(self) -> datetime | None:
        return await self._notices.next_retry(self._shards())

    async def _attempt(self, notice: Notice, latest: float) -> None:
        about(notice.subscription.ids)
        if self._over(notice):
            await self._notices.done(notice)
            return
        try:
            async with until(latest):
                await self._board.post(notice.subscription, text_of(notice), notice.id, public_text_of(notice))
        except RefusedError as error:
            log.info("not told: %s", error)
            await self._notices.done(notice)
        except NotSentError as error:
            await self._retry(notice, error, outcome_known=True)
        except OutcomeUnknownError as error:
            await self._retry(notice, error, outcome_known=False)
        else:
            await self._notices.done(notice)

    def _over(self, notice: Notice) -> bool:
        """Whether it is old news, nobody's, or could be told twice."""
        if notice.subscription.guild_left or not notice.subscription.active:
            return True
        now, first = self._clock.now(), notice.first_attempt_at
        unclear = first is not None and not timedelta() <= now - first < NONCE_KNOWN
        return unclear or now - notice.created_at > STALE

    async def _retry(self, notice: Notice, error: Exception, *, outcome_known: bool) -> None:
        at = self._clock.now() + pause_after(error, notice.attempts)
        await self._notices.retry(notice, at, outcome_known=outcome_known)


def text_of(notice: Notice) -> str:
    """In the server's language."""
    subscription = notice.subscription
    tr, slot = language_of(subscription.guild_locale), int(subscription.next_slot.instant.timestamp())
    reason, channel = tr.reason(notice.reason), f"<#{subscription.channel_id}>"
    return tr(TEXTS[notice.kind], channel=channel, reason=reason, slot=f"<t:{slot}:R>")


def public_text_of(notice: Notice) -> str:
    """The text for a channel that every member may read."""
    return language_of(notice.subscription.guild_locale)(PUBLIC_TEXT)
