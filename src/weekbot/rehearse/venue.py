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
NAMES = {
    "view_channel": "View Channel",
    "send_messages": "Send Messages",
    "embed_links": "Embed Links",
    "read_message_history": "Read Message History",
    "create_public_threads": "Create Public Threads",
    "send_messages_in_threads": "Send Messages in Threads",
    "pin_messages": "Pin Messages",
    "create_polls": "Create Polls",
    "manage_threads": "Manage Threads",
    "manage_messages": "Manage Messages",
    "manage_webhooks": "Manage Webhooks",
}
"""The permissions that a rehearsal may need, as Discord shows them in English."""


class UnusableChannelError(WeekbotError):
    """Nothing can be rehearsed in the channel."""


@dataclass(frozen=True)
class Spot:
    """A channel with what the bot may do there."""

    channel: discord.TextChannel | discord.ForumChannel
    have: discord.Permissions

    @property
    def name(self) -> str:
        return f"#{self.channel.name}"

    def link(self, message_id: int) -> str:
        return f"https://discord.com/channels/{self.channel.guild.id}/{self.channel.id}/{message_id}"

    @property
    def is_announcement(self) -> bool:
        return self.channel.type is ANNOUNCEMENT

    def lacks(self, permissions: Iterable[str]) -> list[str]:
        """The names of those that the bot lacks here."""
        return [NAMES[each] for each in permissions if not getattr(self.have, each)]


@dataclass(frozen=True)
class Venue:
    """`own_role_id` is the role that the bot alone has, if it was invited with permissions."""

    test: Spot
    own_role_id: int | None
    forum: Spot | None
    follower: Spot | None


async def find_venue(client: discord.Client, channel_id: int, follower_id: int | None) -> Venue:
    """Raises UnusableChannelError, with one sentence on what to do."""
    server = await _Server.of(client, channel_id, (TEXT, ANNOUNCEMENT))
    test = server.spot(channel_id)
    _require(test, ("view_channel", "send_messages"))
    follower = None
    if follower_id is not None:
        follower = await _follower(client, test, follower_id)
    return Venue(test, server.own_role_id, server.first_forum(), follower)


async def _follower(client: discord.Client, test: Spot, follower_id: int) -> Spot:
    if not test.is_announcement:
        kind = KINDS[test.channel.type]
        raise UnusableChannelError(f"--follow needs an announcement channel to publish in; {test.name} is {kind}.")
    follower = (await _Server.of(client, follower_id, (TEXT,))).spot(follower_id)
    _require(follower, ("view_channel", "read_message_history"))
    return follower


def _require(spot: Spot, permissions: Sequence[str]) -> None:
    if lacking := spot.lacks(permissions):
        them = ", ".join(lacking)
        raise UnusableChannelError(f"weekbot lacks {them} in {spot.name}. Change that in the channel's settings.")


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
            how = "Check the id (Discord, Developer Mode, Copy Channel ID), and invite weekbot to its server"
            raise UnusableChannelError(f"weekbot sees no channel {channel_id}: {error}. {how}.") from error
        except (NotSentError, OutcomeUnknownError) as error:
            raise UnusableChannelError(f"Discord says nothing about channel {channel_id}: {error}.") from error

    def spot(self, channel_id: int) -> Spot:
        for channel in self.channels:
            if channel.id == channel_id and isinstance(channel, discord.TextChannel):
                return Spot(channel, channel.permissions_for(self.me))
        raise UnusableChannelError(f"The channel {channel_id} is not among its server's channels. Try again.")

    def first_forum(self) -> Spot | None:
        """The first in which the bot may post."""
        forums = [each for each in self.channels if isinstance(each, discord.ForumChannel)]
        for forum in sorted(forums, key=lambda each: (each.position, each.id)):
            have = forum.permissions_for(self.me)
            if not lacks_tag(forum) and not missing(have, forum, Options(EVERYTHING)):
                return Spot(forum, have)
        return None

    @property
    def own_role_id(self) -> int | None:
        roles = (role.id for role in self.me.roles if role.is_bot_managed())
        return next(roles, None)


def _guild_of(channel: Any, kinds: Sequence[discord.ChannelType]) -> int:
    """Raises UnusableChannelError if it is of another kind."""
    found = cast("dict[str, Any]", channel)
    kind = discord.enums.try_enum(discord.ChannelType, int(found["type"]))
    if kind not in kinds:
        allowed = " or ".join(KINDS[each] for each in kinds)
        name = str(getattr(kind, "name", kind)).replace("_", " ")
        raise UnusableChannelError(f"{found['id']} is of another kind ({name}). Choose {allowed}.")
    return int(found["guild_id"])
