"""discord.py's cache of servers, without what weekbot never reads of them, and whatever form events have.

What is left out is most of a large bot's memory. An event that discord.py cannot read would end its shard, and the
process: it is dropped, or what is bad in it.
"""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any

import discord
from discord.gateway import ReconnectWebSocket
from discord.state import AutoShardedConnectionState

from weekbot.runtime.errors import raised_at

log = logging.getLogger(__name__)

UNREAD_OF_GUILDS = ("banner", "description", "discovery_splash", "features", "icon", "splash")
UNREAD_LISTS = (
    "emojis",
    "guild_scheduled_events",
    "presences",
    "soundboard_sounds",
    "stage_instances",
    "stickers",
    "voice_states",
)
READ_LISTS = ("channels", "members", "roles", "threads")
NEVER = "1"  # an id before all others, which takes no memory
RECENT, HOUR, MONTH = timedelta(hours=3), timedelta(hours=1), timedelta(days=30)

THREADS = (10, 11, 12)  # the types of channels
OF_THREADS = {"owner_id": "0", "message_count": 0, "member_count": 0}
"""Fields that discord.py requires in every thread, but Discord doesn't document for threads in interactions."""
NOT_NEEDED_TO_ANSWER = ("entitlements", "message")

Parser = Callable[[Any], None]


class LeanCache(AutoShardedConnectionState[Any]):
    """Channels are known by their mention, so that they need no name; those with equal overwrites share them.

    `dropped` is called with the kind of each event that cannot be read.
    """

    def __init__(self, *, dropped: Callable[[str], object], now: Callable[[], datetime], **options: Any) -> None:
        super().__init__(**options)
        self._now = now
        self.doubted: set[int] = set()
        """The ids of servers of which an event could not be read, until they are sent whole."""
        self._dropped = dropped
        self._unread: Counter[str] = Counter()
        self.parsers: dict[str, Parser] = {
            kind: partial(self._read, kind, parse) for kind, parse in self.parsers.items()
        }

    def _read(self, kind: str, parse: Parser, data: Any) -> None:
        try:
            parse(data)
        except Exception as error:
            self._drop(kind, data, error)
            if kind == "READY":  # nothing that follows would make sense
                raise ReconnectWebSocket(None, resume=False) from error

    def _drop(self, kind: str, data: Any, error: Exception) -> None:
        self._unread[kind] += 1
        self.doubted |= _guild_ids(kind, data)
        if self._unread[kind] == 1:
            log.warning("%s cannot be read (%r, %s) and is dropped, as are later ones", kind, error, raised_at(error))
        self._dropped(kind)

    def parse_ready(self, data: Any) -> None:
        """Forget the servers of this shard that it no longer has: they were left unseen."""
        super().parse_ready(data)
        there = {int(guild["id"]) for guild in data["guilds"]}
        for guild in [each for each in self.guilds if each.shard_id == data["shard"][0] and each.id not in there]:
            self._remove_guild(guild)

    def parse_guild_create(self, data: Any) -> None:
        """Without the channels and the like that cannot be read; if nothing can, as if the server were not known."""
        _lean_guild(data, self._now())
        self.doubted.discard(int(data["id"]))
        try:
            super().parse_guild_create(data)
        except Exception as error:
            self._drop("GUILD_CREATE", data, error)
            self._parse_readable(data)
        if guild := self._get_guild(int(data["id"])):
            _share_overwrites(guild)

    def _parse_readable(self, data: dict[str, Any]) -> None:
        try:
            super().parse_guild_create(data | {key: self._readable(data, key) for key in READ_LISTS})
        except Exception:
            # Its outage would be waited for, as READY announces each server as if it had one.
            if guild := self._get_guild(int(data["id"])):
                self._remove_guild(guild)

    def _readable(self, data: dict[str, Any], key: str) -> list[Any]:
        """Those in the list that discord.py can make a server with."""
        bare = data | dict.fromkeys(READ_LISTS, ())
        return [each for each in data.get(key) or () if self._makes_a_guild(bare | {key: [each]})]

    def _makes_a_guild(self, data: dict[str, Any]) -> bool:
        try:
            discord.Guild(data=data, state=self)  # type: ignore[arg-type]
        except Exception:
            return False
        return True

    def parse_interaction_create(self, data: Any) -> None:
        """Parse an interaction; if that fails, dispatch `unread_interaction`, so that it is still answered."""
        try:
            self._parse_interaction(data)
        except Exception as error:
            if isinstance(data, dict) and {"id", "token"} <= data.keys():
                guild_id = next(iter(_guild_ids("INTERACTION_CREATE", data)), 0)
                self.dispatch("unread_interaction", data, guild_id, error)
            raise

    def _parse_interaction(self, data: Any) -> None:
        _complete_threads(data)
        try:
            super().parse_interaction_create(data)
        except Exception:
            needed: Any = {key: value for key, value in data.items() if key not in NOT_NEEDED_TO_ANSWER}
            super().parse_interaction_create(needed)

    def parse_guild_update(self, data: Any) -> None:
        super().parse_guild_update(_lean_guild(data, self._now()))

    def parse_channel_create(self, data: Any) -> None:
        super().parse_channel_create(_lean_channel(data, self._now()))

    def parse_channel_update(self, data: Any) -> None:
        super().parse_channel_update(_lean_channel(data, self._now()))


