"""The panel of `/weekly status`: all channels of a server, a page at a time, and one of them with what can be done."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import discord
from discord import ButtonStyle, ui

from weekbot.bot.cards import custom_ids, topic_cards
from weekbot.bot.cards.links import linked, moment
from weekbot.bot.cards.text import cut, some_of
from weekbot.bot.cards.topic_cards import COLOURS, Card, Part, Row
from weekbot.bot.weekly_overview import A_PAGE, Health, Overview
from weekbot.content.model import Category
from weekbot.discord_io.channel_checks import describe_refusal
from weekbot.domain import timezones
from weekbot.domain.deliveries import State
from weekbot.domain.guilds import GuildSettings
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import N_, Language

WEEKDAYS = (
    N_("Monday"),
    N_("Tuesday"),
    N_("Wednesday"),
    N_("Thursday"),
    N_("Friday"),
    N_("Saturday"),
    N_("Sunday"),
)
UNHEARD = N_("I have no channel where I can report problems to moderators. Choose one with `/weekly settings`.")
MOST_CHARACTERS = 3200  # of channels, of the 4,000 that a message holds
MOST_REASON = 200
LABEL_CHARACTERS = 80
TROUBLE_COLOUR = 0xE67E22


def status_card(tr: Language, overview: Overview, settings: GuildSettings) -> Card:
    """As many of the page's channels as fit into a message; the next page begins with the one after them."""
    shown = _fitting([describe(tr, state) for state in overview.states])
    zone = tr("This server's time zone is {zone}.", zone=timezones.label(settings.timezone))
    head = f"## {tr('Weekly topics')}\n{_sum(tr, overview)}\n-# {zone}"
    parts: list[Part] = [ui.TextDisplay(head)]
    for state, text in zip(overview.states, shown, strict=False):
        parts.append(_section(tr, state, text))
    if not overview.total:
        parts.append(
            ui.TextDisplay(tr("No channel has a weekly topic yet. `/weekly subscribe` starts one in this channel."))
        )
    parts += _pages(tr, overview, len(shown))
    if overview.total and not overview.is_heard:
        parts.append(ui.TextDisplay(f"-# {tr(UNHEARD)}"))
    if overview.following:
        parts.append(ui.TextDisplay(_following(tr, overview.following)))
    return Card(TROUBLE_COLOUR if overview.in_trouble else COLOURS[Category.BASICS], *parts)


def manage_card(tr: Language, state: Health, note: str | None = None) -> Card:
    """One channel, with buttons for what can be done about it, and what has just been done."""
    channel_id, paused, coming = state.subscription.channel_id, state.subscription.paused, state.coming.slug
    resume = action_button(tr("Resume"), "resume", channel_id, style=ButtonStyle.success)
    actions = [
        action_button(tr("Preview"), "preview", channel_id),
        action_button(tr("Post now"), "post", channel_id, coming),
        action_button(tr("Skip next topic"), "skip", channel_id, coming),
        resume if paused else action_button(tr("Pause"), "pause", channel_id),
    ]
    unsubscribe = action_button(tr("Unsubscribe"), "unsubscribe", channel_id, style=ButtonStyle.danger)
    notes: list[Part] = [ui.TextDisplay(note), ui.Separator()] if note else []
    panel = ui.TextDisplay[Any](describe(tr, state))
    return Card(COLOURS[Category.BASICS], *notes, panel, Row(*actions), Row(_all_channels(tr), unsubscribe))


def gone_card(tr: Language, note: str) -> Card:
    """In place of a channel that is no longer subscribed."""
    return topic_cards.note(note, Row(_all_channels(tr)))


def preview_button(tr: Language, subscription: Subscription) -> ui.Button[Any]:
    return action_button(tr("Preview"), "preview", subscription.channel_id)


def _all_channels(tr: Language) -> ui.Button[Any]:
    return ui.Button(label=tr("All channels"), custom_id=custom_ids.status(0))


def _section(tr: Language, state: Health, text: str) -> ui.Section[Any]:
    button = ui.Button[Any](label=tr("Manage"), custom_id=custom_ids.manage(state.subscription.channel_id))
    return ui.Section(ui.TextDisplay[Any](text), accessory=button)


def action_button(
    label: str,
    action: str,
    channel_id: int,
    topic: str | None = None,
    style: ButtonStyle = discord.ButtonStyle.secondary,
) -> ui.Button[Any]:
    """A button for one of the actions of `custom_ids.DO`; a label that is too long is cut."""
    return ui.Button(
        label=cut(label, LABEL_CHARACTERS), custom_id=custom_ids.do(action, channel_id, topic), style=style
    )


def _pages(tr: Language, overview: Overview, shown: int) -> list[Part]:
    """Buttons that turn the page, where there is more than this one."""
    after = overview.first + shown
    if overview.first == 0 and after >= overview.total:
        return []
    back = ui.Button[Any](label=tr("Previous"), custom_id=custom_ids.status(max(0, overview.first - A_PAGE)))
    on = ui.Button[Any](label=tr("Next"), custom_id=custom_ids.status(after), disabled=after >= overview.total)
    row = Row(back, on) if overview.first else Row(on)
    place = tr("{first} to {last} of {total}", first=overview.first + 1, last=after, total=overview.total)
    return [ui.TextDisplay(f"-# {place}"), row]


