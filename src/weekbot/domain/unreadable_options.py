"""Stored options that this machine can't read, such as a time zone that its tz database lacks."""

import struct
from dataclasses import dataclass
from datetime import time
from typing import Any, Literal
from zoneinfo import ZoneInfo

from weekbot.i18n.language import N_
from weekbot.runtime.errors import WeekbotError

DAYS = range(7)
STAND_INS = {"timezone": "UTC", "weekday": 0, "at": "09:00"}
"""Replacements for unreadable values in memory. They are never stored, and their subscription is never due."""
Option = Literal["timezone", "weekday", "at"]

OWN_ZONE = N_("This channel's time zone {value} is unknown to me. Choose another one with `/weekly subscribe`.")
SERVERS_ZONE = N_("This server's time zone {value} is unknown to me. Choose another one with `/weekly settings`.")
DAY = N_("This channel's day {value} can't be read. Choose one with `/weekly subscribe`.")
TIME = N_("This channel's time {value} can't be read. Choose one with `/weekly subscribe`.")


@dataclass(frozen=True)
class Unreadable:
    """A stored value of an option; the `sentence` for moderators contains `{value}`."""

    option: Option
    value: Any
    sentence: str

    @property
    def shown(self) -> str:
        """The value as inline code, so that nothing in it is Markdown."""
        return f"`{' '.join(str(self.value).replace('`', chr(39)).split())}`"


class UnreadableError(WeekbotError):
    # Nothing else can be changed before the option has another value.
    def __init__(self, unreadable: Unreadable) -> None:
        super().__init__(unreadable.sentence, value=unreadable.shown)


def zone_named(name: str) -> ZoneInfo | None:
    """Return the IANA zone with that name; None if this machine doesn't know it, or its file is damaged."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError, struct.error):
        return None


def unreadable_zone(own: str | None, servers: str) -> Unreadable | None:
    """Return the subscription's own zone, or else its server's, if this machine doesn't know it."""
    if zone_named(own or servers):
        return None
    return Unreadable("timezone", own or servers, OWN_ZONE if own else SERVERS_ZONE)


def unreadable_options(weekday: Any, at: Any, timezone: str | None, servers_timezone: str) -> tuple[Unreadable, ...]:
    found = [
        unreadable_zone(timezone, servers_timezone),
        None if weekday in DAYS else Unreadable("weekday", weekday, DAY),
        None if is_time(at) else Unreadable("at", at, TIME),
    ]
    return tuple(filter(None, found))


def is_time(text: Any) -> bool:
    try:
        return bool(f"{time.fromisoformat(text):%H:%M}" == text)
    except (TypeError, ValueError):
        return False
