"""The collaborators that the kinds of delivery work share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from weekbot.content.library import Library
from weekbot.delivery.outage import Outage
from weekbot.delivery.ports import DeliveryMetrics, Sender, SentMessage
from weekbot.delivery.refused_topics import RefusedTopics
from weekbot.delivery.token_users import TokenUsers
from weekbot.delivery.verification import Verification
from weekbot.domain.deliveries import Delivery
from weekbot.domain.planning import planner_of_post
from weekbot.runtime.clock import Clock
from weekbot.store.claims import ShownTopic


@dataclass(frozen=True)
class DeliveryContext:
    """`library` returns the topics that may be posted now; a slot is posted late within `catch_up`."""

    library: Callable[[], Library]
    sender: Sender
    clock: Clock
    catch_up: timedelta
    verification: Verification
    outage: Outage
    refused_topics: RefusedTopics
    token_users: TokenUsers
    metrics: DeliveryMetrics

    def now(self) -> datetime:
        return self.clock.now()

    def shown_topic(self, delivery: Delivery, sent: SentMessage) -> ShownTopic | None:
        """The topic of the message, if it isn't the planned one because a process with another ledger sent it."""
        if sent.topic in (None, delivery.topic):
            return None
        return ShownTopic(sent.topic, planner_of_post(self.library(), sent.topic))