def _following(tr: Language, channel_ids: Sequence[int]) -> str:
    channels = some_of(tr, [f"<#{channel_id}>" for channel_id in channel_ids], A_PAGE)
    text = tr("Following weekbot's own channel: {channels}", channels=channels)
    return f"-# {text}"


def _sum(tr: Language, overview: Overview) -> str:
    found = []
    if overview.in_trouble:
        found.append(tr("⚠️ {count} with problems", count=overview.in_trouble))
    if overview.paused:
        found.append(tr("⏸️ {count} paused", count=overview.paused))
    if overview.total and not found:
        found.append(tr("✅ all good"))
    return " · ".join([tr.plural("{count} channel", "{count} channels", overview.total), *found])


def _fitting(texts: Sequence[str]) -> list[str]:
    """The first texts, as far as there is room for them."""
    lengths = accumulate(len(text) for text in texts)
    return [text for text, length in zip(texts, lengths, strict=True) if length <= MOST_CHARACTERS][:A_PAGE]


def describe(tr: Language, state: Health) -> str:
    subscription = state.subscription
    channel = f"{_sign(state)} **<#{subscription.channel_id}>**"
    lines = [*_schedule(tr, channel, state), *_last(tr, state)]
    lines += [f"-# {_reason(tr, state, failure)}" for failure in state.failures]
    if subscription.blocked:
        lines.append(_blocked(tr, state, subscription.blocked))
    elif state.trouble:
        lines.append(tr("Problem: {reason}.", reason=state.trouble))
    return "\n".join(lines)


def _schedule(tr: Language, channel: str, state: Health) -> list[str]:
    """When the next post is due, or why there is none."""
    if unreadable := state.subscription.unreadable:
        wrong = [tr(each.sentence, value=each.shown) for each in unreadable]
        return [channel, tr("Nothing is posted here: {reason}", reason=" ".join(wrong))]
    return [f"{channel} {when(tr, state.subscription)}", _next(tr, state)]


def _blocked(tr: Language, state: Health, reason: str) -> str:
    """The present trouble, if there is any: unlike Discord's answer to the post, it names what is missing."""
    if state.trouble:
        return tr("Blocked: {reason}. No topic is lost; I try again each week.", reason=state.trouble)
    answered = _reason(tr, state, reason)
    return tr("Blocked: {reason}. Everything seems to be fine now; I'll try again with the next post.", reason=answered)


def _sign(state: Health) -> str:
    """What to look at first, in one glance."""
    if state.subscription.blocked or state.subscription.unreadable:
        return "🚫"
    if state.trouble or state.failures:
        return "⚠️"
    if state.subscription.paused:
        return "⏸️"
    return _SIGNS.get(state.last.state, "✅") if state.last else "✅"


def when(tr: Language, subscription: Subscription) -> str:
    """The slot in words, in the subscription's own time."""
    weekly = subscription.weekly
    return tr(
        "{weekday} {time} ({zone}), track `{track}`",
        weekday=tr(WEEKDAYS[weekly.weekday]),
        time=f"{weekly.at:%H:%M}",
        zone=timezones.label(weekly.zone.key),
        track=subscription.options.track,
    )


def _next(tr: Language, state: Health) -> str:
    topic = state.coming.title
    if state.subscription.paused:
        return tr("Paused. `/weekly resume` continues with **{topic}**.", topic=topic)
    slot = state.subscription.next_slot.instant
    return tr("Next: **{topic}**, {slot} ({relative})", topic=topic, slot=moment(slot, "f"), relative=moment(slot, "R"))


def _last(tr: Language, state: Health) -> list[str]:
    last = state.last
    if last is None:
        return []
    topic, reason = state.title, _reason(tr, state, last.reason or "")
    if last.state is State.SENT:
        when = moment(last.sent_at or last.slot, "R")
        removed = f" ({reason})" if reason and last.message_id is None else ""
        return [tr("Last: {topic}, {when}", topic=linked(topic, last), when=when) + removed]
    text = _UNSENT.get(last.state)
    if text is None:
        return []
    detail = f" ({reason})" if reason else ""
    return [f"{tr(text, topic=topic, slot=moment(last.slot, 'f'))}{detail}"]


def _reason(tr: Language, state: Health, reason: str) -> str:
    return cut(describe_refusal(tr, reason, state.needs), MOST_REASON)


_SIGNS = {State.PENDING: "⏳", State.MISSED: "❗", State.UNVERIFIED: "❔"}
_UNSENT = {
    State.PENDING: N_("On its way: **{topic}**"),
    State.MISSED: N_("Missed {slot}: **{topic}**, still to be posted"),
    State.UNVERIFIED: N_("Unverified {slot}: **{topic}** may have been posted"),
}
