"""Which topic a slot gets: pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from weekbot.content.library import Library, reading_order
from weekbot.content.tracks import EVERYTHING, Track
from weekbot.domain.deliveries import USED_STATES, Plan, Planner, State, UsedTopics
from weekbot.domain.subscriptions import Options, Subscription
from weekbot.i18n.language import N_
from weekbot.runtime.errors import WeekbotError

NOT_RUNNING = N_("weekbot was not running")


class NotNextError(WeekbotError):
    """I did nothing, as another topic comes next by now. `/weekly status` shows which."""


def coming_topic(library: Library, subscription: Subscription, had: UsedTopics) -> Plan:
    """The topic that the subscription's next post has: the one chosen, else the first not had in this round.

    Each is known under the name that it had then, and may have been renamed since.
    """
    order = order_of(library, subscription.options)
    used = ((round_, _called_now(library, topics)) for round_, topics in had.rounds(subscription.round))
    settled = ((round_, _called_now(library, topics.settled)) for round_, topics in had.rounds(subscription.round))
    round_, slug = _first_waiting(order, used)
    current_round, _ = _first_waiting(order, settled)
    chosen = library.find(subscription.chosen_topic or "")
    if chosen and chosen.slug in library.excluded:
        chosen = None
    return Plan(chosen.slug if chosen else slug, round_, chosen=chosen is not None, current_round=current_round)


def _first_waiting(order: Sequence[str], used: Iterator[tuple[int, set[str]]]) -> tuple[int, str]:
    """The first round that lacks a topic, and its first topic that is lacking."""
    rounds = ((round_, *next_topic(order, topics)) for round_, topics in used)
    return next((round_, slug) for round_, slug, is_over in rounds if not is_over)


def order_of(library: Library, options: Options) -> tuple[str, ...]:
    """The track's topics from the one that was chosen to begin with."""
    start = library.find(options.start_topic or "")
    return reading_order(track_of(library, options), start.slug if start else None)


def planner(library: Library, state: State = State.PENDING, expected: str | None = None) -> Planner:
    """Plans the coming topic, in that state; one who plans raises NotNextError where another one was expected."""

    def plan(subscription: Subscription, had: UsedTopics) -> Plan:
        coming = coming_topic(library, subscription, had)
        if expected and library.find(expected) is not library.topics[coming.topic]:
            raise NotNextError
        return replace(coming, state=state)

    return plan


def planner_of_slots(library: Library, now: datetime, catch_up: timedelta) -> Planner:
    """Plans the coming topic for the next slot; that slot is missed where it is long past."""

    def plan(subscription: Subscription, had: UsedTopics) -> Plan:
        coming = coming_topic(library, subscription, had)
        late = too_late(subscription.next_slot.instant, now, catch_up)
        return replace(coming, state=State.MISSED, reason=NOT_RUNNING) if late else coming

    return plan


def planner_of_post(library: Library, topic: str) -> Planner:
    """Plan a topic that was already posted: in place of the coming topic if it is the same one, otherwise as an extra
    one in the same round.
    """

    def plan(subscription: Subscription, had: UsedTopics) -> Plan:
        coming = coming_topic(library, subscription, had)
        as_planned = library.find(topic) is library.topics[coming.topic]
        return replace(coming, topic=topic, chosen=coming.chosen and as_planned, state=State.SENT)

    return plan


def planner_of_unverified(library: Library, reason: str) -> Planner:
    """Plans the coming topic for a slot of which nobody can tell whether it was posted."""

    def plan(subscription: Subscription, had: UsedTopics) -> Plan:
        return replace(coming_topic(library, subscription, had), state=State.UNVERIFIED, reason=reason)

    return plan


def _called_now(library: Library, slugs: set[str]) -> set[str]:
    return {topic.slug for slug in slugs if (topic := library.topics.get(slug) or library.find(slug))}


def too_late(slot: datetime, now: datetime, catch_up: timedelta) -> bool:
    """Whether a slot is so long past that its post would only confuse."""
    return now - slot > catch_up


def track_of(library: Library, options: Options) -> Track:
    """A track that has left the content goes on as the track of everything."""
    return library.tracks.get(options.track) or library.tracks[EVERYTHING]


def next_topic(order: Sequence[str], had: set[str]) -> tuple[str, bool]:
    """The first topic not had in this round, and whether a new round begins with it.

    `order` is not empty; `had` holds the topics of the current round.
    """
    waiting = next((slug for slug in order if slug not in had), None)
    return (waiting, False) if waiting else (order[0], True)


def is_still_due(seen: Subscription, current: Subscription) -> bool:
    running = current.active and not current.paused and not current.unreadable
    return running and current.next_slot == seen.next_slot


def in_round(current: Subscription, planned: Plan) -> Subscription:
    """The subscription in the round that the plan leaves it in; a topic that was chosen is used up by it."""
    used_up = planned.chosen and planned.state in USED_STATES
    round_ = planned.round if planned.current_round is None else planned.current_round
    return replace(current, round=round_, chosen_topic=None if used_up else current.chosen_topic)