def _guild_ids(kind: str, data: Any) -> set[int]:
    """The server that an event is about, as far as it says so."""
    if not isinstance(data, dict):
        return set()
    named = data.get("guild_id", data.get("id") if kind.startswith("GUILD_") else None)
    return {int(str(named))} if str(named).isdecimal() else set()


def _complete_threads(data: dict[str, Any]) -> None:
    """Add the fields that discord.py requires to the interaction's threads."""
    resolved = (data.get("data") or {}).get("resolved") or {}
    for channel in [data.get("channel") or {}, *(resolved.get("channels") or {}).values()]:
        if channel.get("type") in THREADS:
            channel |= OF_THREADS | channel


def _lean_guild(data: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Without what is not read; it is the gateway's own copy."""
    for key in UNREAD_OF_GUILDS:
        data.pop(key, None)
    for key in UNREAD_LISTS:
        if key in data:
            data[key] = []
    for channel in [*(data.get("channels") or ()), *(data.get("threads") or ())]:
        _lean_channel(channel, now)
    return data


def _lean_channel(data: dict[str, Any], now: datetime) -> dict[str, Any]:
    data.pop("topic", None)
    data["name"] = ""
    if "last_message_id" in data:
        data["last_message_id"] = _rounded(data["last_message_id"], now)
    return data


def _rounded(message_id: str | None, now: datetime) -> str | int:
    """An id that all channels share whose last message is about as old, and that is no earlier than the message's.

    A channel without messages is as one in which nobody ever wrote.
    """
    if message_id is None:
        return NEVER
    written = discord.utils.snowflake_time(int(message_id))
    age = now - written
    return message_id if age <= RECENT else _end_of(written, HOUR if age <= MONTH else MONTH)


def _end_of(instant: datetime, period: timedelta) -> int:
    return _id_at((int(instant.timestamp() // period.total_seconds()) + 1) * int(period.total_seconds()))


@lru_cache(maxsize=1024)
def _id_at(seconds: int) -> int:
    return discord.utils.time_snowflake(datetime.fromtimestamp(seconds, UTC))


def _share_overwrites(guild: discord.Guild) -> None:
    """Most channels have none, or those of their category. A change gives a channel a list of its own."""
    shared: dict[tuple[object, ...], Any] = {}
    for channel in guild.channels:
        overwrites = channel._overwrites  # noqa: SLF001 - nothing public lets two channels share them
        key = tuple((each.type, each.id, each.allow, each.deny) for each in overwrites)
        channel._overwrites = shared.setdefault(key, overwrites)  # noqa: SLF001
