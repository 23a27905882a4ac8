"""A delivery: one subscription's one slot, and what became of it."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import count

from weekbot.domain.subscriptions import Subscription


class State(StrEnum):
    """What became of a delivery."""

    PENDING = "pending"  # claimed; not yet known to be posted
    SENT = "sent"
    SKIPPED = "skipped"  # a moderator left the topic out
    MISSED = "missed"  # could not be posted within the catch-up time
    BLOCKED = "blocked"  # Discord refused it
    UNVERIFIED = "unverified"  # may or may not have been posted; not sent again
    UNKNOWN = "unknown"  # stored by a later version

    @classmethod
    def _missing_(cls, value: object) -> "State":  # noqa: ARG003
        return cls.UNKNOWN


class PostForm(StrEnum):
    """What a post's message is made of; an edit can't change it."""

    COMPONENTS = "components"  # Components V2 alone
    EMBED = "embed"  # an embed with the text, and buttons below it


USED_STATES = (State.PENDING, State.SENT, State.SKIPPED, State.UNVERIFIED)
"""The states in which a topic counts as had in its round."""


class UsedTopics(set[str]):
    """The topics that a channel had in its current round; the posts of those that are `settled` cannot fail any more.

    `later` has the topics of later rounds, by round: one may begin while the last post of this round is pending.
    """

    def __init__(self, topics: Iterable[str] = ()) -> None:
        super().__init__(topics)
        self.settled: set[str] = set()
        self.later: dict[int, UsedTopics] = {}

    def use(self, topic: str, state: State) -> None:
        self.add(topic)
        if state is not State.PENDING:
            self.settled.add(topic)

    def rounds(self, current: int) -> Iterator[tuple[int, "UsedTopics"]]:
        """Each round from the current one on, without end, with its topics."""
        yield current, self
        for later in count(current + 1):
            yield later, self.later.get(later, UsedTopics())


_WEEK_DIGITS = 4
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def scheduled_id(channel_id: int, week: date) -> str:
    """The id of the channel's scheduled delivery in the week of that Monday: as a nonce, the same from any ledger."""
    return f"w{_base36(channel_id)}{_base36(week.toordinal()).zfill(_WEEK_DIGITS)}"


def manual_id(interaction_id: int | None = None) -> str:
    """The id of the delivery that an interaction requests, and so its nonce: the same in every ledger.

    Without an interaction the id is random. The ids of scheduled deliveries begin differently.
    """
    return secrets.token_hex(12) if interaction_id is None else f"m{_base36(interaction_id)}"


def asked_for(delivery_id: str) -> bool:
    """Whether an interaction requested the delivery; the ids of earlier versions don't show that."""
    return delivery_id.startswith("m")


def week_of_id(delivery_id: str) -> date | None:
    """The Monday of the week that a scheduled delivery is for; None of a manual one, or of an earlier version's."""
    return date.fromordinal(int(delivery_id[-_WEEK_DIGITS:], 36)) if delivery_id.startswith("w") else None


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


@dataclass(frozen=True)
class Plan:
    """Which topic a slot gets, in which round; `chosen` by a moderator; the state it begins in, and why.

    `current_round` is the channel's round from then on, None for that of the topic. It is an earlier one while one of
    that round's topics is pending: should its post fail, it comes next.
    """

    topic: str
    round: int
    chosen: bool = False
    state: State = State.PENDING
    reason: str | None = None
    current_round: int | None = None


Planner = Callable[[Subscription, UsedTopics], Plan]
"""Makes the plan from the subscription and the topics it had."""


@dataclass(frozen=True)
class Delivery:
    """A row of the ledger with its subscription.

    `message_channel_id` is where the message stands: the subscribed channel, or the thread that a forum post opened.
    `version` is which rendering of its topic it shows, None where that is not known. `attempt_at` is when the attempt
    began that is being made, or that sent the post. `cursor` is how far the channel's history was read for it. `form`
    is the recorded form of the message: `known_form` has that of posts of earlier versions as well. `edit_attempts` is
    how often its correction was tried, None if it never was.
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
        """The message's form; None for a message found in a channel's history, of which no version is known either.

        Earlier versions recorded no form, and made all posts of components.
        """
        return self.form or (PostForm.COMPONENTS if self.version else None)

    @property
    def log_fields(self) -> dict[str, object]:
        """What names it in a log."""
        slot = self.slot.isoformat(timespec="minutes")
        return {"delivery": self.id, **self.subscription.log_fields, "slot": slot, "topic": self.topic}


class Outcome(StrEnum):
    """How an attempt ended."""

    SENT = "sent"  # Discord took the post
    FOUND = "found"  # it stood in the channel's history
    REFUSED = "refused"  # Discord will not have it
    NOT_SENT = "not_sent"  # certainly not posted; it is tried again
    UNKNOWN = "unknown"  # nobody can tell whether it is posted
    GIVEN_UP = "given_up"  # not posted, and not wanted any more

    @classmethod
    def _missing_(cls, value: object) -> "Outcome":  # noqa: ARG003 - a later version stored it
        return cls.UNKNOWN


@dataclass(frozen=True)
class Attempt:
    """`number` counts from 1. Where it was never recorded how it ended, `ended_at` and `outcome` are None."""

    number: int
    began_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    reason: str | None = None
