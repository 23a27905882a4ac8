"""The panel of `/weekly status`: a page of a server's channels, and one channel with its actions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from math import ceil
from typing import Any

from discord import ButtonStyle, ui

from weekbot.bot.cards import custom_ids
from weekbot.bot.cards.card import COLOURS, Card, Part, Row, button, note, page_range, separated, texts
from weekbot.bot.cards.formatting import cut, first_items, linked, moment
from weekbot.content.model import Category, Topic
from weekbot.discord_io.channel_checks import describe_refusal
from weekbot.domain import timezones
from weekbot.domain.deliveries import Delivery, State
from weekbot.domain.guilds import GuildSettings
from weekbot.domain.subscriptions import Subscription
from weekbot.i18n.language import N_, Language

WEEKDAYS = (N_("Monday"), N_("Tuesday"), N_("Wednesday"), N_("Thursday"), N_("Friday"), N_("Saturday"), N_("Sunday"))
NO_CHANNEL = N_("No channel has a weekly topic yet. `/weekly subscribe` starts one in this channel.")
UNHEARD = N_("I have no channel where I can report problems to moderators. Choose one with `/weekly settings`.")
LATE = N_("Posts may be up to {minutes} minutes late: many servers post at this time.")
VERY_LATE = N_("Posts may be more than an hour late: many servers post at this time.")
MAX_CHARACTERS = 3200  # for channels, of the 4,000 that a message may have
MAX_REASON_CHARACTERS = 200
MAX_LABEL_CHARACTERS = 80
PAGE_SIZE = 10
TROUBLE_COLOUR = 0xE67E22


@dataclass(frozen=True)
class SubscriptionStatus:
    """A subscription with its next topic and its last delivery, and what is wrong.

    `title` is the title of the last delivery's topic. `failures` are the failed steps of that delivery. `trouble`
    describes what would spoil the next post. `needs` names the permissions that posts need, if the channel is known.
    `lateness` is how late the next post may be because many servers share its slot, up to an hour.
    """

    subscription: Subscription
    upcoming: Topic
    last: Delivery | None
    title: str
    failures: Sequence[str]
    trouble: str | None
    needs: Sequence[str] = ()
    lateness: timedelta | None = None


@dataclass(frozen=True)
class Overview:
    """A page of a server's subscriptions that begins with number `first` (from 0), and counts for the whole server.

    `followers` are the ids of channels that follow the home channel. `has_notice_channel` is False if the bot can't
    write to the moderators.
    """

    statuses: Sequence[SubscriptionStatus]
    first: int
    total: int
    in_trouble: int
    paused: int
    followers: Sequence[int] = ()
    has_notice_channel: bool = True


def status_card(tr: Language, overview: Overview, settings: GuildSettings) -> Card:
    """The channels of the page that fit into a message; the next page begins after them."""
    shown = _fitting([describe_status(tr, status) for status in overview.statuses])
    zone = tr("This server's time zone is {zone}.", zone=timezones.label(settings.timezone))
    head = f"## {tr('Weekly topics')}\n{_summary(tr, overview)}\n-# {zone}"
    return Card(
        TROUBLE_COLOUR if overview.in_trouble else COLOURS[Category.BASICS],
        ui.TextDisplay(head),
        *(_section(tr, status, text) for status, text in zip(overview.statuses, shown, strict=False)),
        *texts(None if overview.total else tr(NO_CHANNEL)),
        *_pages(tr, overview, len(shown)),
        *texts(
            f"-# {tr(UNHEARD)}" if overview.total and not overview.has_notice_channel else None,
            _followers(tr, overview.followers) if overview.followers else None,
        ),
    )


def manage_card(tr: Language, status: SubscriptionStatus, result: str | None = None) -> Card:
    """One channel with buttons for its actions, and the result of the last action."""
    channel_id, paused, upcoming = status.subscription.channel_id, status.subscription.paused, status.upcoming.slug
    resume = action_button(tr("Resume"), "resume", channel_id, style=ButtonStyle.success)
    actions = [
        action_button(tr("Preview"), "preview", channel_id),
        action_button(tr("Post now"), "post", channel_id, upcoming),
        action_button(tr("Skip next topic"), "skip", channel_id, upcoming),
        resume if paused else action_button(tr("Pause"), "pause", channel_id),
    ]
    unsubscribe = action_button(tr("Unsubscribe"), "unsubscribe", channel_id, style=ButtonStyle.danger)
    parts = separated(result, describe_status(tr, status))
    return Card(COLOURS[Category.BASICS], *parts, Row(*actions), Row(_all_channels(tr), unsubscribe))


def gone_card(tr: Language, result: str) -> Card:
    """Replaces the card of a channel whose subscription has ended."""
    return note(result, Row(_all_channels(tr)))


def _all_channels(tr: Language) -> ui.Button[Any]:
    return button(tr("All channels"), custom_ids.status(0))


def _section(tr: Language, status: SubscriptionStatus, text: str) -> ui.Section[Any]:
    manage = button(tr("Manage"), custom_ids.manage(status.subscription.channel_id))
    return ui.Section(ui.TextDisplay[Any](text), accessory=manage)


def action_button(
    label: str, action: str, channel_id: int, topic: str | None = None, style: ButtonStyle = ButtonStyle.secondary
) -> ui.Button[Any]:
    """A button for `custom_ids.PREVIEW` or one of the actions of `custom_ids.ACTION`."""
    return button(cut(label, MAX_LABEL_CHARACTERS), custom_ids.action(action, channel_id, topic), style)


def _pages(tr: Language, overview: Overview, shown: int) -> list[Part]:
    """Buttons for the previous and the next page, if there is more than one."""
    after = overview.first + shown
    if overview.first == 0 and after >= overview.total:
        return []
    back = button(tr("Previous"), custom_ids.status(max(0, overview.first - PAGE_SIZE)))
    on = button(tr("Next"), custom_ids.status(after), disabled=after >= overview.total)
    row = Row(back, on) if overview.first else Row(on)
    return [*texts(page_range(tr, overview.first + 1, after, overview.total)), row]


def _followers(tr: Language, channel_ids: Sequence[int]) -> str:
    channels = first_items(tr, [f"<#{channel_id}>" for channel_id in channel_ids], PAGE_SIZE)
    return "-# " + tr("Following weekbot's own channel: {channels}", channels=channels)


def _summary(tr: Language, overview: Overview) -> str:
    found = []
    if overview.in_trouble:
        found.append(tr("⚠️ {count} with problems", count=overview.in_trouble))
    if overview.paused:
        found.append(tr("⏸️ {count} paused", count=overview.paused))
    if overview.total and not found:
        found.append(tr("✅ all good"))
    return " · ".join([tr.plural("{count} channel", "{count} channels", overview.total), *found])


def _fitting(described: Sequence[str]) -> list[str]:
    """The first texts that fit into a message."""
    lengths = accumulate(len(text) for text in described)
    return [text for text, length in zip(described, lengths, strict=True) if length <= MAX_CHARACTERS][:PAGE_SIZE]


def describe_status(tr: Language, status: SubscriptionStatus) -> str:
    subscription = status.subscription
    channel = f"{_sign(status)} **<#{subscription.channel_id}>**"
    lines = [*_heading(tr, channel, status), *_last(tr, status)]
    lines += [f"-# {_reason(tr, status, failure)}" for failure in status.failures]
    if subscription.blocked:
        lines.append(_blocked(tr, status, subscription.blocked))
    elif status.trouble:
        lines.append(tr("Problem: {reason}.", reason=status.trouble))
    return "\n".join(lines)


def _heading(tr: Language, channel: str, status: SubscriptionStatus) -> list[str]:
    """The schedule and the next post, or why there is none."""
    if unreadable := status.subscription.unreadable:
        wrong = [tr(each.sentence, value=each.shown) for each in unreadable]
        return [channel, tr("Nothing is posted here: {reason}", reason=" ".join(wrong))]
    return [f"{channel} {schedule(tr, status.subscription)}", _next(tr, status), *_late(tr, status.lateness)]


def _blocked(tr: Language, status: SubscriptionStatus, reason: str) -> str:
    """The current problem, if there is one: unlike Discord's answer to the post, it names what is missing."""
    if status.trouble:
        return tr("Blocked: {reason}. No topic is lost; I try again each week.", reason=status.trouble)
    answered = _reason(tr, status, reason)
    return tr("Blocked: {reason}. Everything seems to be fine now; I'll try again with the next post.", reason=answered)


