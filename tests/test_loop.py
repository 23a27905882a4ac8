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

pytestmark = pytest.mark.skipif(
    not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has a clock that includes suspensions"
)
HOUR = 3600


class Suspensions:
    """Simulates suspensions: only `CLOCK_BOOTTIME` advances during one."""

    def __init__(self) -> None:
        self.seconds = 0

    def clock_gettime(self, clock: int) -> float:
        return time.monotonic() + (self.seconds if clock == time.CLOCK_BOOTTIME else 0)


@pytest.fixture
def suspensions(monkeypatch: pytest.MonkeyPatch) -> Suspensions:
    suspensions = Suspensions()
    monkeypatch.setattr(time, "clock_gettime", suspensions.clock_gettime)
    return suspensions


def test_a_timeout_expires_during_a_suspension(suspensions: Suspensions) -> None:
    async def main() -> None:
        async with asyncio.timeout(HOUR):
            suspensions.seconds = HOUR
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        loop.run(main())


def test_a_deadline_passes_during_a_suspension(suspensions: Suspensions) -> None:
    async def main() -> None:
        deadline = from_now(HOUR)
        suspensions.seconds = HOUR + 1
        with pytest.raises(RetryableError):
            async with deadline_at(deadline):
                pass

    loop.run(main())


def test_the_bot_runs_on_this_event_loop(monkeypatch: pytest.MonkeyPatch, suspensions: Suspensions) -> None:
    loops = []

    async def run(_: Settings, __: Clock) -> None:
        loops.append(asyncio.get_running_loop())

    monkeypatch.setattr("weekbot.run.run", run)
    monkeypatch.setattr("weekbot.cli.main.raise_gc_threshold", lambda: None)
    weekbot_run()
    assert [type(each) for each in loops] == [loop.BoottimeEventLoop]
