"""The rules by which moderators change a subscription: pure functions from its state to the next."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
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
    """The options given to `/weekly subscribe`; None leaves an option unchanged."""

    track: str | None = None
    weekday: int | None = None
    at: time | None = None
    timezone: str | None = None
    ping_role_id: int | None = None
    thread: bool | None = None
    pin: bool | None = None
    publish: bool | None = None
    start_topic: str | None = None

    def apply_to(self, options: Options) -> Options:
        return replace(options, **{name: value for name, value in asdict(self).items() if value is not None})


def subscribe(
    current: Subscription | None,
    guild_id: int,
    channel_id: int,
    guild_timezone: str,
    given: Choices,
    now: datetime,
    *,
    round_just_begun: bool = False,
) -> Subscription:
    """Subscribe the channel, resume its ended subscription, or change the given options only.

    A start topic begins a new round, unless the current round has just begun with that topic. Raises UnreadableError,
    unless `given` replaces all unreadable options.
    """
    if current is None:
        options = given.apply_to(Options(EVERYTHING))
        if unreadable := unreadable_zone(options.timezone, guild_timezone):
            raise UnreadableError(unreadable)
        slot = next_slot(options.weekly(guild_timezone), now)
        return Subscription(0, guild_id, channel_id, options, guild_timezone, round=1, next_slot=slot)
    was_unreadable = bool(current.unreadable)
    require_readable(current, [name for name, value in asdict(given).items() if value is not None])
    current = replace(current, unreadable=())
    changed = replace(current, options=given.apply_to(current.options), active=True, blocked=None, warning=None)
    begun = round_just_begun and current.active and current.chosen_topic is None
    if given.start_topic and not (begun and current.options.start_topic == given.start_topic):
        changed = replace(changed, round=current.round + 1, chosen_topic=None)
    if not current.active:
        # `last_slot` stays, so that unsubscribing and coming back makes no second post in a week.
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
            "`{topic}` isn't in the track **{track}**. `/topic list` shows which topics are; `/weekly next` chooses "
            "any topic once.",
            topic=start.slug,
            track=track.title,
        )


def require_readable(current: Subscription, replaced: Collection[str] = ()) -> Subscription:
    """Raise UnreadableError if an option can't be read, unless it is about to be replaced."""
    for unreadable in current.unreadable:
        if unreadable.option not in replaced:
            raise UnreadableError(unreadable)
    return current


def unsubscribe(current: Subscription) -> Subscription:
    return replace(current, active=False)


def pause(current: Subscription) -> Subscription:
    return replace(_require_active(current), paused=True)


def resume(current: Subscription, now: datetime) -> Subscription:
    """End the pause. Slots that passed during it are dropped, except one that is just due; no topic is lost."""
    paused = require_readable(_require_active(current)).paused
    return replace(current, paused=False).rescheduled(now) if paused else current


def choose(current: Subscription, topic: str) -> Subscription:
    return replace(require_readable(_require_active(current)), chosen_topic=topic)


def reset(current: Subscription, option: str, now: datetime) -> Subscription:
    """Unset `ping`, `timezone`, `start` or `next`; the channel keeps its place in the round."""
    options = _require_active(current).options
    match option:
        case "ping":
            return replace(current, options=replace(options, ping_role_id=None), warning=None)
        case "timezone":
            return _reset_timezone(current, now)
        case "start":
            return replace(current, options=replace(options, start_topic=None))
        case "next":
            return replace(current, chosen_topic=None)
    raise ValueError(option)


def _reset_timezone(current: Subscription, now: datetime) -> Subscription:
    """Use the server's zone. Raises UnreadableError if that, or another option, can't be read."""
    require_readable(current, ["timezone"])
    if unreadable_server_zone := unreadable_zone(None, current.guild_timezone):
        raise UnreadableError(unreadable_server_zone)
    changed = replace(current, options=replace(current.options, timezone=None), unreadable=())
    moved = bool(current.unreadable) or changed.weekly != current.weekly
    return changed.rescheduled(now) if moved and not current.is_due(now) else changed


def _require_active(current: Subscription) -> Subscription:
    if not current.active:
        raise NotSubscribedError
    return current


class NotSubscribedError(WeekbotError):
    """This channel has no weekly topic. `/weekly subscribe` starts one."""
