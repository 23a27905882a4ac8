"""A clock that tests advance."""

from datetime import datetime
from typing import Generic, TypeVar

Time = TypeVar("Time", datetime, float)


class ManualClock(Generic[Time]):
    def __init__(self, now: Time) -> None:
        self.now: Time = now

    def __call__(self) -> Time:
        return self.now
