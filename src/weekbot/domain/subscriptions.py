"""Subscriptions: a channel with its weekly slot, track and options."""

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from weekbot.domain.schedule import Slot, Weekly, next_slot
from weekbot.domain.unreadable_options import Unreadable

PREFLIGHT_LEAD = timedelta(days=1)
"""The time before a slot at which its subscription is first checked."""
CLAIM_DELAY = timedelta(minutes=5)
"""The time after a slot within which it may normally still be unclaimed."""


@dataclass(frozen=True)
class Options:
    """A moderator's options. Without a `timezone`, the server's applies."""

    track: str
    weekday: int = 0
    at: time = time(9)
    timezone: str | None = None
    ping_role_id: int | None = None
    thread: bool = False
    pin: bool = False
    publish: bool = False
    start_topic: str | None = None

    def weekly(self, guild_timezone: str) -> Weekly:
        return Weekly(self.weekday, self.at, ZoneInfo(self.timezone or guild_timezone))


@dataclass(frozen=True)
class Subscription:
    """A channel, its options and its state.

    `round` counts the passes through the track from 1; `last_slot` is the last one claimed. `blocked` is the reason why
    Discord refused the last post, `warning` the problem that the next one would have. `parent_id` is the channel of a
    subscribed thread. The `guild_` fields are the server's: whether the bot has left it, the channel for notices, and
    Discord's locale. With a value in `unreadable`, stand-ins replace unreadable options, the subscription is never due,
    and its stored schedule stays as it is.
    """

    id: int
    guild_id: int
    channel_id: int
    options: Options
    guild_timezone: str
    round: int
    next_slot: Slot
    last_slot: Slot | None = None
    chosen_topic: str | None = None
    active: bool = True
    paused: bool = False
    blocked: str | None = None
    warning: str | None = None
    pinned_message_id: int | None = None
    parent_id: int | None = None
    guild_left: bool = False
    guild_notices_id: int | None = None
    guild_locale: str | None = None
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def log_fields(self) -> dict[str, object]:
        return {"guild": self.guild_id, "channel": self.channel_id}

    @property
    def weekly(self) -> Weekly:
        return self.options.weekly(self.guild_timezone)

    def is_due(self, now: datetime) -> bool:
        return self.active and not self.paused and not self.unreadable and self.next_slot.instant <= now

    def advanced_past(self, slot: Slot) -> "Subscription":
        return replace(self, last_slot=slot, next_slot=next_slot(self.weekly, slot.instant, slot))

    def rescheduled(self, now: datetime) -> "Subscription":
        """Compute the next slot anew, as after an edit or a pause, unless the present one is just due.

        A slot that is due has not been claimed yet: without it, this week's post would be lost.
        """
        if timedelta() <= now - self.next_slot.instant < CLAIM_DELAY:
            return self
        return replace(self, next_slot=next_slot(self.weekly, now, self.last_slot))
