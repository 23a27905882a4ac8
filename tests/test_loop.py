"""The event loop's clock on a machine that was suspended."""

import asyncio
import time

import pytest

from weekbot.cli.main import run as weekbot_run
from weekbot.delivery.deadline import deadline_at, from_now
from weekbot.delivery.errors import RetryableError
from weekbot.runtime import loop
from weekbot.runtime.clock import Clock
from weekbot.settings import Settings

pytestmark = pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has a clock that goes on")
HOUR = 3600


class Suspensions:
    """Simulates a suspension: only the clock that includes suspensions goes on."""

    def __init__(self) -> None:
        self.seconds = 0

    def clock_gettime(self, clock: int) -> float:
        return time.monotonic() + (self.seconds if clock == time.CLOCK_BOOTTIME else 0)


@pytest.fixture
def suspensions(monkeypatch: pytest.MonkeyPatch) -> Suspensions:
    suspensions = Suspensions()
    monkeypatch.setattr(time, "clock_gettime", suspensions.clock_gettime)
    return suspensions


def test_a_time_out_is_over_when_the_machine_wakes(suspensions: Suspensions) -> None:
    async def main() -> None:
        async with asyncio.timeout(HOUR):
            suspensions.seconds = HOUR
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        loop.run(main())


def test_a_request_from_before_the_suspension_does_not_leave_after_it(suspensions: Suspensions) -> None:
    async def main() -> None:
        latest = from_now(HOUR)
        suspensions.seconds = HOUR + 1
        with pytest.raises(RetryableError):
            async with deadline_at(latest):
                pass

    loop.run(main())


def test_the_bot_runs_on_it(monkeypatch: pytest.MonkeyPatch, suspensions: Suspensions) -> None:
    loops = []

    async def run(_: Settings, __: Clock) -> None:
        loops.append(asyncio.get_running_loop())

    monkeypatch.setattr("weekbot.run.run", run)
    monkeypatch.setattr("weekbot.cli.main.raise_gc_threshold", lambda: None)
    weekbot_run()
    assert [type(each) for each in loops] == [loop.BoottimeEventLoop]
