"""Servers: the settings that hold for all their subscriptions."""

from dataclasses import dataclass

DEFAULT_TIMEZONE = "UTC"


@dataclass(frozen=True)
class GuildSettings:
    """`timezone` is an IANA zone; where `notices_channel_id` is None, notices go to the system channel."""

    timezone: str = DEFAULT_TIMEZONE
    notices_channel_id: int | None = None
