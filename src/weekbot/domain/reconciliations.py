"""Reconciliations: channels whose history may hold posts that the ledger lacks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from weekbot.domain.deliveries import Planner, asked_for, week_of_id
from weekbot.domain.schedule import Slot, next_slot
from weekbot.domain.subscriptions import Subscription
from weekbot.runtime.errors import WeekbotError

CLOCKS_APART = timedelta(minutes=5)
"""So much earlier than its slot may a post seem to stand in Discord."""


class LookingBackError(WeekbotError):
    """I am still looking up what I posted here while I was away. Try again in a minute."""


@dataclass(frozen=True)
class Post:
    """A weekly post as it stands in a channel's history."""

    delivery_id: str
    topic: str
    message_id: int
    channel_id: int
    at: datetime


@dataclass(frozen=True)
class Reconciliation:
    """Posts `since` then are to be looked up; `restored` where it is certain that the ledger is older than Discord.

    `attempts` counts the one that it is held for; `cursor` is how far the history has been read.
    """

    subscription: Subscription
    since: datetime
    restored: bool
    attempts: int
    cursor: str | None = None


PlannerOf = Callable[[str], Planner]
"""Returns the planner of a topic that was already posted, given by its slug."""


def slot_of(subscription: Subscription, post: Post) -> Slot | None:
    """The slot that it was posted for: what its id says, or else the last one that had come by then.

    None if none had come since the last claim, as before a post by hand.
    """
    latest = post.at + CLOCKS_APART
    if week := week_of_id(post.delivery_id):
        is_new = subscription.last_slot is None or week > subscription.last_slot.week
        return Slot(_instant_in(subscription, week, post.at), week, subscription.weekly.zone) if is_new else None
    if asked_for(post.delivery_id) or not subscription.is_due(latest):
        return None
    reached = subscription.next_slot
    while (following := next_slot(subscription.weekly, reached.instant, reached)).instant <= latest:
        reached = following
    return reached


def _instant_in(subscription: Subscription, week: date, at: datetime) -> datetime:
    """The slot as it is known, unless it was another one when it was posted."""
    known = subscription.next_slot
    return known.instant if known.week == week and known.instant <= at + CLOCKS_APART else at
