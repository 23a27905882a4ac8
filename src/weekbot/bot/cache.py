"""discord.py's cache of servers, most of a large bot's memory, without what weekbot never reads of them."""

from typing import Any

import discord
from discord.state import AutoShardedConnectionState

UNREAD_OF_GUILDS = ("banner", "description", "discovery_splash", "features", "icon", "splash")
UNREAD_OF_CHANNELS = ("last_message_id", "topic")


class LeanCache(AutoShardedConnectionState[Any]):
    """Channels are known by their mention, so that they need no name; those with equal overwrites share them."""

    def parse_guild_create(self, data: Any) -> None:
        super().parse_guild_create(_lean_guild(data))
        if guild := self._get_guild(int(data["id"])):
            _share_overwrites(guild)

    def parse_guild_update(self, data: Any) -> None:
        super().parse_guild_update(_lean_guild(data))

    def parse_channel_create(self, data: Any) -> None:
        super().parse_channel_create(_lean_channel(data))

    def parse_channel_update(self, data: Any) -> None:
        super().parse_channel_update(_lean_channel(data))


def _lean_guild(data: dict[str, Any]) -> dict[str, Any]:
    """Without what is not read; it is the gateway's own copy."""
    for key in UNREAD_OF_GUILDS:
        data.pop(key, None)
    for channel in data.get("channels", ()):
        _lean_channel(channel)
    return data


def _lean_channel(data: dict[str, Any]) -> dict[str, Any]:
    for key in UNREAD_OF_CHANNELS:
        data.pop(key, None)
    data["name"] = ""
    return data


def _share_overwrites(guild: discord.Guild) -> None:
    """Most channels have none, or those of their category. A change gives a channel a list of its own."""
    shared: dict[tuple[object, ...], Any] = {}
    for channel in guild.channels:
        overwrites = channel._overwrites  # noqa: SLF001 - nothing public lets two channels share them
        key = tuple((each.type, each.id, each.allow, each.deny) for each in overwrites)
        channel._overwrites = shared.setdefault(key, overwrites)  # noqa: SLF001
