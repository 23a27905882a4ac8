"""Where a rehearsal takes place: the test channel, a forum of its server, and a channel that follows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import discord

from weekbot.bot.permissions import lacks_tag, missing
from weekbot.content.model import EVERYTHING
from weekbot.delivery.discord_errors import errors_told_apart
from weekbot.delivery.outcomes import NotSentError, OutcomeUnknownError, RefusedError
from weekbot.errors import WeekbotError
from weekbot.rehearse.asking import asked
from weekbot.store.subscriptions import Options

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
        """The missing ones, as Discord shows them in English."""
        return [_shown(each) for each in permissions if not getattr(self.permissions, each)]


@dataclass(frozen=True)
class Channels:
    """`own_role_id` is the role that the bot alone has, if it was invited with permissions."""

    test: ChannelAccess
    own_role_id: int | None
    forum: ChannelAccess | None
    follower: ChannelAccess | None


async def find_channels(client: discord.Client, channel_id: int, follower_id: int | None) -> Channels:
    """Raises UnusableChannelError, with one sentence on what to do."""
    server = await _Server.of(client, channel_id, (TEXT, ANNOUNCEMENT))
    test = server.channel(channel_id, ("view_channel", "send_messages"))
    follower = None
    if follower_id is not None:
        if not test.is_announcement:
            kind = f"{test.name} is {KINDS[test.channel.type]}"
            raise UnusableChannelError(f"--follow needs an announcement channel to publish in; {kind}.")
        other = await _Server.of(client, follower_id, (TEXT,))
        follower = other.channel(follower_id, ("view_channel", "read_message_history"))
    own_role_id = next((role.id for role in server.me.roles if role.is_bot_managed()), None)
    return Channels(test, own_role_id, server.first_forum(), follower)


@dataclass(frozen=True)
class _Server:
    me: discord.Member
    channels: Sequence[discord.abc.GuildChannel]

    @classmethod
    async def of(cls, client: discord.Client, channel_id: int, kinds: Sequence[discord.ChannelType]) -> "_Server":
        """The server of the channel, which must be of one of these kinds. Raises UnusableChannelError."""
        try:
            found = await asked(client.http.get_channel(channel_id))
            with errors_told_apart():
                guild_id = _guild_of(found, kinds)
            guild = await asked(client.fetch_guild(guild_id, with_counts=False))
            me = await asked(guild.fetch_member(client.user.id if client.user else 0))
            return cls(me, await asked(guild.fetch_channels()))
        except RefusedError as error:
            how = "Check the ID (Discord, Developer Mode, Copy Channel ID), and invite weekbot to its server"
            raise UnusableChannelError(f"weekbot can't see channel {channel_id}: {error}. {how}.") from error
        except (NotSentError, OutcomeUnknownError) as error:
            raise UnusableChannelError(f"Discord returned nothing about channel {channel_id}: {error}.") from error

    def channel(self, channel_id: int, needs: Sequence[str]) -> ChannelAccess:
        """Raises UnusableChannelError, also if a permission is missing there."""
        channel = next((each for each in self.channels if each.id == channel_id), None)
        if not isinstance(channel, discord.TextChannel):
            raise UnusableChannelError(f"The channel {channel_id} is not among its server's channels. Try again.")
        access = ChannelAccess(channel, channel.permissions_for(self.me))
        if lacking := access.lacks(needs):
            what = f"weekbot is missing {', '.join(lacking)} in {access.name}"
            raise UnusableChannelError(f"{what}. Change that in the channel's settings.")
        return access

    def first_forum(self) -> ChannelAccess | None:
        """The first in which the bot may post."""
        forums = [each for each in self.channels if isinstance(each, discord.ForumChannel)]
        for forum in sorted(forums, key=lambda each: (each.position, each.id)):
            permissions = forum.permissions_for(self.me)
            if not lacks_tag(forum) and not missing(permissions, forum, Options(EVERYTHING)):
                return ChannelAccess(forum, permissions)
        return None


def _guild_of(channel: Any, kinds: Sequence[discord.ChannelType]) -> int:
    """Raises UnusableChannelError if it is of another kind."""
    found = cast("dict[str, Any]", channel)
    kind = discord.enums.try_enum(discord.ChannelType, int(found["type"]))
    if kind not in kinds:
        allowed = " or ".join(KINDS[each] for each in kinds)
        name = str(getattr(kind, "name", kind)).replace("_", " ")
        raise UnusableChannelError(f"{found['id']} is a different kind of channel ({name}). Choose {allowed}.")
    return int(found["guild_id"])


def _shown(permission: str) -> str:
    return permission.replace("_", " ").title().replace(" In ", " in ")
