"""Sends notices about weekly topics to the moderators."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from weekbot.delivery.deadline import deadline_at
from weekbot.delivery.errors import RetryableError
from weekbot.delivery.ports import NONCE_KNOWN, NoticeSender
from weekbot.delivery.retry import pause_after
from weekbot.delivery.worker import FinalError, TemporaryError, run_attempt
from weekbot.domain.notices import Notice, NoticeKind
from weekbot.domain.shards import ALL, Shards
from weekbot.i18n.language import N_, language_of
from weekbot.runtime.clock import Clock
from weekbot.store.notices import Notices, of_shards

log = logging.getLogger(__name__)

NOTICE_SECONDS = 30
LEASE = timedelta(seconds=40)
STALE = timedelta(days=1)

TEXTS = {
    NoticeKind.BLOCKED: N_(
        "🚫 I couldn't post the weekly topic in {channel}: {reason}. Its settings are kept and no topic is lost. I'll "
        "try again with the next weekly post."
    ),
    NoticeKind.WARNED: N_(
        "⚠️ There is a problem with the next weekly topic in {channel}, due {slot}: {reason}. `/weekly status` shows "
        "whether it's fixed."
    ),
    NoticeKind.ROLE_GONE: N_(
        "ℹ️ The role that the weekly topic in {channel} pinged was deleted. Posts continue without a ping. Choose "
        "another role with `/weekly subscribe`."
    ),
}

PUBLIC_TEXT = N_(
    "⚠️ A weekly topic in this server needs a moderator. Anyone with *Manage Server* can find out more with `/weekly "
    "status`, and choose a channel for such notices with `/weekly settings`."
)


@dataclass(frozen=True)
class NoticeHandler:
    """Sends the notices for servers that this process sees. A notice that may have been sent isn't sent again."""

    notices: Notices
    sender: NoticeSender
    clock: Clock
    shards: Callable[[], Shards] = lambda: ALL
    seconds: float = NOTICE_SECONDS

    async def claim(self, now: datetime, limit: int) -> Sequence[Notice]:
        return await self.notices.claim(now, LEASE, limit, of_shards(self.shards()))

    async def next_at(self) -> datetime | None:
        return await self.notices.next_at(of_shards(self.shards()))

    async def attempt(self, notice: Notice, deadline: float) -> None:
        await run_attempt(self, notice, notice.subscription.log_fields, self._send(notice, deadline))

    async def _send(self, notice: Notice, deadline: float) -> None:
        if not self._is_obsolete(notice):
            async with deadline_at(deadline):
                await self.sender.post(notice.subscription, text_of(notice), notice.id, public_text_of(notice))
        await self.notices.finish(notice)

    def _is_obsolete(self, notice: Notice) -> bool:
        """True if the notice is old, has no recipient, or could be sent twice."""
        if notice.subscription.guild_left or not notice.subscription.active:
            return True
        now, first = self.clock.now(), notice.first_attempt_at
        may_repeat = first is not None and not timedelta() <= now - first < NONCE_KNOWN
        return may_repeat or now - notice.created_at > STALE

    async def give_up(self, notice: Notice, error: FinalError) -> None:
        log.info("notice not sent: %s", error)
        await self.notices.finish(notice)

    async def retry(self, notice: Notice, error: TemporaryError) -> None:
        at = self.clock.now() + pause_after(error, notice.attempts)
        not_sent = isinstance(error, RetryableError) and notice.first_attempt_at is None
        await self.notices.retry(notice, at, **({"first_attempt_at": None} if not_sent else {}))


def text_of(notice: Notice) -> str:
    subscription = notice.subscription
    tr, slot = language_of(subscription.guild_locale), int(subscription.next_slot.instant.timestamp())
    reason, channel = tr.reason(notice.reason), f"<#{subscription.channel_id}>"
    return tr(TEXTS[notice.kind], channel=channel, reason=reason, slot=f"<t:{slot}:R>")


def public_text_of(notice: Notice) -> str:
    """The text for a channel that every member may read."""
    return language_of(notice.subscription.guild_locale)(PUBLIC_TEXT)
