"""The channels of a rehearsal: the test channel, a forum of its server, and a channel that follows it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import discord

from weekbot.content.tracks import EVERYTHING
from weekbot.delivery.errors import AmbiguousError, PermanentError, RetryableError
from weekbot.discord_io.channel_checks import lacks_usable_tag
from weekbot.discord_io.guild_snapshot import GuildSnapshot, fetch_guild
from weekbot.discord_io.permissions import missing_permissions
from weekbot.domain.subscriptions import Options
from weekbot.rehearse.check_result import Result, expect
from weekbot.rehearse.transcript import with_deadline
from weekbot.runtime.errors import WeekbotError

TEXT, ANNOUNCEMENT = discord.ChannelType.text, discord.ChannelType.news
KINDS = {TEXT: "a text channel", ANNOUNCEMENT: "an announcement channel"}


class UnusableChannelError(WeekbotError):
    """Nothing can be rehearsed in the channel."""


@dataclass(frozen=True)
class ChannelAccess:
    """A channel, and the bot's permissions there."""

    channel: discord.TextChannel | discord.ForumChannel
    permissions: discord.Permissions

    @property
    def name(self) -> str:
        return f"#{self.channel.name}"

    @property
    def is_announcement(self) -> bool:
        return self.channel.type is ANNOUNCEMENT

    def lacks(self, permissions: Iterable[str]) -> list[str]:
        """Return the missing ones, with the names that Discord shows in English."""
        lacking = [each for each in permissions if not getattr(self.permissions, each)]
        return [each.replace("_", " ").title().replace(" In ", " in ") for each in lacking]

    def require(self, permissions: Iterable[str]) -> None:
        """Raises CheckError."""
        lacking = self.lacks(permissions)
        expect(not lacking, f"missing in {self.name}: {', '.join(lacking)}", Result.NOT_TRIED)

    def link(self, *ids: int) -> str:
        """Return the link to a channel of the same server, or to a message in it."""
        return "/".join(["https://discord.com/channels", str(self.channel.guild.id), *map(str, ids)])


@dataclass(frozen=True)
class Channels:
    """`own_role_id` is the role that only the bot has, if it was invited with permissions."""

    test: ChannelAccess
    own_role_id: int | None
    forum: ChannelAccess | None
    follower: ChannelAccess | None

    def access(self, channel_id: int) -> ChannelAccess | None:
        accesses = (self.test, self.forum, self.follower)
        return next((each for each in accesses if each and each.channel.id == channel_id), None)


async def find_channels(client: discord.Client, channel_id: int, follower_id: int | None) -> Channels:
    """Raises UnusableChannelError with a sentence on what to do."""
    guild, test = await _find(client, channel_id, (TEXT, ANNOUNCEMENT), "send_messages")
    follower = None
    if follower_id is not None:
        if not test.is_announcement:
            kind = f"{test.name} is {KINDS[test.channel.type]}"
            raise UnusableChannelError(f"--follow needs an announcement channel to publish in; {kind}.")
        _, follower = await _find(client, follower_id, (TEXT,), "read_message_history")
    own_role_id = next((role.id for role in guild.me.roles if role.is_bot_managed()), None)
    return Channels(test, own_role_id, _first_usable_forum(guild), follower)


async def _find(
    client: discord.Client, channel_id: int, kinds: Sequence[discord.ChannelType], needed: str
) -> tuple[GuildSnapshot, ChannelAccess]:
    """Return the channel and its server. Raises UnusableChannelError."""
    try:
        guild = await with_deadline(_fetch_guild_of(client, channel_id, *kinds))
        return guild, _access(guild, channel_id, ("view_channel", needed))
    except PermanentError as error:
        how = "Check the ID (Discord, Developer Mode, Copy Channel ID), and invite weekbot to its server"
        raise UnusableChannelError(f"weekbot can't see channel {channel_id}: {error}. {how}.") from error
    except (RetryableError, AmbiguousError) as error:
        raise UnusableChannelError(f"Discord returned nothing about channel {channel_id}: {error}.") from error


async def _fetch_guild_of(client: discord.Client, channel_id: int, *kinds: discord.ChannelType) -> GuildSnapshot:
    channel = cast("dict[str, Any]", await client.http.get_channel(channel_id))
    kind = discord.enums.try_enum(discord.ChannelType, int(channel["type"]))
    if kind not in kinds:
        allowed = " or ".join(KINDS[each] for each in kinds)
        name = str(getattr(kind, "name", kind)).replace("_", " ")
        raise UnusableChannelError(f"{channel['id']} is a different kind of channel ({name}). Choose {allowed}.")
    return await fetch_guild(client, int(channel["guild_id"]))


def _access(guild: GuildSnapshot, channel_id: int, needs: Sequence[str]) -> ChannelAccess:
    channel = guild.channels.get(channel_id)
    if not isinstance(channel, discord.TextChannel):
        raise UnusableChannelError(f"The channel {channel_id} is not among its server's channels. Try again.")
    access = ChannelAccess(channel, guild.permissions(channel))
    if lacking := access.lacks(needs):
        missing = f"weekbot is missing {', '.join(lacking)} in {access.name}"
        raise UnusableChannelError(f"{missing}. Change that in the channel's settings.")
    return access


def _first_usable_forum(guild: GuildSnapshot) -> ChannelAccess | None:
    forums = [each for each in guild.channels.values() if isinstance(each, discord.ForumChannel)]
    for forum in sorted(forums, key=lambda each: (each.position, each.id)):
        permissions = guild.permissions(forum)
        if not lacks_usable_tag(forum) and not missing_permissions(permissions, forum, Options(EVERYTHING)):
            return ChannelAccess(forum, permissions)
    return None
