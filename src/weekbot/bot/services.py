"""What commands and buttons work with."""

from collections.abc import Callable
from dataclasses import dataclass

from weekbot.bot.inspection import Inspection
from weekbot.bot.membership import Membership
from weekbot.clock import Clock
from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.delivery.by_hand import ByHand
from weekbot.delivery.plan import coming_topic
from weekbot.store.deliveries import Deliveries
from weekbot.store.guilds import Guilds
from weekbot.store.members import Members
from weekbot.store.steps import Steps
from weekbot.store.subscriptions import Subscription, Subscriptions


@dataclass(frozen=True)
class Services:
    library: Callable[[], Library]
    subscriptions: Subscriptions
    deliveries: Deliveries
    steps: Steps
    guilds: Guilds
    members: Members
    by_hand: ByHand
    inspection: Inspection
    membership: Membership
    clock: Clock

    def title(self, slug: str) -> str:
        """The topic's title; its slug where it has left the content."""
        topic = self.library().topics.get(slug)
        return topic.title if topic else slug

    async def coming_topic(self, subscription: Subscription) -> Topic:
        """The topic of the subscription's next post."""
        had = await self.deliveries.had(subscription)
        library = self.library()
        return library.topics[coming_topic(library, subscription, had).topic]
