"""Messages that show another topic than planned, because a process with another ledger sent them."""

from weekbot.content.library import Library
from weekbot.delivery.ports import SentMessage
from weekbot.domain.deliveries import Delivery
from weekbot.domain.planning import planner_of_post
from weekbot.store.claims import ShownTopic


def shown_topic(library: Library, delivery: Delivery, sent: SentMessage) -> ShownTopic | None:
    """The topic of the message, if it isn't the planned one."""
    if sent.topic in (None, delivery.topic):
        return None
    return ShownTopic(sent.topic, planner_of_post(library, sent.topic))
