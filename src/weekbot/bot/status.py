"""The panel of `/weekly status`: all channels of a server, a page at a time, and one of them with what can be done."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import discord
from discord import ButtonStyle, ui

from weekbot.bot import cards, custom_ids, timezones
from weekbot.bot.cards import COLOURS, Card, Part, Row
from weekbot.bot.health import A_PAGE, Health, Overview
from weekbot.bot.links import message_link, moment
from weekbot.content.model import Category
from weekbot.store.delivery import State
from weekbot.store.guilds import GuildSettings
from weekbot.store.subscriptions import Subscription

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NO_SUBSCRIPTIONS = "No channel has a weekly topic yet. `/weekly subscribe` starts one in this channel."
MOST_CHARACTERS = 3500  # of the 4,000 that a message holds
MOST_REASON = 120
TROUBLE_COLOUR = 0xE67E22


def status_card(overview: Overview, settings: GuildSettings) -> Card:
    """As many of the page's channels as fit into a message; the next page begins with the one after them."""
    shown = _fitting([describe(state) for state in overview.states])
    head = f"## Weekly topics\n{_sum(overview)}\n-# This server's time zone is {timezones.label(settings.timezone)}."
    parts: list[Part] = [ui.TextDisplay(head)]
    parts += [_section(state, text) for state, text in zip(overview.states, shown, strict=False)]
    if not overview.total:
        parts.append(ui.TextDisplay(NO_SUBSCRIPTIONS))
    parts += _pages(overview, len(shown))
    if overview.following:
        parts.append(ui.TextDisplay(_following(overview.following)))
    return Card(TROUBLE_COLOUR if overview.in_trouble else COLOURS[Category.BASICS], *parts)


def manage_card(state: Health, note: str | None = None) -> Card:
    """One channel, with buttons for what can be done about it, and what has just been done."""
    channel_id, paused, coming = state.subscription.channel_id, state.subscription.paused, state.coming.slug
    actions = [
        _do("Preview", "preview", channel_id),
        _do("Post now", "post", channel_id, coming),
        _do("Skip next topic", "skip", channel_id, coming),
        _do("Resume", "resume", channel_id, style=ButtonStyle.success) if paused else _do("Pause", "pause", channel_id),
        _do("Unsubscribe", "unsubscribe", channel_id, style=ButtonStyle.danger),
    ]
    notes: list[Part] = [ui.TextDisplay(note), ui.Separator()] if note else []
    return Card(COLOURS[Category.BASICS], *notes, ui.TextDisplay(describe(state)), Row(*actions), Row(_all_channels()))


def gone_card(note: str) -> Card:
    """In place of a channel that is no longer subscribed."""
    return cards.note(note, Row(_all_channels()))


def preview_button(subscription: Subscription) -> ui.Button[Any]:
    return _do("Preview", "preview", subscription.channel_id)


def _all_channels() -> ui.Button[Any]:
    return ui.Button(label="All channels", custom_id=custom_ids.status(0))


def _section(state: Health, text: str) -> ui.Section[Any]:
    button = ui.Button[Any](label="Manage", custom_id=custom_ids.manage(state.subscription.channel_id))
    return ui.Section(ui.TextDisplay[Any](text), accessory=button)


def _do(
    label: str,
    action: str,
    channel_id: int,
    topic: str | None = None,
    style: ButtonStyle = discord.ButtonStyle.secondary,
) -> ui.Button[Any]:
    return ui.Button(label=label, custom_id=custom_ids.do(action, channel_id, topic), style=style)


def _pages(overview: Overview, shown: int) -> list[Part]:
    """Buttons that turn the page, where there is more than this one."""
    after = overview.first + shown
    if overview.first == 0 and after >= overview.total:
        return []
    back = ui.Button[Any](label="Back", custom_id=custom_ids.status(max(0, overview.first - A_PAGE)))
    on = ui.Button[Any](label="On", custom_id=custom_ids.status(after), disabled=after >= overview.total)
    row = Row(back, on) if overview.first else Row(on)
    return [ui.TextDisplay(f"-# {overview.first + 1} to {after} of {overview.total}"), row]


def _following(channel_ids: Sequence[int]) -> str:
    named = ", ".join(f"<#{channel_id}>" for channel_id in channel_ids[:A_PAGE])
    more = len(channel_ids) - A_PAGE
    return f"-# Following weekbot's own channel: {named}{f' and {more} more' if more > 0 else ''}"


def _sum(overview: Overview) -> str:
    counts = {
        "in trouble": overview.in_trouble,
        "paused": overview.paused,
    }
    found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    channels = f"{overview.total} channel{'s' * (overview.total != 1)}"
    return f"{channels}: {found}." if found else f"{channels}, all well."


def _fitting(texts: Sequence[str]) -> list[str]:
    """The first texts, as far as there is room for them, and always one."""
    lengths = accumulate(len(text) for text in texts)
    fitting = [text for text, length in zip(texts, lengths, strict=True) if length <= MOST_CHARACTERS]
    return fitting[:A_PAGE] or [text[:MOST_CHARACTERS] for text in texts[:1]]


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
