"""Steps: what follows a post."""

from dataclasses import dataclass
from enum import StrEnum

from weekbot.domain.deliveries import Delivery
from weekbot.domain.subscriptions import Options


class StepName(StrEnum):
    THREAD = "thread"
    PIN = "pin"
    PUBLISH = "publish"
    STRAYS = "strays"  # a look for what earlier attempts posted after all


ORDER = (StepName.PUBLISH, StepName.THREAD, StepName.PIN, StepName.STRAYS)


def wanted(options: Options) -> list[StepName]:
    """The steps that the options ask for, in their order."""
    switches = {StepName.THREAD: options.thread, StepName.PIN: options.pin, StepName.PUBLISH: options.publish}
    return [name for name in ORDER if switches.get(name)]


@dataclass(frozen=True)
class Step:
    """`attempts` counts the one that it is held for."""

    delivery: Delivery
    name: StepName
    attempts: int
