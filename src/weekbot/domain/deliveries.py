"""Deliveries: a subscription's post for one slot, its state, and the attempts to send it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import count

from weekbot.domain.subscriptions import Subscription


class State(StrEnum):
    PENDING = "pending"  # claimed; not yet known to be posted
    SENT = "sent"
    SKIPPED = "skipped"  # a moderator skipped the topic
    MISSED = "missed"  # could not be posted within the catch-up time
    BLOCKED = "blocked"  # Discord refused it
    UNVERIFIED = "unverified"  # may or may not have been posted; not sent again
    UNKNOWN = "unknown"  # stored by a later version

    @classmethod
    def _missing_(cls, value: object) -> "State":  # noqa: ARG003
        return cls.UNKNOWN


class PostForm(StrEnum):
    """The form of a post's message, which an edit can't change."""

    COMPONENTS = "components"  # Components V2 alone
    EMBED = "embed"  # an embed with the text, and buttons below it


USED_STATES = (State.PENDING, State.SENT, State.SKIPPED, State.UNVERIFIED)
"""The states in which a topic counts as used in its round."""


class UsedTopics(set[str]):
    """The topics that a channel has used in its current round.

    The posts of those in `final` can't fail any more. `later` maps later rounds to their topics: a round may begin
    while the last post of the round before is pending.
    """

    def __init__(self) -> None:
        super().__init__()
        self.final: set[str] = set()
        self.later: dict[int, UsedTopics] = {}

    def use(self, topic: str, state: State) -> None:
        self.add(topic)
        if state is not State.PENDING:
            self.final.add(topic)

    def rounds(self, current: int) -> Iterator[tuple[int, "UsedTopics"]]:
        """Yield each round from the current one on, without end, with its topics."""
        yield current, self
        for later in count(current + 1):
            yield later, self.later.get(later, UsedTopics())


_WEEK_DIGITS = 4
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def scheduled_id(channel_id: int, week: date) -> str:
    """Return the id of the channel's scheduled delivery in the week of that Monday: the same in every ledger."""
    return f"w{_base36(channel_id)}{_base36(week.toordinal()).zfill(_WEEK_DIGITS)}"


def manual_id(interaction_id: int | None = None) -> str:
    """Return the id of the delivery that an interaction requests: the same in every ledger.

    Without an interaction the id is random. No id of a scheduled delivery begins like it.
    """
    return os.urandom(12).hex() if interaction_id is None else f"m{_base36(interaction_id)}"


def is_requested(delivery_id: str) -> bool:
    """Return whether an interaction requested the delivery. The ids of earlier versions don't show that."""
    return delivery_id.startswith("m")


def week_of_id(delivery_id: str) -> date | None:
    """Return the Monday of a scheduled delivery's week; None for a manual one, or an earlier version's."""
    return date.fromordinal(int(delivery_id[-_WEEK_DIGITS:], 36)) if delivery_id.startswith("w") else None


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


@dataclass(frozen=True)
class Plan:
    """The topic for a slot and its round; `chosen` if a moderator chose it; the initial state, with its reason.

    `current_round` is the channel's round from then on; None means the topic's round. It is an earlier one while one of
    that round's topics is pending: if its post fails, that topic comes next.
    """

    topic: str
    round: int
    chosen: bool = False
    state: State = State.PENDING
    reason: str | None = None
    current_round: int | None = None


Planner = Callable[[Subscription, UsedTopics], Plan]


@dataclass(frozen=True)
class Delivery:
    """A row of the ledger with its subscription.

    `message_channel_id` is the subscribed channel, or the thread that a forum post opened. `version` is the rendering
    of the topic that the message shows, None if unknown. `attempt_at` is the start of the current attempt, or of the
    one that sent the post. `cursor` is the position up to which the channel's history was searched for the post. `form`
    is the form as recorded; see `known_form`. `edit_attempts` counts the attempts to correct the post.
    """

    id: str
    subscription: Subscription
    slot: datetime
    topic: str
    round: int
    scheduled: bool
    chosen: bool
    state: State
    attempts: int = 0
    first_attempt_at: datetime | None = None
    retry_at: datetime | None = None
    message_id: int | None = None
    message_channel_id: int | None = None
    sent_at: datetime | None = None
    reason: str | None = None
    version: str | None = None
    attempt_at: datetime | None = None
    cursor: str | None = None
    form: PostForm | None = None
    edit_attempts: int | None = None

    @property
    def known_form(self) -> PostForm | None:
        """The message's form; None for a message found in a channel's history, whose version is unknown as well.

        Earlier versions recorded no form, and all their posts consist of components.
        """
        return self.form or (PostForm.COMPONENTS if self.version else None)

    @property
    def log_fields(self) -> dict[str, object]:
        slot = self.slot.isoformat(timespec="minutes")
        return {"delivery": self.id, **self.subscription.log_fields, "slot": slot, "topic": self.topic}


class Outcome(StrEnum):
    SENT = "sent"
    FOUND = "found"  # the post was already in the channel's history
    REFUSED = "refused"
    NOT_SENT = "not_sent"  # certainly not posted; to be retried
    UNKNOWN = "unknown"  # may or may not be posted
    GIVEN_UP = "given_up"  # not posted, and no longer needed

    @classmethod
    def _missing_(cls, value: object) -> "Outcome":  # noqa: ARG003 - a later version stored it
        return cls.UNKNOWN


@dataclass(frozen=True)
class Attempt:
    """`number` counts from 1. `ended_at` and `outcome` are None if the outcome was never recorded."""

    number: int
    began_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    reason: str | None = None
