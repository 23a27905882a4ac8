"""Steps that follow a post."""

from dataclasses import dataclass
from enum import StrEnum

from weekbot.domain.deliveries import Delivery
from weekbot.domain.subscriptions import Options


class StepName(StrEnum):
    THREAD = "thread"
    PIN = "pin"
    PUBLISH = "publish"
    STRAYS = "strays"  # remove duplicates that earlier attempts posted after all


ORDER = (StepName.PUBLISH, StepName.THREAD, StepName.PIN, StepName.STRAYS)


def requested_steps(options: Options) -> list[StepName]:
    """Return the steps that the options ask for, in order."""
    switches = {StepName.THREAD: options.thread, StepName.PIN: options.pin, StepName.PUBLISH: options.publish}
    return [name for name in ORDER if switches.get(name)]


@dataclass(frozen=True)
class Step:
    """`attempts` includes the current one."""

    delivery: Delivery
    name: StepName
    attempts: int
