"""The panel of `/weekly status`."""

from collections.abc import Sequence
from itertools import accumulate

from discord import ui

from weekbot.bot import timezones
from weekbot.bot.cards import COLOURS, Card, Part
from weekbot.bot.health import Health
from weekbot.bot.links import message_link, moment
from weekbot.content.model import Category
from weekbot.store.delivery import State
from weekbot.store.guilds import GuildSettings
from weekbot.store.subscriptions import Subscription

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NO_SUBSCRIPTIONS = "No channel has a weekly topic yet. `/weekly subscribe` starts one in this channel."
MOST_SHOWN = 10
MOST_CHARACTERS = 3500  # of the 4,000 that a message holds
MOST_REASON = 120


def status_card(states: Sequence[Health], settings: GuildSettings) -> Card:
    """As many subscriptions of a server as fit into a message."""
    shown = _fitting([describe(state) for state in states])
    texts = [f"## Weekly topics\n-# This server's time zone is {timezones.label(settings.timezone)}.", *shown]
    if not states:
        texts.append(NO_SUBSCRIPTIONS)
    if left := len(states) - len(shown):
        texts.append(f"-# And {left} more: use this command in one of those channels.")
    parts: list[Part] = [ui.TextDisplay(text) for text in texts]
    return Card(COLOURS[Category.BASICS], *parts)


def _fitting(texts: Sequence[str]) -> list[str]:
    """The first texts, as far as there is room for them."""
    lengths = accumulate(len(text) for text in texts)
    fitting = [text for text, length in zip(texts, lengths, strict=True) if length <= MOST_CHARACTERS]
    return fitting[:MOST_SHOWN]


def describe(state: Health) -> str:
    subscription = state.subscription
    lines = [f"**<#{subscription.channel_id}>** {when(subscription)}", _next(state), *_last(state)]
    lines += [f"-# {failure[:MOST_REASON]}" for failure in state.failures]
    if subscription.blocked:
        lines.append(f"🚫 Blocked: {subscription.blocked[:MOST_REASON]}. Nothing is lost; it is tried again each week.")
    lines.append(f"⚠️ The next post is in trouble: {state.trouble}." if state.trouble else "-# ✅ All is well there.")
    return "\n".join(lines)


def when(subscription: Subscription) -> str:
    """The slot in words, in the subscription's own time."""
    weekly, track = subscription.weekly, subscription.options.track
    zone = timezones.label(weekly.zone.key)
    return f"{WEEKDAYS[weekly.weekday]} {weekly.at:%H:%M} ({zone}), track `{track}`"


def _next(state: Health) -> str:
    if state.subscription.paused:
        return f"⏸️ Paused. After `/weekly resume` comes **{state.coming.title}**."
    slot = state.subscription.next_slot.instant
    return f"Next: **{state.coming.title}**, {moment(slot)} ({moment(slot, 'R')})"


def _last(state: Health) -> list[str]:
    last = state.last
    if last is None:
        return []
    slot, reason = moment(last.slot), (last.reason or "")[:MOST_REASON]
    return {
        State.SENT: [f"Last: [{state.title}]({message_link(last)})"],
        State.PENDING: [f"⏳ On its way: **{state.title}**. {reason}"],
        State.MISSED: [f"❗ Missed {slot}: {reason}. **{state.title}** is still to come."],
        State.BLOCKED: [],
        State.UNVERIFIED: [f"❔ Unverified {slot}: **{state.title}** may have been posted. {reason}"],
    }.get(last.state, [])
