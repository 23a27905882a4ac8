"""Options of `/weekly` as moderators type them: each parsed, or refused with a sentence."""

import re
from datetime import time

import discord

from weekbot.bot.cards import quoted
from weekbot.bot.noticeboard import may_write
from weekbot.bot.permissions import Channel, may_ping, missing
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.delivery.plan import track_of
from weekbot.errors import WeekbotError
from weekbot.store.subscriptions import Options

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def parse_time(text: str) -> time:
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise WeekbotError(f"{quoted(text)} is no time of day. Type one such as `09:00` or `18:30`.")
    return time(int(match[1]), int(match[2]))


def parse_track(library: Library, text: str) -> str:
    wanted = text.strip().casefold()
    for track in library.tracks.values():
        if wanted in (track.slug, track.title.casefold()):
            return track.slug
    known = ", ".join(f"`{slug}`" for slug in library.tracks)
    raise WeekbotError(f"There is no track {quoted(text)}. There are {known}.")


def parse_topic(library: Library, text: str) -> Topic:
    topic = library.find(text)
    if topic is None:
        near = ", ".join(f"`{near.slug}`" for near in library.near(text))
        hint = f"Did you mean {near}?" if near else "`/topic list` shows them all."
        raise WeekbotError(f"There is no topic called {quoted(text)}. {hint}")
    return topic


def parse_channel(channel: object) -> Channel:
    """A channel that can be subscribed."""
    if isinstance(channel, discord.TextChannel | discord.ForumChannel):
        return channel
    if isinstance(channel, discord.Thread) and not channel.is_private():
        return channel
    raise WeekbotError("I cannot post there. Choose a text, announcement or forum channel, or a public thread.")


def check_start(library: Library, options: Options) -> None:
    """Raises WeekbotError where the topic to begin with is not in the track; one that left the content is no matter."""
    track, start = track_of(library, options), library.find(options.start_topic or "")
    if start and start.slug not in track.topics:
        raise WeekbotError(
            f"`{start.slug}` is not in the track **{track.title}**. "
            f"`/topic list track:{track.slug}` shows what is; `/weekly next` chooses any topic once."
        )


def check_fit(channel: Channel, options: Options) -> None:
    """Whether the channel can have all that the options ask for."""
    if options.publish and not (isinstance(channel, discord.TextChannel) and channel.is_news()):
        raise WeekbotError("Only posts in an announcement channel can be published. Leave `publish` out here.")
    if options.thread and not isinstance(channel, discord.TextChannel):
        raise WeekbotError("Every post is a thread of its own there, or in one. Leave `thread` out here.")
    if options.pin and isinstance(channel, discord.ForumChannel):
        raise WeekbotError("Posts in a forum channel are not pinned. Leave `pin` out here.")
    if lacking := missing(channel, options):
        raise WeekbotError(
            f"I lack {_listed(lacking)} in {channel.mention}. Give me that in the channel's settings, then try again."
        )


def check_role(role: discord.Role, channel: Channel) -> None:
    if role.is_default():
        raise WeekbotError("I do not ping everyone. Choose a role that members take on themselves.")
    if not may_ping(role, channel):
        raise WeekbotError(
            f"I may not ping {role.mention}. Allow anyone to @mention this role in its settings, then try again."
        )


def check_board(channel: discord.TextChannel) -> None:
    if not may_write(channel):
        needed = "**View Channel** and **Send Messages**"
        raise WeekbotError(f"I may not write in {channel.mention}. Give me {needed} there, then try again.")


def _listed(names: list[str]) -> str:
    bold = [f"**{name}**" for name in names]
    return bold[0] if len(bold) == 1 else f"{', '.join(bold[:-1])} and {bold[-1]}"