def _sign(status: SubscriptionStatus) -> str:
    """An emoji for the most urgent problem."""
    if status.subscription.blocked or status.subscription.unreadable:
        return "🚫"
    if status.trouble or status.failures:
        return "⚠️"
    if status.subscription.paused:
        return "⏸️"
    return _SIGNS.get(status.last.state, "✅") if status.last else "✅"


def schedule(tr: Language, subscription: Subscription) -> str:
    """Describe the weekday, time and track, in the subscription's time zone."""
    weekly = subscription.weekly
    return tr(
        "{weekday} {time} ({zone}), track `{track}`",
        weekday=tr(WEEKDAYS[weekly.weekday]),
        time=f"{weekly.at:%H:%M}",
        zone=timezones.label(weekly.zone.key),
        track=subscription.options.track,
    )


def _next(tr: Language, status: SubscriptionStatus) -> str:
    topic = status.upcoming.title
    if status.subscription.paused:
        return tr("Paused. `/weekly resume` continues with **{topic}**.", topic=topic)
    slot = status.subscription.next_slot.instant
    return tr("Next: **{topic}**, {slot} ({relative})", topic=topic, slot=moment(slot, "f"), relative=moment(slot, "R"))


def _late(tr: Language, lateness: timedelta | None) -> list[str]:
    if lateness is None:
        return []
    if lateness >= timedelta(hours=1):
        return [f"-# {tr(VERY_LATE)}"]
    return [f"-# {tr(LATE, minutes=ceil(lateness / timedelta(minutes=1)))}"]


def _last(tr: Language, status: SubscriptionStatus) -> list[str]:
    last = status.last
    if last is None:
        return []
    topic, reason = status.title, _reason(tr, status, last.reason or "")
    detail = f" ({reason})" if reason else ""
    if last.state is State.SENT:
        when = moment(last.sent_at or last.slot, "R")
        removed = detail if last.message_id is None else ""
        return [tr("Last: {topic}, {when}", topic=linked(topic, last), when=when) + removed]
    text = _UNSENT.get(last.state)
    return [tr(text, topic=topic, slot=moment(last.slot, "f")) + detail] if text else []


def _reason(tr: Language, status: SubscriptionStatus, reason: str) -> str:
    return cut(describe_refusal(tr, reason, status.needs), MAX_REASON_CHARACTERS)


_SIGNS = {State.PENDING: "⏳", State.MISSED: "❗", State.UNVERIFIED: "❔"}
_UNSENT = {
    State.PENDING: N_("On its way: **{topic}**"),
    State.MISSED: N_("Missed {slot}: **{topic}**, still to be posted"),
    State.UNVERIFIED: N_("Unverified {slot}: **{topic}** may have been posted"),
}
