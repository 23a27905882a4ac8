"""The interfaces to Discord and to the metrics, so that delivery can be tested without them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from weekbot.content.model import Topic
from weekbot.domain.deliveries import Delivery, PostForm
from weekbot.domain.reconciliations import Post
from weekbot.domain.steps import StepName
from weekbot.domain.subscriptions import Subscription

NONCE_KNOWN = timedelta(minutes=2)  # at least so long Discord treats a message with the same nonce as a duplicate


class RequestBudget(Protocol):
    requests_per_second: float

    async def wait_for_capacity(self) -> None: ...


@dataclass(frozen=True)
class SentMessage:
    """A posted message; a forum post is the first message of its own thread.

    `version` is the version of the topic that it shows and `form` the message's form, if they are known. `topic` is the
    slug of the topic that it shows, None if that is the one that was sent. `foreign` is True if Discord treated the
    post as a duplicate of another process's message, and returned that message.
    """

    message_id: int
    channel_id: int
    version: str | None = field(default=None, compare=False)
    form: PostForm | None = field(default=None, compare=False)
    topic: str | None = field(default=None, compare=False)
    foreign: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class HistoryPage:
    """The weekly posts in part of a channel's history; `cursor` is where to continue, None at its end."""

    posts: list[Post]
    cursor: str | None = None


class NoticeSender(Protocol):
    """Raises delivery errors."""

    async def post(self, subscription: Subscription, text: str, nonce: str, public_text: str) -> None:
        """Post the text in the server's notices or system channel, or else the public text where members read it."""


class DeliveryMetrics(Protocol):
    def posted(self, lateness: timedelta | None) -> None: ...
    def ended(self, result: str) -> None:
        """Count a delivery that ended in a state other than sent."""

    def retried(self) -> None: ...


class Sender(Protocol):
    """Posts and reads. Its coroutines raise delivery errors."""

    async def send(self, delivery: Delivery, topic: Topic) -> SentMessage:
        """Post the topic, with the delivery's id as its nonce."""

    def nonce_known(self, delivery: Delivery) -> timedelta:
        """How long Discord recognises a repeated send of the delivery as the same message."""

    async def find(self, delivery: Delivery, since: datetime, cursor: str | None) -> HistoryPage:
        """Like `posts_in`, but only the messages of this delivery."""

    async def posts_in(self, subscription: Subscription, since: datetime, cursor: str | None) -> HistoryPage:
        """The bot's weekly posts since that instant, or from the cursor on, as far as they are read in one go."""

    def is_quiet(self, subscription: Subscription, since: datetime) -> bool:
        """Return whether certainly nobody has written in the channel since that instant."""

    async def follow_up(self, step: StepName, delivery: Delivery, topic: Topic | None) -> SentMessage | None:
        """Run one repeatable step. Returns the remaining message if the recorded one was a duplicate and is removed."""


class Editor(Protocol):
    """Edits posts. Its coroutines raise delivery errors."""

    def version(self, delivery: Delivery, topic: Topic) -> str:
        """The version of the topic that the delivery's post would show now: at most 32 characters."""

    async def with_form(self, delivery: Delivery) -> Delivery:
        """The delivery with the form of its message, which is looked up if it is unknown."""

    async def edit(self, delivery: Delivery, topic: Topic) -> None: ...
