"""Notices: telling a server once what is wrong with one of its weekly topics."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.delivery.dispatcher import Job
from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError
from weekbot.delivery.ports import NONCE_KNOWN, NoticeSender
from weekbot.delivery.retry import pause_after
from weekbot.domain.notices import Notice, NoticeKind
from weekbot.domain.shards import ALL, Shards
from weekbot.i18n.language import N_, language_of
from weekbot.runtime.clock import Clock
from weekbot.runtime.log import about
from weekbot.store.notices import Notices

log = logging.getLogger(__name__)

NOTICE_SECONDS = 30
LEASE = timedelta(seconds=40)
STALE = timedelta(days=1)

TEXTS = {
    NoticeKind.BLOCKED: N_(
        "🚫 The weekly topic could not be posted in {channel}: {reason}. "
        "Its settings are kept, no topic is lost, and the next weekly post tries again by itself."
    ),
    NoticeKind.WARNED: N_(
        "⚠️ The next weekly topic in {channel}, due {slot}, is in trouble: {reason}. "
        "`/weekly status` shows when all is well."
    ),
    NoticeKind.ROLE_GONE: N_(
        "ℹ️ The role that the weekly topic in {channel} pinged was deleted. Posts go on without a ping; "
        "`/weekly subscribe` can choose another role."
    ),
}

PUBLIC_TEXT = N_(
    "⚠️ A weekly topic of this server needs a moderator. Whoever has *Manage Server* finds out more with "
    "`/weekly status`, and can choose a channel for such notices with `/weekly settings`."
)


class NoticeQueue:
    """A source of work: the notices for servers that this process sees. What may have been told is not told again."""

    def __init__(
        self, notices: Notices, board: NoticeSender, clock: Clock, shards: Callable[[], Shards] = lambda: ALL
    ) -> None:
        self._notices = notices
        self._board = board
        self._clock = clock
        self._shards = shards

    async def claim(self, limit: int) -> Sequence[Job]:
        latest = from_now(NOTICE_SECONDS)
        taken = await self._notices.claim(self._clock.now(), LEASE, limit, self._shards())
        return [self._attempt(notice, latest) for notice in taken]

    async def next_at(self) -> datetime | None:
        return await self._notices.next_retry(self._shards())

    async def _attempt(self, notice: Notice, latest: float) -> None:
        about(notice.subscription.log_fields)
        if self._over(notice):
            await self._notices.done(notice)
            return
        try:
            async with deadline_at(latest):
                await self._board.post(notice.subscription, text_of(notice), notice.id, public_text_of(notice))
        except PermanentError as error:
            log.info("not told: %s", error)
            await self._notices.done(notice)
        except RetryableError as error:
            await self._retry(notice, error, outcome_known=True)
        except AmbiguousError as error:
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
