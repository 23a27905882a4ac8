"""What the delivery needs of Discord, so that it can be tried without one."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from weekbot.content.model import Topic
from weekbot.domain.deliveries import Delivery, PostForm
from weekbot.domain.reconciliations import Post
from weekbot.domain.steps import StepName
from weekbot.domain.subscriptions import Subscription

NONCE_KNOWN = timedelta(minutes=2)
"""For so long at least Discord takes a message with the same nonce for the same message."""


class RequestBudget(Protocol):
    """The rate at which requests may be sent to Discord."""

    requests_per_second: float

    async def wait_for_capacity(self) -> None:
        """Return when hardly any request waits to be sent."""


@dataclass(frozen=True)
class Sent:
    """Where a post stands; a forum post is the first message of a thread of its own.

    `version` is which rendering of its topic it shows and `form` the message's form, as far as they are known. `topic`
    is the slug of the topic that it shows, None if that is the one that was sent. `foreign` is True if Discord treated
    the post as a duplicate of another process's message, and returned that message.
    """

    message_id: int
    channel_id: int
    version: str | None = field(default=None, compare=False)
    form: PostForm | None = field(default=None, compare=False)
    topic: str | None = field(default=None, compare=False)
    foreign: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Read:
    """The weekly posts in a part of a channel's history; `cursor` is where to go on reading, None at its end."""

    posts: list[Post]
    cursor: str | None = None


class NoticeSender(Protocol):
    """Where a server's moderators are told. Its coroutine raises the errors of `outcomes`."""

    async def post(self, subscription: Subscription, text: str, nonce: str, public_text: str) -> None:
        """Tell the subscription's server in its notices channel, or else its system channel.

        A server without either gets the public text, in a channel that its members read.
        """


class DeliveryMetrics(Protocol):
    """Keeps account of what becomes of deliveries."""

    def posted(self, lateness: timedelta | None) -> None:
        """A post stands, so much later than its slot; None where it was outside the schedule."""

    def ended(self, result: str) -> None:
        """A delivery ended in another state than that."""

    def retried(self) -> None:
        """An attempt failed, and another one comes."""


class Sender(Protocol):
    """The Discord side. Its coroutines raise the errors of `outcomes`."""

    async def send(self, delivery: Delivery, topic: Topic) -> Sent:
        """Post the topic, with the delivery's id as its nonce."""

    def nonce_known(self, delivery: Delivery) -> timedelta:
        """How long Discord recognises the delivery sent again as the same message."""

    async def find(self, delivery: Delivery, since: datetime, cursor: str | None) -> Read:
        """The delivery's messages, as `posts_in` finds them."""

    async def posts_in(self, subscription: Subscription, since: datetime, cursor: str | None) -> Read:
        """The bot's weekly posts in the channel's history from that instant on, or in as much as is read at once.

        With a cursor it goes on where an earlier reading ended.
        """

    def is_quiet(self, subscription: Subscription, since: datetime) -> bool:
        """Whether it is known that nobody has written anything in the channel since that instant."""

    async def follow_up(self, step: StepName, delivery: Delivery, topic: Topic | None) -> Sent | None:
        """Carry out one step on the recorded message; carrying it out twice does no harm.

        If the recorded message was a duplicate and was removed, returns the message that remains.
        """


class Editor(Protocol):
    """The Discord side of corrections. Its coroutines raise the errors of `outcomes`."""

    def version(self, delivery: Delivery, topic: Topic) -> str:
        """Which rendering of the topic the delivery's post would show now: at most 32 characters."""

    async def with_form(self, delivery: Delivery) -> Delivery:
        """The delivery with the form of its recorded message, which is looked up if it is unknown."""

    async def edit(self, delivery: Delivery, topic: Topic) -> None:
        """Have the recorded message show the topic as it is now, in its form."""
