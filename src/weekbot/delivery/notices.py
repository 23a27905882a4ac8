"""Notices: telling a server once what is wrong with one of its weekly topics."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from weekbot.delivery.deadline import deadline_at
from weekbot.delivery.errors import RetryableError
from weekbot.delivery.ports import NONCE_KNOWN, NoticeSender
from weekbot.delivery.retry import pause_after
from weekbot.delivery.worker import GivenUp, Retried, settle
from weekbot.domain.notices import Notice, NoticeKind
from weekbot.domain.shards import ALL, Shards
from weekbot.i18n.language import N_, language_of
from weekbot.runtime.clock import Clock
from weekbot.runtime.log import bind_log_context
from weekbot.store.notices import Notices, of_shards

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


class NoticeHandler:
    """Sends the notices for servers that this process sees. A notice that may have been sent isn't sent again."""

    seconds = NOTICE_SECONDS

    def __init__(
        self, notices: Notices, sender: NoticeSender, clock: Clock, shards: Callable[[], Shards] = lambda: ALL
    ) -> None:
        self._notices = notices
        self._sender = sender
        self._clock = clock
        self._shards = shards

    async def claim(self, now: datetime, limit: int) -> Sequence[Notice]:
        return await self._notices.claim(now, LEASE, limit, of_shards(self._shards()))

    async def next_at(self) -> datetime | None:
        return await self._notices.next_at(of_shards(self._shards()))

    async def attempt(self, notice: Notice, deadline: float) -> None:
        bind_log_context(notice.subscription.log_fields)
        await settle(self, notice, self._send(notice, deadline))

    async def _send(self, notice: Notice, deadline: float) -> None:
        if not self._is_over(notice):
            async with deadline_at(deadline):
                await self._sender.post(notice.subscription, text_of(notice), notice.id, public_text_of(notice))
        await self._notices.finish(notice)

    def _is_over(self, notice: Notice) -> bool:
        """Whether it is old news, nobody's, or could be sent twice."""
        if notice.subscription.guild_left or not notice.subscription.active:
            return True
        now, first = self._clock.now(), notice.first_attempt_at
        unclear = first is not None and not timedelta() <= now - first < NONCE_KNOWN
        return unclear or now - notice.created_at > STALE

    async def give_up(self, notice: Notice, error: GivenUp) -> None:
        log.info("notice not sent: %s", error)
        await self._notices.finish(notice)

    async def retry(self, notice: Notice, error: Retried) -> None:
        at = self._clock.now() + pause_after(error, notice.attempts)
        not_sent = isinstance(error, RetryableError) and notice.first_attempt_at is None
        await self._notices.retry(notice, at, **({"first_attempt_at": None} if not_sent else {}))


def text_of(notice: Notice) -> str:
    """In the server's language."""
    subscription = notice.subscription
    tr, slot = language_of(subscription.guild_locale), int(subscription.next_slot.instant.timestamp())
    reason, channel = tr.reason(notice.reason), f"<#{subscription.channel_id}>"
    return tr(TEXTS[notice.kind], channel=channel, reason=reason, slot=f"<t:{slot}:R>")


def public_text_of(notice: Notice) -> str:
    """The text for a channel that every member may read."""
    return language_of(notice.subscription.guild_locale)(PUBLIC_TEXT)
