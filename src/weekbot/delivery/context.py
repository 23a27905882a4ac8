"""What every kind of delivery work needs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from weekbot.content.library import Library
from weekbot.delivery.outage import Outage
from weekbot.delivery.ports import DeliveryMetrics, Sender
from weekbot.delivery.refused_topics import RefusedTopics
from weekbot.delivery.token_users import TokenUsers
from weekbot.delivery.verification import Verification
from weekbot.runtime.clock import Clock


@dataclass(frozen=True)
class Context:
    """`library` returns the topics that may be posted now; a slot is posted late within `catch_up`."""

    library: Callable[[], Library]
    sender: Sender
    clock: Clock
    catch_up: timedelta


@dataclass(frozen=True)
class Safeguards:
    """What is known about Discord and the ledger beyond a single delivery."""

    verification: Verification
    outage: Outage
    refused_topics: RefusedTopics
    token_users: TokenUsers
    metrics: DeliveryMetrics
