"""What moderators do to a subscription: pure changes from one state to the next."""

from dataclasses import dataclass, fields, replace
from datetime import datetime, time

from weekbot.content.library import Library
from weekbot.content.tracks import EVERYTHING
from weekbot.domain.planning import track_of
from weekbot.domain.schedule import next_slot
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.domain.unreadable_options import UnreadableError, unreadable_zone
from weekbot.runtime.errors import WeekbotError


@dataclass(frozen=True)
class Choices:
    """The options of `/weekly subscribe` that were given; None leaves one as it is."""

    track: str | None = None
    weekday: int | None = None
    at: time | None = None
    timezone: str | None = None
    ping_role_id: int | None = None
    thread: bool | None = None
    pin: bool | None = None
    publish: bool | None = None
    start_topic: str | None = None

    def over(self, options: Options) -> Options:
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(options, **{name: value for name, value in given.items() if value is not None})


def subscribe(
    current: Subscription | None,
    guild_id: int,
    channel_id: int,
    guild_timezone: str,
    given: Choices,
    now: datetime,
    *,
    fresh: bool = False,
) -> Subscription:
    """Begin, continue where the channel stopped, or change only the given options.

    A topic to start with begins a new round, unless the current one is `fresh` and began with it.
    Raises UnreadableError, unless all options that can't be read are given anew.
    """
    if current is None:
        options = given.over(Options(EVERYTHING))
        if unreadable := unreadable_zone(options.timezone, guild_timezone):
            raise UnreadableError(unreadable)
        slot = next_slot(options.weekly(guild_timezone), now)
        return Subscription(0, guild_id, channel_id, options, guild_timezone, round=1, next_slot=slot)
    was_unreadable, current = bool(current.unreadable), _repaired(current, given)
    changed = replace(current, options=given.over(current.options), active=True, blocked=None, warning=None)
    if given.start_topic and not (fresh and _began_with(current, given.start_topic)):
        changed = replace(changed, round=current.round + 1, chosen_topic=None)
    if not current.active:
        # The week that had its post is remembered, so that leaving and coming back makes no second one.
        back = replace(changed, paused=False)
        if changed.weekly == current.weekly:
            return back.rescheduled(now)
        # The old slot is dropped, even if it has just passed.
        return replace(back, next_slot=next_slot(back.weekly, now, back.last_slot))
    moved = (was_unreadable or changed.weekly != current.weekly) and not current.is_due(now)
    return changed.rescheduled(now) if moved else changed


def check_start(library: Library, options: Options) -> None:
    """Raises WeekbotError if the topic to start with isn't in the track. A topic that was removed doesn't matter."""
    track, start = track_of(library, options), library.find(options.start_topic or "")
    if start and start.slug not in track.topics:
        raise WeekbotError(
            "`{topic}` is not in the track **{track}**. `/topic list` shows what is; "
            "`/weekly next` chooses any topic once.",
            topic=start.slug,
            track=track.title,
        )


def _began_with(current: Subscription, topic: str) -> bool:
    return current.active and current.options.start_topic == topic and current.chosen_topic is None


def _repaired(current: Subscription, given: Choices) -> Subscription:
    """The subscription with what is given in place of what can't be read."""
    for unreadable in current.unreadable:
        if getattr(given, unreadable.option) is None:
            raise UnreadableError(unreadable)
    return replace(current, unreadable=())


def readable(current: Subscription) -> Subscription:
    """The subscription. Raises UnreadableError."""
    for unreadable in current.unreadable:
        raise UnreadableError(unreadable)
    return current


def unsubscribe(current: Subscription) -> Subscription:
    return replace(current, active=False)


def pause(current: Subscription) -> Subscription:
    return replace(_subscribed(current), paused=True)


def resume(current: Subscription, now: datetime) -> Subscription:
    """Go on with the next slot; what passed during the pause stays passed, and its topics are still to come.

    A slot that came a moment ago is kept.
    """
    return replace(current, paused=False).rescheduled(now) if readable(_subscribed(current)).paused else current


def choose(current: Subscription, topic: str) -> Subscription:
    """Let the next post be this topic."""
    return replace(readable(_subscribed(current)), chosen_topic=topic)


def reset(current: Subscription, option: str, now: datetime) -> Subscription:
    """Unset `ping`, `timezone`, `start` or `next`; the channel keeps its place in the round."""
    options = _subscribed(current).options
    match option:
        case "ping":
            return replace(current, options=replace(options, ping_role_id=None), warning=None)
        case "timezone":
            return _in_servers_zone(current, now)
        case "start":
            return replace(current, options=replace(options, start_topic=None))
        case "next":
            return replace(current, chosen_topic=None)
    raise ValueError(option)


def _in_servers_zone(current: Subscription, now: datetime) -> Subscription:
    """Raises UnreadableError if the server's zone, or another option, can't be read."""
    for unreadable in current.unreadable:
        if unreadable.option != "timezone":
            raise UnreadableError(unreadable)
    if servers := unreadable_zone(None, current.guild_timezone):
        raise UnreadableError(servers)
    changed = replace(current, options=replace(current.options, timezone=None), unreadable=())
    moved = bool(current.unreadable) or changed.weekly != current.weekly
    return changed.rescheduled(now) if moved and not current.is_due(now) else changed


def _subscribed(current: Subscription) -> Subscription:
    if not current.active:
        raise NotSubscribedError
    return current


class NotSubscribedError(WeekbotError):
    """This channel has no weekly topic. `/weekly subscribe` starts one."""
