"""Options of `/weekly` as moderators type them: each parsed, or refused with a sentence."""

import re
from collections.abc import Mapping, Sequence
from datetime import time
from typing import TypeVar

import discord

from weekbot.bot.cards.status_panel import WEEKDAYS
from weekbot.bot.cards.text import quoted
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.discord_io.permissions import (
    Channel,
    lacks_usable_tag,
    may_ping,
    may_publish,
    may_write,
    missing_permissions,
    permissions_in,
)
from weekbot.domain.planning import track_of
from weekbot.domain.subscriptions import Options
from weekbot.i18n.language import N_, languages
from weekbot.runtime.errors import WeekbotError

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_COUNT = re.compile(r"\s*\([^()]*\)\s*$")  # behind the title of a track, as suggestions show it

Value = TypeVar("Value", int, str)


def by_name(given: Value | str, names: Mapping[Value, str]) -> Value | None:
    """Find the value by itself or by its name in any language, which some clients send instead."""
    called = {tr(name).casefold(): value for tr in languages() for value, name in names.items()}
    return next((value for value in names if value == given), called.get(str(given).strip().casefold()))


RESETTABLE = {
    "ping": N_("Role to ping"),
    "timezone": N_("Time zone"),
    "start": N_("First topic of a round"),
    "next": N_("Chosen next topic"),
    "notices": N_("Channel for notices"),
}
"""The options that `/weekly reset` can unset, with the names that are shown."""


def parse_reset(option: str) -> str:
    """Parse the name or value of an option in RESETTABLE."""
    chosen = by_name(option, RESETTABLE)
    if chosen is None:
        raise WeekbotError("{text} can't be reset. Choose one of the suggested options.", text=quoted(option))
    return chosen


def parse_day(day: int | str) -> int:
    """Parse a weekday. Monday is 0."""
    number = by_name(day, dict(enumerate(WEEKDAYS)))
    if number is None:
        raise WeekbotError("{text} isn't a day of the week. Choose one of the suggested days.", text=quoted(str(day)))
    return number


def parse_time(text: str) -> time:
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise WeekbotError("{text} isn't a valid time. Use HH:MM, for example `09:00` or `18:30`.", text=quoted(text))
    return time(int(match[1]), int(match[2]))


def parse_track(library: Library, text: str) -> str:
    wanted = {each.strip().casefold() for each in (text, _COUNT.sub("", text))}
    for track in library.tracks.values():
        if wanted & {track.slug, track.title.casefold()}:
            return track.slug
    known = ", ".join(f"`{slug}`" for slug in library.tracks)
    raise WeekbotError("There is no track {text}. Choose one of these: {known}.", text=quoted(text), known=known)


def parse_topic(library: Library, text: str) -> Topic:
    topic = library.find(text)
    if topic is None:
        raise _unknown(text, library.similar(text))
    return topic


def _unknown(text: str, near: Sequence[Topic]) -> WeekbotError:
    if not near:
        return WeekbotError("There is no topic called {name}. `/topic list` shows them all.", name=quoted(text))
    names = ", ".join(f"`{topic.slug}`" for topic in near)
    return WeekbotError("There is no topic called {name}. Did you mean {near}?", name=quoted(text), near=names)


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
            "`{topic}` isn't in the track **{track}**. `/topic list` shows which topics are; `/weekly next` chooses "
            "any topic once.",
            topic=start.slug,
            track=track.title,
        )


def check_fit(channel: Channel, options: Options) -> None:
    """Whether the channel can have all that the options ask for."""
    if options.publish and not may_publish(channel):
        raise WeekbotError("Only posts in an announcement channel can be published. Leave that option out here.")
    if options.thread and not isinstance(channel, discord.TextChannel):
        raise WeekbotError("Posts there are threads themselves, or are in one. Leave that option out here.")
    if options.pin and isinstance(channel, discord.ForumChannel):
        raise WeekbotError("Posts in a forum channel are not pinned. Leave that option out here.")
    if lacks_usable_tag(channel):
        raise WeekbotError("This forum requires a tag, but has none that I can use. Add one there, then try again.")
    if lacking := missing_permissions(permissions_in(channel), channel, options):
        raise WeekbotError(
            "I need {permissions} in {channel}. Allow that in the channel's settings, then try again.",
            permissions=lacking,
            channel=channel.mention,
        )


def check_role(role: discord.Role, channel: Channel, moderator: discord.Member) -> None:
    """Whether both the bot and the moderator may ping the role in the channel."""
    if role.is_default():
        raise WeekbotError("I don't ping everyone. Choose a role that members can give themselves.")
    if not may_ping(role, permissions_in(channel)):
        raise WeekbotError(
            "I'm not allowed to ping {role}. Allow anyone to @mention this role in its settings, then try again.",
            role=role.mention,
        )
    if not may_ping(role, channel.permissions_for(moderator)):
        raise WeekbotError(
            "You aren't allowed to ping {role} in {channel} yourself. Choose another role, or allow anyone to @mention "
            "this one in its settings.",
            role=role.mention,
            channel=channel.mention,
        )


def check_notice_channel(channel: discord.TextChannel) -> None:
    if not may_write(channel):
        raise WeekbotError(
            "I'm not allowed to write in {channel}. Give me {permissions} there, then try again.",
            channel=channel.mention,
            permissions=["View Channel", "Send Messages"],
        )
