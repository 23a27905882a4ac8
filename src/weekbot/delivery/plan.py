"""Which topic a slot gets: pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from weekbot.content.library import Library, next_topic, reading_order
from weekbot.content.model import EVERYTHING, Track
from weekbot.language import N_
from weekbot.store.delivery import Plan, Planner, State
from weekbot.store.subscriptions import Options, Subscription

NOT_RUNNING = N_("weekbot was not running")


def coming_topic(library: Library, subscription: Subscription, had: set[str]) -> Plan:
    """The topic that the subscription's next post has: the one chosen, else the first not had in this round."""
    chosen = subscription.chosen_topic
    if chosen in library.topics:
        return Plan(chosen, subscription.round, chosen=True)
    slug, new_round = next_topic(order_of(library, subscription.options), had)
    return Plan(slug, subscription.round + new_round)


def order_of(library: Library, options: Options) -> tuple[str, ...]:
    """The track's topics from the one that was chosen to begin with."""
    return reading_order(track_of(library, options), options.start_topic)


def planner(library: Library, state: State = State.PENDING) -> Planner:
    """Plans the coming topic, in that state."""

    def plan(subscription: Subscription, had: set[str]) -> Plan:
        return replace(coming_topic(library, subscription, had), state=state)

    return plan


def planner_of_slots(library: Library, now: datetime, catch_up: timedelta) -> Planner:
    """Plans the coming topic for the next slot; that slot is missed where it is long past."""

    def plan(subscription: Subscription, had: set[str]) -> Plan:
        coming = coming_topic(library, subscription, had)
        late = too_late(subscription.next_slot.instant, now, catch_up)
        return replace(coming, state=State.MISSED, reason=NOT_RUNNING) if late else coming

    return plan


def too_late(slot: datetime, now: datetime, catch_up: timedelta) -> bool:
    """Whether a slot is so long past that its post would only confuse."""
    return now - slot > catch_up


def track_of(library: Library, options: Options) -> Track:
    """A track that has left the content goes on as the track of everything."""
    return library.tracks.get(options.track) or library.tracks[EVERYTHING]
