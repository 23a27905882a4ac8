"""Reconciliations: channels whose history may hold posts that the ledger lacks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from weekbot.domain.deliveries import Planner, is_requested, week_of_id
from weekbot.domain.schedule import Slot, next_slot
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.errors import WeekbotError

CLOCK_SKEW = timedelta(minutes=5)
"""By Discord's clock, a post may seem to be this much earlier than its slot."""


class LookingBackError(WeekbotError):
    """I am still looking up what I posted here while I was away. Try again in a minute."""


@dataclass(frozen=True)
class Post:
    """A weekly post in a channel's history."""

    delivery_id: str
    topic: str
    message_id: int
    channel_id: int
    at: datetime


@dataclass(frozen=True)
class Reconciliation:
    """A search for the posts `since` that instant; `restored` if the ledger is certainly older than the channel.

    `attempts` includes the current one. `cursor` is the position in the history up to which it was read.
    """

    subscription: Subscription
    since: datetime
    restored: bool
    attempts: int
    cursor: str | None = None


PlannerFor = Callable[[str], Planner]
"""Return the planner of a topic that was already posted, given by its slug."""


def slot_of(subscription: Subscription, post: Post) -> Slot | None:
    """Return the slot that the post was for: that of its delivery's id, or the last one before the post.

    None if no slot had come since the last claim, as for a manual post.
    """
    latest, slot, last = post.at + CLOCK_SKEW, subscription.next_slot, subscription.last_slot
    if week := week_of_id(post.delivery_id):
        if last and week <= last.week:
            return None
        is_unmoved = slot.week == week and slot.instant <= latest
        return Slot(slot.instant if is_unmoved else post.at, week, subscription.weekly.zone)
    if is_requested(post.delivery_id) or not subscription.is_due(latest):
        return None
    while (following := next_slot(subscription.weekly, slot.instant, slot)).instant <= latest:
        slot = following
    return slot
