"""Subscriptions: a channel with its weekly slot, track and options."""

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from weekbot.domain.schedule import Slot, Weekly, next_slot
from weekbot.domain.unreadable_options import Unreadable

CHECKED_AHEAD = timedelta(days=1)
"""How long before its slot a subscription is first checked."""


JUST_COME = timedelta(minutes=5)
"""For how long after its slot a subscription may still be unclaimed in the normal course of things."""


@dataclass(frozen=True)
class Options:
    """What a moderator chooses. `timezone` None follows the server's; `ping_role_id` None pings nobody."""

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
    """A channel, its options and where it stands.

    `parent_id` is the channel that a subscribed thread is in. `round` counts the passes through the track from 1;
    `last_slot` is the one that was last claimed. `blocked` is the reason why Discord refused the last post, `warning`
    what would keep the next one from being as it should. `guild_left` where the bot is no longer in the server, whose
    moderators want to be told of trouble in the channel `guild_notices_id`, and which has set its language to
    `guild_locale`, one of Discord's. `ordinal` numbers the server's subscriptions from 0: of those that are due at one
    instant each server's first comes before any second. While something in it is `unreadable`, stand-ins replace the
    values that can't be read, it is never due, and its stored schedule stays as it is.
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
    ordinal: int = 0
    guild_left: bool = False
    guild_notices_id: int | None = None
    guild_locale: str | None = None
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def log_fields(self) -> dict[str, object]:
        """What names it in a log."""
        return {"guild": self.guild_id, "channel": self.channel_id}

    @property
    def weekly(self) -> Weekly:
        return self.options.weekly(self.guild_timezone)

    def is_due(self, now: datetime) -> bool:
        return self.active and not self.paused and not self.unreadable and self.next_slot.instant <= now

    def past(self, slot: Slot) -> "Subscription":
        """With that slot behind it."""
        return replace(self, last_slot=slot, next_slot=next_slot(self.weekly, slot.instant, slot))

    def rescheduled(self, now: datetime) -> "Subscription":
        """With its next slot computed anew, as after an edit or a pause, unless that slot came a moment ago.

        A slot that was claimed is not the next one any more, so this week's post would be lost.
        """
        if timedelta() <= now - self.next_slot.instant < JUST_COME:
            return self
        return replace(self, next_slot=next_slot(self.weekly, now, self.last_slot))
