"""Parses the options of `/weekly`. Invalid ones raise WeekbotError."""

import re
from collections.abc import Mapping
from datetime import time
from typing import TypeVar

import discord

from weekbot.bot.cards.formatting import quoted
from weekbot.bot.cards.status_panel import WEEKDAYS
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.discord_io.permissions import Channel
from weekbot.i18n.language import N_, languages
from weekbot.runtime.errors import WeekbotError

_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_COUNT = re.compile(r"\s*\([^()]*\)\s*$")  # follows a track's title in suggestions

Value = TypeVar("Value", int, str)


def by_name(given: Value | str, names: Mapping[Value, str]) -> Value | None:
    """Find the value by itself, or by its name in any language, because some clients send that instead."""
    by_translation = {tr(name).casefold(): value for tr in languages() for value, name in names.items()}
    return next((value for value in names if value == given), by_translation.get(str(given).strip().casefold()))


RESETTABLE = {
    "ping": N_("Role to ping"),
    "timezone": N_("Time zone"),
    "start": N_("First topic of a round"),
    "next": N_("Chosen next topic"),
    "notices": N_("Channel for notices"),
}
"""The options that `/weekly reset` can unset, with their displayed names."""


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
    if topic := library.find(text):
        return topic
    if near := ", ".join(f"`{similar.slug}`" for similar in library.similar(text)):
        raise WeekbotError("There is no topic called {name}. Did you mean {near}?", name=quoted(text), near=near)
    raise WeekbotError("There is no topic called {name}. `/topic list` shows them all.", name=quoted(text))


def parse_channel(channel: object) -> Channel:
    """Return the channel if it can be subscribed."""
    if isinstance(channel, Channel) and not (isinstance(channel, discord.Thread) and channel.is_private()):
        return channel
    raise WeekbotError("I cannot post there. Choose a text, announcement or forum channel, or a public thread.")
