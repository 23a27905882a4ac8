"""The parts of the store that commands and buttons read and write."""

from dataclasses import dataclass

from weekbot.store.deliveries import Deliveries
from weekbot.store.follows import Follows
from weekbot.store.guilds import Guilds
from weekbot.store.members import Members
from weekbot.store.steps import Steps
from weekbot.store.subscriptions import Subscriptions


@dataclass(frozen=True, kw_only=True)
class Repositories:
    subscriptions: Subscriptions
    deliveries: Deliveries
    steps: Steps
    guilds: Guilds
    members: Members
    follows: Follows
