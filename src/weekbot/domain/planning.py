"""Planning: which topic a slot gets."""

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
    """I did nothing because a different topic is next now. `/weekly status` shows which one."""


def coming_topic(library: Library, subscription: Subscription, used: UsedTopics) -> Plan:
    """Plan the subscription's next post: the topic that was chosen, or the first one not used in this round.

    `used` has the names that topics had when they were posted; they may have been renamed since.
    """
    order, rounds = order_of(library, subscription.options), used.rounds
    round_, slug = _first_unused(library, order, rounds(subscription.round))
    final = ((number, topics.final) for number, topics in rounds(subscription.round))
    current_round, _ = _first_unused(library, order, final)
    chosen = library.find(subscription.chosen_topic or "")
    if chosen and chosen.slug not in library.excluded:
        return Plan(chosen.slug, round_, chosen=True, current_round=current_round)
    return Plan(slug, round_, current_round=current_round)


def _first_unused(library: Library, order: Sequence[str], rounds: Iterator[tuple[int, set[str]]]) -> tuple[int, str]:
    """Return the first round with an unused topic, and that topic."""
    topics = ((round_, *next_topic(order, _current_slugs(library, used))) for round_, used in rounds)
    return next((round_, slug) for round_, slug, is_over in topics if not is_over)


def order_of(library: Library, options: Options) -> tuple[str, ...]:
    """Return the track's topics in order, from the chosen start topic on."""
    start = library.find(options.start_topic or "")
    return reading_order(track_of(library, options), start.slug if start else None)


def planner(
    library: Library, state: State = State.PENDING, expected: str | None = None, reason: str | None = None
) -> Planner:
    """Plan the coming topic, in that state. The planner raises NotNextError if it isn't the expected one."""

    def plan(subscription: Subscription, used: UsedTopics) -> Plan:
        coming = coming_topic(library, subscription, used)
        if expected and library.find(expected) is not library.topics[coming.topic]:
            raise NotNextError
        return replace(coming, state=state, reason=reason)

    return plan


def planner_of_slots(library: Library, now: datetime, catch_up: timedelta) -> Planner:
    """Plan the coming topic for the next slot, which is missed if its catch-up time is over."""

    def plan(subscription: Subscription, used: UsedTopics) -> Plan:
        coming = coming_topic(library, subscription, used)
        late = too_late(subscription.next_slot.instant, now, catch_up)
        return replace(coming, state=State.MISSED, reason=NOT_RUNNING) if late else coming

    return plan


def planner_of_post(library: Library, topic: str) -> Planner:
    """Plan a topic that was already posted: as the coming topic, or else as an extra one in the same round."""

    def plan(subscription: Subscription, used: UsedTopics) -> Plan:
        coming = coming_topic(library, subscription, used)
        as_planned = library.find(topic) is library.topics[coming.topic]
        return replace(coming, topic=topic, chosen=coming.chosen and as_planned, state=State.SENT)

    return plan


def _current_slugs(library: Library, slugs: set[str]) -> set[str]:
    return {topic.slug for slug in slugs if (topic := library.topics.get(slug) or library.find(slug))}


def too_late(slot: datetime, now: datetime, catch_up: timedelta) -> bool:
    return now - slot > catch_up


def track_of(library: Library, options: Options) -> Track:
    """Return the subscription's track, or that of all topics if it has left the content."""
    return library.tracks.get(options.track) or library.tracks[EVERYTHING]


def next_topic(order: Sequence[str], used: set[str]) -> tuple[str, bool]:
    """Return the first topic not used in this round, and whether a new round begins with it. `order` isn't empty."""
    unused = next((slug for slug in order if slug not in used), None)
    return (unused, False) if unused else (order[0], True)


def is_still_due(seen: Subscription, current: Subscription) -> bool:
    running = current.active and not current.paused and not current.unreadable
    return running and current.next_slot == seen.next_slot


def apply_plan(current: Subscription, plan: Plan) -> Subscription:
    """Return the subscription in the round that the plan sets, without the chosen topic if the plan uses it."""
    used_up = plan.chosen and plan.state in USED_STATES
    round_ = plan.round if plan.current_round is None else plan.current_round
    return replace(current, round=round_, chosen_topic=None if used_up else current.chosen_topic)
