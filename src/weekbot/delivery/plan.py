"""Which topic a slot gets: pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from weekbot.content.library import Library, next_topic, reading_order
from weekbot.content.model import EVERYTHING, Topic
from weekbot.store.deliveries import Plan, Planner, State
from weekbot.store.subscriptions import Subscription


def coming_topic(library: Library, subscription: Subscription, had: set[str]) -> Plan:
    """The topic that the subscription's next post has: the one chosen, else the first not had in this round."""
    chosen = subscription.chosen_topic
    if chosen in library.topics:
        return Plan(chosen, subscription.round, chosen=True)
    slug, new_round = next_topic(_order(library, subscription), had)
    return Plan(slug, subscription.round + new_round)


def coming_topics(library: Library, subscription: Subscription, had: set[str], count: int) -> list[Topic]:
    """The topics of the coming weeks, the next one first."""
    topics: list[Topic] = []
    while len(topics) < count:
        plan = coming_topic(library, subscription, had)
        had = {plan.topic} | (had if plan.round == subscription.round else set())
        subscription = replace(subscription, chosen_topic=None, round=plan.round)
        topics.append(library.topics[plan.topic])
    return topics


def planner(library: Library, state: State = State.PENDING, reason: str | None = None) -> Planner:
    """Plans the coming topic, in that state."""

    def plan(subscription: Subscription, had: set[str]) -> Plan:
        return replace(coming_topic(library, subscription, had), state=state, reason=reason)

    return plan


def too_late(slot: datetime, now: datetime, catch_up: timedelta) -> bool:
    """Whether a slot is so long past that its post would only confuse."""
    return now - slot > catch_up


def _order(library: Library, subscription: Subscription) -> tuple[str, ...]:
    """A track that is gone from the content continues as the track of everything."""
    track = library.tracks.get(subscription.options.track) or library.tracks[EVERYTHING]
    return reading_order(track, subscription.options.start_topic)
