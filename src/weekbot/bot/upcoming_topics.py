"""The topic of a subscription's next post."""

from collections.abc import Callable
from dataclasses import dataclass

from weekbot.content.library import Library
from weekbot.content.model import Topic
from weekbot.domain.planning import coming_topic
from weekbot.domain.subscriptions import Subscription
from weekbot.store.deliveries import Deliveries


@dataclass(frozen=True)
class UpcomingTopics:
    library: Callable[[], Library]
    deliveries: Deliveries

    async def topic(self, subscription: Subscription) -> Topic:
        used = await self.deliveries.used_topics(subscription)
        library = self.library()
        return library.topics[coming_topic(library, subscription, used).topic]
