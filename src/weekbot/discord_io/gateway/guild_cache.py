"""discord.py's cache of servers without what weekbot never reads, which is most of a large bot's memory.

An event that discord.py can't parse would end its shard and the process, so it, or its invalid part, is dropped.
"""

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any

import discord
from discord.gateway import ReconnectWebSocket
from discord.state import AutoShardedConnectionState

from weekbot.runtime.errors import raised_at

log = logging.getLogger(__name__)

UNUSED_FIELDS = ("banner", "description", "discovery_splash", "features", "icon", "splash")
UNUSED_LISTS = (
    "emojis",
    "guild_scheduled_events",
    "presences",
    "soundboard_sounds",
    "stage_instances",
    "stickers",
    "voice_states",
)
USED_LISTS = ("channels", "members", "roles", "threads")
OLDEST_ID = "1"  # a shared constant, which needs no memory
RECENT, HOUR, MONTH = timedelta(hours=3), timedelta(hours=1), timedelta(days=30)

THREAD_TYPES = (10, 11, 12)
THREAD_DEFAULTS = {"owner_id": "0", "message_count": 0, "member_count": 0}
"""Fields that discord.py requires in every thread, but Discord doesn't document for threads in interactions."""
OPTIONAL_FIELDS = ("entitlements", "message")

Parser = Callable[[Any], None]


class GuildCache(AutoShardedConnectionState[Any]):
    """`on_dropped` is called with the type of each event that can't be parsed."""

    def __init__(self, *, on_dropped: Callable[[str], object], now: Callable[[], datetime], **options: Any) -> None:
        super().__init__(**options)
        self._now = now
        self.outdated: set[int] = set()  # servers with a dropped event, until Discord sends all of their data again
        self._on_dropped = on_dropped
        self._dropped: Counter[str] = Counter()
        self.parsers = {kind: partial(self._parse, kind, parse) for kind, parse in self.parsers.items()}

    def _parse(self, kind: str, parse: Parser, data: Any) -> None:
        try:
            if lean := LEAN.get(kind):
                lean(data, self._now())
            parse(data)
        except Exception as error:
            self._drop(kind, data, error)
            if kind == "READY":  # without it, later events make no sense
                raise ReconnectWebSocket(None, resume=False) from error

    def _drop(self, kind: str, data: Any, error: Exception) -> None:
        self._dropped[kind] += 1
        self.outdated |= _guild_ids(kind, data)
        if self._dropped[kind] == 1:
            log.warning("%s can't be parsed and is dropped (%r, %s)", kind, error, raised_at(error))
        self._on_dropped(kind)

    def parse_ready(self, data: Any) -> None:
        """Remove the servers of this shard that the bot left while it was offline."""
        super().parse_ready(data)
        present = {int(guild["id"]) for guild in data["guilds"]}
        for guild in [each for each in self.guilds if each.shard_id == data["shard"][0] and each.id not in present]:
            self._remove_guild(guild)

    def parse_guild_create(self, data: Any) -> None:
        """Parse the server without its invalid channels, roles and so on; drop it if nothing is valid."""
        self.outdated.discard(int(data["id"]))
        try:
            super().parse_guild_create(data)
        except Exception as error:
            self._drop("GUILD_CREATE", data, error)
            self._parse_valid_parts(data)
        if guild := self._get_guild(int(data["id"])):
            _share_overwrites(guild)

    def _parse_valid_parts(self, data: dict[str, Any]) -> None:
        try:
            super().parse_guild_create(data | {key: self._valid(data, key) for key in USED_LISTS})
        except Exception:
            # READY announces each server as if it had an outage, whose end discord.py would wait for
            if guild := self._get_guild(int(data["id"])):
                self._remove_guild(guild)

    def _valid(self, data: dict[str, Any], key: str) -> list[Any]:
        """Return the items of the list that discord.py can parse."""
        bare = data | dict.fromkeys(USED_LISTS, ())
        return [each for each in data.get(key) or () if self._is_valid_guild(bare | {key: [each]})]

    def _is_valid_guild(self, data: dict[str, Any]) -> bool:
        with suppress(Exception):
            discord.Guild(data=data, state=self)  # type: ignore[arg-type]
            return True
        return False

    def parse_interaction_create(self, data: Any) -> None:
        """Parse an interaction; if that fails, dispatch `unparsed_interaction`, so that the member gets a response."""
        try:
            self._parse_interaction(data)
        except Exception as error:
            if isinstance(data, dict) and {"id", "token"} <= data.keys():
                guild_id = next(iter(_guild_ids("INTERACTION_CREATE", data)), 0)
                self.dispatch("unparsed_interaction", data, guild_id, error)
            raise

    def _parse_interaction(self, data: Any) -> None:
        _complete_threads(data)
        try:
            super().parse_interaction_create(data)
        except Exception:
            needed: Any = {key: value for key, value in data.items() if key not in OPTIONAL_FIELDS}
            super().parse_interaction_create(needed)


def _guild_ids(kind: str, data: Any) -> set[int]:
    if not isinstance(data, dict):
        return set()
    guild_id = str(data.get("guild_id", data.get("id") if kind.startswith("GUILD_") else None))
    return {int(guild_id)} if guild_id.isdecimal() else set()


def _complete_threads(data: dict[str, Any]) -> None:
    resolved = (data.get("data") or {}).get("resolved") or {}
    for channel in [data.get("channel") or {}, *(resolved.get("channels") or {}).values()]:
        if channel.get("type") in THREAD_TYPES:
            channel |= THREAD_DEFAULTS | channel


def _lean_guild(data: dict[str, Any], now: datetime) -> None:
    for key in UNUSED_FIELDS:
        data.pop(key, None)
    for key in UNUSED_LISTS:
        if key in data:
            data[key] = []
    for channel in [*(data.get("channels") or ()), *(data.get("threads") or ())]:
        _lean_channel(channel, now)


def _lean_channel(data: dict[str, Any], now: datetime) -> None:
    data.pop("topic", None)
    data["name"] = ""  # mentions suffice
    if "last_message_id" in data:
        data["last_message_id"] = _rounded(data["last_message_id"], now)


LEAN = {  # the functions that remove, in place, what weekbot never reads from an event's data
    "GUILD_CREATE": _lean_guild,
    "GUILD_UPDATE": _lean_guild,
    "CHANNEL_CREATE": _lean_channel,
    "CHANNEL_UPDATE": _lean_channel,
}


def _rounded(message_id: str | None, now: datetime) -> str | int:
    """Round the id up, so that channels whose last messages are about equally old share one."""
    if message_id is None:
        return OLDEST_ID
    written = discord.utils.snowflake_time(int(message_id))
    age = now - written
    return message_id if age <= RECENT else _end_of(written, HOUR if age <= MONTH else MONTH)


def _end_of(instant: datetime, period: timedelta) -> int:
    return _id_at((int(instant.timestamp() // period.total_seconds()) + 1) * int(period.total_seconds()))


@lru_cache(maxsize=1024)
def _id_at(seconds: int) -> int:
    return discord.utils.time_snowflake(datetime.fromtimestamp(seconds, UTC))


def _share_overwrites(guild: discord.Guild) -> None:
    """Let channels share equal overwrites. A change gives a channel a list of its own."""
    shared: dict[tuple[object, ...], Any] = {}
    for channel in guild.channels:
        overwrites = channel._overwrites  # noqa: SLF001 - nothing public lets two channels share them
        key = tuple((each.type, each.id, each.allow, each.deny) for each in overwrites)
        channel._overwrites = shared.setdefault(key, overwrites)  # noqa: SLF001
