"""Settings that hold for all of a server's subscriptions."""

from dataclasses import dataclass

DEFAULT_TIMEZONE = "UTC"


@dataclass(frozen=True)
class GuildSettings:
    """`timezone` is an IANA name. Notices go to the server's system channel if `notices_channel_id` is None."""

    timezone: str = DEFAULT_TIMEZONE
    notices_channel_id: int | None = None
